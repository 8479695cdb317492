/**
 * A whole system with a clock that the test turns, and the naive model, fed the same batches of all that a ledger can do: every reply is the
 * model's, and so are every account, every transfer and what became of it at the end, and again after a restart. SEEDS=n runs more, SEED=n one
 * alone, EVENTS=n makes each as long.
 */
import { expect, test } from 'vitest';
import type { ChangesFilter } from '../../engine/query.ts';
import { Prng } from '../../lib/prng.ts';
import { startSystem, type TestSystem } from '../support/cluster.ts';
import { differenceOfHistories, differenceOfLedgers } from '../support/compare-ledgers.ts';
import { feedWhole, type Fed } from '../support/feed-ledgers.ts';
import type { ChangeEvent, LedgerClient } from '../support/ledger-client.ts';
import { ModelLedger } from '../support/model-ledger.ts';
import { eachSeed } from '../support/random-batches.ts';
import { WholeBatches } from '../support/whole-batches.ts';

const FILE = 'test/model/whole-ledger.test.ts';
const TEST_MS_MAX = 120_000;
const EVENTS = Number(process.env['EVENTS'] ?? 1200);

/** One client asks one question after the other: on a disk each would wait for its fsync, and nothing else would happen meanwhile. */
function startWhole(shards: number): Promise<TestSystem> {
  return startSystem({ shards, hasManualClock: true, isInMemory: true });
}

function fedBy(system: TestSystem, seed: number): Fed {
  const { shards, shardOf, client } = system;
  const model = new ModelLedger(shardOf);
  const batches = new WholeBatches({
    seed,
    placement: { shards, shardOf },
    now: () => system.now(),
    hasOverflows: shards === 1 && seed % 2 === 0,
  });
  const advance = (seconds: number): Promise<void> => system.advance(seconds);
  return { client, model, batches, advance };
}

async function runSeed(system: TestSystem, seed: number): Promise<Fed> {
  const fed = fedBy(system, seed);
  await feedWhole(fed, EVENTS);
  expect(await differenceOfLedgers(fed.client, fed.model, [999_999n])).toBeNull();
  await system.restart();
  const after = { ...fed, client: system.client };
  expect(await differenceOfLedgers(after.client, after.model, [999_999n])).toBeNull();
  await feedWhole(after, EVENTS / 4);
  expect(await differenceOfLedgers(after.client, after.model, [999_999n])).toBeNull();
  return after;
}

for (const { shards, seeds } of [
  { shards: 1, seeds: 3 },
  { shards: 2, seeds: 2 },
  { shards: 5, seeds: 2 },
  { shards: 16, seeds: 1 },
]) {
  test(
    `a system of ${shards} shards does all that a ledger can do as the model does`,
    { timeout: TEST_MS_MAX },
    async () => {
      const run = eachSeed(seeds, FILE, async (seed) => {
        await using system = await startWhole(shards);
        await runSeed(system, seed);
      });
      await expect(run).resolves.toBeUndefined();
    },
  );
}

for (const shards of [1, 3]) {
  test(
    `statements and histories of ${shards} shards are the model's`,
    { timeout: TEST_MS_MAX },
    async () => {
      await using system = await startWhole(shards);
      const { client, model } = await runSeed(system, 11);
      const hasOrder = shards === 1;
      expect(await differenceOfHistories(client, model, { hasOrder, limit: 50 })).toBeNull();
    },
  );
}

for (const shards of [1, 3]) {
  test(
    `changes of ${shards} shards from any time on are those that are read from the beginning`,
    { timeout: TEST_MS_MAX },
    async () => {
      await using system = await startWhole(shards);
      const { client, model } = await runSeed(system, 12);
      const all = await changesOf(client, {}, Infinity);
      const ids = (some: readonly { readonly transfer: { readonly id: bigint } }[]): bigint[] =>
        some.map(({ transfer }) => transfer.id).toSorted((a, b) => (a < b ? -1 : 1));
      expect(ids(all)).toEqual(ids(model.changes()));
      const last = new Map(
        all.flatMap(({ debitAccount, creditAccount }) => [
          [debitAccount.id, debitAccount],
          [creditAccount.id, creditAccount],
        ]),
      );
      for (const [id, account] of last) {
        expect(account).toEqual((await client.lookupAccounts([id])).accounts[0]);
      }
      const prng = new Prng(shards);
      for (let round = 0; round < 60; round++) {
        const timestampMin = prng.pick(all).timestamp + BigInt(prng.between(-1, 1));
        const limit = prng.pick([1, 30]);
        const wanted = all.filter(({ timestamp }) => timestamp >= timestampMin).slice(0, limit);
        expect(await changesOf(client, { timestampMin, limit }, limit)).toEqual(wanted);
      }
    },
  );
}

/** The first so many of them. */
async function changesOf(
  client: LedgerClient,
  filter: Partial<ChangesFilter>,
  count: number,
): Promise<ChangeEvent[]> {
  const changes: ChangeEvent[] = [];
  for await (const change of client.changeEvents!(filter)) {
    changes.push(change);
    if (changes.length === count) break;
  }
  return changes;
}
