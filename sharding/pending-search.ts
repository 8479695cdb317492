/**
 * Gives the posts and voids of one batch the accounts of their pending transfers, so that they go to the shards that have them. Made by the
 * router for a batch that has some: it looks into what the router remembers, the shards are asked for the rest, and then the batch is settled, from
 * its first row on, in one segment or in several.
 *
 * - S1 A row fits a pending transfer if it names its accounts, or leaves them out. One that fits is looked for among those that are there: in the
 *   memory, among the answers, and among what earlier segments have created. Then among the earlier rows of the segment. Whether that row will be
 *   created is not known yet: the shard that it goes to decides.
 * - S2 When none fits, the row gets the accounts of one that does not, with a mark for each account that it named wrongly: its home can say so, in
 *   order of precedence.
 * - S3 What is found nowhere stays as it is.
 * - S4 Where earlier units of the segment have several rows of that id, with other accounts each, it depends on their outcomes which of them is meant. So the
 *   segment ends before the unit of the post, and the next one is settled when those are known. Within a unit it is the first of them: either that one
 *   is created, or nothing of the unit is.
 */
import { assert } from '../engine/assert.ts';
import {
  type Batch,
  BatchKind,
  batchOfColumns,
  COLUMN_BYTES,
  type Columns,
  COLUMNS,
  HEADER_BYTES,
  ROW_WORDS,
  Transfer,
  type WireColumn,
} from '../engine/batch.ts';
import { RESOLVING, TransferFlags } from '../engine/flags.ts';
import { TransferStatus } from '../engine/status.ts';
import {
  completeFrom,
  ENTRY_CREDIT,
  ENTRY_DEBIT,
  ENTRY_WORDS,
  isSameId,
  isZero,
  PendingAccounts,
  type PendingMemory,
} from './pending-memory.ts';

/** What a row named wrongly: the byte for it behind its batch. */
export const OTHER_DEBIT = 1;
export const OTHER_CREDIT = 2;

const SEARCHING = 0;
const FOUND = 1;

/** A batch to be sent instead of another. `marks`: a byte for each row, or null when all are 0. */
export interface Resolved {
  readonly batch: Batch;
  readonly marks: Uint8Array | null;
}

export class PendingSearch {
  readonly #memory: PendingMemory;
  readonly #seed: number;
  /** The rows of the posts and voids; for each of them, in the same order, an entry {pending id, debit account, credit account}. */
  readonly #rows: Uint16Array;
  readonly #entries: Uint32Array;
  readonly #states: Uint8Array;
  #marks: Uint8Array | null = null;
  #answers: PendingAccounts | null = null;
  /** What earlier segments have created. */
  #made: PendingAccounts | null = null;
  /** What the rows of the segment before `#filed` create, in their order. */
  #created: PendingAccounts | null = null;
  #filed = 0;
  #filedPosts = 0;
  readonly #entry = new Uint32Array(ENTRY_WORDS);

  private constructor(columns: Columns, rows: Uint16Array, memory: PendingMemory, seed: number) {
    this.#memory = memory;
    this.#seed = seed;
    this.#rows = rows;
    this.#states = new Uint8Array(rows.length);
    this.#entries = new Uint32Array(rows.length * ENTRY_WORDS);
    for (let i = 0; i < rows.length; i++) {
      this.#copy(columns, rows[i]!, Transfer.pendingId, i * ENTRY_WORDS);
      this.#copy(columns, rows[i]!, Transfer.debitAccountId, i * ENTRY_WORDS + ENTRY_DEBIT);
      this.#copy(columns, rows[i]!, Transfer.creditAccountId, i * ENTRY_WORDS + ENTRY_CREDIT);
    }
  }

  /** Null for a batch without posts and voids. */
  static of(columns: Columns, memory: PendingMemory, seed: number): PendingSearch | null {
    const rows = rowsWith(columns, RESOLVING);
    return rows === null ? null : new PendingSearch(columns, rows, memory, seed);
  }

  /** Looks into the memory. Gives how many are open: the shards have to be asked for those. */
  recall(): number {
    let open = 0;
    for (let i = 0; i < this.#rows.length; i++) {
      const at = i * ENTRY_WORDS;
      // No transfer has the id 0: no need to look.
      const isFound = isZero(this.#entries, at) || this.#memory.complete(this.#entries, at);
      if (isFound) this.#states[i] = FOUND;
      else open++;
    }
    return open;
  }

  /** The ids to ask the shards for. */
  openIds(): Batch {
    const open: number[] = [];
    for (let i = 0; i < this.#rows.length; i++) if (this.#states[i] === SEARCHING) open.push(i);
    assert(open.length > 0, 'something is open');
    const ids = new Uint32Array(open.length * 4);
    for (const [to, i] of open.entries()) {
      for (let w = 0; w < 4; w++) ids[to * 4 + w] = this.#entries[i * ENTRY_WORDS + w]!;
    }
    return batchOfIds(ids);
  }

  /** What the shards have answered: n rows of transfers. */
  answered(rows: Uint32Array, n: number): void {
    this.#answers = new PendingAccounts(Math.max(1, n), this.#seed);
    for (let i = 0; i < n; i++) this.#answers.add(rows, i * ROW_WORDS);
  }

  /** Settles the posts and voids from a row on that begins a segment. Returns where the segment ends: the first row of a unit, or n. */
  settle(columns: Columns, from: number): number {
    this.#created = null;
    this.#filed = from;
    this.#filedPosts = this.#rows.findIndex((row) => row >= from);
    for (let i = Math.max(0, this.#filedPosts); i < this.#rows.length; i++) {
      if (this.#states[i] === FOUND || this.#rows[i]! < from) continue;
      const at = i * ENTRY_WORDS;
      if (!this.#isThere(i)) {
        this.#fileBefore(columns, this.#rows[i]!);
        if (this.#created!.isAmbiguous(this.#entries, at)) {
          const start = unitOf(columns, this.#rows[i]!);
          if (start > from) return start;
        }
        if (!completeFrom(this.#created, this.#entries, at)) {
          this.#findOther(columns, i);
          continue;
        }
      }
      this.#states[i] = FOUND;
    }
    return columns.n;
  }

  /** Takes note of what a segment has created, or found to be there as it is. `statuses` are those of the whole batch. */
  learn(columns: Columns, from: number, to: number, statuses: Uint16Array): void {
    this.#made ??= new PendingAccounts(columns.n, this.#seed);
    let post = this.#rows.findIndex((row) => row >= from);
    for (let row = from; row < to; row++) {
      const isPost = post !== -1 && this.#rows[post] === row;
      const entry = isPost ? this.#entryOfPost(columns, post++) : this.#entryOf(columns, row);
      const status = statuses[row];
      const isThere = status === TransferStatus.created || status === TransferStatus.exists;
      if (isThere && hasAccounts(entry)) this.#made.add(entry, 0);
    }
  }

  /** The rows from..to-1 with the accounts that were found; the batch itself when it names them all already. `columns` are its. */
  rewritten(batch: Batch, columns: Columns, from: number, to: number): Resolved {
    const isWhole = from === 0 && to === batch.n;
    if (isWhole && !this.#differs(columns)) return { batch, marks: this.#marks };
    const n = to - from;
    const accounts = { debits: new Uint32Array(n * 4), credits: new Uint32Array(n * 4) };
    let post = this.#rows.findIndex((row) => row >= from);
    for (let row = from; row < to; row++) {
      const isPost = post !== -1 && this.#rows[post] === row;
      const entry = isPost ? this.#entryOfPost(columns, post++) : this.#entryOf(columns, row);
      const at = (row - from) * 4;
      accounts.debits.set(entry.subarray(ENTRY_DEBIT, ENTRY_CREDIT), at);
      accounts.credits.set(entry.subarray(ENTRY_CREDIT, ENTRY_WORDS), at);
    }
    const marks = isWhole ? this.#marks : (this.#marks?.slice(from, to) ?? null);
    return { batch: withAccounts(batch, accounts, from, to), marks };
  }

  #differs(columns: Columns): boolean {
    for (let i = 0; i < this.#rows.length; i++) {
      const at = i * ENTRY_WORDS;
      const dr = placeOf(columns, this.#rows[i]!, Transfer.debitAccountId);
      const cr = placeOf(columns, this.#rows[i]!, Transfer.creditAccountId);
      if (!isSameId(this.#entries, at + ENTRY_DEBIT, columns.words, dr)) return true;
      if (!isSameId(this.#entries, at + ENTRY_CREDIT, columns.words, cr)) return true;
    }
    return false;
  }

  /** Whether one that fits is there (S1); its accounts are taken. The memory may have learned of it since the shards were asked. */
  #isThere(i: number): boolean {
    const at = i * ENTRY_WORDS;
    return (
      this.#memory.complete(this.#entries, at) ||
      completeFrom(this.#answers, this.#entries, at) ||
      completeFrom(this.#made, this.#entries, at)
    );
  }

  /** (S2) */
  #findOther(columns: Columns, i: number): void {
    const at = i * ENTRY_WORDS;
    const entry = this.#entry;
    entry.fill(0);
    for (let w = 0; w < 4; w++) entry[w] = this.#entries[at + w]!;
    const isFound =
      completeFrom(this.#answers, entry, 0) ||
      this.#memory.complete(entry, 0) ||
      completeFrom(this.#made, entry, 0) ||
      completeFrom(this.#created, entry, 0);
    if (!isFound) return;
    let mark = 0;
    if (isOther(this.#entries, at + ENTRY_DEBIT, entry, ENTRY_DEBIT)) mark |= OTHER_DEBIT;
    if (isOther(this.#entries, at + ENTRY_CREDIT, entry, ENTRY_CREDIT)) mark |= OTHER_CREDIT;
    assert(mark !== 0, 'what fits was found before');
    this.#marks ??= new Uint8Array(columns.n);
    this.#marks[this.#rows[i]!] = mark;
    this.#entries.set(entry.subarray(ENTRY_DEBIT), at + ENTRY_DEBIT);
    this.#states[i] = FOUND;
  }

  /** Files what the rows of the segment before `end` create: posts and voids too, which a later row may take for a pending transfer. */
  #fileBefore(columns: Columns, end: number): void {
    this.#created ??= new PendingAccounts(columns.n, this.#seed);
    for (; this.#filed < end; this.#filed++) {
      const row = this.#filed;
      const isPost = this.#rows[this.#filedPosts] === row;
      const entry = isPost
        ? this.#entryOfPost(columns, this.#filedPosts++)
        : this.#entryOf(columns, row);
      if (hasAccounts(entry)) this.#created.add(entry, 0);
    }
  }

  /** The id and the accounts of a row; valid until the next call. */
  #entryOf(columns: Columns, row: number): Uint32Array {
    const entry = this.#entry;
    this.#copyTo(entry, 0, columns, placeOf(columns, row, Transfer.id));
    this.#copyTo(entry, ENTRY_DEBIT, columns, placeOf(columns, row, Transfer.debitAccountId));
    this.#copyTo(entry, ENTRY_CREDIT, columns, placeOf(columns, row, Transfer.creditAccountId));
    return entry;
  }

  /** The same for a post or void, with the accounts that were found. */
  #entryOfPost(columns: Columns, post: number): Uint32Array {
    const entry = this.#entry;
    const at = post * ENTRY_WORDS;
    this.#copyTo(entry, 0, columns, placeOf(columns, this.#rows[post]!, Transfer.id));
    for (let w = ENTRY_DEBIT; w < ENTRY_WORDS; w++) entry[w] = this.#entries[at + w]!;
    return entry;
  }

  #copy(columns: Columns, row: number, column: number, to: number): void {
    this.#copyTo(this.#entries, to, columns, placeOf(columns, row, column));
  }

  #copyTo(target: Uint32Array, to: number, columns: Columns, from: number): void {
    for (let w = 0; w < 4; w++) target[to + w] = columns.words[from + w]!;
  }
}

/** The rows with one of the flags, or null; a column that is left out, or has one value without them, is not read. */
export function rowsWith(columns: Columns, flags: number): Uint16Array | null {
  const { n, halves } = columns;
  const at = columns.at[Transfer.flags]!;
  const step = columns.step[Transfer.flags]!;
  if (step === 0 && (halves[at]! & flags) === 0) return null;
  let count = 0;
  for (let row = 0; row < n; row++) if ((halves[at + row * step]! & flags) !== 0) count++;
  if (count === 0) return null;
  const rows = new Uint16Array(count);
  let to = 0;
  for (let row = 0; row < n; row++) if ((halves[at + row * step]! & flags) !== 0) rows[to++] = row;
  return rows;
}

/** A batch of ids, four words each. */
export function batchOfIds(ids: Uint32Array): Batch {
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  return batchOfColumns(BatchKind.ids, ids.length / 4, [{ column: 0, constant: false, bytes }]);
}

/** The first row of the unit that a row is in: the linked ones before it belong to it. */
function unitOf(columns: Columns, row: number): number {
  const at = columns.at[Transfer.flags]!;
  const step = columns.step[Transfer.flags]!;
  let first = row;
  while (first > 0 && (columns.halves[at + (first - 1) * step]! & TransferFlags.linked) !== 0) {
    first--;
  }
  return first;
}

const hasAccounts = (entry: Uint32Array): boolean =>
  !isZero(entry, ENTRY_DEBIT) && !isZero(entry, ENTRY_CREDIT);

function placeOf(columns: Columns, row: number, column: number): number {
  return columns.at[column]! + row * columns.step[column]!;
}

/** Whether the account at `named` is named and is not the one in the entry. */
function isOther(named: Uint32Array, i: number, entry: Uint32Array, j: number): boolean {
  return !isZero(named, i) && !isSameId(named, i, entry, j);
}

/** The rows from..to-1 of the batch with other accounts; its other columns are copied as they are. */
function withAccounts(
  batch: Batch,
  { debits, credits }: { readonly debits: Uint32Array; readonly credits: Uint32Array },
  from: number,
  to: number,
): Batch {
  const masks = batch.words[1]!;
  const bytes = new Uint8Array(batch.words.buffer, batch.words.byteOffset, batch.byteLength);
  const columns: WireColumn[] = [
    { column: Transfer.debitAccountId, constant: false, bytes: new Uint8Array(debits.buffer) },
    { column: Transfer.creditAccountId, constant: false, bytes: new Uint8Array(credits.buffer) },
  ];
  let at = HEADER_BYTES;
  for (let column = 0; column < COLUMNS; column++) {
    if ((masks & (1 << column)) === 0) continue;
    const constant = (masks & (1 << (column + 16))) !== 0;
    const width = COLUMN_BYTES[column]!;
    const [first, end] = constant ? [0, width] : [from * width, to * width];
    if (column !== Transfer.debitAccountId && column !== Transfer.creditAccountId) {
      columns.push({ column, constant, bytes: bytes.subarray(at + first, at + end) });
    }
    at += (width * (constant ? 1 : batch.n) + 7) & ~7;
  }
  return batchOfColumns(batch.kind, to - from, columns);
}
