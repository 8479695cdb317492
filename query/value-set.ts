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
  return { value, hash: hashOf(value, 0, 4) };
}

/** Values of one column, each of `width` parts (the lowest first), and `by` parts behind the one before. */
interface Values {
  readonly parts: Uint32Array | Uint16Array;
  readonly width: number;
  readonly from: number;
  readonly by: number;
  readonly rows: number;
}

/** Collects the values of one column. */
export class ValueCollector {
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
    if (rows <= 0) return;
    const from = at[column]! + first * by;
    const isHalf = column === Transfer.code;
    const width = isHalf ? 1 : COLUMN_BYTES[column]! >> 2;
    this.#addAll({ parts: isHalf ? halves : words, width, from, by, rows });
  }

  // Hot path.
  #addAll(values: Values): void {
    if (this.#count === 0) {
      this.#least.fill(0);
      this.#greatest.fill(0);
      copyValue(values, values.from, this.#least);
      copyValue(values, values.from, this.#greatest);
    }
    widen(values, this.#least, this.#greatest);
    this.#reserve(values.rows);
    const before = this.#count;
    this.#count = hashAll(values, this.#hashes, before);
    if (this.#isList) this.#dropKnown(before);
  }

  /** Of the hashes from one on, those that are there already, as long as all of them are a list. */
  #dropKnown(from: number): void {
    const hashes = this.#hashes;
    let count = from;
    for (let i = from; i < this.#count; i++) {
      const hash = hashes[i]!;
      if (isAmong(hash, hashes, count)) continue;
      hashes[count++] = hash;
      if (count <= LIST_MAX) continue;
      this.#isList = false;
      hashes.copyWithin(count, i + 1, this.#count);
      count += this.#count - (i + 1);
      break;
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

function copyValue({ parts, width }: Values, at: number, target: Uint32Array): void {
  for (let w = 0; w < width; w++) target[w] = parts[at + w]!;
}

/** The highest part tells of nearly every value that it lies between the two. */
// Hot path.
function widen(values: Values, least: Uint32Array, greatest: Uint32Array): void {
  const { parts, width, from, by, rows } = values;
  const top = width - 1;
  for (let i = 0, at = from; i < rows; i++, at += by) {
    const high = parts[at + top]!;
    if (high < greatest[top]! && high > least[top]!) continue;
    if (compare(values, at, greatest) > 0) copyValue(values, at, greatest);
    if (compare(values, at, least) < 0) copyValue(values, at, least);
  }
}

function compare({ parts, width }: Values, at: number, other: Uint32Array): number {
  for (let w = width - 1; w >= 0; w--) {
    const part = parts[at + w]!;
    if (part !== other[w]!) return part > other[w]! ? 1 : -1;
  }
  return 0;
}

/** Writes the hashes behind the first `count`, without those that are the same as the one before, and returns how many there are then. */
// Hot path.
function hashAll(
  { parts, width, from, by, rows }: Values,
  hashes: Int32Array,
  count: number,
): number {
  let last = count === 0 ? ~hashOf(parts, from, width) : hashes[count - 1]!;
  for (let i = 0, at = from; i < rows; i++, at += by) {
    const hash = hashOf(parts, at, width);
    if (hash === last) continue;
    last = hash;
    hashes[count++] = hash;
  }
  return count;
}

function isAmong(hash: number, hashes: Int32Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (hashes[i] === hash) return true;
  return false;
}

/** The same for a value whatever its width: what it does not have is 0. Multipliers of MurmurHash3, one word after the other, and its end. */
// Hot path.
function hashOf(parts: Uint32Array | Uint16Array, at: number, width: number): number {
  let hash = Math.imul(parts[at]! | 0, 0xcc9e2d51);
  hash ^= hash >>> 15;
  if (width > 1) hash ^= parts[at + 1]! | 0;
  hash = Math.imul(hash, 0x1b873593);
  if (width > 2 && (parts[at + 2]! | parts[at + 3]!) !== 0) {
    hash = Math.imul(hash ^ (hash >>> 16) ^ parts[at + 2]!, 0xcc9e2d51);
    hash = Math.imul(hash ^ (hash >>> 15) ^ parts[at + 3]!, 0x1b873593);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** The word at which the block of a hash begins. */
function blockOf(hash: number, blocks: number): number {
  return (Math.imul(hash >>> 16, blocks) >>> 16) * BLOCK_WORDS;
}

// Hot path.
function setBits(words: Int32Array, blocks: number, hashes: Int32Array): void {
  for (let i = 0; i < hashes.length; i++) {
    const hash = hashes[i]!;
    const at = blockOf(hash, blocks);
    const six = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    const two = Math.imul(six ^ (six >>> 16), 0x297a2d39);
    // A shift counts by the five lowest bits of what is behind it.
    words[at] = words[at]! | (1 << six);
    words[at + 1] = words[at + 1]! | (1 << (six >>> 5));
    words[at + 2] = words[at + 2]! | (1 << (six >>> 10));
    words[at + 3] = words[at + 3]! | (1 << (six >>> 15));
    words[at + 4] = words[at + 4]! | (1 << (six >>> 20));
    words[at + 5] = words[at + 5]! | (1 << (six >>> 25));
    words[at + 6] = words[at + 6]! | (1 << (two >>> 22));
    words[at + 7] = words[at + 7]! | (1 << (two >>> 27));
  }
}

const wantedHash = new Int32Array(1);
const wantedBits = new Int32Array(BLOCK_WORDS);

function hasBits(words: Uint32Array, from: number, length: number, hash: number): boolean {
  assert(length % BLOCK_WORDS === 0, 'a filter has whole blocks');
  wantedHash[0] = hash;
  wantedBits.fill(0);
  setBits(wantedBits, 1, wantedHash);
  const at = from + blockOf(hash, length / BLOCK_WORDS);
  return wantedBits.every((bits, w) => (words[at + w]! & bits) !== 0);
}
