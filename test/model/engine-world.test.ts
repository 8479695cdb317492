/**
 * The state machines of one to three shards, with every step chosen by a seed, crashes included: what concurrent clients are told has a serial
 * order that respects real time, and its final state is the shards' own. SEEDS=n runs more, SEED=n one alone.
 */
import { expect, test } from 'vitest';
import { Prng } from '../../lib/prng.ts';
import { defectOfBalances } from '../support/compare-ledgers.ts';
import { EngineWorld } from '../support/engine-world.ts';
import { ModelLedger, type ModelLedger as Model } from '../support/model-ledger.ts';
import { RandomBatches, eachSeed, type RandomBatch } from '../support/random-batches.ts';
import {
  History,
  SEARCH_EVENTS_MAX,
  explainedBySearch,
  explainedByTimestamps,
  type Operation,
} from '../support/serial-order.ts';

const FILE = 'test/model/engine-world.test.ts';
const ROUNDS = 12;
const CRASH_PERCENT = 4;
const TEST_MS_MAX = 120_000;

/** So many clients' plans, with no more events than the search takes. */
function plansOf(batches: RandomBatches, prng: Prng): RandomBatch[][] {
  let left = SEARCH_EVENTS_MAX;
  return Array.from({ length: prng.between(1, 4) }, () => {
    const plan: RandomBatch[] = [];
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
  for (const { event } of operations) {
    if (event.type === 'account') ids.accounts.add(event.account.id);
    else ids.transfers.add(event.transfer.id);
  }
}

function runWorld(seed: number, shards: number, crashPercent: number): number {
  const prng = new Prng(seed);
  const world = new EngineWorld(shards, prng);
  const { shardOf } = world;
  const batches = new RandomBatches({
    seed,
    accountCount: prng.between(3, 6),
    placement: { shards, shardOf },
    mix: seed % 4 === 0 ? 'rules' : 'contention',
  });
  const ids: Ids = { accounts: new Set(), transfers: new Set() };
  let ledger: Model = new ModelLedger(shardOf);
  const play = (plans: RandomBatch[][], crashes: number): void => {
    const flags = new Map(ledger.accounts().map((account) => [account.id, account.flags]));
    const flagsOf = (accountId: bigint): number => flags.get(accountId) ?? 0;
    const history = new History({ shardOf, flagsOf });
    world.run(plans, history, crashes);
    const { operations } = history;
    noteIds(ids, operations);
    const digest = world.digest([...ids.accounts], [...ids.transfers]);
    const verdict = explainedBySearch(ledger, operations, digest);
    if (!verdict.isExplained) throw new Error(verdict.reason);
    const hasAllAnswers = operations.every(({ result }) => result !== null);
    const inTime = explainedByTimestamps(ledger, operations, { withFailed: true });
    if (hasAllAnswers && !inTime.isExplained) throw new Error(`by timestamps: ${inTime.reason}`);
    ({ ledger } = verdict);
  };
  play([[batches.next()]], 0);
  for (let round = 0; round < ROUNDS; round++) play(plansOf(batches, prng), crashPercent);
  expect(defectOfBalances(world.accounts([...ids.accounts]))).toBeNull();
  return world.crashes;
}

for (const { shards, seeds } of [
  { shards: 1, seeds: 10 },
  { shards: 2, seeds: 60 },
  { shards: 3, seeds: 60 },
]) {
  test(
    `state machines of ${shards} shards have a serial order, whatever the order of steps`,
    { timeout: TEST_MS_MAX },
    async () => {
      const run = eachSeed(seeds, FILE, async (seed) => void runWorld(seed, shards, 0));
      await expect(run).resolves.toBeUndefined();
    },
  );

  test(
    `state machines of ${shards} shards have a serial order, wherever one crashes`,
    { timeout: TEST_MS_MAX },
    async () => {
      let crashes = 0;
      const run = eachSeed(Math.ceil(seeds / 3), FILE, async (seed) => {
        crashes += runWorld(seed, shards, CRASH_PERCENT);
      });
      await expect(run).resolves.toBeUndefined();
      expect(crashes).toBeGreaterThan(0);
    },
  );
}
