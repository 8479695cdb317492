/**
 * What crossing shards costs: half of the transfers; a hot account on the lowest shard, where walks begin, and on the highest, where they are decided; and
 * an account there that gets a fee in every chain. One ledger, in turns. Then each of them once more while one of these two shards stands still: what
 * goes on meanwhile, what waits where, and how long it takes until all goes as before.
 */
import { setTimeout } from 'node:timers/promises';
import { type Figures, rounded } from './figures.ts';
import { ShardPauses } from './paused-shard.ts';
import { loadsOf, measureInTurns, type Point } from './points.ts';
import {
  type Bench,
  loadOf,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import type { ShardWaits } from './target.ts';
import type { RingOptions } from './workload.ts';

const CHAIN = 3;
/** What waits is looked at when so much of the pause is over. */
const LOOK_AT = 0.9;

export function crossing(context: ScenarioContext): Promise<ScenarioResult> {
  const { shards, batch, inFlight } = context.options;
  const loads: readonly (readonly [name: string, ring: Partial<RingOptions>])[] = [
    [shards === 1 ? 'nothing hot, and nothing crosses' : 'half cross-shard', { crossShard: 50 }],
    ...ends(shards).flatMap((hotShard) => [
      [`hot account on shard ${hotShard}`, { hotSide: 'either', hotShard }] as const,
      [`fee account on shard ${hotShard}`, { chain: CHAIN, hasFee: true, hotShard }] as const,
    ]),
  ];
  const points = loads.map(([name, ring]) => ({ name, ring, batch, inFlight }));
  const [first, ...others] = points;
  return runScenario(context, {
    load: first!.ring,
    measure: async (bench) => {
      for (const { ring } of others) bench.workload.addRing(ring);
      const before = bench.target.waits()!;
      const measured = await measureInTurns(bench, points, loadsOf);
      const rounds = roundsOf(before, bench.target.waits()!);
      return { ...measured, figures: { ...rounds, ...(await pausedFigures(bench, points)) } };
    },
  });
}

/** The lowest shard and the highest; with one they are the same, and nothing crosses: what the others are to be compared with. */
const ends = (shards: number): readonly number[] => (shards === 1 ? [0] : [0, shards - 1]);

/** Of each shard: the events of a group, and so of a commit. */
function roundsOf(before: readonly ShardWaits[], after: readonly ShardWaits[]): Figures {
  const events = after.map(({ groups, events: sum }, shard) => {
    const count = groups - before[shard]!.groups;
    return [`shard ${shard}`, rounded((sum - before[shard]!.events) / count, 0)] as const;
  });
  return { 'events of a group': Object.fromEntries(events) };
}

async function pausedFigures(bench: Bench, points: readonly Point[]): Promise<Figures> {
  const figures: Record<string, Figures[string]> = {};
  using pauses = await ShardPauses.attach();
  for (const [at, { name }] of points.entries()) {
    for (const shard of ends(bench.options.shards)) {
      if (bench.signal.aborted) return figures;
      bench.say(`${name}: shard ${shard} paused`);
      figures[`${name}, shard ${shard} paused`] = await pausedLoad(bench, at, { pauses, shard });
    }
  }
  return figures;
}

async function pausedLoad(
  bench: Bench,
  at: number,
  { pauses, shard }: { readonly pauses: ShardPauses; readonly shard: number },
): Promise<Measured['figures'] & Readonly<Record<string, number>>> {
  const { books, target, workload, options } = bench;
  const { pauseMs } = options.scenarioOptions;
  const load = loadOf(bench, { source: workload.rings[at]!, inFlight: options.inFlight });
  const running = load((3 * pauseMs) / 1000);
  const created = async (ms: number): Promise<number> => {
    const from = books.created;
    const began = performance.now();
    await setTimeout(ms);
    return rounded(((books.created - from) * 1000) / (performance.now() - began), 0);
  };
  const before = await created(pauseMs);
  await pauses.pause(shard, pauseMs);
  const during = await created(pauseMs * LOOK_AT);
  const waits = target.waits()!;
  await setTimeout(pauseMs * (1 - LOOK_AT));
  const behind = await created(pauseMs / 2);
  const { latency } = await running;
  const sum = (of: (one: ShardWaits) => number): number =>
    waits.reduce((all, one) => all + of(one), 0);
  return {
    before_per_second: before,
    during_per_second: during,
    behind_per_second: behind,
    slowest_ms: rounded(latency.summary().max, 0),
    parked: sum(({ parked }) => parked),
    claimed: sum(({ claimed }) => claimed),
    walks: sum(({ walksInFlight }) => walksInFlight),
  };
}
