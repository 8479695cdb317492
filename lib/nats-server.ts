/**
 * Finds a `nats-server` binary and runs one on loopback, for `serve --nats auto`, the bench and the tests.
 *
 * The server ends with this process, however that ends: a small shell stands between the two, waits for the pipe from here to close, and
 * stops the server by the process id that it started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const NO_NATS_SERVER =
  'no nats-server was found: put it on the PATH or name it in NATS_SERVER_BIN (https://github.com/nats-io/nats-server/releases)';

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;

/** $NATS_SERVER_BIN, then the PATH, then one that the tests have cached; undefined when there is none. */
export function findNatsServer(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = environment['NATS_SERVER_BIN'];
  if (named !== undefined && named !== '') return isExecutable(named) ? named : undefined;
  const cache = fileURLToPath(new URL('../node_modules/.cache/', import.meta.url));
  const directories = (environment['PATH'] ?? '').split(path.delimiter);
  const places = [...directories, path.join(cache, 'nats-server'), path.join(cache, 'bin'), cache];
  return places
    .filter((directory) => directory !== '')
    .map((directory) => path.join(directory, 'nats-server'))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    const found = statSync(file);
    return found.isFile() && (found.mode & 0o111) !== 0;
  } catch {
    return false;
  }
}

export interface NatsServerOptions {
  readonly binary?: string | undefined;
  /** A free one when left out. */
  readonly port?: number | undefined;
  /** More arguments for the server, for example ['-c', FILE]. */
  readonly arguments?: readonly string[] | undefined;
}

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  /** The process id of nats-server itself. */
  readonly pid: number;
  /** Resolves when the server has ended, for whatever reason. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL: as if the machine under it had gone. */
  kill(): Promise<void>;
}

/** Runs "$@" until standard input ends; says its process id first. */
export const KEEPER = `
exec 3<&0
"$@" <&- 3<&- &
server=$!
echo "pid $server" >&2
(cat <&3; kill "$server") >/dev/null 2>&1 &
exec 3<&-
wait "$server"`;

/** Starts a server and waits until it takes connections. Rejects with a sentence that holds what the server said. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const binary = options.binary ?? findNatsServer();
  if (binary === undefined) throw new Error(NO_NATS_SERVER);
  const port = options.port ?? -1;
  const command = [binary, '-a', '127.0.0.1', '-p', String(port), ...(options.arguments ?? [])];
  const keeper = spawn('sh', ['-c', KEEPER, 'sh', ...command], {
    stdio: ['pipe', 'ignore', 'pipe'],
    // Its own process group: an interrupt from the terminal reaches this process alone, which drains before the server goes.
    detached: true,
  });
  const ended = new Promise<void>((resolve) => {
    keeper.once('exit', () => {
      keeper.stdin?.destroy();
      resolve();
    });
    keeper.once('error', () => resolve());
  });
  const started = await whenReady(keeper, ended);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (keeper.exitCode === null) signalServer(started.pid, signal);
    const late = setTimeout(() => signalServer(started.pid, 'SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(late);
  };
  return {
    url: `nats://127.0.0.1:${started.port}`,
    port: started.port,
    pid: started.pid,
    ended,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

function signalServer(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

interface Started {
  readonly port: number;
  readonly pid: number;
}

function whenReady(keeper: ChildProcess, ended: Promise<void>): Promise<Started> {
  return new Promise((resolve, reject) => {
    let said = '';
    const refuse = (why: string): void => {
      clearTimeout(timer);
      keeper.stdin?.destroy();
      const last = /\[(?:FTL|ERR)\] (.*)/.exec(said)?.[1] ?? said.trim().slice(-300);
      reject(new Error(`nats-server ${why}${last === '' ? '' : `: ${last}`}`));
    };
    const timer = setTimeout(() => refuse('did not get ready in time'), START_TIMEOUT_MS);
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      const port = /Listening for client connections on \S+:(\d+)/.exec(said)?.[1];
      const pid = /^pid (\d+)$/m.exec(said)?.[1];
      if (port === undefined || pid === undefined || !said.includes('Server is ready')) return;
      clearTimeout(timer);
      keeper.stderr?.off('data', listen);
      keeper.stderr?.resume();
      resolve({ port: Number(port), pid: Number(pid) });
    };
    keeper.stderr?.on('data', listen);
    keeper.once('error', (error) => refuse(`could not be started (${error.message})`));
    void ended.then(() => refuse('ended at once'));
  });
}

/** An address without its credentials. */
export function maskUrl(text: string): string {
  return text.replaceAll(/\/\/[^@/,]*@/g, '//********@');
}
