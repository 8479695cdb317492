/**
 * Hash index from an account id to its row. A slot holds the hash and the row, 8 bytes; the id itself is in the row, which is read anyway. So the
 * whole index of a million accounts lies in the processor's cache.
 */
import type { AccountTable } from './account-table.ts';
import { BucketDirectory, SLOT_MASK } from './bucket-directory.ts';
import { hashId } from './placement.ts';

/** {hash, row + 1}. */
const SLOT_WORDS = 2;

export class AccountIndex {
  readonly #seed: number;
  readonly #accounts: AccountTable;
  readonly #buckets = new BucketDirectory(SLOT_WORDS, (words, at) => words[at]! | 0);

  constructor(accounts: AccountTable, seed: number) {
    this.#accounts = accounts;
    this.#seed = seed | 0;
  }

  get byteLength(): number {
    return this.#buckets.byteLength;
  }

  // Hot path.
  hash(words: Uint32Array, at: number): number {
    return hashId(words, at, this.#seed);
  }

  /** Reads the place where the search for this hash begins, for the cache's sake only. */
  // Hot path.
  touch(hash: number): number {
    const bucket = this.#buckets.bucketOf(hash);
    const slot = hash & SLOT_MASK;
    return this.#buckets.slab(bucket)[this.#buckets.start(bucket) + slot * SLOT_WORDS]! | 0;
  }

  /** The first row with this hash, or -1: nearly always the account's, and never another's unless two ids share all 32 bits. */
  // Hot path.
  guess(hash: number): number {
    const bucket = this.#buckets.bucketOf(hash);
    const slab = this.#buckets.slab(bucket);
    const start = this.#buckets.start(bucket);
    let slot = hash & SLOT_MASK;
    for (;;) {
      const word = start + slot * SLOT_WORDS;
      const row = slab[word + 1]!;
      if (row === 0) return -1;
      if ((slab[word]! | 0) === hash) return row - 1;
      slot = (slot + 1) & SLOT_MASK;
    }
  }

  /** The row of the account, or -1. */
  // Hot path.
  find(words: Uint32Array, at: number, hash: number): number {
    const bucket = this.#buckets.bucketOf(hash);
    const slab = this.#buckets.slab(bucket);
    const start = this.#buckets.start(bucket);
    let slot = hash & SLOT_MASK;
    for (;;) {
      const word = start + slot * SLOT_WORDS;
      const row = slab[word + 1]!;
      if (row === 0) return -1;
      if ((slab[word]! | 0) === hash && this.#accounts.hasId(row - 1, words, at)) return row - 1;
      slot = (slot + 1) & SLOT_MASK;
    }
  }

  /** Adds the row of an account that is not there. */
  insert(hash: number, row: number): void {
    const bucket = this.#buckets.makeRoom(hash);
    const word = this.#buckets.emptySlot(bucket, hash);
    const slab = this.#buckets.slab(bucket);
    slab[word] = hash;
    slab[word + 1] = row + 1;
    this.#buckets.took(bucket);
  }

  /** Enters all rows of the table into the empty index. */
  rebuild(): void {
    const accounts = this.#accounts;
    for (let row = 0; row < accounts.rows; row++) {
      this.insert(this.hash(accounts.chunk(row), accounts.offset(row)), row);
    }
  }

  /** Takes a row out again that a broken chain has added. */
  remove(hash: number, row: number): void {
    const bucket = this.#buckets.bucketOf(hash);
    const slab = this.#buckets.slab(bucket);
    const start = this.#buckets.start(bucket);
    let slot = hash & SLOT_MASK;
    while (slab[start + slot * SLOT_WORDS + 1] !== row + 1) slot = (slot + 1) & SLOT_MASK;
    this.#buckets.remove(bucket, slot);
  }
}
