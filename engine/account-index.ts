/**
 * Hash index from an account id to its row. A slot holds the hash and the row, 8 bytes; the id itself is in the row, which is read anyway. So the
 * whole index of a million accounts lies in the processor's cache.
 */
import { CHUNK_ROWS, type AccountTable } from './account-table.ts';
import { BucketDirectory, nextSlot } from './bucket-directory.ts';
import { ACCOUNT_SLOTS_BYTES_MAX } from './limits.ts';
import { hashId } from './placement.ts';

/** {hash, row + 1}. */
const SLOT_WORDS = 2;
/** Lower than that of the index of transfers, which is in images and has most of the memory: searches end sooner, mostly at their first slot. */
const FILL_MAX = 0.5;

export class AccountIndex {
  readonly #seed: number;
  readonly #accounts: AccountTable;
  readonly #buckets = new BucketDirectory(
    SLOT_WORDS,
    ACCOUNT_SLOTS_BYTES_MAX,
    (words, at) => words[at]! | 0,
    { fillMax: FILL_MAX },
  );

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

  /**
   * Puts the likely rows of the first `count` hashes of a list into `rows`, -1 where there is none: the first row with that hash is nearly always the
   * account's, and never another's unless two ids share all 32 bits. The places are all read before the first is looked at, see
   * `AccountTable.touchAll`; what was read means nothing.
   */
  // Hot path.
  guessAll(hashes: Int32Array, rows: Int32Array, count: number): number {
    const buckets = this.#buckets;
    const { words } = buckets;
    let touched = 0;
    for (let i = 0; i < count; i++) rows[i] = buckets.place(hashes[i]!);
    for (let i = 0; i < count; i++) touched = (touched + words[rows[i]! * SLOT_WORDS]!) | 0;
    for (let i = 0; i < count; i++) {
      const hash = hashes[i]!;
      let slot = rows[i]!;
      let row = words[slot * SLOT_WORDS + 1]!;
      while (row !== 0 && (words[slot * SLOT_WORDS]! | 0) !== hash) {
        slot = nextSlot(slot);
        row = words[slot * SLOT_WORDS + 1]!;
      }
      rows[i] = row - 1;
    }
    return touched;
  }

  /** The row of the account, or -1. */
  // Hot path.
  find(ids: Uint32Array, at: number, hash: number): number {
    const { words } = this.#buckets;
    let slot = this.#buckets.place(hash);
    for (;;) {
      const row = words[slot * SLOT_WORDS + 1]!;
      if (row === 0) return -1;
      const isHash = (words[slot * SLOT_WORDS]! | 0) === hash;
      if (isHash && this.#accounts.hasId(row - 1, ids, at)) return row - 1;
      slot = nextSlot(slot);
    }
  }

  /** Adds the row of an account that is not there. */
  insert(hash: number, row: number): void {
    const bucket = this.#buckets.makeRoom(hash);
    const slot = this.#buckets.emptySlot(bucket, hash);
    const { words } = this.#buckets;
    words[slot * SLOT_WORDS] = hash;
    words[slot * SLOT_WORDS + 1] = row + 1;
    this.#buckets.take(slot, 1);
  }

  /** After the words of a chunk of the table were filled in: enters its rows, which are not there. */
  loaded(chunk: number): void {
    const accounts = this.#accounts;
    const end = Math.min((chunk + 1) * CHUNK_ROWS, accounts.rows);
    for (let row = chunk * CHUNK_ROWS; row < end; row++) {
      this.insert(this.hash(accounts.words, accounts.offset(row)), row);
    }
  }

  /** Takes a row out again that a broken chain has added. */
  remove(hash: number, row: number): void {
    const { words } = this.#buckets;
    let slot = this.#buckets.place(hash);
    while (words[slot * SLOT_WORDS + 1] !== row + 1) {
      slot = nextSlot(slot);
    }
    this.#buckets.remove(slot);
  }
}
