/**
 * What becomes of speed, memory, and disk as the tables grow: so many transfers are created in equal steps, and each step is measured by itself.
 * Times are of whole steps, without a warm-up; the first one has cold code in it.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { rounded } from './figures.ts';
import type { Load } from './load.ts';
import {
  type Bench,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import { type Sender, slotsFor, withSender } from './sender.ts';
import { residentBytes } from './target.ts';

/** As it stands in a report. */
export interface GrowthStep {
  /** Stored by the end of the step. */
  readonly transfers: number;
  readonly transfers_per_second: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly p999_ms: number;
  readonly max_ms: number;
  readonly resident_bytes: number | null;
  /** Of the shards' tables; null where the ledger is in another process. */
  readonly table_bytes: number | null;
  /** Of the data directory: what its files occupy. */
  readonly disk_bytes: number;
}

export function growth(context: ScenarioContext): Promise<ScenarioResult> {
  return runScenario(context, {
    load: slotsFor(context.options),
    measure: (bench) => withSender(bench, (sender) => measure(bench, sender)),
  });
}

async function measure(bench: Bench, sender: Sender): Promise<Measured> {
  const { options, say, signal } = bench;
  const { transfers: whole, steps: count } = options.scenarioOptions;
  const steps: GrowthStep[] = [];
  const loads: Load[] = [];
  let created = 0;
  for (let step = 1; step <= count && !signal.aborted; step++) {
    // What whole batches were too many in one step is taken from the next.
    const due = Math.round((whole * step) / count) - created;
    const load = await sender.create(Math.max(1, due));
    loads.push(load);
    created += load.transfers;
    const figures = await stepOf(bench, load, created);
    steps.push(figures);
    say(
      `step ${step} of ${count}: ${figures.transfers} transfers, ${figures.transfers_per_second} a second, p99 ${figures.p99_ms} ms`,
    );
  }
  const last = loads.at(-1)!;
  return {
    transfers: created,
    seconds: loads.reduce((sum, load) => sum + load.seconds, 0),
    // With the tables as large as they became.
    latency: last.latency.summary(),
    steps,
  };
}

async function stepOf(
  { target, directory }: Bench,
  load: Load,
  transfers: number,
): Promise<GrowthStep> {
  const { p50, p99, p999, max } = load.latency.summary();
  return {
    transfers,
    transfers_per_second: Math.round(load.transfers / load.seconds),
    p50_ms: rounded(p50, 3),
    p99_ms: rounded(p99, 3),
    p999_ms: rounded(p999, 3),
    max_ms: rounded(max, 3),
    resident_bytes: (await residentBytes(target.pid)) ?? null,
    table_bytes: target.tableBytes() ?? null,
    disk_bytes: await diskBytes(directory),
  };
}

const BLOCK_BYTES = 512;

/** Blocks, not lengths: a file may have room ahead, and a removed part of one takes none. */
async function diskBytes(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true });
  const sizes = names.map((name) =>
    // Segments come and go meanwhile.
    stat(path.join(directory, name)).then(
      (found) => found.blocks * BLOCK_BYTES,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, one) => sum + one, 0);
}
