/**
 * The whole bench: runs of many scenarios, each a process of its own, within a bounded time. It ends with a table, a JSON document, and plots,
 * and fails when a run does. The runs that say most come first: what the time does not suffice for is left out, by name.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findNatsServer, NO_NATS_SERVER } from '../lib/nats-server.ts';
import { type AnyReport, endRuns, runBenchProcess } from './bench-process.ts';
import { Interrupt } from './interrupt.ts';
import { UsageError } from './options.ts';
import { sayResult } from './output.ts';
import { commitOf, machineOf } from './report.ts';
import { plotsOf, suiteTable } from './suite-report.ts';
import { type SuiteRun, suiteRuns } from './suite-runs.ts';

const OWN_DIRECTORY = fileURLToPath(new URL('..', import.meta.url));
const RESULTS = path.join(OWN_DIRECTORY, 'bench', 'results');
/** Not kept by git: quick figures are for a look. */
const QUICK_RESULTS = path.join(RESULTS, 'local');

export type SuiteName = 'full' | 'quick';

const SECONDS_MAX: Readonly<Record<SuiteName, number>> = { full: 900, quick: 120 };
/** For the run under way to put its data away. */
const END_SECONDS = 10;

export interface SuiteOptions {
  readonly name: SuiteName;
  readonly json: boolean;
  readonly results: string;
}

export interface SuiteEntry {
  readonly name: string;
  /** Arguments of the bench. */
  readonly command: string;
  readonly report?: AnyReport;
  readonly failed?: string;
  /** Why it was left out. */
  readonly skipped?: string;
}

export interface SuiteDocument {
  readonly suite: SuiteName;
  readonly started: string;
  readonly seconds: number;
  /** Every run that was not left out, and it was not interrupted. */
  readonly verified: boolean;
  readonly machine: ReturnType<typeof machineOf>;
  readonly commit: string | null;
  readonly runs: readonly SuiteEntry[];
}

export function parseSuite(argv: readonly string[]): SuiteOptions {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        results: { type: 'string' },
      },
    });
    const { quick, json, results = quick ? QUICK_RESULTS : RESULTS } = values;
    return { name: quick ? 'quick' : 'full', json, results };
  } catch (error: unknown) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`without a scenario the whole suite is run: ${why}`, { cause: error });
  }
}

/** Answers the exit code. */
export async function runSuite(options: SuiteOptions): Promise<number> {
  using stop = new Interrupt();
  stop.onSecond = endRuns;
  const runs = suiteRuns(options.name);
  const document = await takeRuns(options.name, runs, stop.signal);
  sayResult(suiteTable(document), options.json ? document : undefined);
  if (stop.signal.aborted) return 1;
  const files = await writeResults(document, options.results);
  console.error(`written: ${files.map((file) => path.relative('.', file)).join(', ')}`);
  return document.verified ? 0 : 1;
}

async function takeRuns(
  name: SuiteName,
  runs: readonly SuiteRun[],
  signal: AbortSignal,
): Promise<SuiteDocument> {
  const began = performance.now();
  const started = new Date().toISOString();
  const elapsed = (): number => (performance.now() - began) / 1000;
  const natsServer = findNatsServer();
  const entries: SuiteEntry[] = [];
  for (const [at, run] of runs.entries()) {
    if (signal.aborted) break;
    const left = SECONDS_MAX[name] - END_SECONDS - elapsed();
    console.error(`${at + 1} of ${runs.length}, ${Math.round(elapsed())} s: ${run.name}`);
    if (run.needsNats && natsServer === undefined) {
      entries.push(leftOut(run, NO_NATS_SERVER));
    } else if (left < run.seconds) {
      entries.push(leftOut(run, 'the time was up'));
    } else {
      entries.push(await takeRun(run, { left, signal }));
    }
  }
  return {
    suite: name,
    started,
    seconds: Math.round(elapsed()),
    verified: !signal.aborted && entries.every(({ failed }) => failed === undefined),
    machine: machineOf(),
    commit: commitOf(),
    runs: entries,
  };
}

const leftOut = ({ name, command }: SuiteRun, skipped: string): SuiteEntry => ({
  name,
  command,
  skipped,
});

async function takeRun(
  run: SuiteRun,
  { left, signal }: { readonly left: number; readonly signal: AbortSignal },
): Promise<SuiteEntry> {
  const timeout = AbortSignal.timeout(Math.ceil(left * 1000));
  const command = run.command.split(' ');
  const end = await runBenchProcess(
    { directory: OWN_DIRECTORY, command },
    AbortSignal.any([signal, timeout]),
  );
  if (timeout.aborted) return leftOut(run, 'the time was up in the midst of it');
  const { name } = run;
  return end.type === 'report'
    ? { name, command: run.command, report: end.report }
    : { name, command: run.command, failed: end.why };
}

/** Says which files it wrote. A run without a figure has none in a plot. */
async function writeResults(document: SuiteDocument, directory: string): Promise<string[]> {
  const date = document.started.slice(0, 10);
  const stem = `${date}-${document.suite}-${document.commit ?? 'unknown'}`;
  const files = new Map<string, string>([
    [`${stem}.json`, `${JSON.stringify(document, null, 2)}\n`],
  ]);
  for (const [name, svg] of plotsOf(document)) files.set(`${stem}-${name}.svg`, svg);
  const written: string[] = [];
  for (const [name, content] of files) {
    const file = path.join(directory, name);
    await mkdir(directory, { recursive: true });
    await writeFile(file, content);
    written.push(file);
  }
  return written;
}
