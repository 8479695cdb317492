/**
 * Clients that ask at the same time about the same few accounts: what they are told must be explained by one serial order. Short rounds are
 * searched for an order that respects real time; long runs are replayed in the order of their timestamps. SEEDS=n runs more, SEED=n one alone.
 */
import { expect, test } from 'vitest';
import { Prng } from '../../lib/prng.ts';
import { startSystem, type TestSystem } from '../support/cluster.ts';
import { differenceOfLedgers } from '../support/compare-ledgers.ts';
import { ModelLedger } from '../support/model-ledger.ts';
import { RandomBatches, eachSeed, type RandomBatch } from '../support/random-batches.ts';
import {
  History,
  SEARCH_EVENTS_MAX,
  explainedBySearch,
  explainedByTimestamps,
  type LedgerEvent,
  type Verdict,
} from '../support/serial-order.ts';

const FILE = 'test/model/concurrent-clients.test.ts';
const TEST_MS_MAX = 120_000;
const CLIENTS = 4;
const ROUNDS = 40;
const ACCOUNTS = 5;
const LONG_EVENTS_MIN = 1500;

function eventsOf(batch: RandomBatch): readonly LedgerEvent[] {
  return batch.type === 'accounts'
    ? batch.events.map((account) => ({ type: 'account', account }))
    : batch.events.map((transfer) => ({ type: 'transfer', transfer }));
}

async function ask(system: TestSystem, history: History, batch: RandomBatch): Promise<void> {
  await history.record(eventsOf(batch), async () => {
    if (batch.type === 'accounts')
      return (await system.client.createAccounts(batch.events)).results;
    return (await system.client.createTransfers(batch.events)).results;
  });
}

interface Start {
  readonly batches: RandomBatches;
  readonly ledger: ModelLedger;
  readonly newHistory: () => History;
}

/** The accounts are made by one client. */
async function start(system: TestSystem, seed: number): Promise<Start> {
  const batches = new RandomBatches({
    seed,
    accountCount: ACCOUNTS,
    placement: system,
    mix: 'contention',
  });
  const first = batches.next();
  const { shardOf } = system;
  const opening = new History({ shardOf });
  await ask(system, opening, first);
  const verdict = explainedByTimestamps(new ModelLedger(shardOf), opening.operations, {
    withFailed: false,
  });
  const ledger = ledgerOf(verdict);
  return { batches, ledger, newHistory: () => new History({ shardOf }) };
}

function ledgerOf(verdict: Verdict): ModelLedger {
  if (!verdict.isExplained) throw new Error(verdict.reason);
  return verdict.ledger;
}

/** Some clients, each with one request after the other, until the round has its events. */
async function playRound(system: TestSystem, start_: Start, prng: Prng): Promise<History> {
  const history = start_.newHistory();
  let left = SEARCH_EVENTS_MAX;
  const plans = Array.from({ length: prng.between(3, CLIENTS) }, () => {
    const plan: RandomBatch[] = [];
    for (let i = prng.between(1, 2); i > 0 && left > 0; i--) {
      const batch = start_.batches.next(Math.min(left, prng.between(1, 3)));
      plan.push(batch);
      left -= batch.events.length;
    }
    return plan;
  });
  await Promise.all(
    plans.map(async (plan) => {
      for (const batch of plan) await ask(system, history, batch);
    }),
  );
  return history;
}

for (const { shards, seeds } of [
  { shards: 1, seeds: 1 },
  { shards: 2, seeds: 2 },
  { shards: 3, seeds: 2 },
]) {
  test(
    `short rounds of concurrent clients at ${shards} shards have a serial order`,
    { timeout: TEST_MS_MAX },
    async () => {
      const run = eachSeed(seeds, FILE, async (seed) => {
        await using system = await startSystem({ shards });
        const prng = new Prng(seed);
        const beginning = await start(system, seed);
        let { ledger } = beginning;
        for (let round = 0; round < ROUNDS; round++) {
          const { operations } = await playRound(system, beginning, prng);
          ledger = ledgerOf(explainedBySearch(ledger, operations));
        }
        expect(await differenceOfLedgers(system.client, ledger)).toBeNull();
      });
      await expect(run).resolves.toBeUndefined();
    },
  );

  test(
    `long runs of concurrent clients at ${shards} shards replay in the order of their timestamps`,
    { timeout: TEST_MS_MAX },
    async () => {
      const run = eachSeed(seeds, FILE, async (seed) => {
        await using system = await startSystem({ shards });
        const prng = new Prng(seed);
        const { batches, ledger, newHistory } = await start(system, seed);
        const history = newHistory();
        const client = async (): Promise<void> => {
          while (history.operations.length < LONG_EVENTS_MIN) {
            await ask(system, history, batches.next(prng.between(1, 40)));
          }
        };
        await Promise.all(Array.from({ length: CLIENTS }, client));
        const verdict = explainedByTimestamps(ledger, history.operations, { withFailed: true });
        expect(await differenceOfLedgers(system.client, ledgerOf(verdict))).toBeNull();
        await system.restart();
        expect(await differenceOfLedgers(system.client, ledgerOf(verdict))).toBeNull();
      });
      await expect(run).resolves.toBeUndefined();
    },
  );
}
