import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Batch, Columns, ROW_WORDS, Transfer } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { TransferStatus } from '../engine/status.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { transferRows, transfersBatch, type Stored } from '../test/support/fake-shards.ts';
import { PendingMemory } from './pending-memory.ts';
import { OTHER_CREDIT, OTHER_DEBIT, PendingSearch } from './pending-search.ts';

const { linked, pending, postPendingTransfer: post, voidPendingTransfer } = TransferFlags;
const { created, exists, ledger_must_not_be_zero: failed } = TransferStatus;
const SEED = 7;

type Event = Stored & { readonly flags: number; readonly pendingId: bigint };
type Accounts = readonly [bigint, bigint];

function opened(batch: Batch): Columns {
  const words = new Uint32Array(4 + batch.words.length);
  words.set(batch.words, 4);
  const columns = new Columns();
  columns.openBatch(words, new Uint16Array(words.buffer), 16, 0);
  return columns;
}

function accountsOf(batch: Batch): Accounts[] {
  const columns = opened(batch);
  const { at, step, words } = columns;
  const read = (column: number, row: number): bigint =>
    bigintOfUint128(words, at[column]! + row * step[column]!);
  return Array.from({ length: batch.n }, (_, row) => [
    read(Transfer.debitAccountId, row),
    read(Transfer.creditAccountId, row),
  ]);
}

function memoryOf(known: readonly Stored[]): PendingMemory {
  const memory = new PendingMemory(SEED, 64);
  remember(memory, known);
  return memory;
}

function remember(memory: PendingMemory, known: readonly Stored[]): void {
  const rows = transferRows(known);
  for (let i = 0; i < known.length; i++) memory.remember(rows, i * ROW_WORDS);
}

const isResolving = ({ flags }: Event): boolean => (flags & (post | voidPendingTransfer)) !== 0;

const fits = (named: Stored, { dr, cr }: Stored): boolean =>
  (named.dr === 0n || named.dr === dr) && (named.cr === 0n || named.cr === cr);

interface Segment {
  readonly from: number;
  readonly to: number;
  readonly accounts: readonly Accounts[];
  readonly marks: readonly number[];
}

interface Given {
  /** In the memory, and what comes into it after it was looked at. */
  readonly known: readonly Stored[];
  readonly late: readonly Stored[];
  /** On the shards. */
  readonly stored: readonly Stored[];
  /** What becomes of each row. */
  readonly statuses: readonly number[];
}

/** The rules as they are stated. `asked`: the ids of the rows that the shards have to be asked for, in order. */
function naive(
  events: readonly Event[],
  { known, late, stored, statuses }: Given,
): { segments: Segment[]; asked: bigint[] } {
  const rows = events.map((event) => ({ ...event, mark: 0, isDone: !isResolving(event) }));
  type Row = (typeof rows)[number];
  const isNamed = (row: Row) => (one: Stored) => one.id === row.pendingId;
  const take = (row: Row, found: Stored | undefined): void => {
    if (found === undefined) return;
    if (row.dr !== 0n && row.dr !== found.dr) row.mark |= OTHER_DEBIT;
    if (row.cr !== 0n && row.cr !== found.cr) row.mark |= OTHER_CREDIT;
    Object.assign(row, { dr: found.dr, cr: found.cr, isDone: true });
  };
  for (const row of rows) {
    if (row.pendingId === 0n) row.isDone = true;
    if (!row.isDone)
      take(
        row,
        known.filter(isNamed(row)).find((one) => fits(row, one)),
      );
  }
  const asked = rows.filter(({ isDone }) => !isDone).map(({ pendingId }) => pendingId);
  const answers = stored.filter(({ id }) => asked.includes(id));
  const made: Stored[] = [];
  const segments: Segment[] = [];
  for (let from = 0; from < rows.length;) {
    let to = rows.length;
    const earlier: Stored[] = [];
    for (let at = from; at < to; at++) {
      const row = rows[at]!;
      if (!row.isDone) {
        const there = [...known, ...late, ...answers, ...made].filter(isNamed(row));
        const before = earlier.filter(isNamed(row));
        let found = there.find((one) => fits(row, one));
        const others = new Set(before.map(({ dr, cr }) => `${dr} ${cr}`));
        if (found === undefined && others.size > 1 && unitOf(events, at) > from) {
          to = unitOf(events, at);
          break;
        }
        found ??= before.find((one) => fits(row, one));
        found ??= [...answers, ...known, ...late, ...made, ...before].find(isNamed(row));
        take(row, found);
      }
      if (row.dr !== 0n && row.cr !== 0n) earlier.push({ id: row.id, dr: row.dr, cr: row.cr });
    }
    const own = rows.slice(from, to);
    segments.push({
      from,
      to,
      accounts: own.map(({ dr, cr }): Accounts => [dr, cr]),
      marks: own.map(({ mark }) => mark),
    });
    const isThere = (_: Row, i: number): boolean => statuses[from + i] !== failed;
    made.push(...own.filter(isThere).filter(({ dr, cr }) => dr !== 0n && cr !== 0n));
    from = to;
  }
  return { segments, asked };
}

function unitOf(events: readonly Event[], row: number): number {
  let first = row;
  while (first > 0 && (events[first - 1]!.flags & linked) !== 0) first--;
  return first;
}

describe('the search for pending transfers', () => {
  const id = fc.bigInt(1n, 6n);
  const account = fc.bigInt(1n, 3n);
  const named = fc.oneof(fc.constant(0n), account);
  const plain = fc.record({
    id,
    dr: account,
    cr: account,
    flags: fc.constantFrom(0, pending, pending, pending | linked),
    pendingId: fc.constant(0n),
  });
  const end = fc.record({
    id: fc.bigInt(5n, 12n),
    dr: named,
    cr: named,
    flags: fc.constantFrom(post, voidPendingTransfer, post | linked),
    pendingId: fc.bigInt(0n, 7n),
  });
  const there = fc.array(fc.record({ id, dr: account, cr: account }), { maxLength: 4 });
  const remembered = fc.tuple(there, there);
  const events = fc.array(fc.oneof(plain, end), { minLength: 1, maxLength: 12 });

  const statuses = fc.array(fc.constantFrom(created, created, exists, failed), {
    minLength: 12,
    maxLength: 12,
  });

  test('finds what the rules say, with what is remembered, answered, and in the batch', () => {
    let cuts = 0;
    fc.assert(
      fc.property(events, remembered, there, statuses, (rows, [known, late], stored, became) => {
        const expected = naive(rows, { known, late, stored, statuses: became });
        const batch = transfersBatch(rows);
        const columns = opened(batch);
        const memory = memoryOf(known);
        const search = PendingSearch.of(columns, memory, SEED);
        expect(search === null).toBe(!rows.some((row) => isResolving(row)));
        if (search === null) return;
        expect(search.recall()).toBe(expected.asked.length);
        const asked = expected.asked.length === 0 ? [] : idsOf(search.openIds());
        expect(asked).toEqual(expected.asked);
        const answers = stored.filter((one) => asked.includes(one.id));
        if (asked.length > 0) search.answered(transferRows(answers), answers.length);
        remember(memory, late);
        cuts += expected.segments.length - 1;
        for (const { from, to, accounts, marks } of expected.segments) {
          expect(search.settle(columns, from)).toBe(to);
          const rewritten = search.rewritten(batch, columns, from, to);
          expect(accountsOf(rewritten.batch)).toEqual(accounts);
          expect([...(rewritten.marks ?? new Uint8Array(to - from))]).toEqual(marks);
          expect(withoutAccounts(rewritten.batch)).toEqual(withoutAccounts(batch).slice(from, to));
          search.learn(columns, from, to, Uint16Array.from(became));
        }
      }),
      { numRuns: 3_000 },
    );
    expect(cuts).toBeGreaterThan(100);
  });

  test('leaves a batch as it is that names all accounts', () => {
    const batch = transfersBatch([
      { id: 1n, dr: 2n, cr: 3n, flags: pending },
      { id: 4n, pendingId: 1n, dr: 2n, cr: 3n, flags: post },
    ]);
    const columns = opened(batch);
    const search = PendingSearch.of(columns, memoryOf([]), SEED)!;
    expect(search.recall()).toBe(1);
    expect(search.settle(columns, 0)).toBe(2);
    expect(search.rewritten(batch, columns, 0, 2)).toEqual({ batch, marks: null });
  });
});

function idsOf(batch: Batch): bigint[] {
  const { n, at, step, words } = opened(batch);
  return Array.from({ length: n }, (_, i) => bigintOfUint128(words, at[0]! + i * step[0]!));
}

function withoutAccounts(batch: Batch): Uint32Array[] {
  const columns = opened(batch);
  return Array.from({ length: batch.n }, (_, i) => {
    const row = new Uint32Array(ROW_WORDS);
    columns.copyRow(i, row, 0);
    return row.fill(0, 4, 12);
  });
}
