/**
 * Scenarios that measure several loads in one run, on one ledger: they are warmed up one after the other, and then take turns for as many
 * repeats as are asked for. Each has its figures; those of the whole are sums of transfers and times, and of the latencies the worst.
 *
 * How much is under way differs with the size of batches: enough that more of it brings no more transfers, so that it is the ledger that is
 * measured and not the waiting for it, and no more than the ledger takes (65,536 transfers).
 */
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import type { LatencyMs } from '../lib/histogram.ts';
import { rounded } from './figures.ts';
import { httpSlotRows, withHttpLoader } from './http-loader.ts';
import type { Load } from './load.ts';
import { combined, type Repeats, type Run, runOf, type Runs } from './runs.ts';
import {
  type Bench,
  loadOf,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import type { RingOptions } from './workload.ts';

export interface Point {
  readonly name: string;
  /** How its batches differ. */
  readonly ring: Partial<RingOptions>;
  readonly batch: number;
  readonly inFlight: number;
}

export interface PointReport {
  readonly name: string;
  readonly batch: number;
  readonly in_flight: number;
  readonly transfers: number;
  readonly transfers_per_second: number;
  readonly latency_ms: LatencyMs;
  readonly repeats?: Repeats;
  readonly sent_late_ms?: unknown;
}

/** Transfers in a batch, and how many batches are under way. */
const BATCHES = [
  [1, 1_024],
  [16, 512],
  [128, 128],
  [1_024, 32],
  [BATCH_EVENTS_MAX, 8],
] as const;
/** Over HTTP each is on a connection of its own. */
const HTTP_BATCHES = [
  [1, 64],
  [16, 64],
  [128, 32],
  [1_024, 16],
  [BATCH_EVENTS_MAX, 4],
] as const;

const CROSS_SHARD_PERCENTS = [0, 10, 50, 100] as const;

export function smallBatches(context: ScenarioContext): Promise<ScenarioResult> {
  const batches = context.options.transport === 'http' ? HTTP_BATCHES : BATCHES;
  const points = batches.map(([batch, inFlight]) => ({
    name: `batches of ${batch}`,
    ring: { batch, inFlight },
    batch,
    inFlight,
  }));
  return runPoints(context, points);
}

export function crossShard(context: ScenarioContext): Promise<ScenarioResult> {
  const { batch, inFlight, connections, transport, shards } = context.options;
  // What the others are to be compared with: with one shard nothing can cross.
  const percents = shards === 1 ? [0] : CROSS_SHARD_PERCENTS;
  const points = percents.map((percent) => ({
    name: `${percent} % cross-shard${shards === 1 ? ', all on one shard' : ''}`,
    ring: { crossShard: percent },
    batch,
    inFlight: transport === 'http' ? connections : inFlight,
  }));
  return runPoints(context, points);
}

function runPoints(
  context: ScenarioContext,
  [first, ...others]: readonly Point[],
): Promise<ScenarioResult> {
  const isHttp = context.options.transport === 'http';
  const ringOf = ({ ring, batch }: Point): Partial<RingOptions> =>
    isHttp ? { ...ring, batch: httpSlotRows(batch), inFlight: 1 } : ring;
  const rings = others.map(ringOf);
  return runScenario(context, {
    load: ringOf(first!),
    measure: async (bench) => {
      for (const ring of rings) bench.workload.addRing(ring);
      const points = [first!, ...others];
      return isHttp ? measureHttp(bench, points, rings) : measureInTurns(bench, points, loadsOf);
    },
  });
}

export type PointLoad = (seconds: number) => Promise<Load | Run>;

export function loadsOf(bench: Bench, points: readonly Point[]): readonly PointLoad[] {
  return points.map(({ inFlight }, at) =>
    loadOf(bench, { source: bench.workload.rings[at]!, inFlight }),
  );
}

function measureHttp(
  bench: Bench,
  points: readonly Point[],
  rings: readonly Partial<RingOptions>[],
): Promise<Measured> {
  const { rate } = bench.options.scenarioOptions;
  return withHttpLoader(bench, { rings }, (loader) =>
    measureInTurns(bench, points, () =>
      points.map(
        ({ batch: rows, inFlight: connections }, ring): PointLoad =>
          (seconds) =>
            loader.slice(seconds, { ring, rows, connections, rate }),
      ),
    ),
  );
}

export async function measureInTurns(
  bench: Bench,
  points: readonly Point[],
  loadsFrom: (bench: Bench, points: readonly Point[]) => readonly PointLoad[],
): Promise<Measured> {
  const { options, signal, say } = bench;
  const loads = loadsFrom(bench, points);
  const { repeat } = options.scenarioOptions;
  const runs = points.map((): Run[] => []);
  for (let turn = options.warmUpSeconds > 0 ? -1 : 0; turn < repeat; turn++) {
    for (const [at, { name }] of points.entries()) {
      if (signal.aborted) break;
      const seconds = turn === -1 ? options.warmUpSeconds : options.seconds;
      say(`${name}: ${turn === -1 ? 'warming up' : `run ${turn + 1} of ${repeat}`}, ${seconds} s`);
      const run = runOf(await loads[at]!(seconds));
      if (turn >= 0) runs[at]!.push(run);
    }
  }
  const all = runs.map(combined);
  return {
    transfers: all.reduce((sum, one) => sum + one.transfers, 0),
    seconds: all.reduce((sum, one) => sum + one.seconds, 0),
    latency: worst(all.map(({ latency }) => latency)),
    points: points.map((point, at) => reportOf(point, all[at]!)),
  };
}

function reportOf({ name, batch, inFlight }: Point, runs: Runs): PointReport {
  const { p50, p99, p999, max } = runs.latency;
  return {
    name,
    batch,
    in_flight: inFlight,
    transfers: runs.transfers,
    transfers_per_second: Math.round(runs.transfersPerSecond),
    latency_ms: {
      p50: rounded(p50, 3),
      p99: rounded(p99, 3),
      p999: rounded(p999, 3),
      max: rounded(max, 3),
    },
    ...(runs.repeats === undefined ? {} : { repeats: runs.repeats }),
    ...runs.figures,
  };
}

/** Percentiles of several loads do not add up: the worst one speaks for all. */
function worst(all: readonly LatencyMs[]): LatencyMs {
  const most = (key: keyof LatencyMs): number => Math.max(0, ...all.map((one) => one[key]));
  return { p50: most('p50'), p99: most('p99'), p999: most('p999'), max: most('max') };
}
