/**
 * A connection to Redis, as thin as it can be: requests are bytes that were made before the clock ran, so that what is measured is Redis and
 * not the making of requests. RESP, version 2. Answers come in the order of the requests; a lost connection rejects what is under way.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export type Reply = number | string | null | readonly Reply[];

interface Request {
  readonly replies: Reply[];
  readonly count: number;
  readonly resolve: (replies: readonly Reply[]) => void;
  readonly reject: (error: Error) => void;
}

/** One command. */
export function commandBytes(parts: readonly (string | Buffer)[]): Buffer {
  const bytes: Buffer[] = [Buffer.from(`*${parts.length}\r\n`)];
  for (const part of parts) {
    const body = typeof part === 'string' ? Buffer.from(part) : part;
    bytes.push(Buffer.from(`$${body.length}\r\n`), body, Buffer.from('\r\n'));
  }
  return Buffer.concat(bytes);
}

export class RedisConnection {
  readonly #socket: Socket;
  readonly #underWay: Request[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #refusal: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onBytes(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the connection to Redis was closed')));
  }

  static async open(port: number): Promise<RedisConnection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RedisConnection(socket);
  }

  /** So many commands, sent at once. Rejects with the first error that Redis answers. */
  send(commands: Buffer, count: number): Promise<readonly Reply[]> {
    return new Promise((resolve, reject) => {
      this.#underWay.push({ replies: [], count, resolve, reject });
      this.#socket.write(commands);
    });
  }

  async ask(...parts: readonly (string | Buffer)[]): Promise<Reply> {
    return (await this.send(commandBytes(parts), 1))[0]!;
  }

  close(): void {
    this.#socket.destroy();
  }

  #onBytes(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      const read = readReply(bytes, at);
      if (read === undefined) break;
      at = read.end;
      this.#take(read.reply);
    }
    this.#rest = bytes.subarray(at);
  }

  #take(reply: Reply | Error): void {
    const request = this.#underWay[0];
    if (request === undefined) return;
    if (reply instanceof Error) {
      this.#refusal ??= reply;
      request.replies.push(null);
    } else {
      request.replies.push(reply);
    }
    if (request.replies.length < request.count) return;
    this.#underWay.shift();
    if (this.#refusal === undefined) request.resolve(request.replies);
    else request.reject(this.#refusal);
    this.#refusal = undefined;
  }

  #end(error: Error): void {
    for (const { reject } of this.#underWay.splice(0)) reject(error);
  }
}

interface Read<T> {
  readonly reply: T;
  readonly end: number;
}

/** The reply that begins there; undefined when not all of it has come. An error of Redis is a value here. */
export function readReply(bytes: Buffer, at: number): Read<Reply | Error> | undefined {
  const line = readLine(bytes, at);
  if (line === undefined) return undefined;
  const { text, end } = line;
  const rest = text.slice(1);
  switch (text.charAt(0)) {
    case ':':
      return { reply: Number(rest), end };
    case '+':
      return { reply: rest, end };
    case '-':
      return { reply: new Error(`Redis: ${rest}`), end };
    case '$':
      return readBulk(bytes, end, Number(rest));
    case '*':
      return readList(bytes, end, Number(rest));
    default:
      throw new Error(`Redis answered what is not RESP: ${text}`);
  }
}

function readLine(bytes: Buffer, at: number): { text: string; end: number } | undefined {
  const end = bytes.indexOf('\r\n', at, 'latin1');
  return end === -1 ? undefined : { text: bytes.toString('latin1', at, end), end: end + 2 };
}

function readBulk(bytes: Buffer, at: number, length: number): Read<Reply> | undefined {
  if (length === -1) return { reply: null, end: at };
  const end = at + length;
  if (bytes.length < end + 2) return undefined;
  return { reply: bytes.toString('latin1', at, end), end: end + 2 };
}

/** No list that is asked for here holds another. */
function readList(bytes: Buffer, at: number, length: number): Read<Reply | Error> | undefined {
  const list: Reply[] = [];
  let end = at;
  for (let i = 0; i < length; i++) {
    const read = readReply(bytes, end);
    if (read === undefined) return undefined;
    if (read.reply instanceof Error) return { reply: read.reply, end: read.end };
    list.push(read.reply);
    end = read.end;
  }
  return { reply: list, end };
}
