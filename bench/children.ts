/**
 * Child processes of the bench: servers and load generators. Each has a process group of its own, so that an interrupt from the terminal reaches the
 * bench alone, which ends them when it has done with them. They end with it, however it ends: a load when its channel closes, a server
 * when its standard input does (KEEPER in lib/nats-server.ts).
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { KEEPER } from '../lib/nats-server.ts';

const STOP_TIMEOUT_MS = 60_000;
const SAID_MAX = 2_000;

const living = new Set<ChildProcess>();

/** A file of the bench that talks over IPC, and ends when nobody listens any more. */
export function startChild(file: string, argv: readonly string[]): ChildProcess {
  return kept(
    fork(fileURLToPath(new URL(file, import.meta.url)), [...argv], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true,
    }),
  );
}

export interface KeptServer {
  readonly child: ChildProcess;
  /** Of the server itself; the child is a shell that keeps it. */
  readonly pid: () => number | undefined;
  /** The end of what it wrote to its standard error. */
  readonly said: () => string;
}

export function startKept(command: readonly string[]): KeptServer {
  const child = kept(
    spawn('sh', ['-c', KEEPER, 'sh', ...command], {
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true,
    }),
  );
  let text = '';
  let pid: number | undefined;
  child.stderr.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-SAID_MAX);
    if (pid !== undefined) return;
    const first = /^pid (\d+)\n/.exec(text);
    if (first === null) return;
    pid = Number(first[1]);
    text = text.slice(first[0].length);
  });
  // A server that is gone has nobody who reads it.
  child.stdin.on('error', () => undefined);
  return { child, pid: () => pid, said: () => text.trim() };
}

/** Asks it to end, and SIGKILL for one that does not. Resolves with its exit code, or the name of the signal that ended it. */
export async function endChild(child: ChildProcess): Promise<number | string> {
  if (isLiving(child)) {
    const exit = once(child, 'exit');
    if (child.stdin === null) child.kill('SIGTERM');
    else child.stdin.end();
    const late = setTimeout(() => killGroup(child), STOP_TIMEOUT_MS);
    await exit;
    clearTimeout(late);
  }
  return child.exitCode ?? child.signalCode ?? 'nothing';
}

/** At once, for a bench that does not wait. */
export function killChildren(): void {
  for (const child of living) killGroup(child);
}

function kept<T extends ChildProcess>(child: T): T {
  living.add(child);
  child.once('exit', () => {
    living.delete(child);
    // Else what waits for its end in the keeper would stay.
    child.stdin?.destroy();
  });
  return child;
}

export function isLiving(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || !isLiving(child)) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
