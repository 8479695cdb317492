/** One run of the bench as a process of its own, with the code of its checkout: whoever runs many learns from each its report, and no more. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { Spread } from './figures.ts';
import type { BenchReport } from './report.ts';

export interface BenchRun {
  /** A checkout with its packages. */
  readonly directory: string;
  /** Arguments of the bench. */
  readonly command: readonly string[];
}

/** Of any scenario: what all of them have, and what some have. */
export type AnyReport = Partial<BenchReport> & {
  readonly scenario: string;
  readonly verified: boolean;
  readonly ratios?: readonly Spread[];
};

export type RunEnd =
  | { readonly type: 'report'; readonly report: AnyReport }
  | { readonly type: 'failed'; readonly why: string };

const living = new Set<ChildProcess>();

/** Ended before its end, a run has time to put its data away. */
const KILL_MS = 10_000;

/** Never rejects. A run that fails has said why on standard error, which is passed on. */
export async function runBenchProcess(
  { directory, command }: BenchRun,
  signal?: AbortSignal,
): Promise<RunEnd> {
  const cli = path.resolve(directory, 'cli.ts');
  const child = spawn(process.execPath, [cli, 'bench', ...command, '--json'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
    // Its own process group: an interrupt from the terminal reaches this process alone, which passes it on once.
    detached: true,
  });
  living.add(child);
  let late: NodeJS.Timeout | undefined;
  const end = (): void => {
    child.kill('SIGTERM');
    late = setTimeout(() => child.kill('SIGKILL'), KILL_MS);
  };
  signal?.addEventListener('abort', end, { once: true });
  if (signal?.aborted === true) end();
  const closed = once(child, 'close');
  const out = await text(child.stdout);
  const [code, name] = (await closed) as [number | null, string | null];
  signal?.removeEventListener('abort', end);
  clearTimeout(late);
  living.delete(child);
  const last = out.trimEnd().split('\n').at(-1) ?? '';
  if (code === 0) return { type: 'report', report: JSON.parse(last) as AnyReport };
  return { type: 'failed', why: `it ended with ${code ?? name ?? 'nothing'}` };
}

/** Does not wait: a run that was asked to end already throws away what it has. */
export function endRuns(): void {
  for (const child of living) child.kill('SIGTERM');
}
