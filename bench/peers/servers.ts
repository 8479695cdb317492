/**
 * Starts and stops the servers of other systems: each with a directory of its own, on a free port of loopback, with its log read from here.
 *
 * A server ends with this process, however that ends (KEEPER in lib/nats-server.ts), and is in a process group of its own: an interrupt from
 * the terminal reaches the bench alone, which then stops the server by the process id that it started.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import path from 'node:path';
import { KEEPER } from '../../lib/nats-server.ts';

/** TigerBeetle takes 3 GiB of memory first, 10 s on a machine that does other things too. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const SAID_MAX = 4_000;
const POSTGRESQL_DIRECTORIES = '/usr/lib/postgresql';

export interface ServerCommand {
  /** For sentences. */
  readonly name: string;
  readonly command: readonly string[];
  /** What its log says when it takes connections. */
  readonly ready: RegExp;
  /** What stops it at once; its directory is thrown away. */
  readonly stopSignal: NodeJS.Signals;
  readonly user?: SystemUser | undefined;
}

export interface RunningServer {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason, with the last that it said. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** Resolves when the server takes connections. Rejects with a sentence that ends with what the server said. */
export async function startServer(server: ServerCommand): Promise<RunningServer> {
  const keeper = spawn('sh', ['-c', KEEPER, 'sh', ...server.command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    cwd: '/',
    env: { ...process.env, LC_ALL: 'C' },
    ...server.user,
  });
  const ended = new Promise<void>((resolve) => {
    keeper.once('exit', () => resolve());
    keeper.once('error', () => resolve());
  });
  const closed = new Promise<void>((resolve) => {
    keeper.once('close', () => resolve());
  });
  const { pid, said } = await untilReady(keeper, server, ended);
  return {
    pid,
    ended: closed.then(said),
    stop: async () => {
      // Once it has ended, its process id may be another's.
      if (keeper.exitCode === null) signalServer(pid, server.stopSignal);
      const late = setTimeout(() => signalServer(pid, 'SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(late);
    },
  };
}

function untilReady(
  keeper: ChildProcess,
  { name, ready }: ServerCommand,
  ended: Promise<void>,
): Promise<{ readonly pid: number; readonly said: () => string }> {
  return new Promise((resolve, reject) => {
    let said = '';
    let isReady = false;
    const last = (): string => said.trim().slice(-SAID_MAX);
    const refuse = (why: string): void => {
      clearTimeout(timer);
      // The keeper stops a server that is up when its input ends.
      keeper.stdin?.destroy();
      reject(new Error(`${name} ${why}: ${last()}`));
    };
    const timer = setTimeout(() => refuse('did not get ready in time'), START_TIMEOUT_MS);
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      if (isReady) {
        said = said.slice(-SAID_MAX);
        return;
      }
      const pid = /^pid (\d+)$/m.exec(said)?.[1];
      if (pid === undefined || !ready.test(said)) return;
      clearTimeout(timer);
      isReady = true;
      resolve({ pid: Number(pid), said: last });
    };
    for (const stream of [keeper.stdout, keeper.stderr]) stream?.on('data', listen);
    keeper.once('error', (error) => refuse(`could not be started (${error.message})`));
    void ended.then(() => refuse('ended at once'));
  });
}

function signalServer(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The directory that has `postgres` and `initdb`: Debian's newest, else one of PATH. */
export function findPostgresql(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  return [...debianPostgresql(), ...pathOf(environment)].find((directory) =>
    ['postgres', 'initdb'].every((name) => isExecutable(path.join(directory, name))),
  );
}

export function findRedis(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  return pathOf(environment)
    .map((directory) => path.join(directory, 'redis-server'))
    .find(isExecutable);
}

function debianPostgresql(): readonly string[] {
  try {
    return readdirSync(POSTGRESQL_DIRECTORIES)
      .toSorted((a, b) => Number(b) - Number(a))
      .map((version) => path.join(POSTGRESQL_DIRECTORIES, version, 'bin'));
  } catch {
    // No Debian, or no package: PATH may have it.
    return [];
  }
}

const pathOf = (environment: NodeJS.ProcessEnv): readonly string[] =>
  (environment['PATH'] ?? '').split(path.delimiter).filter((directory) => directory !== '');

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whom a server runs as that refuses to be root; undefined when this process is not root. */
export function unprivilegedUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = ['-u', '-g'].map((flag) =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' })),
      );
      return { uid: uid!, gid: gid! };
    } catch {
      // No such user: the next one.
    }
  }
  throw new Error('PostgreSQL refuses to run as root, and there is no user postgres or nobody');
}

/** What a binary says when it is asked for its version, on one line. */
export function versionOf(file: string, argument = '--version'): string {
  return execFileSync(file, [argument], { encoding: 'utf8' }).trim().split('\n')[0]!;
}
