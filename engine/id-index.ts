/**
 * Hash index from a 128-bit transfer id to two value words, for hundreds of millions of ids: 24 bytes a slot, about 41 an id. Growth is
 * bucket-directory.ts's business.
 */
import { assert } from './assert.ts';
import type { BeforeImages } from './before-images.ts';
import { BUCKET_SHIFT, BucketDirectory, SLOT_MASK } from './bucket-directory.ts';
import { hashId } from './placement.ts';
import type { StateReader, StateWriter } from './state-words.ts';

/** {id 4, values 2}; the second value is not 0. */
export const SLOT_WORDS = 6;
const HIGH = 5;

export class IdIndex {
  readonly #seed: number;
  readonly #buckets: BucketDirectory;
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;

  constructor(seed: number, images?: BeforeImages) {
    this.#seed = seed | 0;
    const hashOf = (words: Uint32Array, at: number): number => hashId(words, at, this.#seed);
    this.#buckets = new BucketDirectory(SLOT_WORDS, hashOf, images);
  }

  get buckets(): number {
    return this.#buckets.buckets;
  }

  /** The words of a slab: so many buckets, one after the other. */
  slabAt(slab: number): Uint32Array {
    return this.#buckets.slabAt(slab);
  }

  save(out: StateWriter): void {
    this.#buckets.save(out);
  }

  /** Makes the buckets in an empty index; the caller fills in the words of the slabs. */
  load(from: StateReader): void {
    this.#buckets.load(from);
  }

  get count(): number {
    return this.#buckets.count;
  }

  get byteLength(): number {
    return this.#buckets.byteLength;
  }

  hash(words: Uint32Array, at: number): number {
    return hashId(words, at, this.#seed);
  }

  /** The slot of the id, or -1. Slots are valid until the next insert. */
  // Hot path.
  find(words: Uint32Array, at: number, hash: number): number {
    const slot = this.search(words, at, hash);
    return slot < 0 ? -1 : slot;
  }

  /** The slot of the id; or, as `-1 - slot`, the empty one where it belongs, for an `insertAt` that comes next. */
  // Hot path.
  search(words: Uint32Array, at: number, hash: number): number {
    const bucket = this.#buckets.bucketOf(hash);
    const slab = this.#buckets.slab(bucket);
    const start = this.#buckets.start(bucket);
    const w0 = words[at]!;
    const w1 = words[at + 1]!;
    const w2 = words[at + 2]!;
    const w3 = words[at + 3]!;
    let slot = hash & SLOT_MASK;
    for (;;) {
      const word = start + slot * SLOT_WORDS;
      if (slab[word + HIGH] === 0) return -1 - ((bucket << BUCKET_SHIFT) | slot);
      if (
        slab[word] === w0 &&
        slab[word + 1] === w1 &&
        slab[word + 2] === w2 &&
        slab[word + 3] === w3
      ) {
        return (bucket << BUCKET_SHIFT) | slot;
      }
      slot = (slot + 1) & SLOT_MASK;
    }
  }

  /**
   * Reads the place where the search for this hash begins, and returns what is there, which means nothing. A loop of these has nothing to
   * decide, so the processor has many of its cache misses under way at once; `find` afterwards has none.
   */
  // Hot path.
  touch(hash: number): number {
    const bucket = this.#buckets.bucketOf(hash);
    const slab = this.#buckets.slab(bucket);
    const start = this.#buckets.start(bucket);
    const slot = hash & SLOT_MASK;
    // The search seldom goes on for more than two slots, which may lie in the next cache line.
    return slab[start + slot * SLOT_WORDS]! ^ slab[start + ((slot + 2) & SLOT_MASK) * SLOT_WORDS]!;
  }

  /** The same for the hashes from..to-1 of a list. */
  // Hot path.
  touchAll(hashes: Int32Array, from: number, to: number): void {
    let { touched } = this;
    for (let i = from; i < to; i++) touched = (touched + this.touch(hashes[i]!)) | 0;
    this.touched = touched;
  }

  // Hot path.
  valueLow(slot: number): number {
    const bucket = slot >>> BUCKET_SHIFT;
    const word = this.#buckets.start(bucket) + (slot & SLOT_MASK) * SLOT_WORDS;
    return this.#buckets.slab(bucket)[word + 4]!;
  }

  // Hot path.
  valueHigh(slot: number): number {
    const bucket = slot >>> BUCKET_SHIFT;
    const word = this.#buckets.start(bucket) + (slot & SLOT_MASK) * SLOT_WORDS;
    return this.#buckets.slab(bucket)[word + HIGH]!;
  }

  /** Adds an id that is not there. `high` is not 0. */
  // Hot path.
  insert(words: Uint32Array, at: number, hash: number, low: number, high: number): void {
    const bucket = this.#buckets.makeRoom(hash);
    this.#put(bucket, this.#buckets.emptySlot(bucket, hash), words, at, low, high);
  }

  /** Adds an id where `search` has just found its place empty. */
  // Hot path.
  insertAt(
    place: number,
    words: Uint32Array,
    at: number,
    hash: number,
    low: number,
    high: number,
  ): void {
    const slot = -1 - place;
    const bucket = slot >>> BUCKET_SHIFT;
    if (!this.#buckets.hasRoom(bucket)) {
      this.insert(words, at, hash, low, high);
      return;
    }
    const word = this.#buckets.start(bucket) + (slot & SLOT_MASK) * SLOT_WORDS;
    this.#put(bucket, word, words, at, low, high);
  }

  // Hot path.
  #put(
    bucket: number,
    word: number,
    words: Uint32Array,
    at: number,
    low: number,
    high: number,
  ): void {
    assert(high !== 0, 'the second value word marks the slot as taken');
    this.#buckets.beforeChange(bucket, word);
    const slab = this.#buckets.slab(bucket);
    slab[word] = words[at]!;
    slab[word + 1] = words[at + 1]!;
    slab[word + 2] = words[at + 2]!;
    slab[word + 3] = words[at + 3]!;
    slab[word + 4] = low;
    slab[word + HIGH] = high;
    this.#buckets.took(bucket);
  }

  /** Gives the id in a slot other values. */
  set(slot: number, low: number, high: number): void {
    assert(high !== 0, 'the second value word marks the slot as taken');
    const bucket = slot >>> BUCKET_SHIFT;
    const word = this.#buckets.start(bucket) + (slot & SLOT_MASK) * SLOT_WORDS;
    this.#buckets.beforeChange(bucket, word);
    const slab = this.#buckets.slab(bucket);
    slab[word + 4] = low;
    slab[word + HIGH] = high;
  }

  /** Takes an id out again that a broken chain has added. */
  remove(slot: number): void {
    this.#buckets.remove(slot >>> BUCKET_SHIFT, slot & SLOT_MASK);
  }

  /** Copies the id that has these values and this hash into `target`; it is there. */
  copyIdOf(hash: number, low: number, high: number, target: Uint32Array): void {
    const bucket = this.#buckets.bucketOf(hash);
    const slab = this.#buckets.slab(bucket);
    const start = this.#buckets.start(bucket);
    let slot = hash & SLOT_MASK;
    for (;;) {
      const word = start + slot * SLOT_WORDS;
      assert(slab[word + HIGH] !== 0, 'the values belong to an id');
      if (slab[word + 4] === low && slab[word + HIGH] === high) {
        for (let w = 0; w < 4; w++) target[w] = slab[word + w]!;
        return;
      }
      slot = (slot + 1) & SLOT_MASK;
    }
  }

  /** Calls back for every id and its values, in no order that anything may depend on. */
  forEach(visit: (words: Uint32Array, at: number) => void): void {
    this.#buckets.forEach(visit);
  }
}
