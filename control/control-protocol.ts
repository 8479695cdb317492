/**
 * What is said on the control socket of a live data directory: one line of JSON with a request, then lines of JSON, `progress` ones and at the
 * end `done` or `failed`; then the process closes the connection. Versioned, strict (an unknown field is refused), and bounded.
 *
 * The socket lies in the data directory, for the owner alone. Where that path is longer than a socket's may be, it lies in a directory of its
 * own in the system's place for temporary files, and `control.json` in the data directory names it.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

export const CONTROL_VERSION = 1;
export const CONTROL_LINE_BYTES_MAX = 4096;
export const SOCKET_NAME = 'control.sock';
export const SOCKET_PLACE_NAME = 'control.json';
/** `sun_path` has 108 bytes on Linux and 104 elsewhere, the last one 0. */
export const SOCKET_PATH_BYTES_MAX = 100;

export const CONTROL_REQUESTS = ['snapshot'] as const;
export type ControlRequest = (typeof CONTROL_REQUESTS)[number];

/** An answer line. `result` belongs to the request. */
export type ControlAnswer =
  | { readonly type: 'progress'; readonly line: string }
  | { readonly type: 'done'; readonly result: unknown }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

export function encodeRequest(request: ControlRequest): string {
  return `${JSON.stringify({ version: CONTROL_VERSION, request })}\n`;
}

/** The request of a line, or the sentence that refuses it. */
export function decodeRequest(line: string): ControlRequest | { readonly refusal: string } {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return { refusal: 'the request is not a line of JSON' };
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    return { refusal: 'the request is not a JSON object' };
  }
  const { version, request, ...rest } = message as Record<string, unknown>;
  if (version !== CONTROL_VERSION) {
    return {
      refusal: `the request has version ${JSON.stringify(version)}, and this process speaks version ${CONTROL_VERSION}: use the program of the same version`,
    };
  }
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) return { refusal: `unknown field ${JSON.stringify(unknown)}` };
  const known = CONTROL_REQUESTS.find((one) => one === request);
  return known ?? { refusal: `unknown request ${JSON.stringify(request)}` };
}

/** Undefined for what is no answer. */
export function decodeAnswer(line: string): ControlAnswer | undefined {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null) return undefined;
  const { type, line: text, code, message: sentence } = message as Record<string, unknown>;
  if (type === 'done') return { type, result: (message as { result?: unknown }).result };
  if (type === 'progress' && typeof text === 'string') return { type, line: text };
  if (type === 'failed' && typeof code === 'string' && typeof sentence === 'string') {
    return { type, code, message: sentence };
  }
  return undefined;
}

/** The socket's path within the directory, the same whatever links lead there; undefined when it is too long for a socket. */
export function socketPathWithin(directory: string): string | undefined {
  const path = join(realpathSync(directory), SOCKET_NAME);
  return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX ? path : undefined;
}

/** Where the socket of a live directory is. */
export function socketPathOf(directory: string): string {
  return socketPathWithin(directory) ?? socketPathElsewhere(directory);
}

/** As `control.json` says. */
export function socketPathElsewhere(directory: string): string {
  const { socket } = JSON.parse(readFileSync(join(directory, SOCKET_PLACE_NAME), 'utf8')) as {
    readonly socket?: unknown;
  };
  if (typeof socket !== 'string') throw new Error(`${SOCKET_PLACE_NAME} names no socket`);
  return socket;
}
