/**
 * The batch: n rows held as columns in one buffer. The same bytes travel in a NATS message, in a ring frame, and in a journal row.
 *
 * Accounts and transfers share one row layout of 128 bytes (TigerBeetle's structs), and so the same thirteen columns. An encoded batch
 * is a header of four 32-bit words {kind << 24 | n, present mask | constant mask << 16, bytes, 0}, then every present column in column
 * order, each padded to 8 bytes. A constant column holds one value for all rows, an absent one is 0 throughout. Little-endian.
 *
 * `Columns` is a cursor over rows that lie in a buffer, whether by column or by row: per column an offset and a step. Offsets and steps
 * count 32-bit words, but for `code` and `flags`, which count 16-bit halves.
 */
import { copy } from './arithmetic.ts';
import { assert } from './assert.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';

export const BatchKind = { accounts: 1, transfers: 2, ids: 3 } as const;
export type BatchKind = (typeof BatchKind)[keyof typeof BatchKind];

/** Columns of an account row, in the order of the row. */
export const Account = {
  id: 0,
  debitsPending: 1,
  debitsPosted: 2,
  creditsPending: 3,
  creditsPosted: 4,
  userData128: 5,
  userData64: 6,
  userData32: 7,
  reserved: 8,
  ledger: 9,
  code: 10,
  flags: 11,
  timestamp: 12,
} as const;

/** Columns of a transfer row, in the order of the row. */
export const Transfer = {
  id: 0,
  debitAccountId: 1,
  creditAccountId: 2,
  amount: 3,
  pendingId: 4,
  userData128: 5,
  userData64: 6,
  userData32: 7,
  timeout: 8,
  ledger: 9,
  code: 10,
  flags: 11,
  timestamp: 12,
} as const;

export const COLUMNS = 13;
export const ROW_BYTES = 128;
export const ROW_WORDS = ROW_BYTES / 4;
export const HEADER_BYTES = 16;
/** Width of each column in bytes, and where it lies in a row. */
export const COLUMN_BYTES: readonly number[] = [16, 16, 16, 16, 16, 16, 8, 4, 4, 4, 2, 2, 8];
export const COLUMN_OFFSETS: readonly number[] = [
  0, 16, 32, 48, 64, 80, 96, 104, 108, 112, 116, 118, 120,
];

const padded = (bytes: number): number => (bytes + 7) & ~7;
const ALL_COLUMNS = (1 << COLUMNS) - 1;

/** An encoded batch that owns its bytes. Made by `batchOfRows` and `batchOfColumns` only, which keep the format's rules. */
export class Batch {
  readonly kind: BatchKind;
  readonly n: number;
  readonly words: Uint32Array;

  constructor(words: Uint32Array) {
    const head = words[0]!;
    this.kind = (head >>> 24) as BatchKind;
    this.n = head & 0xffffff;
    this.words = words;
    assert(words[2] === words.byteLength, 'a batch says its own length');
    assert(this.n <= BATCH_EVENTS_MAX, 'a batch is within its bound');
  }

  get byteLength(): number {
    return this.words.byteLength;
  }

  /** A view of the words as 16-bit halves, which `code` and `flags` are. */
  get halves(): Uint16Array {
    const { buffer, byteOffset, length } = this.words;
    return new Uint16Array(buffer, byteOffset, length * 2);
  }
}

/**
 * Small batches lie in memory that several of them share, one behind the other and never used again: each array of its own lies outside V8's heap, takes longer
 * to make than a small batch, and counts towards the limit at which the heap is marked as a whole. A batch that is kept keeps SHARED_WORDS.
 */
const SHARED_WORDS = 4096;
const SMALL_WORDS_MAX = 512;
let shared = new Uint32Array(0);
let sharedUsed = 0;

/** Words that are 0. */
// Hot path.
function newWords(count: number): Uint32Array {
  if (count > SMALL_WORDS_MAX) return new Uint32Array(count);
  if (sharedUsed + count > shared.length) {
    shared = new Uint32Array(SHARED_WORDS);
    sharedUsed = 0;
  }
  const words = shared.subarray(sharedUsed, sharedUsed + count);
  sharedUsed += count;
  return words;
}

/** Encodes n rows of 32 words each. Columns that are 0 in every row are left out; a column with one value throughout is kept once. */
export function batchOfRows(kind: BatchKind, rows: Uint32Array, n: number): Batch {
  assert(n > 0 && n <= BATCH_EVENTS_MAX, 'between one row and a full batch');
  assert(rows.length >= n * ROW_WORDS, 'the rows are there');
  if (n === 1) return batchOfRow(kind, rows);
  let present = 0;
  let constant = 0;
  let bytes = HEADER_BYTES;
  for (let column = 0; column < COLUMNS; column++) {
    const uses = columnUse(rows, n, column);
    if (uses === 0) continue;
    present |= 1 << column;
    if (uses === 1) constant |= 1 << column;
    bytes += padded(COLUMN_BYTES[column]! * (uses === 1 ? 1 : n));
  }
  const words = newBatch(kind, n, present | (constant << 16), bytes);
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
  const rowHalves = new Uint16Array(rows.buffer, rows.byteOffset, rows.length * 2);
  let at = HEADER_BYTES;
  for (let column = 0; column < COLUMNS; column++) {
    if ((present & (1 << column)) === 0) continue;
    const width = COLUMN_BYTES[column]!;
    const count = (constant & (1 << column)) === 0 ? n : 1;
    const offset = COLUMN_OFFSETS[column]!;
    if (width === 2) {
      for (let i = 0; i < count; i++) halves[at / 2 + i] = rowHalves[i * 64 + offset / 2]!;
    } else {
      const step = width / 4;
      for (let i = 0; i < count; i++) {
        for (let w = 0; w < step; w++) {
          words[at / 4 + i * step + w] = rows[i * ROW_WORDS + offset / 4 + w]!;
        }
      }
    }
    at += padded(width * count);
  }
  assert(at === bytes, 'the batch is as long as planned');
  return new Batch(words);
}

const single = new Uint32Array((HEADER_BYTES + ROW_BYTES + COLUMNS * 8) / 4);

/** One row: every column that is not 0 is constant. What a single request over HTTP becomes, so it is kept short. */
function batchOfRow(kind: BatchKind, row: Uint32Array): Batch {
  let present = 0;
  let to = HEADER_BYTES / 4;
  for (let column = 0; column < COLUMNS; column++) {
    const from = COLUMN_OFFSETS[column]! >> 2;
    const count = COLUMN_BYTES[column]! >> 2;
    let any = 0;
    if (count === 0) {
      any = column === Transfer.flags ? row[from]! >>> 16 : row[from]! & 0xffff;
      single[to] = any;
    } else {
      for (let w = 0; w < count; w++) {
        any |= row[from + w]!;
        single[to + w] = row[from + w]!;
      }
    }
    if (any === 0) continue;
    present |= 1 << column;
    if (count < 2) single[to + 1] = 0;
    to += count < 2 ? 2 : count;
  }
  single[0] = (kind << 24) | 1;
  single[1] = present | (present << 16);
  single[2] = to * 4;
  single[3] = 0;
  const words = newWords(to);
  for (let w = 0; w < to; w++) words[w] = single[w]!;
  return new Batch(words);
}

/** 0: all zero, 1: one value throughout, 2: differing values. */
function columnUse(rows: Uint32Array, n: number, column: number): 0 | 1 | 2 {
  const width = COLUMN_BYTES[column]!;
  const word = COLUMN_OFFSETS[column]! >> 2;
  if (width === 2) {
    const shift = column === Transfer.flags ? 16 : 0;
    const first = (rows[word]! >>> shift) & 0xffff;
    for (let i = 1; i < n; i++) {
      if (((rows[i * ROW_WORDS + word]! >>> shift) & 0xffff) !== first) return 2;
    }
    return first === 0 ? 0 : 1;
  }
  let any = 0;
  for (let w = word; w < word + width / 4; w++) {
    const first = rows[w]!;
    any |= first;
    for (let i = 1; i < n; i++) if (rows[i * ROW_WORDS + w]! !== first) return 2;
  }
  return any === 0 ? 0 : 1;
}

/** A column as it came over the wire: `bytes` holds n little-endian values, or one when `constant`. */
export interface WireColumn {
  readonly column: number;
  readonly constant: boolean;
  readonly bytes: Uint8Array;
}

/** Encodes columns as they are. The caller has checked that no column is doubled and that each has its length. */
export function batchOfColumns(kind: BatchKind, n: number, columns: readonly WireColumn[]): Batch {
  assert(n > 0 && n <= BATCH_EVENTS_MAX, 'between one row and a full batch');
  let masks = 0;
  let bytes = HEADER_BYTES;
  const byNumber: (WireColumn | undefined)[] = [];
  for (const one of columns) {
    const length = COLUMN_BYTES[one.column]! * (one.constant ? 1 : n);
    assert(one.bytes.byteLength === length, 'a column has its length');
    assert((masks & (1 << one.column)) === 0, 'a column comes once');
    masks |= (1 << one.column) | (one.constant ? 1 << (one.column + 16) : 0);
    bytes += padded(length);
    byNumber[one.column] = one;
  }
  const words = newBatch(kind, n, masks, bytes);
  const all = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  let at = HEADER_BYTES;
  for (let column = 0; column < COLUMNS; column++) {
    const one = byNumber[column];
    if (one === undefined) continue;
    all.set(one.bytes, at);
    at += padded(one.bytes.byteLength);
  }
  return new Batch(words);
}

function newBatch(kind: BatchKind, n: number, masks: number, bytes: number): Uint32Array {
  const words = newWords(bytes / 4);
  words[0] = (kind << 24) | n;
  words[1] = masks;
  words[2] = bytes;
  return words;
}

/** Offsets and steps of the columns of some rows in a buffer. One object, set anew for each batch: nothing is made per row. */
export class Columns {
  kind: BatchKind = BatchKind.ids;
  n = 0;
  words: Uint32Array = new Uint32Array(0);
  halves: Uint16Array = new Uint16Array(0);
  readonly at = new Int32Array(COLUMNS);
  readonly step = new Int32Array(COLUMNS);
  /** A bit for each column that is not left out. */
  present = 0;

  /** Rows that lie by column: an encoded batch at byte `base`. `zero` is the word offset of 16 zero bytes, read for absent columns. */
  openBatch(words: Uint32Array, halves: Uint16Array, base: number, zero: number): void {
    const word = base >> 2;
    const masks = words[word + 1]!;
    this.words = words;
    this.halves = halves;
    this.kind = (words[word]! >>> 24) as BatchKind;
    this.n = words[word]! & 0xffffff;
    this.present = masks & ALL_COLUMNS;
    let at = base + HEADER_BYTES;
    for (let column = 0; column < COLUMNS; column++) {
      const unit = column === Transfer.code || column === Transfer.flags ? 2 : 4;
      if ((masks & (1 << column)) === 0) {
        this.at[column] = (zero * 4) / unit;
        this.step[column] = 0;
        continue;
      }
      const width = COLUMN_BYTES[column]!;
      const isConstant = (masks & (1 << (column + 16))) !== 0;
      this.at[column] = at / unit;
      this.step[column] = isConstant ? 0 : width / unit;
      at += padded(isConstant ? width : width * this.n);
    }
    assert(at - base === words[word + 2]!, 'the columns fill the batch');
  }

  /** Rows that lie one after the other, 32 words each, from word `base`. */
  openRows(
    kind: BatchKind,
    words: Uint32Array,
    halves: Uint16Array,
    base: number,
    n: number,
  ): void {
    this.words = words;
    this.halves = halves;
    this.kind = kind;
    this.n = n;
    this.present = ALL_COLUMNS;
    for (let column = 0; column < COLUMNS; column++) {
      const unit = column === Transfer.code || column === Transfer.flags ? 2 : 4;
      this.at[column] = (base * 4 + COLUMN_OFFSETS[column]!) / unit;
      this.step[column] = ROW_BYTES / unit;
    }
  }

  /** Copies row i into 32 words at `to`. */
  copyRow(i: number, target: Uint32Array, to: number): void {
    const { words, halves, at, step } = this;
    // Six columns of four words, one of two, and three of one.
    for (let column = 0; column < Transfer.userData64; column++) {
      copy(target, to + column * 4, words, at[column]! + i * step[column]!);
    }
    const mark = at[Transfer.userData64]! + i * step[Transfer.userData64]!;
    target[to + 24] = words[mark]!;
    target[to + 25] = words[mark + 1]!;
    target[to + 26] = words[at[Transfer.userData32]! + i * step[Transfer.userData32]!]!;
    target[to + 27] = words[at[Transfer.timeout]! + i * step[Transfer.timeout]!]!;
    target[to + 28] = words[at[Transfer.ledger]! + i * step[Transfer.ledger]!]!;
    const code = halves[at[Transfer.code]! + i * step[Transfer.code]!]!;
    const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
    target[to + 29] = code | (flags << 16);
    const stamp = at[Transfer.timestamp]! + i * step[Transfer.timestamp]!;
    target[to + 30] = words[stamp]!;
    target[to + 31] = words[stamp + 1]!;
  }
}

/** Why bytes are not a well-formed batch, or null. What comes from another thread or from disk is looked at before it is opened. */
export function batchDefect(words: Uint32Array, base: number, limit: number): string | null {
  const word = base >> 2;
  if (base + HEADER_BYTES > limit) return 'shorter than a header';
  const n = words[word]! & 0xffffff;
  const kind = words[word]! >>> 24;
  if (kind < BatchKind.accounts || kind > BatchKind.ids) return 'unknown kind';
  if (n === 0 || n > BATCH_EVENTS_MAX) return 'row count out of bounds';
  const masks = words[word + 1]!;
  const present = masks & 0xffff;
  const constant = masks >>> 16;
  if ((present & ~ALL_COLUMNS) !== 0 || (constant & ~present) !== 0) return 'unknown columns';
  let bytes = HEADER_BYTES;
  for (let column = 0; column < COLUMNS; column++) {
    if ((present & (1 << column)) === 0) continue;
    const count = (constant & (1 << column)) === 0 ? n : 1;
    bytes += padded(COLUMN_BYTES[column]! * count);
  }
  if (words[word + 2] !== bytes) return 'wrong length';
  return base + bytes > limit ? 'cut off' : null;
}
