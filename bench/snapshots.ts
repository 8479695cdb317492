/**
 * What snapshots cost, and what they save. `recovery` builds a journal, takes a snapshot, lets more transfers follow, and starts the ledger again as a
 * process of its own: from its first instruction to the first 200 of `/readyz`. `snapshot-under-load` measures a uniform load in rounds, while
 * a snapshot is being written all the time, as fast as it goes or at a rate. It is compared with the periods before and after it, in which there is
 * none: from one period to the next a load slows down as its tables grow, by 2 to 13 % where nothing else happened.
 */
import { open } from '../client/in-process-client.ts';
import type { SnapshotTaken } from '../sharding/supervisor.ts';
import { type Figures, median, rounded } from './figures.ts';
import { createTransfers, type Load } from './load.ts';
import {
  type Bench,
  loadOf,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import { startTarget, type Target } from './target.ts';

export async function recovery(context: ScenarioContext): Promise<ScenarioResult> {
  const result = await runScenario(context, { load: {}, measure: measureRecovery });
  const { options, directory, signal, say } = context;
  if (signal.aborted) return result;
  say('starting again');
  const began = performance.now();
  const target = await startTarget({ ...options, transport: 'http' }, directory);
  const readySeconds = (performance.now() - began) / 1000;
  const stopping = performance.now();
  await target.stop();
  const stopSeconds = (performance.now() - stopping) / 1000;
  await using client = await open({ directory, shards: options.shards });
  const digests = await client.digests();
  const figures: Figures = {
    ...result.figures,
    restart_seconds: rounded(readySeconds, 2),
    stop_seconds: rounded(stopSeconds, 2),
  };
  // The stops in between have added rows that change nothing.
  const complaints = digests
    .filter(({ shard, digest }) => result.replay?.shards[shard]?.digest !== digest)
    .map(({ shard }) => `shard ${shard} came back from its snapshot with another digest`);
  return { ...result, figures, complaints: [...result.complaints, ...complaints] };
}

async function measureRecovery(bench: Bench): Promise<Measured> {
  const { history, suffix } = bench.options.scenarioOptions;
  const built = await build(bench, history);
  bench.say('taking a snapshot');
  const taken = await bench.target.snapshot();
  await build(bench, suffix);
  const bytes = taken.reduce((sum, one) => sum + one.bytes, 0);
  return {
    transfers: built.transfers,
    seconds: built.seconds,
    latency: built.latency.summary(),
    figures: {
      snapshot_bytes: bytes,
      snapshot_seconds: rounded(
        taken.reduce((sum, one) => sum + one.seconds, 0),
        2,
      ),
    },
  };
}

function build(bench: Bench, count: number): Promise<Load> {
  const { target, workload, books, options, signal, say } = bench;
  say(`creating ${count} transfers`);
  return createTransfers(target.client, workload, books, {
    inFlight: options.inFlight,
    signal,
    count,
  });
}

export function snapshotUnderLoad(context: ScenarioContext): Promise<ScenarioResult> {
  return runScenario(context, { load: {}, measure: measureUnderLoad });
}

async function measureUnderLoad(bench: Bench): Promise<Measured> {
  const { options, target, say } = bench;
  const { history, rounds } = options.scenarioOptions;
  await build(bench, history);
  const load = loadOf(bench);
  await load(options.warmUpSeconds);
  const ratios: number[] = [];
  const alone: Load[] = [];
  const beside: Load[] = [];
  const groups = { alone: 0, beside: 0 };
  const slowestGroup = (before: number): number =>
    Math.max(before, target.takeSlowestGroupMs() ?? 0);
  let snapshots = 0;
  let bytes = 0;
  const measureAlone = async (): Promise<void> => {
    target.takeSlowestGroupMs();
    alone.push(await load(options.seconds));
    groups.alone = slowestGroup(groups.alone);
  };
  await measureAlone();
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    const end = new AbortController();
    const taking = takeUntil(end.signal, target);
    beside.push(await load(options.seconds));
    groups.beside = slowestGroup(groups.beside);
    end.abort();
    for (const one of await taking) {
      snapshots++;
      bytes += one.bytes;
    }
    await measureAlone();
    const around = (alone[round]!.transfers + alone[round + 1]!.transfers) / 2;
    ratios.push(beside[round]!.transfers / around);
  }
  const hold = target.snapshotHold();
  const transfers = beside.reduce((sum, one) => sum + one.transfers, 0);
  return {
    transfers,
    seconds: options.seconds * rounds,
    latency: beside[0]!.latency.summary(),
    figures: {
      ratio: rounded(median(ratios), 3),
      alone: { ...millisecondsOf(alone), group_max_ms: rounded(groups.alone, 2) },
      beside: { ...millisecondsOf(beside), group_max_ms: rounded(groups.beside, 2) },
      snapshots,
      snapshot_bytes: Math.round(bytes / Math.max(1, snapshots)),
      hold_ms_max: rounded(hold?.ms ?? 0, 3),
      hold_processor_ms_max: rounded(hold?.processorMs ?? 0, 3),
    },
  };
}

/** One snapshot after the other; the last one may go on a little. */
async function takeUntil(signal: AbortSignal, target: Target): Promise<readonly SnapshotTaken[]> {
  const all: SnapshotTaken[] = [];
  while (!signal.aborted) all.push(...(await target.snapshot()));
  return all;
}

/** Medians over the rounds, and the worst of all. */
function millisecondsOf(loads: readonly Load[]): Readonly<Record<string, number>> {
  const summaries = loads.map(({ latency }) => latency.summary());
  return {
    p50_ms: rounded(median(summaries.map((one) => one.p50)), 2),
    p99_ms: rounded(median(summaries.map((one) => one.p99)), 2),
    p999_ms: rounded(median(summaries.map((one) => one.p999)), 2),
    max_ms: rounded(Math.max(...summaries.map((one) => one.max)), 2),
  };
}
