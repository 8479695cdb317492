/**
 * Hash index from a 128-bit id to two value words, for hundreds of millions of ids: extendible hashing. A directory of buckets, each an
 * open-addressed chunk of fixed size; a full bucket splits in two, so that no step ever rehashes or copies more than one bucket.
 *
 * The hash is bent before it picks a bucket, so that the buckets' loads spread over a factor of two. With an even spread all of them
 * would fill up, and split, at the same moment, and the memory per id would swing between its best and twice that; so it stays near
 * SLOT_BYTES / (0.72 * FILL_MAX) = 41 bytes, always.
 *
 * Invariants: a slot is occupied when its second value word is not 0; ids are never removed; the load of a bucket stays below FILL_MAX,
 * so that probing ends. Hashes are seeded per data directory: nobody outside can choose ids that collide.
 */
import { assert } from './assert.ts';
import { hashId } from './placement.ts';

const BUCKET_SLOTS = 2048;
const SLOT_WORDS = 6;
const BUCKET_WORDS = BUCKET_SLOTS * SLOT_WORDS;
const FILL_MAX = Math.floor(BUCKET_SLOTS * 0.8);
const SLAB_BUCKETS = 256;
const DEPTH_MAX = 26;

export class IdIndex {
  readonly #seed: number;
  /** Buckets live in slabs, so that growing makes one allocation for several. */
  readonly #slabs: Uint32Array[] = [];
  #buckets = 0;
  #depth = 0;
  #directory = new Uint32Array(1);
  #bucketDepths = new Uint8Array(16);
  #fills = new Uint16Array(16);
  #count = 0;

  constructor(seed: number) {
    this.#seed = seed >>> 0;
    this.#newBucket(0);
  }

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#slabs.length * SLAB_BUCKETS * BUCKET_WORDS * 4 + this.#directory.byteLength;
  }

  hash(words: Uint32Array, at: number): number {
    return hashId(words, at, this.#seed);
  }

  /** The slot of the id, or -1. Slots are valid until the next insert. */
  // Hot path.
  find(words: Uint32Array, at: number, hash: number): number {
    const bucket = this.#directory[this.#entry(hash)]!;
    const slab = this.#slabs[(bucket / SLAB_BUCKETS) | 0]!;
    const start = (bucket % SLAB_BUCKETS) * BUCKET_WORDS;
    const w0 = words[at]!;
    const w1 = words[at + 1]!;
    const w2 = words[at + 2]!;
    const w3 = words[at + 3]!;
    let slot = hash & (BUCKET_SLOTS - 1);
    for (;;) {
      const word = start + slot * SLOT_WORDS;
      if (slab[word + 5] === 0) return -1;
      if (
        slab[word] === w0 &&
        slab[word + 1] === w1 &&
        slab[word + 2] === w2 &&
        slab[word + 3] === w3
      ) {
        return bucket * BUCKET_SLOTS + slot;
      }
      slot = (slot + 1) & (BUCKET_SLOTS - 1);
    }
  }

  /**
   * Reads the place where the search for this hash begins, and returns what is there, which means nothing. A loop of these has nothing to
   * decide, so the processor has many of its cache misses under way at once; `find` afterwards has none.
   */
  // Hot path.
  touch(hash: number): number {
    const bucket = this.#directory[this.#entry(hash)]!;
    const slab = this.#slabs[(bucket / SLAB_BUCKETS) | 0]!;
    return slab[(bucket % SLAB_BUCKETS) * BUCKET_WORDS + (hash & (BUCKET_SLOTS - 1)) * SLOT_WORDS]!;
  }

  // Hot path.
  valueLow(slot: number): number {
    return this.#slabs[(slot / (BUCKET_SLOTS * SLAB_BUCKETS)) | 0]![
      (slot % (BUCKET_SLOTS * SLAB_BUCKETS)) * SLOT_WORDS + 4
    ]!;
  }

  // Hot path.
  valueHigh(slot: number): number {
    return this.#slabs[(slot / (BUCKET_SLOTS * SLAB_BUCKETS)) | 0]![
      (slot % (BUCKET_SLOTS * SLAB_BUCKETS)) * SLOT_WORDS + 5
    ]!;
  }

  /** Adds an id that is not there. `high` is not 0. */
  // Hot path.
  insert(words: Uint32Array, at: number, hash: number, low: number, high: number): void {
    assert(high !== 0, 'the second value word marks the slot as taken');
    let bucket = this.#directory[this.#entry(hash)]!;
    while (this.#fills[bucket]! >= FILL_MAX) {
      this.#split(this.#entry(hash), bucket);
      bucket = this.#directory[this.#entry(hash)]!;
    }
    this.#put(bucket, words, at, hash, low, high);
    this.#count++;
  }

  /** Calls back for every id, in no order that anything may depend on. */
  forEach(visit: (words: Uint32Array, at: number) => void): void {
    for (let bucket = 0; bucket < this.#buckets; bucket++) {
      const slab = this.#slabs[(bucket / SLAB_BUCKETS) | 0]!;
      const start = (bucket % SLAB_BUCKETS) * BUCKET_WORDS;
      for (let word = start; word < start + BUCKET_WORDS; word += SLOT_WORDS) {
        if (slab[word + 5] !== 0) visit(slab, word);
      }
    }
  }

  // Hot path.
  #put(
    bucket: number,
    words: Uint32Array,
    at: number,
    hash: number,
    low: number,
    high: number,
  ): void {
    const slab = this.#slabs[(bucket / SLAB_BUCKETS) | 0]!;
    const start = (bucket % SLAB_BUCKETS) * BUCKET_WORDS;
    let slot = hash & (BUCKET_SLOTS - 1);
    while (slab[start + slot * SLOT_WORDS + 5] !== 0) slot = (slot + 1) & (BUCKET_SLOTS - 1);
    const word = start + slot * SLOT_WORDS;
    slab[word] = words[at]!;
    slab[word + 1] = words[at + 1]!;
    slab[word + 2] = words[at + 2]!;
    slab[word + 3] = words[at + 3]!;
    slab[word + 4] = low;
    slab[word + 5] = high;
    this.#fills[bucket] = this.#fills[bucket]! + 1;
  }

  /** The place in the directory: the bent hash as a fraction of 1. The slope falls from 4/3 to 2/3, a factor of two. */
  // Hot path.
  #entry(hash: number): number {
    const x = hash / 4294967296;
    return (x * (4 / 3 - x / 3) * this.#directory.length) | 0;
  }

  #newBucket(depth: number): number {
    const bucket = this.#buckets++;
    if (bucket % SLAB_BUCKETS === 0) {
      this.#slabs.push(new Uint32Array(SLAB_BUCKETS * BUCKET_WORDS));
    }
    if (bucket === this.#fills.length) {
      const fills = new Uint16Array(bucket * 2);
      fills.set(this.#fills);
      this.#fills = fills;
      const depths = new Uint8Array(bucket * 2);
      depths.set(this.#bucketDepths);
      this.#bucketDepths = depths;
    }
    this.#bucketDepths[bucket] = depth;
    return bucket;
  }

  /** Halves a full bucket: the ids of the upper half of its range go to a new one. */
  #split(entry: number, bucket: number): void {
    const depth = this.#bucketDepths[bucket]!;
    let at = entry;
    if (depth === this.#depth) {
      this.#doubleDirectory();
      at = entry * 2;
    }
    const width = 2 ** (this.#depth - depth);
    const first = at - (at % width);
    const upper = this.#newBucket(depth + 1);
    this.#bucketDepths[bucket] = depth + 1;
    this.#directory.fill(upper, first + width / 2, first + width);

    const slab = this.#slabs[(bucket / SLAB_BUCKETS) | 0]!;
    const start = (bucket % SLAB_BUCKETS) * BUCKET_WORDS;
    const old = slab.slice(start, start + BUCKET_WORDS);
    slab.fill(0, start, start + BUCKET_WORDS);
    this.#fills[bucket] = 0;
    for (let word = 0; word < BUCKET_WORDS; word += SLOT_WORDS) {
      if (old[word + 5] === 0) continue;
      const hash = hashId(old, word, this.#seed);
      const target = this.#directory[this.#entry(hash)]!;
      assert(target === bucket || target === upper, 'a split keeps to its own range');
      this.#put(target, old, word, hash, old[word + 4]!, old[word + 5]!);
    }
  }

  #doubleDirectory(): void {
    assert(this.#depth < DEPTH_MAX, 'the directory is within its bound');
    const old = this.#directory;
    this.#directory = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i++) this.#directory.fill(old[i]!, i * 2, i * 2 + 2);
    this.#depth++;
  }
}
