/**
 * What snapshots cost, and what they save. `recovery` builds a journal, takes a snapshot, lets more transfers follow, and starts the ledger again as a
 * process of its own: from its first instruction to the first 200 of `/readyz`. `snapshot-under-load` measures a uniform load in rounds, while
 * a snapshot is being written all the time, as fast as it goes or at a rate. It is compared with the periods before and after it, in which there is
 * none: from one period to the next a load slows down as its tables grow, by 2 to 13 % where nothing else happened.
 */
import { readdir } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { open } from '../client/in-process-client.ts';
import type { SnapshotTaken } from '../sharding/supervisor.ts';
import { type Figures, median, rounded } from './figures.ts';
import type { Load } from './load.ts';
import {
  type Bench,
  type Measured,
  runScenario,
  type Scenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import { type Sender, slotsFor, withSender } from './sender.ts';
import { startTarget, type Target } from './target.ts';

const NOTHING_NEW_MS = 1;

/** No snapshot but those that are asked for here: not for its time, not for its size, and not at the stop. */
const NO_OTHER_SNAPSHOTS = ['--snapshot-minutes', '0', '--snapshot-mib', '0'];

function scenarioOf(
  { options }: ScenarioContext,
  measure: (bench: Bench, sender: Sender) => Promise<Measured>,
): Scenario {
  return {
    load: slotsFor(options),
    serveFlags: NO_OTHER_SNAPSHOTS,
    measure: (bench) => withSender(bench, (sender) => measure(bench, sender)),
  };
}

export async function recovery(context: ScenarioContext): Promise<ScenarioResult> {
  const result = await runScenario(context, scenarioOf(context, measureRecovery));
  const { options, directory, signal, say } = context;
  if (signal.aborted) return result;
  const files = await readdir(directory, { recursive: true });
  const images = files.filter((name) => name.endsWith('.image')).length;
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
  if (images !== options.shards) {
    complaints.push(`there were ${images} snapshots, not one of each shard, behind it the suffix`);
  }
  return { ...result, figures, complaints: [...result.complaints, ...complaints] };
}

async function measureRecovery(bench: Bench, sender: Sender): Promise<Measured> {
  const { history, suffix } = bench.options.scenarioOptions;
  bench.say(`creating ${history} transfers`);
  const built = await sender.create(history);
  bench.say('taking a snapshot');
  const taken = await bench.target.snapshot();
  bench.say(`creating ${suffix} transfers`);
  if (suffix > 0) await sender.create(suffix);
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

export function snapshotUnderLoad(context: ScenarioContext): Promise<ScenarioResult> {
  return runScenario(context, scenarioOf(context, measureUnderLoad));
}

async function measureUnderLoad(bench: Bench, sender: Sender): Promise<Measured> {
  const { options, target, say } = bench;
  const { history, rounds } = options.scenarioOptions;
  say(`creating ${history} transfers`);
  await sender.create(history);
  if (options.warmUpSeconds > 0) await sender.run(options.warmUpSeconds);
  const ratios: number[] = [];
  const alone: Load[] = [];
  const beside: Load[] = [];
  const groups = { alone: 0, beside: 0 };
  const slowestGroup = (before: number): number =>
    Math.max(before, target.takeSlowestGroupMs() ?? 0);
  const isHere = target.takeSlowestGroupMs() !== undefined;
  let snapshots = 0;
  let bytes = 0;
  const measureAlone = async (): Promise<void> => {
    target.takeSlowestGroupMs();
    alone.push(await sender.run(options.seconds));
    groups.alone = slowestGroup(groups.alone);
  };
  await measureAlone();
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    const end = new AbortController();
    const [load, taken] = await Promise.all([
      sender.run(options.seconds).finally(() => end.abort()),
      takeUntil(end.signal, target),
    ]);
    beside.push(load);
    groups.beside = slowestGroup(groups.beside);
    for (const one of taken) {
      snapshots++;
      bytes += one.bytes;
    }
    await measureAlone();
    const around = (rateOf(alone[round]!) + rateOf(alone[round + 1]!)) / 2;
    ratios.push(rateOf(beside[round]!) / around);
  }
  const hold = target.snapshotHold();
  const groupMs = (ms: number): number | null => (isHere ? rounded(ms, 2) : null);
  return {
    transfers: beside.reduce((sum, one) => sum + one.transfers, 0),
    seconds: beside.reduce((sum, one) => sum + one.seconds, 0),
    latency: beside[0]!.latency.summary(),
    figures: {
      ratio: rounded(median(ratios), 3),
      alone: { ...millisecondsOf(alone), group_max_ms: groupMs(groups.alone) },
      beside: { ...millisecondsOf(beside), group_max_ms: groupMs(groups.beside) },
      snapshots,
      snapshot_bytes: Math.round(bytes / Math.max(1, snapshots)),
      hold_ms_max: hold === undefined ? null : rounded(hold.ms, 3),
      hold_processor_ms_max: hold === undefined ? null : rounded(hold.processorMs, 3),
    },
  };
}

const rateOf = ({ transfers, seconds }: Load): number => transfers / seconds;

/** One snapshot after the other; the last one may go on a little. Of a shard with nothing new the one before is answered, which does not count again. */
async function takeUntil(signal: AbortSignal, target: Target): Promise<readonly SnapshotTaken[]> {
  const all = new Map<string, SnapshotTaken>();
  while (!signal.aborted) {
    const before = all.size;
    for (const one of await target.snapshot()) all.set(`${one.shard} ${one.sequence}`, one);
    // Answered at once, again and again, it would leave nobody else a turn.
    if (all.size === before) await setTimeout(NOTHING_NEW_MS);
  }
  return [...all.values()];
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
