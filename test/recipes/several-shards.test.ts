/** What docs/ledger.md says under "Over several shards", each exception by an example of its own on two shards. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TransferInput } from '../../client/client.ts';
import type { AccountTransfer } from '../../client/reads.ts';
import { AccountFlags, TransferFlags } from '../../engine/flags.ts';
import { startSystem, type TestSystem } from '../support/cluster.ts';

const { pending, postPendingTransfer } = TransferFlags;
const ALL = 2n ** 128n - 1n;
let system: TestSystem;
/** Accounts of the shard that account 0 would be on, and of the other one. */
let near: readonly bigint[];
let far: readonly bigint[];
let lastId = 1000n;

beforeAll(async () => {
  system = await startSystem({ shards: 2 });
  const ids = Array.from({ length: 40 }, (_, i) => BigInt(i + 1));
  near = ids.filter((id) => system.shardOf(id) === system.shardOf(0n)).slice(0, 3);
  far = ids.filter((id) => system.shardOf(id) !== system.shardOf(0n)).slice(0, 3);
  const accounts = [...near, ...far].map((id) => ({ id, ledger: 1, code: 1 }));
  await system.client.createAccounts(accounts);
});
afterAll(() => system[Symbol.asyncDispose]());

const nextId = (): bigint => ++lastId;
const transfer = (fields: Partial<TransferInput>): TransferInput => ({
  id: nextId(),
  debitAccountId: near[0]!,
  creditAccountId: near[1]!,
  amount: 1n,
  ledger: 1,
  code: 1,
  ...fields,
});
/** A post that names no accounts unless told. */
const post = (pendingId: bigint, fields: Partial<TransferInput> = {}): TransferInput => ({
  ...transfer({ debitAccountId: 0n, creditAccountId: 0n, amount: ALL, ledger: 0, code: 0 }),
  pendingId,
  flags: postPendingTransfer,
  ...fields,
});
const FAR = (): Partial<TransferInput> => ({ debitAccountId: far[0]!, creditAccountId: far[1]! });

async function statuses(...transfers: readonly TransferInput[]): Promise<readonly string[]> {
  const { results } = await system.client.createTransfers(transfers);
  return results.map(({ status }) => status);
}

test('one id with debit accounts on two shards makes two transfers', async () => {
  const id = nextId();
  expect(await statuses(transfer({ id }), transfer({ id, ...FAR() }))).toEqual([
    'created',
    'created',
  ]);
  const { transfers } = await system.client.lookupTransfers([id]);
  const debited = new Set(transfers.map(({ debitAccountId }) => debitAccountId));
  expect(debited).toEqual(new Set([near[0]!, far[0]!]));
});

test('a post that names no accounts and finds nothing burns its id on the shard of account 0', async () => {
  const id = nextId();
  expect(await statuses(post(nextId(), { id }))).toEqual(['pending_transfer_not_found']);
  expect(await statuses(transfer({ id }))).toEqual(['id_already_failed']);
  expect(await statuses(transfer({ id, ...FAR() }))).toEqual(['created']);
});

test('a post of a pending id that is there twice means either, unless it names the accounts', async () => {
  const id = nextId();
  const twice = [transfer({ id, flags: pending }), transfer({ id, flags: pending, ...FAR() })];
  expect(await statuses(...twice)).toEqual(['created', 'created']);
  expect(await statuses(post(id))).toEqual(['created']);
  const { transfers } = await system.client.lookupTransfers([id]);
  const ends = transfers.map(({ pendingStatus }) => pendingStatus);
  expect(ends.toSorted()).toEqual(['pending', 'posted']);
  const open = transfers[ends.indexOf('pending')]!;
  const { debitAccountId, creditAccountId } = open;
  expect(await statuses(post(id, { debitAccountId, creditAccountId }))).toEqual(['created']);
});

test('a post that names a wrong account is told so, wherever its pending transfer is', async () => {
  const id = nextId();
  expect(await statuses(transfer({ id, flags: pending, ...FAR() }))).toEqual(['created']);
  const wrong = [{ debitAccountId: near[0]! }, { creditAccountId: near[2]! }];
  expect(await statuses(...wrong.map((fields) => post(id, fields)))).toEqual([
    'pending_transfer_has_different_debit_account_id',
    'pending_transfer_has_different_credit_account_id',
  ]);
});

test('lists of an account and their time filters go by the time of effect there', async () => {
  const one = { ledger: 1, code: 1, flags: AccountFlags.history };
  const [from, to] = [
    { ...one, id: nextId() },
    { ...one, id: nextId() },
  ];
  await system.client.createAccounts([from, to]);
  for (const others of [near, far, near]) {
    await statuses(
      transfer({ debitAccountId: from.id, creditAccountId: others[2]! }),
      transfer({ debitAccountId: others[2]!, creditAccountId: to.id }),
    );
  }
  for (const { id: accountId } of [from, to]) {
    const { transfers } = await system.client.getAccountTransfers({ accountId });
    expect(transfers).toHaveLength(3);
    const effects = transfers.map(({ effectTimestamp }) => effectTimestamp);
    expect(effects).toEqual(effects.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(transfers.filter(isBeforeItself)).toEqual([]);
    const timestampMin = effects[1]!;
    const later = await system.client.getAccountTransfers({ accountId, timestampMin });
    expect(later.transfers.map(({ id }) => id)).toEqual(transfers.slice(1).map(({ id }) => id));
    const sums = await system.client.getAccountBalances({ accountId, timestampMin });
    expect(
      sums.balances.map(({ debitsPosted, creditsPosted }) => debitsPosted + creditsPosted),
    ).toEqual([2n, 3n]);
  }
});

const isBeforeItself = (one: AccountTransfer): boolean => one.effectTimestamp < one.timestamp;

test('the newest imported event is that of the shard', async () => {
  await using fresh = await startSystem({ shards: 2 });
  const flags = AccountFlags.imported;
  const imported = async (id: bigint, timestamp: bigint): Promise<string> => {
    const one = { id, ledger: 1, code: 1, flags, timestamp };
    const { results } = await fresh.client.createAccounts([one]);
    return results[0]!.status;
  };
  const outcomes = [
    await imported(near[0]!, 2000n),
    await imported(far[0]!, 1000n),
    await imported(near[1]!, 1500n),
    await imported(far[1]!, 1500n),
  ];
  expect(outcomes).toEqual([
    'created',
    'created',
    'imported_event_timestamp_must_not_regress',
    'created',
  ]);
});
