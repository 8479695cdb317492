/**
 * The process's end of the control socket: takes requests of the same machine and user, one at a time for each kind of work, and answers with
 * progress and an outcome. Owns the socket file; what a killed process left of one is taken away at the start, which the directory's lock
 * makes safe. It is not reachable over a network, and asks for no credentials beyond those of the file system.
 */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  realpathSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import {
  CONTROL_LINE_BYTES_MAX,
  type ControlAnswer,
  type ControlRequest,
  decodeRequest,
  SOCKET_NAME,
  SOCKET_PLACE_NAME,
  socketPathElsewhere,
  socketPathWithin,
} from './control-protocol.ts';

const CONNECTIONS_MAX = 8;
const ELSEWHERE_PREFIX = 'sycee-';
/** How long a connection may take to say what it wants. */
const REQUEST_WAIT_MS = 5000;

/** Does what is asked; `progress` gets sentences on the way. What it gives goes to the caller as JSON. */
export type ControlWork = (progress: (line: string) => void) => Promise<unknown>;

export interface ControlServerOptions {
  /** The data directory, whose lock this process holds. */
  readonly directory: string;
  readonly work: Readonly<Record<ControlRequest, ControlWork>>;
}

export class ControlServer {
  readonly path: string;
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Work under way, by kind: who asks for the same waits behind it. */
  readonly #lanes = new Map<ControlRequest, Promise<unknown>>();

  private constructor(options: ControlServerOptions, path: string) {
    this.#options = options;
    this.path = path;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  static async start(options: ControlServerOptions): Promise<ControlServer> {
    const server = new ControlServer(options, placeSocket(options.directory));
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(server.path, () => {
        server.#server.off('error', reject);
        resolve();
      });
    });
    chmodSync(server.path, 0o600);
    return server;
  }

  /** Cuts who is connected. Work that is under way goes on. */
  async stop(): Promise<void> {
    const isClosed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await isClosed;
    removeSocket(this.#options.directory, this.path);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // Who goes away before his answer misses it.
    socket.on('error', () => socket.destroy());
    socket.setEncoding('utf8');
    socket.setTimeout(REQUEST_WAIT_MS, () => socket.destroy());
    let text = '';
    const onText = (more: string): void => {
      text += more;
      const end = text.indexOf('\n');
      if (end < 0 && text.length <= CONTROL_LINE_BYTES_MAX) return;
      socket.off('data', onText);
      socket.setTimeout(0);
      if (end < 0 || end !== text.length - 1) {
        finish(socket, refused('the request is not one line of at most 4096 bytes'));
        return;
      }
      const request = decodeRequest(text);
      if (typeof request === 'string') void this.#work(socket, request);
      else finish(socket, refused(request.refusal));
    };
    socket.on('data', onText);
  }

  async #work(socket: Socket, request: ControlRequest): Promise<void> {
    const progress = (line: string): void => say(socket, { type: 'progress', line });
    const before = this.#lanes.get(request) ?? Promise.resolve();
    const outcome = before.then(async (): Promise<ControlAnswer> => {
      try {
        return { type: 'done', result: await this.#options.work[request](progress) };
      } catch (error: unknown) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
        const message = error instanceof Error ? error.message : String(error);
        return { type: 'failed', code, message };
      }
    });
    this.#lanes.set(request, outcome);
    finish(socket, await outcome);
  }
}

const refused = (message: string): ControlAnswer => ({
  type: 'failed',
  code: 'malformed_request',
  message,
});

function say(socket: Socket, answer: ControlAnswer): void {
  if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
}

function finish(socket: Socket, answer: ControlAnswer): void {
  say(socket, answer);
  socket.end();
}

function placeSocket(directory: string): string {
  removeLeftover(directory);
  const near = socketPathWithin(directory);
  if (near !== undefined) return near;
  // The directory that is made has mode 700.
  const path = join(mkdtempSync(join(tmpdir(), ELSEWHERE_PREFIX)), SOCKET_NAME);
  const place = join(directory, SOCKET_PLACE_NAME);
  writeFileSync(place, `${JSON.stringify({ socket: path })}\n`, { mode: 0o600 });
  return path;
}

/** What a killed process has left, elsewhere too. */
function removeLeftover(directory: string): void {
  rmSync(join(directory, SOCKET_NAME), { force: true });
  let elsewhere: string;
  try {
    elsewhere = socketPathElsewhere(directory);
  } catch {
    // There was none, or nobody can tell where.
    return;
  } finally {
    rmSync(join(directory, SOCKET_PLACE_NAME), { force: true });
  }
  const place = dirname(elsewhere);
  const isOurs =
    basename(place).startsWith(ELSEWHERE_PREFIX) && basename(elsewhere) === SOCKET_NAME;
  if (!isOurs || !existsSync(place)) return;
  rmSync(elsewhere, { force: true });
  rmdirSync(place);
}

function removeSocket(directory: string, path: string): void {
  rmSync(path, { force: true });
  if (dirname(path) === realpathSync(directory)) return;
  rmSync(dirname(path), { recursive: true, force: true });
  rmSync(join(directory, SOCKET_PLACE_NAME), { force: true });
}
