/** Asks the process that has a data directory, over its control socket. */
import { createConnection, type Socket } from 'node:net';
import {
  type ControlAnswer,
  type ControlRequest,
  decodeAnswer,
  encodeRequest,
  socketPathOf,
} from './control-protocol.ts';

const ANSWER_CHARACTERS_MAX = 1 << 20;

/** What the process refused, with its code, or that nobody answers on the socket (`not_live`). */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Resolves with the result; rejects with a ControlError. */
export async function askControl(
  directory: string,
  request: ControlRequest,
  onProgress: (line: string) => void = () => undefined,
): Promise<unknown> {
  const socket = await connect(directory);
  socket.setEncoding('utf8');
  socket.write(encodeRequest(request));
  let text = '';
  try {
    for await (const more of socket) {
      text += String(more);
      if (text.length > ANSWER_CHARACTERS_MAX) break;
      const lines = text.split('\n');
      text = lines.pop()!;
      for (const line of lines) {
        const answer: ControlAnswer | undefined = decodeAnswer(line);
        if (answer?.type === 'done') return answer.result;
        if (answer?.type === 'failed') throw new ControlError(answer.code, answer.message);
        if (answer === undefined) break;
        onProgress(answer.line);
      }
    }
  } catch (error: unknown) {
    if (error instanceof ControlError) throw error;
    throw new ControlError('cut_off', `the answer was cut off: ${String(error)}`, error);
  } finally {
    socket.destroy();
  }
  throw new ControlError(
    'cut_off',
    `the process that has ${directory} ended before it had answered; see its log, and ask again`,
  );
}

function connect(directory: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const refuse = (error: unknown): void =>
      reject(
        new ControlError('not_live', `nobody answers on the control socket of ${directory}`, error),
      );
    try {
      const socket = createConnection(socketPathOf(directory), () => resolve(socket));
      socket.once('error', refuse);
    } catch (error: unknown) {
      refuse(error);
    }
  });
}
