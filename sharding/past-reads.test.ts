import { describe, expect, test } from 'vitest';
import { batchOfIds } from '../client/rows.ts';
import { ROW_WORDS } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { SHARD_EVENTS_IN_FLIGHT_MAX } from '../engine/limits.ts';
import { type AccountFilter, PendingStatus, QUERY_LIMIT_MAX } from '../engine/query.ts';
import { bigintOfUint128, writeUint128 } from '../engine/uint128.ts';
import { FakeShards, transferRows, type Stored } from '../test/support/fake-shards.ts';
import { placementOf } from '../test/support/placement.ts';
import type { AccountHead, JournalQueries } from './journal-queries.ts';
import { RequestType } from './shard-protocol.ts';

const { pending } = TransferFlags;
const POSITIONS = [{ shard: 1, sequence: 3, timestamp: 4n }];
const STAMPS = BigUint64Array.of(70n, 80n);

/** The first ids on each of two shards. */
const [a, x] = [0, 1].map((shard) => {
  for (let id = 1n; ; id++) if (placementOf(2)(id) === shard) return id;
}) as [bigint, bigint];

const TRANSFERS: readonly Stored[] = [
  { id: 5n, dr: x, cr: a, flags: pending },
  { id: 6n, dr: a, cr: x },
];

/** Journals with the two transfers and the two accounts. */
class FakeJournals implements JournalQueries {
  head: AccountHead | null = null;
  watermark = 0n;
  readonly #page = { n: 2, rows: transferRows(TRANSFERS), next: 'more' };

  accountTransfers(
    _: AccountFilter,
    head: AccountHead,
  ): ReturnType<JournalQueries['accountTransfers']> {
    this.head = head;
    return Promise.resolve({ ...this.#page, effectTimestamps: STAMPS });
  }

  accountBalances(
    _: AccountFilter,
    head: AccountHead,
  ): ReturnType<JournalQueries['accountBalances']> {
    this.head = head;
    const balances = new Uint32Array(32);
    return Promise.resolve({
      n: 2,
      balances,
      timestamps: STAMPS,
      effectTimestamps: STAMPS,
      next: null,
    });
  }

  transfers(): ReturnType<JournalQueries['transfers']> {
    return Promise.resolve({ ...this.#page, positions: POSITIONS });
  }

  accountIds(): ReturnType<JournalQueries['accountIds']> {
    const ids = new Uint32Array(8);
    writeUint128(x, ids, 0);
    writeUint128(a, ids, 4);
    return Promise.resolve({ n: 2, ids, next: null, positions: POSITIONS });
  }

  changes(_: unknown, watermark: bigint): ReturnType<JournalQueries['changes']> {
    this.watermark = watermark;
    const rows = transferRows(TRANSFERS);
    const types = Uint8Array.of(1, 0);
    const accounts = { debitAccounts: new Uint32Array(64), creditAccounts: new Uint32Array(64) };
    return Promise.resolve({
      n: 2,
      types,
      timestamps: STAMPS,
      transfers: rows,
      ...accounts,
      next: null,
    });
  }
}

function filterOf(given: Partial<AccountFilter> = {}): AccountFilter & { readonly ledger: number } {
  return {
    accountId: x,
    debits: true,
    credits: true,
    ledger: 0,
    userData128: 0n,
    userData64: 0n,
    userData32: 0,
    code: 0,
    timestampMin: 0n,
    timestampMax: 0n,
    limit: 10,
    reversed: false,
    cursor: '',
    ...given,
  };
}

/** Everything that waits for nothing but promises has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a question about the past', () => {
  const bench = (): { journals: FakeJournals; shards: FakeShards } => {
    const journals = new FakeJournals();
    return { journals, shards: new FakeShards(2, journals) };
  };

  test('for the transfers of an account begins where its shard says, and asks what became of pending ones', async () => {
    const { journals, shards } = bench();
    const page = shards.router.getAccountTransfers(filterOf(), 0);
    const [head, ...none] = shards.asked();
    expect([head!.shard, head!.type, head!.ids, none]).toEqual([
      1,
      RequestType.accountHeads,
      [x],
      [],
    ]);
    expect(shards.router.eventsInFlight).toBe(10);
    shards.answer(head!, 1, [0, 7, 8, 9]);
    await settled();
    expect(journals.head).toEqual({ shard: 1, low: 7, high: 8, flags: 9 });
    const [status, ...more] = shards.asked();
    expect([status!.shard, status!.ids, more]).toEqual([1, [5n], []]);
    shards.positions(status!, [{ row: 0, number: 1, status: PendingStatus.voided }]);
    const { n, next, rows, pendingStatuses, effectTimestamps, positions } = await page;
    expect([n, next]).toEqual([2, 'more']);
    expect(rows).toEqual(transferRows(TRANSFERS));
    expect([...pendingStatuses]).toEqual([PendingStatus.voided, PendingStatus.none]);
    expect(effectTimestamps).toBe(STAMPS);
    expect(positions.map(({ shard }) => shard)).toEqual([1]);
    expect(shards.router.eventsInFlight).toBe(0);
  });

  test('for an account that is not there is empty', async () => {
    const { journals, shards } = bench();
    const page = shards.router.getAccountBalances(filterOf(), 0);
    shards.answer(shards.asked()[0]!, 0, []);
    expect(await page).toMatchObject({ n: 0, next: null });
    expect(journals.head).toBeNull();
  });

  test.each<[string, Partial<AccountFilter>]>([
    ['account 0', { accountId: 0n }],
    ['the largest account id', { accountId: 2n ** 128n - 1n }],
    ['neither side', { debits: false, credits: false }],
    ['a span that ends before it begins', { timestampMin: 5n, timestampMax: 4n }],
  ])('with %s is empty, and nobody is asked', async (_, given) => {
    const { shards } = bench();
    expect((await shards.router.getAccountTransfers(filterOf(given), 0)).n).toBe(0);
    expect((await shards.router.getAccountBalances(filterOf(given), 0)).n).toBe(0);
    expect(shards.asked()).toEqual([]);
    expect(shards.router.eventsInFlight).toBe(0);
  });

  test('for balances brings those of the journal', async () => {
    const { shards } = bench();
    const page = shards.router.getAccountBalances(filterOf(), 0);
    shards.answer(shards.asked()[0]!, 1, [0, 7, 8, 8]);
    expect(await page).toMatchObject({ n: 2, timestamps: STAMPS });
  });

  test('for accounts brings them as they are now, in the order of the journal', async () => {
    const { shards } = bench();
    const page = shards.router.queryAccounts(filterOf(), 0);
    await settled();
    const asked = shards.asked();
    expect(asked.map(({ shard, type, ids }) => [shard, type, ids])).toEqual([
      [0, RequestType.lookupAccounts, [a]],
      [1, RequestType.lookupAccounts, [x]],
    ]);
    for (const one of asked) {
      const row = new Uint32Array(2 + ROW_WORDS);
      writeUint128(one.ids[0]!, row, 2);
      shards.answer(one, 1, [...row]);
    }
    const { rows, n, positions } = await page;
    expect(positions).toBe(POSITIONS);
    expect([n, bigintOfUint128(rows, 0), bigintOfUint128(rows, ROW_WORDS)]).toEqual([2, x, a]);
  });

  test('for transfers asks what became of pending ones', async () => {
    const { shards } = bench();
    const page = shards.router.queryTransfers(filterOf(), 0);
    await settled();
    const [status] = shards.asked();
    shards.positions(status!, [{ row: 0, number: 1, status: PendingStatus.pending }]);
    expect([...(await page).pendingStatuses]).toEqual([PendingStatus.pending, PendingStatus.none]);
  });

  test('for changes goes as far as every shard knows', async () => {
    const { journals, shards } = bench();
    const page = shards.router.getChangeEvents(filterOf(), 0);
    const asked = shards.asked();
    expect(asked.map(({ shard, type }) => [shard, type])).toEqual([
      [0, RequestType.watermark],
      [1, RequestType.watermark],
    ]);
    shards.answer(asked[0]!, 0, [1, 2]);
    shards.answer(asked[1]!, 0, [5, 1]);
    expect((await page).n).toBe(2);
    expect(journals.watermark).toBe(2n ** 32n + 5n);
  });

  test('for changes is refused while a shard is away', async () => {
    const { shards } = bench();
    shards.client(1).isUp = false;
    const refused = shards.router.getChangeEvents(filterOf(), 0);
    await expect(refused).rejects.toThrow('shard 1, which is not there just now');
    await expect(refused).rejects.toMatchObject({ code: 'shard_unavailable' });
    expect(shards.router.eventsInFlight).toBe(0);
  });

  test('ends with its deadline, and counts until its shards have answered', async () => {
    const { journals, shards } = bench();
    const page = shards.router.getAccountTransfers(filterOf(), Date.now() + 100);
    await expect(page).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(shards.router.eventsInFlight).toBe(10);
    shards.answer(shards.asked()[0]!, 1, [0, 7, 8, 9]);
    await settled();
    expect(shards.router.eventsInFlight).toBe(0);
    expect(shards.asked()).toEqual([]);
    expect(journals.head).not.toBeNull();
  });

  test('counts by its limit', async () => {
    const { shards } = bench();
    const held: Promise<unknown>[] = [];
    for (let k = 0; k < Math.floor(SHARD_EVENTS_IN_FLIGHT_MAX / QUERY_LIMIT_MAX); k++) {
      held.push(shards.router.getAccountTransfers(filterOf({ limit: QUERY_LIMIT_MAX }), 0));
    }
    const over = shards.router.getAccountTransfers(filterOf({ limit: QUERY_LIMIT_MAX }), 0);
    await expect(over).rejects.toMatchObject({ code: 'overloaded' });
    for (const limit of [0, 1.5, QUERY_LIMIT_MAX + 1]) {
      const refused = shards.router.queryTransfers(filterOf({ limit }), 0);
      await expect(refused).rejects.toMatchObject({ code: 'malformed_request', field: 'limit' });
    }
    for (const one of shards.asked()) shards.answer(one, 0, []);
    await Promise.all(held);
    expect(shards.router.eventsInFlight).toBe(0);
  });

  test('a look-up of transfers says what became of pending ones', async () => {
    const { shards } = bench();
    shards.stored.push(...TRANSFERS);
    const reply = shards.router.lookupTransfers(batchOfIds([6n, 5n]), 0);
    const asked = shards.asked();
    shards.positions(asked[0]!, [{ row: 0, number: 2 }]);
    shards.positions(asked[1]!, [{ row: 1, number: 1, status: PendingStatus.posted }]);
    const { pendingStatuses, rows } = await reply;
    expect([...pendingStatuses!]).toEqual([PendingStatus.none, PendingStatus.posted]);
    expect(bigintOfUint128(rows, 0)).toBe(6n);
  });
});
