import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Batch, Columns, ROW_WORDS, Transfer } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { transferRows, transfersBatch, type Stored } from '../test/support/fake-shards.ts';
import { PendingMemory } from './pending-memory.ts';
import { OTHER_CREDIT, OTHER_DEBIT, PendingSearch } from './pending-search.ts';

const { pending, postPendingTransfer: post, voidPendingTransfer } = TransferFlags;
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
  const rows = transferRows(known);
  for (let i = 0; i < known.length; i++) memory.remember(rows, i * ROW_WORDS);
  return memory;
}

const isResolving = ({ flags }: Event): boolean => (flags & (post | voidPendingTransfer)) !== 0;

const fits = (named: Stored, { dr, cr }: Stored): boolean =>
  (named.dr === 0n || named.dr === dr) && (named.cr === 0n || named.cr === cr);

/** The rules as they are stated. `asked`: the ids of the rows that the shards have to be asked for, in order. */
function naive(
  events: readonly Event[],
  known: readonly Stored[],
  stored: readonly Stored[],
): { accounts: Accounts[]; marks: number[]; asked: bigint[] } {
  const asked: bigint[] = [];
  const first = resolved(events, (event, earlier) => {
    const found = [...known, ...earlier].find(
      (one) => one.id === event.pendingId && fits(event, one),
    );
    if (found === undefined) asked.push(event.pendingId);
    return found;
  });
  if (asked.length === 0) return { ...first, asked };
  const answers = stored.filter(({ id }) => asked.includes(id));
  const second = resolved(events, (event, earlier, row) => {
    const isFoundBefore = !first.open.includes(row);
    if (isFoundBefore) return { id: 0n, dr: first.accounts[row]![0], cr: first.accounts[row]![1] };
    const named = (one: Stored): boolean => one.id === event.pendingId;
    return (
      [...known, ...answers, ...earlier].find((one) => named(one) && fits(event, one)) ??
      [...answers, ...known, ...earlier].find(named)
    );
  });
  return { ...second, asked };
}

function resolved(
  events: readonly Event[],
  find: (event: Event, earlier: readonly Stored[], row: number) => Stored | undefined,
): { accounts: Accounts[]; marks: number[]; open: number[] } {
  const open: number[] = [];
  const marks: number[] = [];
  const earlier: Stored[] = [];
  const accounts = events.map((event, row): Accounts => {
    let { dr, cr } = event;
    marks.push(0);
    if (isResolving(event) && event.pendingId !== 0n) {
      const found = find(event, earlier, row);
      if (found === undefined) open.push(row);
      else {
        if (dr !== 0n && dr !== found.dr) marks[row]! |= OTHER_DEBIT;
        if (cr !== 0n && cr !== found.cr) marks[row]! |= OTHER_CREDIT;
        ({ dr, cr } = found);
      }
    }
    if (dr !== 0n && cr !== 0n) earlier.push({ id: event.id, dr, cr });
    return [dr, cr];
  });
  return { accounts, marks, open };
}

describe('the search for pending transfers', () => {
  const id = fc.bigInt(1n, 6n);
  const account = fc.bigInt(1n, 3n);
  const named = fc.oneof(fc.constant(0n), account);
  const plain = fc.record({
    id,
    dr: account,
    cr: account,
    flags: fc.constantFrom(0, pending, pending),
    pendingId: fc.constant(0n),
  });
  const end = fc.record({
    id: fc.bigInt(5n, 12n),
    dr: named,
    cr: named,
    flags: fc.constantFrom(post, voidPendingTransfer),
    pendingId: fc.bigInt(0n, 7n),
  });
  const there = fc.array(fc.record({ id, dr: account, cr: account }), { maxLength: 4 });
  const events = fc.array(fc.oneof(plain, end), { minLength: 1, maxLength: 12 });

  test('finds what the rules say, with what is remembered, answered, and in the batch', () => {
    fc.assert(
      fc.property(events, there, there, (rows, known, stored) => {
        const expected = naive(rows, known, stored);
        const batch = transfersBatch(rows);
        const columns = opened(batch);
        const search = PendingSearch.of(columns, memoryOf(known), SEED);
        expect(search === null).toBe(!rows.some((row) => isResolving(row)));
        if (search === null) return;
        const open = search.resolve(columns, null);
        expect(open).toBe(expected.asked.length);
        const asked = open === 0 ? [] : idsOf(search.openIds());
        expect(asked).toEqual(expected.asked);
        if (open > 0) {
          const answers = stored.filter((one) => asked.includes(one.id));
          search.resolve(columns, search.answersOf(transferRows(answers), answers.length));
        }
        const { batch: rewritten, marks } = search.rewritten(batch, columns);
        expect(accountsOf(rewritten)).toEqual(expected.accounts);
        expect([...(marks ?? new Uint8Array(rows.length))]).toEqual(expected.marks);
        expect(withoutAccounts(rewritten)).toEqual(withoutAccounts(batch));
      }),
      { numRuns: 3_000 },
    );
  });

  test('leaves a batch as it is that names all accounts', () => {
    const batch = transfersBatch([
      { id: 1n, dr: 2n, cr: 3n, flags: pending },
      { id: 4n, pendingId: 1n, dr: 2n, cr: 3n, flags: post },
    ]);
    const columns = opened(batch);
    const search = PendingSearch.of(columns, memoryOf([]), SEED)!;
    expect(search.resolve(columns, null)).toBe(0);
    expect(search.rewritten(batch, columns)).toEqual({ batch, marks: null });
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
