/**
 * What is remembered of the values of one column over some rows: the least, the greatest, and a set that may hold more than was put in, never
 * less. Few values are a list of their hashes; many are a split-block Bloom filter: a block of 256 bits is chosen by the upper half of a hash, and
 * a second hash, made of the first, sets a bit in each of its eight words. BITS_PER_VALUE gives about one wrong hit in a thousand: each costs the
 * read of a megabyte.
 */
import { isGreater } from '../engine/arithmetic.ts';
import { assert } from '../engine/assert.ts';
import { COLUMN_BYTES, type Columns, Transfer } from '../engine/batch.ts';

/** Words of a summary: {least 4, greatest 4, place of the set in the filters, its length, its form, 0}. */
export const SUMMARY_WORDS = 12;
export const Summary = { least: 0, greatest: 4, at: 8, length: 9, form: 10 } as const;
/** `none`: no rows. `list`: hashes. `bloom`: blocks of 8 words. */
const SetForm = { none: 0, list: 1, bloom: 2 } as const;

const LIST_MAX = 16;
const BITS_PER_VALUE = 16;
const BLOCK_WORDS = 8;
const BLOCK_BITS = BLOCK_WORDS * 32;
const BLOCK_VALUES = BLOCK_BITS / BITS_PER_VALUE;
/** `blockOf` multiplies by 16 bits of a hash. */
const BLOCKS_MAX = 1 << 15;
const SALTS = new Int32Array([
  0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
]);

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

/** A value and its hash, computed once for a question over many sets. */
export interface HashedValue {
  readonly value: Uint32Array;
  readonly hash: number;
}

export function hashValue(value: Uint32Array): HashedValue {
  return { value, hash: hashOf(value) };
}

/** Collects the values of one column. */
export class ValueCollector {
  /** The last one, with zeros above its width, and the least and greatest ones. */
  readonly #last = new Uint32Array(4);
  readonly #least = new Uint32Array(4);
  readonly #greatest = new Uint32Array(4);
  /** Up to LIST_MAX of them are distinct; when there are more, a value may be among them several times. */
  #hashes = new Int32Array(2048);
  #count = 0;
  #isList = true;

  /** The values that a column has in rows `first` to `end` of a run. */
  // Hot path.
  addRows({ at, step, words, halves }: Columns, column: number, first: number, end: number): void {
    const by = step[column]!;
    const rows = by === 0 ? Math.min(end - first, 1) : end - first;
    const from = at[column]! + first * by;
    if (column === Transfer.code) this.#addAll(halves, 1, { from, by, rows });
    else this.#addAll(words, COLUMN_BYTES[column]! >> 2, { from, by, rows });
  }

  /** So many values of a width of `width` parts, each `by` parts behind the one before. */
  // Hot path.
  #addAll(
    parts: Uint32Array | Uint16Array,
    width: number,
    { from, by, rows }: { readonly from: number; readonly by: number; readonly rows: number },
  ): void {
    this.#reserve(rows);
    const last = this.#last;
    const hashes = this.#hashes;
    let count = this.#count;
    for (let i = 0, value = from; i < rows; i++, value += by) {
      if (count > 0 && isSame(last, parts, value, width)) continue;
      for (let w = 0; w < width; w++) last[w] = parts[value + w]!;
      if (count === 0) {
        this.#least.set(last);
        this.#greatest.set(last);
      } else if (isAbove(parts, value, this.#greatest, width)) this.#greatest.set(last);
      else if (isBelow(parts, value, this.#least, width)) this.#least.set(last);
      const hash = hashOf(last);
      if (this.#isList) {
        if (isAmong(hash, hashes, count)) continue;
        this.#isList = count < LIST_MAX;
      }
      hashes[count++] = hash;
    }
    this.#count = count;
  }

  #reserve(values: number): void {
    const needed = this.#count + values;
    if (needed <= this.#hashes.length) return;
    const grown = new Int32Array(Math.max(needed, this.#hashes.length * 2));
    grown.set(this.#hashes);
    this.#hashes = grown;
  }

  /** Writes the summary at a word of `heads`, its set behind `filters`, and begins anew. */
  finish(heads: Uint32Array, at: number, filters: GrowingWords): void {
    heads.fill(0, at, at + SUMMARY_WORDS);
    if (this.#count === 0) return;
    heads.set(this.#least, at + Summary.least);
    heads.set(this.#greatest, at + Summary.greatest);
    const hashes = this.#hashes.subarray(0, this.#count);
    const set = this.#isList ? hashes : filterOf(hashes);
    const to = filters.extend(set.length);
    filters.words.set(set, to);
    heads[at + Summary.at] = to;
    heads[at + Summary.length] = set.length;
    heads[at + Summary.form] = this.#isList ? SetForm.list : SetForm.bloom;
    this.#count = 0;
    this.#isList = true;
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
  if (form === SetForm.bloom) return hasBits(filters, from, length, wanted.hash);
  for (let i = 0; i < length; i++) if ((filters[from + i]! | 0) === wanted.hash) return true;
  return false;
}

/** Of one value after the other, and so never two at a time. */
let filter = new Int32Array(0);

/**
 * Valid until the next call. How many of the hashes are distinct is not known: a filter for all of them is made, and folded in half as long as what
 * is in it has room in that.
 */
function filterOf(hashes: Int32Array): Int32Array {
  let blocks = blocksFor(hashes.length);
  if (filter.length < blocks * BLOCK_WORDS) filter = new Int32Array(blocks * BLOCK_WORDS);
  filter.fill(0, 0, blocks * BLOCK_WORDS);
  setBits(filter, blocks, hashes);
  const distinct = distinctIn(filter, blocks);
  while (blocks % 2 === 0 && distinct <= (blocks / 2) * BLOCK_VALUES) {
    blocks /= 2;
    fold(filter, blocks);
  }
  return filter.subarray(0, blocks * BLOCK_WORDS);
}

/** So many that they can be halved down to a few. */
function blocksFor(values: number): number {
  const least = Math.ceil(values / BLOCK_VALUES);
  const unit = 2 ** Math.max(Math.floor(Math.log2(least)) - 3, 0);
  const blocks = Math.ceil(least / unit) * unit;
  assert(blocks <= BLOCKS_MAX, 'a block of rows is bounded');
  return blocks;
}

/** The block of a value when there are half as many is half of its block now: `blockOf` rounds down. */
function fold(words: Int32Array, blocks: number): void {
  for (let block = 0; block < blocks; block++) {
    const to = block * BLOCK_WORDS;
    for (let w = 0; w < BLOCK_WORDS; w++) {
      words[to + w] = words[to * 2 + w]! | words[to * 2 + BLOCK_WORDS + w]!;
    }
  }
}

/** About so many values are in a filter: each leaves a bit of a word as it is with a probability of 31/32. */
function distinctIn(words: Int32Array, blocks: number): number {
  let ones = 0;
  for (let w = 0; w < blocks * BLOCK_WORDS; w++) ones += onesIn(words[w]!);
  const zeros = 1 - ones / (blocks * BLOCK_BITS);
  return (blocks * Math.log(zeros)) / Math.log(31 / 32);
}

function onesIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function isSame(
  value: Uint32Array,
  parts: Uint32Array | Uint16Array,
  at: number,
  width: number,
): boolean {
  for (let w = 0; w < width; w++) if (value[w] !== parts[at + w]) return false;
  return true;
}

function isAbove(
  parts: Uint32Array | Uint16Array,
  at: number,
  other: Uint32Array,
  width: number,
): boolean {
  for (let w = width - 1; w >= 0; w--) {
    if (parts[at + w]! !== other[w]!) return parts[at + w]! > other[w]!;
  }
  return false;
}

function isBelow(
  parts: Uint32Array | Uint16Array,
  at: number,
  other: Uint32Array,
  width: number,
): boolean {
  for (let w = width - 1; w >= 0; w--) {
    if (parts[at + w]! !== other[w]!) return parts[at + w]! < other[w]!;
  }
  return false;
}

function isAmong(hash: number, hashes: Int32Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (hashes[i] === hash) return true;
  return false;
}

/** One word after the other, mixed by constants of MurmurHash3, and its finalizer. */
// Hot path.
function hashOf(value: Uint32Array): number {
  let hash = Math.imul(value[0]!, 0xcc9e2d51);
  hash = Math.imul(hash ^ (hash >>> 15) ^ value[1]!, 0x1b873593);
  hash = Math.imul(hash ^ (hash >>> 16) ^ value[2]!, 0xcc9e2d51);
  hash = Math.imul(hash ^ (hash >>> 15) ^ value[3]!, 0x1b873593);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** The word at which the block of a hash begins. */
function blockOf(hash: number, blocks: number): number {
  return (Math.imul(hash >>> 16, blocks) >>> 16) * BLOCK_WORDS;
}

function secondOf(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return mixed ^ (mixed >>> 12);
}

// Hot path.
function setBits(words: Int32Array, blocks: number, hashes: Int32Array): void {
  for (let i = 0; i < hashes.length; i++) {
    const hash = hashes[i]!;
    const at = blockOf(hash, blocks);
    const second = secondOf(hash);
    for (let w = 0; w < BLOCK_WORDS; w++) words[at + w] = words[at + w]! | bitOf(second, SALTS[w]!);
  }
}

function hasBits(words: Uint32Array, from: number, length: number, hash: number): boolean {
  assert(length % BLOCK_WORDS === 0, 'a filter has whole blocks');
  const at = from + blockOf(hash, length / BLOCK_WORDS);
  const second = secondOf(hash);
  for (let w = 0; w < BLOCK_WORDS; w++) {
    if ((words[at + w]! & bitOf(second, SALTS[w]!)) === 0) return false;
  }
  return true;
}

/** One of the 32 bits of a word. */
function bitOf(second: number, salt: number): number {
  return 1 << (Math.imul(second, salt) >>> 27);
}
