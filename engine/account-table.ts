/**
 * Accounts, 32 words each, one after the other. Rows are numbered in order of creation and never move; only the newest can be taken back. Which
 * row belongs to an id is the account index's business.
 *
 * A row lies as in batch.ts but for its last two words: they hold the account's *head*, the position of its newest transfer (see ledger.ts),
 * because that changes with the balances and so lies in the same cache line. The timestamp, which is seldom read, has a place of its own;
 * `copyRow` puts it back where it belongs.
 *
 * Images take the table by chunks of rows. Whoever changes a row calls `beforeChange` first, and changes only the words that the log has of it
 * (before-images.ts).
 */
import { equals } from './arithmetic.ts';
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import { BeforeImages, ImageTable } from './before-images.ts';
import { ACCOUNT_STAMPS_BYTES_MAX, ACCOUNTS_BYTES_MAX } from './limits.ts';
import type { WordList } from './link-message.ts';
import { TableWords } from './table-words.ts';
import { appendThin } from './thin-rows.ts';

export const CHUNK_ROWS = 8192;
/** Words of the head in a row. */
export const HEAD_LOW = 30;
export const HEAD_HIGH = 31;

export class AccountTable {
  readonly #images: BeforeImages;
  readonly #table = new TableWords(ACCOUNTS_BYTES_MAX);
  readonly #stamps = new TableWords(ACCOUNT_STAMPS_BYTES_MAX);
  #rows = 0;

  constructor(images = new BeforeImages()) {
    this.#images = images;
  }

  get rows(): number {
    return this.#rows;
  }

  get byteLength(): number {
    return this.#rows * (ROW_WORDS + 2) * 4;
  }

  /** Appends a row (32 words at `at`, its timestamp in place) without transfers, and returns its number. */
  add(source: Uint32Array, at: number): number {
    const row = this.#rows++;
    this.#reach();
    const { words } = this;
    const to = this.offset(row);
    for (let w = 0; w < HEAD_LOW; w++) words[to + w] = source[at + w]!;
    words[to + HEAD_LOW] = 0;
    words[to + HEAD_HIGH] = 0;
    const stamps = this.#stamps.words;
    stamps[row * 2] = source[at + 30]!;
    stamps[row * 2 + 1] = source[at + 31]!;
    return row;
  }

  #reach(): void {
    this.#table.reach(this.#rows * ROW_WORDS);
    this.#stamps.reach(this.#rows * 2);
  }

  /** Takes the newest row back. */
  removeLast(row: number): void {
    assert(row === this.#rows - 1, 'only the newest row is taken back');
    this.#rows--;
  }

  /** The words of all rows. */
  // Hot path.
  get words(): Uint32Array {
    return this.#table.words;
  }

  /** The timestamps of all rows, {low, high} each. */
  get stamps(): Uint32Array {
    return this.#stamps.words;
  }

  /** Word offset of the row. */
  // Hot path.
  offset(row: number): number {
    assert(row < this.#rows, 'the row exists');
    return row * ROW_WORDS;
  }

  /**
   * Reads the two cache lines of each of the first `count` rows of a list, -1 for none, and returns what is there, which means nothing. A loop of
   * these has nothing to decide, so the processor has many of its cache misses under way at once.
   */
  // Hot path.
  touchAll(rows: Int32Array, count: number): number {
    const { words } = this;
    let touched = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      const at = (row & ~(row >> 31)) * ROW_WORDS;
      touched = (touched + words[at]! + words[at + 16]!) | 0;
    }
    return touched;
  }

  /** The same for the timestamps of the rows. */
  // Hot path.
  touchStamps(rows: Int32Array, count: number): number {
    const { words } = this.#stamps;
    let touched = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      touched = (touched + words[(row & ~(row >> 31)) * 2]!) | 0;
    }
    return touched;
  }

  /** Whether the row's id is the one at `words[at]`. */
  // Hot path.
  hasId(row: number, words: Uint32Array, at: number): boolean {
    return equals(this.words, this.offset(row), words, at);
  }

  stampLow(row: number): number {
    return this.#stamps.words[row * 2]!;
  }

  stampHigh(row: number): number {
    return this.#stamps.words[row * 2 + 1]!;
  }

  /** Copies the account as the outside knows it: 32 words, with its timestamp in place of the head. */
  copyRow(row: number, target: Uint32Array, to: number): void {
    const { words } = this;
    const from = this.offset(row);
    for (let w = 0; w < HEAD_LOW; w++) target[to + w] = words[from + w]!;
    target[to + 30] = this.stampLow(row);
    target[to + 31] = this.stampHigh(row);
  }

  /** The same as a thin row at the end of a list. */
  // Hot path.
  appendThinRow(row: number, list: WordList): void {
    const start = list.length;
    appendThin(list, this.words, this.offset(row), HEAD_LOW);
    const stamps = this.#stamps.words;
    const low = stamps[row * 2]!;
    const high = stamps[row * 2 + 1]!;
    let to = list.extend(2);
    const { words } = list;
    if (low !== 0) {
      words[start] = (words[start]! | (1 << HEAD_LOW)) >>> 0;
      words[to++] = low;
    }
    if (high !== 0) {
      words[start] = (words[start]! | (1 << HEAD_HIGH)) >>> 0;
      words[to++] = high;
    }
    list.length = to;
  }

  /** Keeps the row as it is for the snapshot under way, if there is one. */
  // Hot path.
  beforeChange(row: number): void {
    if (this.#images.isActive && this.#images.takes(ImageTable.accounts, row)) {
      this.#images.saveAccount(row, this.words);
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
    const { words } = this;
    const to = this.offset(row);
    for (let w = 4; w < 20; w++) words[to + w] = source[at + w]!;
    words[to + 29] = source[at + 20]!;
  }

  /** Makes so many rows in an empty table, whose words the caller fills in. */
  load(rows: number): void {
    assert(this.#rows === 0, 'only an empty table is loaded');
    this.#rows = rows;
    this.#reach();
  }
}
