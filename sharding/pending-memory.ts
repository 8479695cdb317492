/**
 * Which accounts a pending transfer has, as far as the router has seen: posts and voids need not name them, but have to go to the shard of
 * the debit account. What is kept here is true for ever, since a transfer that was created never changes; what is not kept, the shards are asked for.
 *
 * `PendingAccounts` is a table of entries of twelve words {id, debit account, credit account}, which forgets nothing until it is cleared.
 * `PendingMemory` is two of them, the younger of which is filled: when it is full the older one is cleared and becomes the younger. So
 * the last PENDINGS_REMEMBERED entries are always there, and memory is bounded. Nothing is allocated for an entry.
 */
import { assert } from '../engine/assert.ts';
import { SHARDS_MAX } from '../engine/limits.ts';
import { hashId } from '../engine/placement.ts';

export const ENTRY_WORDS = 12;
/** Where the accounts lie in an entry, and in the words that are looked for. */
export const ENTRY_DEBIT = 4;
export const ENTRY_CREDIT = 8;
/** Sixteen full batches: 15 MiB in all, taken when the first pending transfer is seen. */
export const PENDINGS_REMEMBERED = 131_072;
/** An id can have another transfer on each shard. */
const SAME_ID_MAX = SHARDS_MAX;

export class PendingAccounts {
  readonly capacity: number;
  readonly entries: Uint32Array;
  count = 0;
  readonly #seed: number;
  /** Numbers of entries, counted from 1; at most half of the slots are taken. */
  readonly #slots: Int32Array;

  constructor(capacity: number, seed: number) {
    assert(capacity > 0, 'room for an entry');
    this.capacity = capacity;
    this.#seed = seed;
    this.entries = new Uint32Array(capacity * ENTRY_WORDS);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(capacity * 2)));
  }

  clear(): void {
    this.count = 0;
    this.#slots.fill(0);
  }

  /** Adds the entry that begins at word `at`, unless it is there. More entries of one id than it can have homes are left out. */
  add(words: Uint32Array, at: number): void {
    const slots = this.#slots;
    let slot = hashId(words, at, this.#seed) & (slots.length - 1);
    let same = 0;
    for (; slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
      const entry = (slots[slot]! - 1) * ENTRY_WORDS;
      if (!isSameId(this.entries, entry, words, at)) continue;
      if (isSameId(this.entries, entry + ENTRY_DEBIT, words, at + ENTRY_DEBIT)) {
        if (isSameId(this.entries, entry + ENTRY_CREDIT, words, at + ENTRY_CREDIT)) return;
      }
      if (++same === SAME_ID_MAX) return;
    }
    assert(this.count < this.capacity, 'room for an entry');
    const to = this.count++ * ENTRY_WORDS;
    for (let w = 0; w < ENTRY_WORDS; w++) this.entries[to + w] = words[at + w]!;
    slots[slot] = this.count;
  }

  /**
   * Word offset in `entries` of the first entry with the id at word `at` whose accounts are those behind the id; an account that is 0 is any.
   * -1 if there is none.
   */
  find(words: Uint32Array, at: number): number {
    const slots = this.#slots;
    let slot = hashId(words, at, this.#seed) & (slots.length - 1);
    for (; slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
      const entry = (slots[slot]! - 1) * ENTRY_WORDS;
      if (!isSameId(this.entries, entry, words, at)) continue;
      if (!isNamed(this.entries, entry + ENTRY_DEBIT, words, at + ENTRY_DEBIT)) continue;
      if (isNamed(this.entries, entry + ENTRY_CREDIT, words, at + ENTRY_CREDIT)) return entry;
    }
    return -1;
  }

  /** Whether there are several entries with the id at word `at`. */
  isAmbiguous(words: Uint32Array, at: number): boolean {
    const slots = this.#slots;
    let slot = hashId(words, at, this.#seed) & (slots.length - 1);
    let count = 0;
    for (; slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
      const entry = (slots[slot]! - 1) * ENTRY_WORDS;
      if (isSameId(this.entries, entry, words, at)) count++;
    }
    return count > 1;
  }
}

export class PendingMemory {
  readonly #capacity: number;
  readonly #seed: number;
  #young: PendingAccounts | null = null;
  #old: PendingAccounts | null = null;

  constructor(seed: number, remembered = PENDINGS_REMEMBERED) {
    this.#capacity = remembered;
    this.#seed = seed;
  }

  /** Remembers the entry that begins at word `at`. */
  remember(words: Uint32Array, at: number): void {
    this.#young ??= new PendingAccounts(this.#capacity, this.#seed);
    if (this.#young.count === this.#capacity) {
      const cleared = this.#old ?? new PendingAccounts(this.#capacity, this.#seed);
      cleared.clear();
      this.#old = this.#young;
      this.#young = cleared;
    }
    this.#young.add(words, at);
  }

  /** As `PendingAccounts.find`; copies the accounts that it finds over those in `words`. */
  complete(words: Uint32Array, at: number): boolean {
    return completeFrom(this.#young, words, at) || completeFrom(this.#old, words, at);
  }
}

/** Copies the accounts of the entry that `known` finds over those in `words`. */
export function completeFrom(
  known: PendingAccounts | null,
  words: Uint32Array,
  at: number,
): boolean {
  if (known === null) return false;
  const entry = known.find(words, at);
  if (entry === -1) return false;
  for (let w = ENTRY_DEBIT; w < ENTRY_WORDS; w++) words[at + w] = known.entries[entry + w]!;
  return true;
}

export function isZero(words: Uint32Array, at: number): boolean {
  return (words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0;
}

export function isSameId(a: Uint32Array, i: number, b: Uint32Array, j: number): boolean {
  return a[i] === b[j] && a[i + 1] === b[j + 1] && a[i + 2] === b[j + 2] && a[i + 3] === b[j + 3];
}

function isNamed(entries: Uint32Array, at: number, words: Uint32Array, named: number): boolean {
  return isSameId(entries, at, words, named) || isZero(words, named);
}
