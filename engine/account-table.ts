/**
 * Accounts, 32 words each, in chunks of fixed size: growing adds a chunk and moves nothing. Rows are numbered in order of creation and never
 * move; only the newest can be taken back. Which row belongs to an id is the account index's business.
 *
 * A row lies as in batch.ts but for its last two words: they hold the account's *head*, the position of its newest transfer (see ledger.ts),
 * because that changes with the balances and so lies in the same cache line. The timestamp, which is seldom read, has a chunk of its own;
 * `copyRow` puts it back where it belongs.
 *
 * Chunks are shared memory: the thread that writes a snapshot reads them. Whoever changes a row calls `beforeChange` first.
 */
import { equals } from './arithmetic.ts';
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import { BeforeImages, ImageTable } from './before-images.ts';
import { sharedWords } from './shared-words.ts';

export const CHUNK_ROWS = 8192;
const CHUNK_SHIFT = 13;
const CHUNK_MASK = CHUNK_ROWS - 1;
/** Words of the head in a row. */
export const HEAD_LOW = 30;
export const HEAD_HIGH = 31;

export class AccountTable {
  readonly #images: BeforeImages;
  readonly #chunks: Uint32Array[] = [];
  readonly #stamps: Uint32Array[] = [];
  #rows = 0;

  constructor(images = new BeforeImages()) {
    this.#images = images;
  }

  get rows(): number {
    return this.#rows;
  }

  get byteLength(): number {
    return this.#chunks.length * CHUNK_ROWS * (ROW_WORDS + 2) * 4;
  }

  /** Appends a row (32 words at `at`, its timestamp in place) without transfers, and returns its number. */
  add(source: Uint32Array, at: number): number {
    const row = this.#rows++;
    if (row >>> CHUNK_SHIFT === this.#chunks.length) this.#addChunk();
    const chunk = this.chunk(row);
    const to = this.offset(row);
    for (let w = 0; w < HEAD_LOW; w++) chunk[to + w] = source[at + w]!;
    chunk[to + HEAD_LOW] = 0;
    chunk[to + HEAD_HIGH] = 0;
    const stamps = this.#stamps[row >>> CHUNK_SHIFT]!;
    stamps[(row & CHUNK_MASK) * 2] = source[at + 30]!;
    stamps[(row & CHUNK_MASK) * 2 + 1] = source[at + 31]!;
    return row;
  }

  #addChunk(): void {
    this.#chunks.push(sharedWords(CHUNK_ROWS * ROW_WORDS));
    this.#stamps.push(sharedWords(CHUNK_ROWS * 2));
  }

  /** Takes the newest row back. */
  removeLast(row: number): void {
    assert(row === this.#rows - 1, 'only the newest row is taken back');
    this.#rows--;
  }

  // Hot path.
  chunk(row: number): Uint32Array {
    assert(row < this.#rows, 'the row exists');
    return this.#chunks[row >>> CHUNK_SHIFT]!;
  }

  /** Reads the two cache lines of a row, for the cache's sake only. -1 reads nothing. */
  // Hot path.
  touch(row: number): number {
    if (row < 0) return 0;
    const chunk = this.#chunks[row >>> CHUNK_SHIFT]!;
    const at = (row & CHUNK_MASK) * ROW_WORDS;
    return (chunk[at]! + chunk[at + 16]!) | 0;
  }

  /** Whether the row's id is the one at `words[at]`. */
  // Hot path.
  hasId(row: number, words: Uint32Array, at: number): boolean {
    return equals(this.chunk(row), this.offset(row), words, at);
  }

  /** Word offset of the row in its chunk. */
  // Hot path.
  offset(row: number): number {
    return (row & CHUNK_MASK) * ROW_WORDS;
  }

  stampLow(row: number): number {
    return this.#stamps[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * 2]!;
  }

  stampHigh(row: number): number {
    return this.#stamps[row >>> CHUNK_SHIFT]![(row & CHUNK_MASK) * 2 + 1]!;
  }

  /** Copies the account as the outside knows it: 32 words, with its timestamp in place of the head. */
  copyRow(row: number, target: Uint32Array, to: number): void {
    const chunk = this.chunk(row);
    const from = this.offset(row);
    for (let w = 0; w < HEAD_LOW; w++) target[to + w] = chunk[from + w]!;
    target[to + 30] = this.stampLow(row);
    target[to + 31] = this.stampHigh(row);
  }

  /** Keeps the row as it is for the snapshot under way, if there is one. */
  // Hot path.
  beforeChange(row: number): void {
    if (this.#images.isActive && this.#images.takes(ImageTable.accounts, row)) {
      const chunk = this.#chunks[row >>> CHUNK_SHIFT]!;
      this.#images.save(ImageTable.accounts, row >>> CHUNK_SHIFT, chunk, this.offset(row));
    }
  }

  /** The same for both accounts of a transfer. */
  // Hot path.
  beforeTransfer(debitRow: number, creditRow: number): void {
    if (!this.#images.isActive) return;
    this.beforeChange(debitRow);
    this.beforeChange(creditRow);
  }

  /** Takes over what was changed elsewhere: {id 4, balances 16, code and flags}. */
  change(row: number, source: Uint32Array, at: number): void {
    this.beforeChange(row);
    const chunk = this.chunk(row);
    const to = this.offset(row);
    for (let w = 4; w < 20; w++) chunk[to + w] = source[at + w]!;
    chunk[to + 29] = source[at + 20]!;
  }

  /** The words of a chunk, and of the timestamps of its rows. */
  chunkAt(chunk: number): Uint32Array {
    return this.#chunks[chunk]!;
  }

  stampsAt(chunk: number): Uint32Array {
    return this.#stamps[chunk]!;
  }

  /** Makes so many rows in an empty table, whose words the caller fills in. */
  load(rows: number): void {
    assert(this.#rows === 0, 'only an empty table is loaded');
    while (this.#chunks.length * CHUNK_ROWS < rows) this.#addChunk();
    this.#rows = rows;
  }
}
