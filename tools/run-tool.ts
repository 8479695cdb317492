/**
 * Runs an offline tool as a verb of the command line: exit codes, sentences, signals. Nothing that it looks at is its own, so an interrupt ends it at
 * once; only its scratch directory has to go.
 */
import { tmpdir } from 'node:os';
import {
  DataDirectoryError,
  isSegmentArchived,
  JournalError,
  SnapshotError,
} from '../persistence/errors.ts';
import type { ToolOutput } from './sink.ts';
import { UsageError } from './usage.ts';

/** Exit codes as in docs/operations.md. */
export const EXIT = { done: 0, failed: 1, usage: 2, damaged: 3 } as const;

/** Exit codes of processes that a signal has ended, by the habit of shells. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** What has to be undone when the process ends in the middle. */
export class Cleanup {
  readonly #disposables = new Set<Disposable>();

  add<T extends Disposable>(one: T): T {
    this.#disposables.add(one);
    return one;
  }

  run(): void {
    for (const one of this.#disposables) one[Symbol.dispose]();
    this.#disposables.clear();
  }
}

export async function runTool(
  name: string,
  output: ToolOutput,
  tool: (cleanup: Cleanup) => Promise<number>,
): Promise<number> {
  const cleanup = new Cleanup();
  const onExit = (): void => cleanup.run();
  process.once('exit', onExit);
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
    const onSignal = (): void => process.exit(code);
    process.once(signal, onSignal);
    return [signal, onSignal] as const;
  });
  try {
    return await tool(cleanup);
  } catch (error: unknown) {
    return refusal(name, output, error);
  } finally {
    cleanup.run();
    process.off('exit', onExit);
    for (const [signal, onSignal] of handlers) process.off(signal, onSignal);
  }
}

function refusal(name: string, output: ToolOutput, error: unknown): number {
  if (error instanceof UsageError) {
    output.log(`sycee: ${error.message}; try "sycee ${name} --help"`);
    return EXIT.usage;
  }
  const message = error instanceof Error ? (systemText(error) ?? error.message) : String(error);
  output.log(`sycee: ${message}${adviceFor(error)}`);
  if (error instanceof DataDirectoryError) return error.exitCode;
  if (isSegmentArchived(error)) return EXIT.failed;
  if (error instanceof JournalError && error.code === 'NO_ROOM_TO_READ') return EXIT.failed;
  if (error instanceof JournalError || error instanceof SnapshotError) return EXIT.damaged;
  return EXIT.failed;
}

/** What the system says of a path, as rules. */
const PATH_RULES: Readonly<Record<string, string>> = {
  ENOENT: 'is not there. Check the path.',
  ENOTDIR: 'is no directory, or a part of its path is none. Check the path.',
  EACCES: 'may not be used by this user. Run this as the one who has it, or give access to it.',
  EPERM: 'may not be used by this user. Run this as the one who has it, or give access to it.',
};

/** Of an error of the file system, with its path. */
function systemText(error: Error): string | undefined {
  const { code = '', path } = error as NodeJS.ErrnoException;
  const rule = PATH_RULES[code];
  return rule === undefined || path === undefined ? undefined : `${path} ${rule}`;
}

/** What is written besides what was asked for are copies of segments in a scratch directory. */
function adviceFor(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return '';
  return `. Tools keep copies of journals for a while in ${tmpdir()}: make room there, or name another directory in TMPDIR.`;
}
