/**
 * The state machines of one to three shards, with every step chosen by a seed, crashes included: what concurrent clients are told has a serial
 * order that respects real time, and its final state is the shards' own; sorted by the time of their decision, all events and expiries are
 * a serial history; journals, histories, and balances agree (engine-world.ts). EVENTS=1000000 runs so many, SEED=n one seed alone.
 */
import { expect, test } from 'vitest';
import { Prng } from '../../lib/prng.ts';
import { defectOfBalances } from '../support/compare-ledgers.ts';
import { EngineWorld } from '../support/engine-world.ts';
import { ModelLedger, type ModelLedger as Model } from '../support/model-ledger.ts';
import {
  History,
  SEARCH_EVENTS_MAX,
  explainedBySearch,
  explainedByTimestamps,
  type Operation,
  type Recorded,
} from '../support/serial-order.ts';
import { WorldBatches } from '../support/world-batches.ts';
import type { WorldBatch } from '../support/world-router.ts';

const FILE = 'test/model/engine-world.test.ts';
const ROUNDS = 12;
const CRASH_PERCENT = 4;
/** Of all tests of this file together. */
const EVENTS = Number(process.env['EVENTS'] ?? 12_000);
/** Generous: a night has time. */
const TEST_MS_MAX = Math.max(120_000, EVENTS * 20);

/** So many clients' plans, with no more events than the search takes. */
function plansOf(batches: WorldBatches, prng: Prng): WorldBatch[][] {
  let left = SEARCH_EVENTS_MAX - 2;
  return Array.from({ length: prng.between(1, 4) }, () => {
    const plan: WorldBatch[] = [];
    for (let i = prng.between(1, 3); i > 0 && left > 0; i--) {
      const batch = batches.next(Math.min(left, prng.pick([1, 1, 2, 3, 5])));
      plan.push(batch);
      left -= batch.events.length;
    }
    return plan;
  });
}

interface Ids {
  readonly accounts: Set<bigint>;
  readonly transfers: Set<bigint>;
}

function noteIds(ids: Ids, operations: readonly Operation[]): void {
  for (const { unit } of operations) {
    if (unit.type === 'accounts') for (const { id } of unit.events) ids.accounts.add(id);
    if (unit.type === 'transfers') for (const { id } of unit.events) ids.transfers.add(id);
  }
}

function hasImports({ unit }: Operation): boolean {
  return unit.type !== 'expiry' && unit.events.some(({ timestamp = 0n }) => timestamp !== 0n);
}

interface Played {
  readonly events: number;
  readonly crashes: number;
  readonly expiries: number;
}

function runWorld(seed: number, shards: number, crashPercent: number): Played {
  const prng = new Prng(seed);
  const world = new EngineWorld(shards, prng);
  const { shardOf } = world;
  const batches = new WorldBatches({ prng, shards, shardOf, now: () => world.now });
  const ids: Ids = { accounts: new Set(), transfers: new Set() };
  let ledger: Model = new ModelLedger(shardOf);
  let events = 0;
  const play = (plans: WorldBatch[][], crashes: number): void => {
    const history = new History({ shardOf });
    const start = world.now;
    // Ids come again: what was there before says nothing of this round.
    const recorded: Recorded = (kind, id) => {
      const found = world.recorded(kind, id);
      return found !== undefined && found.decided > start ? found : undefined;
    };
    world.run(plans, history, crashes);
    const { operations } = history;
    for (const plan of plans) for (const batch of plan) events += batch.events.length;
    noteIds(ids, operations);
    const digest = world.digest([...ids.accounts], [...ids.transfers]);
    const verdict = explainedBySearch(ledger, operations, { digest, recorded, now: world.now });
    if (!verdict.isExplained) throw new Error(verdict.reason);
    // Imported events have an order of their own: they are compared with what was there when their walk passed by.
    const isInTime = operations.every((one) => one.results !== null && !hasImports(one));
    const inTime = explainedByTimestamps(ledger, operations, { withFailed: true, recorded });
    if (isInTime && !inTime.isExplained) throw new Error(`by timestamps: ${inTime.reason}`);
    ({ ledger } = verdict);
  };
  for (const batch of batches.first()) play([[batch]], 0);
  for (let round = 0; round < ROUNDS; round++) play(plansOf(batches, prng), crashPercent);
  expect(defectOfBalances(world.accounts([...ids.accounts]))).toBeNull();
  return { events, crashes: world.crashes, expiries: world.expiries };
}

/** A failure names the seed and the command that runs it again. */
function playSeed(seed: number, shards: number, crashPercent: number): Played {
  try {
    return runWorld(seed, shards, crashPercent);
  } catch (error: unknown) {
    const again = `SEED=${seed} npm run test:system -- ${FILE}`;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}: ${reason}\nrun it again: ${again}`, { cause: error });
  }
}

for (const { shards, share, crashPercent } of [
  { shards: 1, share: 0.05, crashPercent: 0 },
  { shards: 1, share: 0.05, crashPercent: CRASH_PERCENT },
  { shards: 2, share: 0.3, crashPercent: 0 },
  { shards: 2, share: 0.15, crashPercent: CRASH_PERCENT },
  { shards: 3, share: 0.3, crashPercent: 0 },
  { shards: 3, share: 0.15, crashPercent: CRASH_PERCENT },
]) {
  const where = crashPercent === 0 ? 'whatever the order of steps' : 'wherever one crashes';
  test(
    `state machines of ${shards} shards have a serial order, ${where}`,
    { timeout: TEST_MS_MAX },
    () => {
      const played = { events: 0, crashes: 0, expiries: 0 };
      const due = process.env['SEED'] === undefined ? EVENTS * share : 1;
      for (let seed = Number(process.env['SEED'] ?? 1); played.events < due; seed++) {
        const one = playSeed(seed, shards, crashPercent);
        played.events += one.events;
        played.crashes += one.crashes;
        played.expiries += one.expiries;
      }
      const isLong = due > 1;
      expect(played.expiries > 0 || !isLong).toBe(true);
      expect(played.crashes > 0 || !isLong).toBe(crashPercent > 0 || !isLong);
    },
  );
}
