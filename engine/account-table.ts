/**
 * Accounts, 32 words each (the row layout of batch.ts), in chunks of fixed size: growing adds a chunk and moves nothing. Rows are numbered in
 * order of creation and never move or go away. Which row belongs to an id is the account index's business.
 */
import { equals } from './arithmetic.ts';
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';

const CHUNK_ROWS = 8192;
const CHUNK_SHIFT = 13;

export class AccountTable {
  readonly #chunks: Uint32Array[] = [];
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  get byteLength(): number {
    return this.#chunks.length * CHUNK_ROWS * ROW_WORDS * 4;
  }

  /** Appends an empty row and returns its number. */
  add(): number {
    const row = this.#rows++;
    if (row >>> CHUNK_SHIFT === this.#chunks.length) {
      this.#chunks.push(new Uint32Array(CHUNK_ROWS * ROW_WORDS));
    }
    return row;
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
    const at = (row & (CHUNK_ROWS - 1)) * ROW_WORDS;
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
    return (row & (CHUNK_ROWS - 1)) * ROW_WORDS;
  }
}
