/**
 * A whole system and the naive model, fed the same random batches by one client, one batch after the other: every reply is the model's, and
 * so is every account and transfer at the end, and again after a restart. SEEDS=n runs more, SEED=n one alone.
 */
import { expect, test } from 'vitest';
import { BATCH_EVENTS_MAX } from '../../engine/limits.ts';
import { startSystem, type TestSystem } from '../support/cluster.ts';
import { differenceOfLedgers } from '../support/compare-ledgers.ts';
import type { LedgerClient } from '../support/ledger-table.ts';
import { ModelClient, ModelLedger, differenceOfResults } from '../support/model-ledger.ts';
import type { Result } from '../support/model-ledger.ts';
import { RandomBatches, eachSeed, type RandomBatch } from '../support/random-batches.ts';

const FILE = 'test/model/engine-against-model.test.ts';
const TEST_MS_MAX = 120_000;

/** One client asks one question after the other: on a disk each would wait for its fsync, and nothing else would happen meanwhile. */
function startFed(shards: number): Promise<TestSystem> {
  return startSystem({ shards, isInMemory: true });
}

/** Feeds both until so many events went in. */
async function feed(
  client: LedgerClient,
  model: ModelLedger,
  { batches, eventsMin }: { readonly batches: RandomBatches; readonly eventsMin: number },
): Promise<void> {
  for (let events = 0; events < eventsMin;) {
    const batch = batches.next();
    events += batch.events.length;
    await feedBatch(client, model, batch);
  }
}

async function feedBatch(
  client: LedgerClient,
  model: ModelLedger,
  batch: RandomBatch,
): Promise<readonly Result[]> {
  const results = await create(client, batch);
  const expected =
    batch.type === 'accounts'
      ? model.createAccounts(batch.events)
      : model.createTransfers(batch.events);
  model.learn(expected, results);
  const difference = differenceOfResults(expected, results) ?? defectOfTime(results);
  if (difference !== null) {
    throw new Error(`${batch.events.length} ${batch.type}: ${difference}`);
  }
  return results;
}

async function create(client: LedgerClient, batch: RandomBatch): Promise<readonly Result[]> {
  if (batch.type === 'accounts') return (await client.createAccounts(batch.events)).results;
  return (await client.createTransfers(batch.events)).results;
}

function defectOfTime(results: readonly Result[]): string | null {
  const created = results.filter(({ status }) => status === 'created');
  const stamps = new Set(created.map(({ timestamp }) => timestamp));
  return stamps.size === created.length ? null : 'two created events have one timestamp';
}

async function runSeed(seed: number, system: TestSystem, eventsMin: number): Promise<void> {
  const { client, shards } = system;
  const model = new ModelLedger(system.shardOf);
  const hasOverflows = shards === 1 && seed % 2 === 0;
  const batches = new RandomBatches({ seed, placement: system, hasOverflows });
  await feed(client, model, { batches, eventsMin });
  expect(await differenceOfLedgers(client, model, [999_999n])).toBeNull();
  await system.restart();
  expect(await differenceOfLedgers(system.client, model, [999_999n])).toBeNull();
  await feedBatch(system.client, model, batches.next(seed === 1 ? BATCH_EVENTS_MAX : 2500));
  await feed(system.client, model, { batches, eventsMin: eventsMin / 4 });
  expect(await differenceOfLedgers(system.client, model, [999_999n])).toBeNull();
}

for (const { shards, seeds, eventsMin } of [
  { shards: 1, seeds: 2, eventsMin: 1200 },
  { shards: 2, seeds: 2, eventsMin: 1200 },
  { shards: 5, seeds: 1, eventsMin: 1000 },
]) {
  test(
    `a system of ${shards} shards answers random batches as the model does`,
    { timeout: TEST_MS_MAX },
    async () => {
      const run = eachSeed(seeds, FILE, async (seed) => {
        await using system = await startFed(shards);
        await runSeed(seed, system, eventsMin);
      });
      await expect(run).resolves.toBeUndefined();
    },
  );
}

test('where one shard does all of a batch, timestamps follow the order of its events', async () => {
  await using system = await startFed(1);
  const model = new ModelLedger(system.shardOf);
  const batches = new RandomBatches({ seed: 5 });
  for (let i = 0; i < 30; i++) {
    const results = await feedBatch(system.client, model, batches.next());
    const starts = results.flatMap(({ status, timestamp }, place) =>
      status === 'exists' ? [] : [timestamp - BigInt(place)],
    );
    expect(new Set(starts).size).toBeLessThanOrEqual(1);
  }
});

test('the comparison finds a wrong status, a wrong balance, and a lost transfer', async () => {
  const model = new ModelLedger(() => 0);
  const client = new ModelClient(new ModelLedger(() => 0));
  const batches = new RandomBatches({ seed: 1 });
  await feed(client, model, { batches, eventsMin: 500 });
  expect(await differenceOfLedgers(client, model)).toBeNull();
  const [debit, credit] = model
    .accounts()
    .filter(({ flags, ledger }) => flags === 0 && ledger === 1);
  const extra = { id: 77_777n, debitAccountId: debit!.id, creditAccountId: credit!.id };
  await client.createTransfers([{ ...extra, amount: 1n, ledger: 1, code: 1 }]);
  expect(await differenceOfLedgers(client, model)).toMatch(
    /^account .*: (debits|credits)Posted is/,
  );
  model.createTransfers([{ ...extra, id: 77_778n, amount: 1n, ledger: 1, code: 1 }]);
  expect(await differenceOfLedgers(client, model)).toMatch(/transfer 77778 is missing/);
});
