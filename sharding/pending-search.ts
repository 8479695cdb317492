/**
 * Gives the posts and voids of one batch the accounts of their pending transfers, so that they go to the shards that have them. Made by the
 * router for a batch that has some, and used twice at most: with what the router remembers and what the batch itself creates, and, when that
 * leaves some open, with what the shards answered.
 *
 * - S1 A row fits a pending transfer if it names its accounts, or leaves them out. One that fits is looked for in the memory, among the
 *   answers, and among the earlier rows of the batch. Whether that row will be created is not known yet: the shard that it goes to decides.
 * - S2 When none fits, and the shards were asked, the row gets the accounts of one that does not, with a mark for each account that it named
 *   wrongly: its home can say so, in order of precedence.
 * - S3 What is found nowhere stays as it is.
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
import { RESOLVING } from '../engine/flags.ts';
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
  /** What the rows before `#filed` create, in their order. */
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

  /** Looks for what is still open; `answers` are rows of transfers, or null before the shards were asked. Gives how many are open. */
  resolve(columns: Columns, answers: PendingAccounts | null): number {
    this.#created = null;
    this.#filed = 0;
    this.#filedPosts = 0;
    let open = 0;
    for (let i = 0; i < this.#rows.length; i++) {
      if (this.#states[i] === FOUND) continue;
      if (this.#find(columns, i, answers)) this.#states[i] = FOUND;
      else {
        open++;
        if (answers !== null) this.#findOther(columns, i, answers);
      }
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

  /** What the shards answered: n rows of transfers. */
  answersOf(rows: Uint32Array, n: number): PendingAccounts {
    const answers = new PendingAccounts(Math.max(1, n), this.#seed);
    for (let i = 0; i < n; i++) answers.add(rows, i * ROW_WORDS);
    return answers;
  }

  /** The batch with the accounts that were found; itself when it names them all already. `columns` are its. */
  rewritten(batch: Batch, columns: Columns): Resolved {
    if (!this.#differs(columns)) return { batch, marks: this.#marks };
    const { n } = batch;
    const debits = new Uint32Array(n * 4);
    const credits = new Uint32Array(n * 4);
    let post = 0;
    for (let row = 0; row < n; row++) {
      if (this.#rows[post] === row) {
        const at = post++ * ENTRY_WORDS;
        for (let w = 0; w < 4; w++) {
          debits[row * 4 + w] = this.#entries[at + ENTRY_DEBIT + w]!;
          credits[row * 4 + w] = this.#entries[at + ENTRY_CREDIT + w]!;
        }
        continue;
      }
      const dr = placeOf(columns, row, Transfer.debitAccountId);
      const cr = placeOf(columns, row, Transfer.creditAccountId);
      for (let w = 0; w < 4; w++) {
        debits[row * 4 + w] = columns.words[dr + w]!;
        credits[row * 4 + w] = columns.words[cr + w]!;
      }
    }
    return { batch: withAccounts(batch, debits, credits), marks: this.#marks };
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

  /** (S1) */
  #find(columns: Columns, i: number, answers: PendingAccounts | null): boolean {
    const at = i * ENTRY_WORDS;
    // No transfer has such an id: no need to look.
    if (isZero(this.#entries, at)) return true;
    if (this.#memory.complete(this.#entries, at)) return true;
    if (completeFrom(answers, this.#entries, at)) return true;
    this.#fileBefore(columns, this.#rows[i]!);
    return completeFrom(this.#created, this.#entries, at);
  }

  /** (S2) */
  #findOther(columns: Columns, i: number, answers: PendingAccounts): void {
    const at = i * ENTRY_WORDS;
    const entry = this.#entry;
    entry.fill(0);
    for (let w = 0; w < 4; w++) entry[w] = this.#entries[at + w]!;
    const isFound =
      completeFrom(answers, entry, 0) ||
      this.#memory.complete(entry, 0) ||
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

  /** Files what the rows before `end` create: posts and voids too, which a later row may take for a pending transfer. */
  #fileBefore(columns: Columns, end: number): void {
    this.#created ??= new PendingAccounts(columns.n, this.#seed);
    const entry = this.#entry;
    for (; this.#filed < end; this.#filed++) {
      const row = this.#filed;
      this.#copyTo(entry, 0, columns, placeOf(columns, row, Transfer.id));
      if (this.#rows[this.#filedPosts] === row) {
        const at = this.#filedPosts++ * ENTRY_WORDS;
        entry.set(this.#entries.subarray(at + ENTRY_DEBIT, at + ENTRY_WORDS), ENTRY_DEBIT);
      } else {
        this.#copyTo(entry, ENTRY_DEBIT, columns, placeOf(columns, row, Transfer.debitAccountId));
        this.#copyTo(entry, ENTRY_CREDIT, columns, placeOf(columns, row, Transfer.creditAccountId));
      }
      if (!isZero(entry, ENTRY_DEBIT) && !isZero(entry, ENTRY_CREDIT)) this.#created.add(entry, 0);
    }
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

function placeOf(columns: Columns, row: number, column: number): number {
  return columns.at[column]! + row * columns.step[column]!;
}

/** Whether the account at `named` is named and is not the one in the entry. */
function isOther(named: Uint32Array, i: number, entry: Uint32Array, j: number): boolean {
  return !isZero(named, i) && !isSameId(named, i, entry, j);
}

/** The batch with other accounts; its other columns are copied as they are. */
function withAccounts(batch: Batch, debits: Uint32Array, credits: Uint32Array): Batch {
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
    const length = COLUMN_BYTES[column]! * (constant ? 1 : batch.n);
    if (column !== Transfer.debitAccountId && column !== Transfer.creditAccountId) {
      columns.push({ column, constant, bytes: bytes.subarray(at, at + length) });
    }
    at += (length + 7) & ~7;
  }
  return batchOfColumns(batch.kind, batch.n, columns);
}
