/**
 * What is remembered of the values of one column over some rows: the least, the greatest, and a set that may hold more than was put in, never
 * less. Few values are a list of their hashes; many are a split-block Bloom filter: a block of 256 bits is chosen by one hash, and the other
 * sets a bit in each of its eight words. BITS_PER_VALUE gives about one wrong hit in a thousand: each costs the read of a megabyte.
 */
import { isGreater } from '../engine/arithmetic.ts';
import { assert } from '../engine/assert.ts';
import { hashId } from '../engine/placement.ts';

/** Words of a summary: {least 4, greatest 4, place of the set in the filters, its length, its form, 0}. */
export const SUMMARY_WORDS = 12;
export const Summary = { least: 0, greatest: 4, at: 8, length: 9, form: 10 } as const;
/** `none`: no rows. `list`: hashes. `bloom`: blocks of 8 words. */
const SetForm = { none: 0, list: 1, bloom: 2 } as const;

const LIST_MAX = 16;
const BITS_PER_VALUE = 16;
const BLOCK_WORDS = 8;
const SALTS = new Int32Array([
  0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
]);
const FIRST_SEED = 0x51ed270b;
const SECOND_SEED = 0x2545f491;
const TABLE_SLOTS = 1 << 15;

/** Words that grow at their end. */
export class GrowingWords {
  words = new Uint32Array(1024);
  length = 0;

  /** Returns where the new words, all 0, begin. */
  extend(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.words.length) {
      const grown = new Uint32Array(Math.max(this.length, this.words.length * 2));
      grown.set(this.words.subarray(0, at));
      this.words = grown;
    }
    return at;
  }

  used(): Uint32Array<ArrayBuffer> {
    return this.words.subarray(0, this.length);
  }
}

/** A value and its hashes, computed once for a question over many sets. */
export interface HashedValue {
  readonly value: Uint32Array;
  readonly first: number;
  readonly second: number;
}

export function hashValue(value: Uint32Array): HashedValue {
  return {
    value,
    first: hashId(value, 0, FIRST_SEED),
    second: hashId(value, 0, SECOND_SEED),
  };
}

/** Collects the values of one column. */
export class ValueCollector {
  readonly #value = new Uint32Array(4);
  readonly #least = new Uint32Array(4);
  readonly #greatest = new Uint32Array(4);
  #count = 0;
  /** Pairs of hashes, each pair once, and where they are found: index + 1 by the first hash. */
  #hashes = new Int32Array(2048);
  #table = new Int32Array(TABLE_SLOTS);
  #distinct = 0;

  // Hot path.
  add(a: number, b: number, c: number, d: number): void {
    const value = this.#value;
    if (this.#count++ > 0 && value[0] === a && value[1] === b && value[2] === c && value[3] === d) {
      return;
    }
    value[0] = a;
    value[1] = b;
    value[2] = c;
    value[3] = d;
    if (this.#count === 1) {
      this.#least.set(value);
      this.#greatest.set(value);
    } else if (isGreater(value, 0, this.#greatest, 0)) this.#greatest.set(value);
    else if (isGreater(this.#least, 0, value, 0)) this.#least.set(value);
    this.#remember(hashId(value, 0, FIRST_SEED), hashId(value, 0, SECOND_SEED));
  }

  // Hot path.
  #remember(first: number, second: number): void {
    const mask = this.#table.length - 1;
    let slot = first & mask;
    for (;;) {
      const index = this.#table[slot]!;
      if (index === 0) break;
      const isKnown =
        this.#hashes[index * 2 - 2] === first && this.#hashes[index * 2 - 1] === second;
      if (isKnown) return;
      slot = (slot + 1) & mask;
    }
    const at = this.#distinct * 2;
    if (at === this.#hashes.length) {
      const grown = new Int32Array(at * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[at] = first;
    this.#hashes[at + 1] = second;
    this.#table[slot] = ++this.#distinct;
    if (this.#distinct * 2 > this.#table.length) this.#growTable();
  }

  #growTable(): void {
    const table = new Int32Array(this.#table.length * 2);
    const mask = table.length - 1;
    for (let index = 1; index <= this.#distinct; index++) {
      let slot = this.#hashes[index * 2 - 2]! & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = index;
    }
    this.#table = table;
  }

  /** Writes the summary at a word of `heads`, its set behind `filters`, and begins anew. */
  finish(heads: Uint32Array, at: number, filters: GrowingWords): void {
    heads.fill(0, at, at + SUMMARY_WORDS);
    if (this.#count === 0) return;
    heads.set(this.#least, at + Summary.least);
    heads.set(this.#greatest, at + Summary.greatest);
    const isList = this.#distinct <= LIST_MAX;
    const length = isList ? this.#distinct : blocksFor(this.#distinct) * BLOCK_WORDS;
    const to = filters.extend(length);
    heads[at + Summary.at] = to;
    heads[at + Summary.length] = length;
    heads[at + Summary.form] = isList ? SetForm.list : SetForm.bloom;
    const { words } = filters;
    for (let i = 0; i < this.#distinct; i++) {
      const first = this.#hashes[i * 2]!;
      if (isList) words[to + i] = first;
      else setBits(words, to + blockOf(first, length), this.#hashes[i * 2 + 1]!);
    }
    if (isList) this.#clearSlots();
    else this.#table.fill(0);
    this.#count = 0;
    this.#distinct = 0;
  }

  /** Of a few values: the table has 128 KiB, and most columns have few. Each walk ends where its run of slots does, so none is left. */
  #clearSlots(): void {
    const mask = this.#table.length - 1;
    for (let i = 0; i < this.#distinct; i++) {
      let slot = this.#hashes[i * 2]! & mask;
      for (; this.#table[slot] !== 0; slot = (slot + 1) & mask) this.#table[slot] = 0;
    }
  }
}

/** Whether the value may be among those summed up at a word of `heads`. Without its filters, only the least and the greatest speak. */
export function mayHold(
  heads: Uint32Array,
  at: number,
  filters: Uint32Array | undefined,
  wanted: HashedValue,
): boolean {
  const form = heads[at + Summary.form]!;
  if (form === SetForm.none) return false;
  if (isGreater(heads, at + Summary.least, wanted.value, 0)) return false;
  if (isGreater(wanted.value, 0, heads, at + Summary.greatest)) return false;
  if (filters === undefined) return true;
  const from = heads[at + Summary.at]!;
  const length = heads[at + Summary.length]!;
  if (form === SetForm.bloom) {
    return hasBits(filters, from + blockOf(wanted.first, length), wanted.second);
  }
  for (let i = 0; i < length; i++) if ((filters[from + i]! | 0) === wanted.first) return true;
  return false;
}

function blocksFor(values: number): number {
  return Math.ceil((values * BITS_PER_VALUE) / (BLOCK_WORDS * 32));
}

/** The word at which the block of a hash begins. */
function blockOf(hash: number, length: number): number {
  assert(length % BLOCK_WORDS === 0, 'a filter has whole blocks');
  return Math.floor(((hash >>> 0) * (length / BLOCK_WORDS)) / 4294967296) * BLOCK_WORDS;
}

function setBits(words: Uint32Array, at: number, hash: number): void {
  for (let w = 0; w < BLOCK_WORDS; w++) {
    words[at + w] = words[at + w]! | (1 << (Math.imul(hash, SALTS[w]!) >>> 27));
  }
}

function hasBits(words: Uint32Array, at: number, hash: number): boolean {
  for (let w = 0; w < BLOCK_WORDS; w++) {
    if ((words[at + w]! & (1 << (Math.imul(hash, SALTS[w]!) >>> 27))) === 0) return false;
  }
  return true;
}
