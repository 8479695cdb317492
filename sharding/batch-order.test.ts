import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BatchKind,
  batchOfRows,
  COLUMN_OFFSETS,
  Columns,
  ROW_WORDS,
  Transfer,
} from '../engine/batch.ts';
import { AccountFlags, TransferFlags } from '../engine/flags.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { hashId } from '../engine/placement.ts';
import {
  accountKeysOf,
  keysOf,
  naivePlan,
  type Plan,
  placeOf,
  type Row,
  setId,
  type Unit,
  unitsOf,
} from '../test/support/naive-plan.ts';
import { BatchOrder } from './batch-order.ts';

const { linked, pending, postPendingTransfer: post, voidPendingTransfer, imported } = TransferFlags;

function rowsOf(events: readonly Row[]): Uint32Array {
  const words = new Uint32Array(events.length * ROW_WORDS);
  for (const [i, [id, debit, credit, flags = 0, pendingId = 0n]] of events.entries()) {
    const set = (column: number, value: bigint): void =>
      setId(words, i * ROW_WORDS + COLUMN_OFFSETS[column]! / 4, value);
    set(Transfer.id, id);
    set(Transfer.debitAccountId, debit);
    set(Transfer.creditAccountId, credit);
    set(Transfer.pendingId, pendingId);
    words[i * ROW_WORDS + 29] = flags << 16;
  }
  return words;
}

function byRow(events: readonly Row[], kind: BatchKind = BatchKind.transfers): Columns {
  const words = rowsOf(events);
  const columns = new Columns();
  const halves = new Uint16Array(words.buffer);
  columns.openRows(kind, words, halves, 0, events.length);
  return columns;
}

function byColumn(events: readonly Row[], kind: BatchKind = BatchKind.transfers): Columns {
  const batch = batchOfRows(kind, rowsOf(events), events.length);
  const words = new Uint32Array(batch.words.length + 4);
  words.set(batch.words);
  const columns = new Columns();
  columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
  return columns;
}

/** What the rules are for: of two units with a common key, the later one never takes its effect there first. */
function expectSerial(units: readonly Unit[], { shard, isRest }: Plan): void {
  for (const [i, later] of units.entries()) {
    for (const earlier of units.slice(0, i)) {
      for (const [key, owner] of later.keys) {
        if (!earlier.keys.has(key) || isRest[later.from]!) continue;
        expect(isRest[earlier.from]).toBe(false);
        expect([shard[earlier.from], shard[later.from]]).toEqual([owner, owner]);
      }
    }
  }
}

function planned(order: BatchOrder, columns: Columns): Plan {
  order.plan(columns);
  const isRest = [...order.isRest.subarray(0, columns.n)].map((flag) => flag === 1);
  expect(order.restCount).toBe(isRest.filter(Boolean).length);
  const mask = BigInt(order.restMaskLow) | (BigInt(order.restMaskHigh) << 32n);
  const restShards: number[] = [];
  for (let s = 0; s < 64; s++) if (((mask >> BigInt(s)) & 1n) === 1n) restShards.push(s);
  const shard = [...order.shard.subarray(0, columns.n)];
  return { shard, isRest, first: [...order.firstCount], restShards };
}

/** The first accounts of each shard, lowest number first. */
function accountsOn(shards: number, shard: number, count: number): bigint[] {
  const found: bigint[] = [];
  for (let id = 1n; found.length < count; id++) {
    if (placeOf(id, shards) === shard) found.push(id);
  }
  return found;
}

describe('the order of a batch', () => {
  test.each([1, 2, 3, 5, 33, 64])('is that of the rules, over %i shards', (shards) => {
    const order = new BatchOrder(shards, 12_345);
    const account = fc.oneof(
      fc.bigInt(1n, 6n),
      fc.bigInt(1n, 40n),
      fc.constantFrom(0n, 2n ** 32n + 1n, 2n ** 64n + 1n, 2n ** 96n + 1n),
    );
    const id = fc.oneof(fc.bigInt(1n, 8n), fc.bigInt(0n, 2n ** 128n - 1n));
    const flags = fc.oneof(
      { weight: 3, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constantFrom(pending, post, voidPendingTransfer, imported) },
    );
    const link = fc.oneof(
      { weight: 3, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constant(linked) },
    );
    const row = fc
      .tuple(id, account, account, flags, link, fc.bigInt(1n, 8n))
      .map(([one, dr, cr, some, more, pendingId]): Row => [one, dr, cr, some | more, pendingId]);
    const plain = fc.tuple(id, account, account);
    const rows = fc.oneof(
      fc.array(plain, { minLength: 1, maxLength: 30 }),
      fc.array(row, { minLength: 1, maxLength: 30 }),
    );
    fc.assert(
      fc.property(rows, (events) => {
        const units = unitsOf(events, (one) => keysOf(one, shards));
        const plan = planned(order, byColumn(events));
        expect(plan).toEqual(naivePlan(units, shards));
        if (shards > 1) expectSerial(units, plan);
        expect(planned(order, byRow(events))).toEqual(plan);
      }),
      { numRuns: 1_500 },
    );
  });

  test.each([1, 2, 5, 64])('of accounts is that of the rules, over %i shards', (shards) => {
    const order = new BatchOrder(shards, 12_345);
    const id = fc.oneof(fc.bigInt(1n, 6n), fc.bigInt(1n, 60n));
    const flags = fc.constantFrom(0, 0, 0, linked, linked, AccountFlags.imported);
    const row = fc.tuple(id, fc.constant(0n), fc.constant(0n), flags);
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (events) => {
        const units = unitsOf(events, (one) => accountKeysOf(one, shards));
        const plan = planned(order, byColumn(events, BatchKind.accounts));
        expect(plan).toEqual(naivePlan(units, shards));
        if (shards > 1) expectSerial(units, plan);
        expect(planned(order, byRow(events, BatchKind.accounts))).toEqual(plan);
      }),
      { numRuns: 500 },
    );
  });

  const [a, b, c, a2] = accountsOn(2, 0, 4) as [bigint, bigint, bigint, bigint];
  const [x, y, z] = accountsOn(2, 1, 3) as [bigint, bigint, bigint];
  const cases: readonly (readonly [string, readonly Row[], string])[] = [
    [
      'transfers of one shard stay in the order of its ring',
      [
        [1n, a, b],
        [2n, b, a],
        [3n, a, b],
      ],
      '0 0 0',
    ],
    [
      'transfers of different shards go at once',
      [
        [1n, a, b],
        [2n, x, y],
      ],
      '0 1',
    ],
    [
      'a transfer over two shards goes to the lower one',
      [
        [1n, a, x],
        [2n, y, b],
      ],
      '0 0',
    ],
    [
      'its account on the lower shard is kept in order by the ring',
      [
        [1n, a, x],
        [2n, a, b],
        [3n, y, a],
      ],
      '0 0 0',
    ],
    [
      'its account on the higher shard is not',
      [
        [1n, a, x],
        [2n, x, y],
      ],
      '0 1r',
    ],
    [
      'nor if the local transfer came first',
      [
        [1n, x, y],
        [2n, a, x],
      ],
      '1 0r',
    ],
    [
      'nor between two walks',
      [
        [1n, a, x],
        [2n, b, x],
      ],
      '0 0r',
    ],
    [
      'what conflicts with the rest joins it',
      [
        [1n, a, x],
        [2n, b, x],
        [3n, b, c],
        [4n, c, a2],
      ],
      '0 0r 0r 0r',
    ],
    [
      'what conflicts with the first wave only does not',
      [
        [1n, a, x],
        [2n, b, x],
        [3n, a, c],
      ],
      '0 0r 0',
    ],
    [
      'one id twice on one home is in the order of the ring',
      [
        [7n, a, b],
        [7n, c, a2],
      ],
      '0 0',
    ],
    [
      'one id twice on the higher home, by a walk and locally',
      [
        [7n, x, a],
        [7n, y, z],
      ],
      '0 1r',
    ],
    [
      'one id with debit accounts on two shards is two keys',
      [
        [7n, a, b],
        [7n, x, y],
      ],
      '0 1',
    ],
    [
      'an id that is also an account number is another key',
      [
        [x, a, b],
        [2n, x, y],
      ],
      '0 1',
    ],
    [
      'an account that pays itself',
      [
        [1n, x, x],
        [2n, x, x],
        [3n, a, x],
        [4n, x, x],
      ],
      '1 1 0r 1r',
    ],
    [
      'a fee account on the higher shard',
      [
        [1n, a, x],
        [2n, b, x],
        [3n, c, x],
      ],
      '0 0r 0r',
    ],
    [
      'a fee account on the lower shard',
      [
        [1n, x, a],
        [2n, y, a],
        [3n, z, a],
      ],
      '0 0 0',
    ],
    [
      'a chain goes as a whole to its lowest shard',
      [
        [1n, x, y, linked],
        [2n, a, b],
        [3n, x, y],
      ],
      '0 0 1r',
    ],
    [
      'one event of a chain in conflict holds back the chain',
      [
        [1n, a, x],
        [2n, b, c, linked],
        [3n, b, x],
        [4n, c, a2],
      ],
      '0 0r 0r 0r',
    ],
    [
      'a chain that is open at the end of the batch is a unit',
      [
        [1n, x, y],
        [2n, a, b, linked],
        [3n, y, z, linked],
      ],
      '1 0r 0r',
    ],
    [
      'a post at the home of its pending transfer is kept in order by the ring',
      [
        [1n, a, b, pending],
        [2n, a, b, post, 1n],
      ],
      '0 0',
    ],
    [
      'a post of what a walk creates on the higher home has to wait',
      [
        [7n, x, a, pending],
        [8n, y, z, voidPendingTransfer, 7n],
      ],
      '0 1r',
    ],
    [
      'imported transfers of one home keep their order',
      [
        [1n, x, a, imported],
        [2n, y, z, imported],
        [3n, b, c, imported],
      ],
      '0 1r 0',
    ],
  ];
  test.each(cases)('%s', (_, rows, expected) => {
    const { shard, isRest } = planned(new BatchOrder(2), byRow(rows));
    expect(shard.map((s, i) => `${s}${isRest[i]! ? 'r' : ''}`).join(' ')).toBe(expected);
  });

  test('what a batch touched is forgotten in the next one', () => {
    const order = new BatchOrder(2);
    for (let round = 0; round < 3; round++) {
      expect(
        planned(
          order,
          byRow([
            [1n, a, x],
            [2n, b, x],
          ]),
        ).isRest,
      ).toEqual([false, true]);
      expect(planned(order, byRow([[2n, b, x]])).isRest).toEqual([false]);
      expect([order.restCount, order.restMaskLow, order.restMaskHigh]).toEqual([0, 0, 0]);
    }
  });

  test('what a batch touched is forgotten, too, when its number comes round again', () => {
    const order = new BatchOrder(2);
    const first: readonly Row[] = [
      [1n, a, b, imported],
      [2n, b, c, imported],
      [3n, c, x, imported],
      [4n, y, a, imported],
    ];
    expect(planned(order, byRow(first)).isRest).toEqual([false, false, false, false]);
    const filler = byRow([[8n, z, z]]);
    for (let i = 0; i < 2 ** 17 - 2; i++) order.plan(filler);
    // x lies where it lay.
    const rows: readonly Row[] = [
      [5n, z, z],
      [9n, z, z],
      [7n, b, x],
      [6n, y, c, imported],
    ];
    expect(planned(order, byRow(rows)).isRest).toEqual([false, false, false, false]);
  });

  test('two accounts with the same hash are two keys', () => {
    const p = 0xcd06b7cb90ac5167ddaf797120ec78b5n;
    const q = 0x6b3bfa5e7bced4a60175e8d5306aaad4n;
    const words = new Uint32Array(8);
    setId(words, 0, p);
    setId(words, 4, q);
    expect(hashId(words, 0, 0)).toBe(hashId(words, 4, 0));
    expect([placeOf(p, 2), placeOf(q, 2)]).toEqual([1, 1]);
    const rows: Row[] = [
      [1n, a, p],
      [2n, b, q],
      [3n, c, p],
    ];
    expect(planned(new BatchOrder(2, 0), byRow(rows)).isRest).toEqual([false, false, true]);
  });

  test('a full batch of different accounts and ids goes at once, as a whole', () => {
    const rows: Row[] = [];
    for (let i = 0n; i < BATCH_EVENTS_MAX; i++) rows.push([i << 64n, 2n * i + 1n, 2n * i + 2n]);
    const { isRest, first } = planned(new BatchOrder(64), byColumn(rows));
    expect(isRest.includes(true)).toBe(false);
    expect(first.reduce((sum, count) => sum + count)).toBe(BATCH_EVENTS_MAX);
  });

  test('a chain of a full batch is one unit', () => {
    const rows: Row[] = [];
    for (let i = 0n; i < BATCH_EVENTS_MAX; i++) {
      rows.push([i << 64n, 2n * i + 1n, 2n * i + 2n, linked | post | imported, 3n * i]);
    }
    const { isRest, shard, first } = planned(new BatchOrder(64), byColumn(rows));
    expect(isRest.includes(true) || shard.some((s) => s !== 0)).toBe(false);
    expect(first[0]).toBe(BATCH_EVENTS_MAX);
  });

  test('ids have no order', () => {
    const columns = byRow([[1n, a, b]]);
    columns.kind = BatchKind.ids;
    expect(() => new BatchOrder(2).plan(columns)).toThrow('what is read does not conflict');
  });
});
