import { expect, test } from 'vitest';
import { ACCOUNT_STATUS_PRECEDENCE, TRANSFER_STATUS_PRECEDENCE } from '../../engine/status.ts';
import { differenceOfHistories, differenceOfLedgers } from '../support/compare-ledgers.ts';
import { feedWhole, type Fed } from '../support/feed-ledgers.ts';
import { ModelClient, ModelLedger } from '../support/model-ledger.ts';
import { placementOf } from '../support/placement.ts';
import { RandomBatches, eachSeed } from '../support/random-batches.ts';
import { WholeBatches } from '../support/whole-batches.ts';

const OF_TWO_PHASES = /^(linked_event|imported|pending_|exceeds_pending|closing|overflows_timeout)/;
const OF_PENDING =
  /^(overflows_(debits|credits)(_pending)?|flags_are_mutually_exclusive|(debit|credit)_account_already_closed)$/;

test('random batches reach every status of single-phase transfers', () => {
  const accounts = new Set<string>();
  const transfers = new Set<string>();
  for (let seed = 1; seed <= 30; seed++) {
    const model = new ModelLedger(placementOf(1));
    const batches = new RandomBatches({ seed, hasOverflows: true });
    for (let i = 0; i < 60; i++) {
      const batch = batches.next();
      if (batch.type === 'accounts') {
        for (const { status } of model.createAccounts(batch.events)) accounts.add(status);
      } else {
        for (const { status } of model.createTransfers(batch.events)) transfers.add(status);
      }
    }
  }
  const isDue = (status: string): boolean =>
    status === 'pending_id_must_be_zero' || !OF_TWO_PHASES.test(status);
  expect([...accounts].toSorted()).toEqual(ACCOUNT_STATUS_PRECEDENCE.filter(isDue).toSorted());
  // A stored transfer of these batches has no flags.
  const due = TRANSFER_STATUS_PRECEDENCE.filter(isDue).filter((one) => !OF_PENDING.test(one));
  const reachable = due.filter((status) => status !== 'exists_with_different_flags');
  expect([...transfers].toSorted()).toEqual(reachable.toSorted());
});

/** The model as the system: both see the same, and the batches can be looked at. */
function wholeRun(seed: number, shards: number): Fed & { readonly client: ModelClient } {
  const shardOf = placementOf(shards);
  const model = new ModelLedger(shardOf);
  const client = new ModelClient(new ModelLedger(shardOf));
  const placement = { shards, shardOf };
  const now = (): bigint => model.now;
  const batches = new WholeBatches({ seed, placement, now, hasOverflows: shards === 1 });
  return { client, model, batches, advance: client.advance };
}

/** Too rare to be waited for; each stands in a table. */
const RARE =
  /^(overflows_timeout|pending_id_must_be_different|imported_event_timestamp_must_postdate)/;

test('whole batches reach every status but the rarest', async () => {
  const seen = new Set<string>();
  let created = 0;
  let all = 0;
  for (let seed = 1; seed <= 24; seed++) {
    const run = wholeRun(seed, [1, 2, 5][seed % 3]!);
    await feedWhole(run, 3000);
    for (const { status } of run.client.answered) seen.add(status);
    all += run.client.answered.length;
    created += run.client.answered.filter(({ status }) => status === 'created').length;
  }
  const due = new Set<string>([...ACCOUNT_STATUS_PRECEDENCE, ...TRANSFER_STATUS_PRECEDENCE]);
  expect([...due].filter((status) => !seen.has(status) && !RARE.test(status))).toEqual([]);
  expect(created / all).toBeGreaterThan(0.3);
});

test('the comparison of whole ledgers finds nothing where there is nothing', async () => {
  for (const shards of [1, 3]) {
    const { client, model, ...rest } = wholeRun(7, shards);
    await feedWhole({ client, model, ...rest }, 2000);
    expect(await differenceOfLedgers(client, model, [999_999n])).toBeNull();
    const difference = await differenceOfHistories(client, model, { hasOrder: true, limit: 7 });
    expect(difference).toBeNull();
  }
});

test('the comparison finds a pending transfer that ended, and balances that differ', async () => {
  const { client, model, ...rest } = wholeRun(3, 1);
  await feedWhole({ client, model, ...rest }, 1500);
  const open = model.transfers().find((one) => model.pendingStatusOf(one) === 'pending')!;
  const end = { id: 77_777n, pendingId: open.id, flags: 8, ledger: 0, code: 0, amount: 0n };
  const { debitAccountId, creditAccountId } = open;
  const events = [{ ...end, debitAccountId, creditAccountId }];
  expect((await client.createTransfers(events)).results[0]!.status).toBe('created');
  expect(await differenceOfLedgers(client, model)).not.toBeNull();
  const order = { hasOrder: true };
  expect(await differenceOfHistories(client, model, order)).toMatch(/transfers differ/);
});

test('one seed gives the same whole batches', () => {
  const one = wholeRun(4, 2).batches;
  const again = wholeRun(4, 2).batches;
  for (let i = 0; i < 20; i++) expect(again.next()).toEqual(one.next());
});

test('a good part of the transfers of random batches is created', () => {
  let created = 0;
  let all = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const model = new ModelLedger(placementOf(2));
    const batches = new RandomBatches({ seed });
    for (let i = 0; i < 40; i++) {
      const batch = batches.next();
      if (batch.type === 'accounts') model.createAccounts(batch.events);
      else {
        const results = model.createTransfers(batch.events);
        all += results.length;
        created += results.filter(({ status }) => status === 'created').length;
      }
    }
  }
  expect(created / all).toBeGreaterThan(0.25);
  expect(created / all).toBeLessThan(0.75);
});

test('one seed gives the same batches', () => {
  const one = new RandomBatches({ seed: 4 });
  const again = new RandomBatches({ seed: 4 });
  for (let i = 0; i < 20; i++) expect(again.next()).toEqual(one.next());
});

test('a failing seed is named with the command that runs it again', async () => {
  const fail = (): Promise<void> => Promise.reject(new Error('wrong balance'));
  const command =
    /seed \d+: wrong balance\nrun it again: SEED=\d+ npm run test:system -- test\/model/;
  await expect(eachSeed(2, 'test/model/x.test.ts', fail)).rejects.toThrow(command);
});
