import { describe, expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import { BatchKind } from '../engine/batch.ts';
import { AccountFlags, TransferFlags } from '../engine/flags.ts';
import { InputFlag, InputType } from '../engine/frame.ts';
import { AccountStatus, TransferStatus } from '../engine/status.ts';
import { type Asked, FakeShards, transfersBatch } from '../test/support/fake-shards.ts';
import { placementOf } from '../test/support/placement.ts';
import { RequestType } from './shard-protocol.ts';

const LOOKUP = RequestType.lookupTransfers;
const CREATE = RequestType.createTransfers;
const TOGETHER = RequestType.createTransfersTogether;
const { linked, pending, postPendingTransfer: post, imported } = TransferFlags;
const { created, exists, exceeds_credits, exceeds_debits } = TransferStatus;

/** The n-th id, counted from 1, of an account on that of two shards. */
function idOn(shard: number, n = 1): bigint {
  const shardOf = placementOf(2);
  let left = n;
  for (let id = 1n; ; id++) if (shardOf(id) === shard && --left === 0) return id;
}

const [a, b] = [idOn(0), idOn(0, 2)] as const;
const [x, y, z] = [idOn(1), idOn(1, 2), idOn(1, 3)] as const;

const outline = (asked: readonly Asked[]): unknown[] =>
  asked.map(({ shard, type, n }) => [shard, type, n]);

/** All outcomes are `created`. */
function createAll(shards: FakeShards): void {
  for (const one of shards.asked()) shards.created(one, Array<number>(one.n).fill(created));
}

describe('a router', () => {
  test('sends the rest of a batch, as one walk, when the last part of the first round is answered', async () => {
    const shards = new FakeShards(2);
    const events = transfersBatch([
      { id: 1n, dr: a, cr: x },
      // Its debit account was credited by a walk that shard 0 begins.
      { id: 2n, dr: x, cr: y },
      { id: 3n, dr: y, cr: a },
      // Of shard 1 alone, with nobody else's keys.
      { id: 4n, dr: z, cr: idOn(1, 4) },
    ]);
    const reply = shards.router.createTransfers(events, 0);
    const first = shards.asked();
    expect(outline(first)).toEqual([
      [0, CREATE, 1],
      [1, CREATE, 1],
    ]);
    shards.created(first[1]!, [created]);
    expect(shards.asked()).toEqual([]);
    shards.created(first[0]!, [exceeds_credits]);
    const rest = shards.asked();
    expect(outline(rest)).toEqual([[0, TOGETHER, 2]]);
    shards.created(rest[0]!, [created, exceeds_debits]);
    const { statuses } = await reply;
    expect([...statuses]).toEqual([exceeds_credits, created, exceeds_debits, created]);
    expect(shards.router.eventsInFlight).toBe(0);
  });

  test('sends a chain of accounts over two shards to the lower one, and what follows it as a walk', async () => {
    const shards = new FakeShards(2);
    const accounts = [{ id: x, flags: AccountFlags.linked }, { id: a }, { id: x }, { id: y }];
    const reply = shards.router.createAccounts(batchOfObjects(BatchKind.accounts, accounts), 0);
    const first = shards.asked();
    expect(first.map(({ shard, type, ids }) => [shard, type, ids])).toEqual([
      [0, InputType.createAccounts, [x, a]],
      [1, InputType.createAccounts, [y]],
    ]);
    shards.created(first[0]!, [AccountStatus.linked_event_failed, AccountStatus.exists]);
    shards.created(first[1]!, [AccountStatus.created]);
    const rest = shards.asked();
    // All of it is on one shard: no walk.
    expect(outline(rest)).toEqual([[1, InputType.createAccounts, 1]]);
    shards.created(rest[0]!, [AccountStatus.created]);
    expect([...(await reply).statuses]).toEqual([1, 21, 0, 0]);
  });

  test('sends the rest of accounts over two shards together', async () => {
    const shards = new FakeShards(2);
    const accounts = [
      { id: x, flags: AccountFlags.linked },
      { id: a },
      { id: x, flags: AccountFlags.linked },
      { id: b },
    ];
    const reply = shards.router.createAccounts(batchOfObjects(BatchKind.accounts, accounts), 0);
    shards.created(shards.asked()[0]!, [0, 0]);
    const rest = shards.asked();
    expect(outline(rest)).toEqual([[0, InputType.createAccountsTogether, 2]]);
    shards.created(rest[0]!, [21, 1]);
    expect([...(await reply).statuses]).toEqual([0, 0, 21, 1]);
  });

  test.each([1, 2])('tells each of %i shards whether the batch is imported', (count) => {
    const shards = new FakeShards(count);
    const flagsOf = (): number[] => shards.asked().map(({ flags }) => flags);
    const accounts = (flags: number): void => {
      const batch = batchOfObjects(BatchKind.accounts, [{ id: a, flags }, { id: x }]);
      void shards.router.createAccounts(batch, 0);
    };
    const transfers = (flags: number): void => {
      const events = [
        { id: 1n, dr: a, cr: b, flags },
        { id: 2n, dr: x, cr: y },
      ];
      void shards.router.createTransfers(transfersBatch(events), 0);
    };
    accounts(AccountFlags.imported);
    expect(flagsOf()).toEqual(Array(count).fill(InputFlag.imported));
    accounts(AccountFlags.history);
    expect(flagsOf()).toEqual(Array(count).fill(0));
    transfers(imported | linked);
    expect(flagsOf()).toContain(InputFlag.imported);
    transfers(pending);
    expect(flagsOf()).toEqual(Array(count).fill(0));
  });
});

describe('a router, for posts and voids', () => {
  test('gives them the accounts of a pending transfer that it saw created', async () => {
    const shards = new FakeShards(2);
    const pendings = transfersBatch([
      { id: 1n, dr: x, cr: y, flags: pending },
      { id: 2n, dr: y, cr: z, flags: pending },
      { id: 3n, dr: y, cr: z },
    ]);
    const before = shards.router.createTransfers(pendings, 0);
    shards.created(shards.asked()[0]!, [exists, created, created]);
    await before;
    const posts = transfersBatch([
      { id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post },
      { id: 12n, pendingId: 2n, dr: y, cr: 0n, flags: post },
      { id: 13n, dr: a, cr: b },
    ]);
    const reply = shards.router.createTransfers(posts, 0);
    const parts = shards.asked();
    expect(parts.map(({ shard, rows, marks }) => [shard, rows, marks])).toEqual([
      [0, [[13n, a, b]], []],
      [
        1,
        [
          [11n, x, y],
          [12n, y, z],
        ],
        [],
      ],
    ]);
    shards.created(parts[0]!, [0]);
    shards.created(parts[1]!, [0, exists]);
    expect([...(await reply).statuses]).toEqual([0, exists, 0]);
  });

  test('does not take a pending transfer that was refused for one that is there', async () => {
    const shards = new FakeShards(2);
    const refused = transfersBatch([
      { id: 1n, dr: x, cr: y, flags: pending },
      { id: 1n, dr: z, cr: y, flags: pending },
    ]);
    const before = shards.router.createTransfers(refused, 0);
    shards.created(shards.asked()[0]!, [exceeds_credits, TransferStatus.id_already_failed]);
    await before;
    const posts = transfersBatch([{ id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post }]);
    void shards.router.createTransfers(posts, 0);
    expect(outline(shards.asked())).toEqual([
      [0, LOOKUP, 1],
      [1, LOOKUP, 1],
    ]);
  });

  test('gives them the accounts of what an earlier event of the batch is to create, if no shard knows better', async () => {
    const shards = new FakeShards(2);
    const events = transfersBatch([
      { id: 1n, dr: x, cr: y, flags: pending | linked },
      { id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post },
      { id: 12n, pendingId: 1n, dr: x, cr: y, flags: post },
      // Of an earlier post: to be refused where that is.
      { id: 13n, pendingId: 11n, dr: 0n, cr: 0n, flags: post },
    ]);
    void shards.router.createTransfers(events, 0);
    const lookups = shards.asked();
    expect(lookups.map(({ type, ids }) => [type, ids])).toEqual([
      [LOOKUP, [1n, 1n, 11n]],
      [LOOKUP, [1n, 1n, 11n]],
    ]);
    for (const lookup of lookups) shards.positions(lookup, []);
    const [part, ...more] = await sent(shards);
    expect([part!.shard, more]).toEqual([1, []]);
    expect(part!.rows).toEqual([
      [1n, x, y],
      [11n, x, y],
      [12n, x, y],
      [13n, x, y],
    ]);
  });

  test('sends a post that an earlier event leaves open when it is known what became of that, and only then', async () => {
    const shards = new FakeShards(2);
    const events = transfersBatch([
      { id: 1n, dr: a, cr: x, flags: pending },
      { id: 1n, dr: a, cr: b, flags: pending },
      { id: 10n, dr: a, cr: b, flags: linked },
      { id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post },
      { id: 12n, dr: x, cr: y },
    ]);
    const reply = shards.router.createTransfers(events, 0);
    for (const lookup of shards.asked()) shards.positions(lookup, []);
    const [first, ...more] = await sent(shards);
    expect([first!.shard, first!.rows, more]).toEqual([
      0,
      [
        [1n, a, x],
        [1n, a, b],
      ],
      [],
    ]);
    const refused = TransferStatus.code_must_not_be_zero;
    shards.created(first!, [refused, created]);
    const later = await sent(shards);
    expect(later.map(({ shard, rows }) => [shard, rows])).toEqual([
      [
        0,
        [
          [10n, a, b],
          [11n, a, b],
        ],
      ],
      [1, [[12n, x, y]]],
    ]);
    expect(shards.router.eventsInFlight).toBe(5);
    for (const part of later) shards.created(part, Array<number>(part.n).fill(created));
    const { statuses } = await reply;
    expect([...statuses]).toEqual([refused, created, created, created, created]);
    expect(shards.router.eventsInFlight).toBe(0);
  });

  test('asks all shards for what it does not know, once for a batch, before anything is sent', async () => {
    const shards = new FakeShards(2);
    shards.stored.push({ id: 1n, dr: x, cr: a, flags: pending }, { id: 2n, dr: a, cr: b });
    const events = transfersBatch([
      { id: 9n, dr: a, cr: b },
      { id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post },
      { id: 12n, pendingId: 2n, dr: 0n, cr: b, flags: post },
      { id: 13n, pendingId: 3n, dr: y, cr: 0n, flags: post },
    ]);
    const reply = shards.router.createTransfers(events, 0);
    const lookups = shards.asked();
    expect(lookups.map(({ shard, type, ids }) => [shard, type, ids])).toEqual([
      [0, LOOKUP, [1n, 2n, 3n]],
      [1, LOOKUP, [1n, 2n, 3n]],
    ]);
    expect(shards.router.eventsInFlight).toBe(4);
    shards.positions(lookups[0]!, [{ row: 1, number: 2 }]);
    shards.positions(lookups[1]!, [{ row: 0, number: 1 }]);
    const parts = await sent(shards);
    expect(parts.map(({ shard, type, rows, marks }) => [shard, type, rows, marks])).toEqual([
      [
        0,
        CREATE,
        [
          [9n, a, b],
          [11n, x, a],
          [12n, a, b],
        ],
        [],
      ],
      // Found nowhere: as it is.
      [1, CREATE, [[13n, y, 0n]], []],
    ]);
    for (const part of parts) shards.created(part, Array<number>(part.n).fill(created));
    createAll(shards);
    expect((await reply).n).toBe(4);
    expect(shards.router.eventsInFlight).toBe(0);
  });

  test('knows a pending transfer that is created while the shards are asked for it', async () => {
    const shards = new FakeShards(2);
    const pendings = transfersBatch([{ id: 1n, dr: x, cr: y, flags: pending }]);
    const before = shards.router.createTransfers(pendings, 0);
    const [creating] = shards.asked();
    const posts = transfersBatch([{ id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post }]);
    const reply = shards.router.createTransfers(posts, 0);
    const lookups = shards.asked();
    expect(lookups).toHaveLength(2);
    shards.created(creating!, [created]);
    await before;
    for (const lookup of lookups) shards.positions(lookup, []);
    const parts = await sent(shards);
    expect(parts.map(({ shard, rows, marks }) => [shard, rows, marks])).toEqual([
      [1, [[11n, x, y]], []],
    ]);
    shards.created(parts[0]!, [created]);
    expect([...(await reply).statuses]).toEqual([created]);
  });

  test('sends one that names wrong accounts to the home of its pending transfer, with a mark', async () => {
    const shards = new FakeShards(2);
    shards.stored.push({ id: 1n, dr: x, cr: y, flags: pending });
    const events = transfersBatch([
      { id: 10n, dr: x, cr: z },
      { id: 11n, pendingId: 1n, dr: a, cr: 0n, flags: post },
      { id: 12n, pendingId: 1n, dr: x, cr: b, flags: post },
      { id: 13n, pendingId: 1n, dr: y, cr: x, flags: post },
      { id: 14n, pendingId: 1n, dr: x, cr: y, flags: post },
    ]);
    void shards.router.createTransfers(events, 0);
    const lookups = shards.asked();
    shards.positions(lookups[0]!, []);
    shards.positions(
      lookups[1]!,
      [0, 1, 2, 3].map((row) => ({ row, number: 1 })),
    );
    const [part, ...more] = await sent(shards);
    expect([part!.shard, more]).toEqual([1, []]);
    expect(part!.rows.slice(1).map(([, dr, cr]) => [dr, cr])).toEqual(
      Array.from({ length: 4 }, () => [x, y]),
    );
    expect(part!.marks).toEqual([0, 1, 2, 3, 0]);
    expect(part!.flags).toBe(InputFlag.marks);
  });

  test('tells of the transfers with one id on two shards the one whose accounts are named', async () => {
    const shards = new FakeShards(2);
    shards.stored.push(
      { id: 1n, dr: a, cr: b, flags: pending },
      { id: 1n, dr: x, cr: y, flags: pending },
    );
    const events = transfersBatch([{ id: 11n, pendingId: 1n, dr: x, cr: 0n, flags: post }]);
    void shards.router.createTransfers(events, 0);
    const lookups = shards.asked();
    shards.positions(lookups[0]!, [{ row: 0, number: 1 }]);
    shards.positions(lookups[1]!, [{ row: 0, number: 2 }]);
    const parts = await sent(shards);
    expect(parts.map(({ shard, rows, marks }) => [shard, rows, marks])).toEqual([
      [1, [[11n, x, y]], []],
    ]);
  });

  test('asks nobody with one shard', () => {
    const shards = new FakeShards(1);
    const events = transfersBatch([{ id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post }]);
    void shards.router.createTransfers(events, 0);
    expect(shards.asked().map(({ type, rows }) => [type, rows])).toEqual([
      [CREATE, [[11n, 0n, 0n]]],
    ]);
  });

  test('has done nothing when a shard goes away before it says what it has', async () => {
    const shards = new FakeShards(2);
    const events = transfersBatch([{ id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post }]);
    const reply = shards.router.createTransfers(events, 0);
    const lookups = shards.asked();
    shards.client(1).fail();
    await expect(reply).rejects.toMatchObject({ code: 'shard_unavailable' });
    shards.positions(lookups[0]!, []);
    expect(shards.router.eventsInFlight).toBe(0);
    expect(shards.asked()).toEqual([]);
  });

  test('has done nothing when the deadline passes before the shards say what they have', async () => {
    const shards = new FakeShards(2);
    const events = transfersBatch([{ id: 11n, pendingId: 1n, dr: 0n, cr: 0n, flags: post }]);
    // One that has passed when the call is made is refused before anything is asked: this one leaves time for the call.
    const reply = shards.router.createTransfers(events, Date.now() + 100);
    const lookups = shards.asked();
    await expect(reply).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(shards.router.eventsInFlight).toBe(1);
    for (const lookup of lookups) shards.positions(lookup, []);
    await settled();
    expect(shards.router.eventsInFlight).toBe(0);
    expect(shards.asked()).toEqual([]);
  });
});

/** What is sent when the records have come. */
async function sent(shards: FakeShards): Promise<Asked[]> {
  await settled();
  return shards.asked();
}

/** Everything that waits for nothing but promises has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
