/**
 * Extendible hashing: a directory of buckets, each an open-addressed chunk of fixed size. A full bucket splits in two, so that no step ever
 * rehashes or copies more than one bucket. What a slot holds is its index's business (account-index.ts, id-index.ts).
 *
 * The hash is bent before it picks a bucket, so that the buckets' loads spread over a factor of two. With an even spread all of them
 * would fill up, and split, at the same moment, and the memory per slot would swing between its best and twice that; so it stays near
 * (slot bytes + 1) / (0.72 * the greatest fill), always.
 *
 * Beside its words each slot has a mark, a byte that is 0 while it is empty. Searches go by the marks, of which a cache line has 64; an index that
 * puts bits of its keys into them hardly looks at a slot that is not the right one.
 *
 * Invariants: a slot is taken when its mark is not 0, and so is its last word; only what a broken chain had added is removed; the load of a bucket stays below
 * its bound, so that probing ends. Whoever changes a slot calls `beforeChange` first: a snapshot reads them, slab by slab. Hashes are seeded per
 * data directory: nobody outside can choose ids that collide.
 */
import { assert } from './assert.ts';
import { BeforeImages } from './before-images.ts';
import type { StateReader, StateWriter } from './state-words.ts';
import { TableWords } from './table-words.ts';

/** Powers of two are given as shifts: places are found with shifts and masks. */
export const BUCKET_SHIFT = 11;
export const BUCKET_SLOTS = 1 << BUCKET_SHIFT;
const SLOT_MASK = BUCKET_SLOTS - 1;
export const FILL_MAX = 119 / 128;
/** Buckets of a slab, which is what an image takes at a time. */
export const SLAB_BUCKETS = 64;
/** Slot numbers stay below 2^31, about two billion, and -1 less any of them above -2^31. */
const BUCKETS_MAX = (1 << (31 - BUCKET_SHIFT)) - 1;

/** The slot after this one in a search, both counted over all buckets: a search stays within its bucket. */
// Hot path.
export function nextSlot(slot: number): number {
  return (slot & ~SLOT_MASK) | ((slot + 1) & SLOT_MASK);
}

/** The marks of the next four slots, as a word of all marks: round within the bucket, as slots are. */
// Hot path.
export function nextMarkWord(word: number): number {
  return (word & ~(SLOT_MASK >>> 2)) | ((word + 1) & (SLOT_MASK >>> 2));
}

export class BucketDirectory {
  readonly #slotWords: number;
  readonly #fillMax: number;
  readonly #bucketWords: number;
  readonly #hashOf: (words: Uint32Array, at: number) => number;
  readonly #images: BeforeImages;
  readonly #table: TableWords;
  readonly #marks: TableWords;
  readonly #hashes = new Int32Array(BUCKET_SLOTS);
  #buckets = 0;
  #depth = 0;
  #directory = new Uint32Array(1);
  #depths = new Uint8Array(16);
  #fills = new Uint16Array(16);
  #count = 0;
  /** By bucket: the epoch in which something in it last moved. */
  #moved = new Uint32Array(16);
  #epoch = 1;

  /** `hashOf` gives the hash of what is in the slot at a word offset. `bytesMax`: of all slots. */
  constructor(
    slotWords: number,
    bytesMax: number,
    hashOf: (words: Uint32Array, at: number) => number,
    {
      images = new BeforeImages(),
      fillMax = FILL_MAX,
    }: { readonly images?: BeforeImages | undefined; readonly fillMax?: number } = {},
  ) {
    this.#images = images;
    this.#fillMax = fillMax * BUCKET_SLOTS;
    this.#table = new TableWords(bytesMax);
    this.#marks = new TableWords(bytesMax / slotWords / 4);
    this.#slotWords = slotWords;
    this.#bucketWords = slotWords * BUCKET_SLOTS;
    this.#hashOf = hashOf;
    this.#newBucket(0);
  }

  get count(): number {
    return this.#count;
  }

  get buckets(): number {
    return this.#buckets;
  }

  get byteLength(): number {
    const slots = this.#buckets * BUCKET_SLOTS;
    return slots * (this.#slotWords * 4 + 1) + this.#directory.byteLength;
  }

  /** The words of all slots, {bucket, slot in the bucket} by number. */
  // Hot path.
  get words(): Uint32Array {
    return this.#table.words;
  }

  /** By slot: 0 for an empty one. */
  // Hot path.
  get marks(): Uint8Array {
    return this.#marks.bytes;
  }

  /** The same marks four to a word, the first one in its lowest byte. */
  // Hot path.
  get markWords(): Uint32Array {
    return this.#marks.words;
  }

  // Hot path.
  bucketOf(hash: number): number {
    return this.#directory[this.#entry(hash)]!;
  }

  /** The slot where the search for this hash begins, counted over all buckets. It goes on from there, and round within the bucket. */
  // Hot path.
  place(hash: number): number {
    return (this.bucketOf(hash) << BUCKET_SHIFT) | (hash & SLOT_MASK);
  }

  /** Word offset of the bucket's first slot. */
  // Hot path.
  start(bucket: number): number {
    return bucket * this.#bucketWords;
  }

  /** Who remembers where searches ended relies on it within one epoch only, and there on buckets in which nothing has moved. */
  beginEpoch(): void {
    this.#epoch = (this.#epoch + 1) >>> 0;
  }

  /** Whether something in the bucket of this slot has moved in this epoch; once in a long while it is said though nothing has. */
  // Hot path.
  hasMoved(slot: number): boolean {
    return this.#moved[slot >>> BUCKET_SHIFT] === this.#epoch;
  }

  // Hot path.
  hasRoom(bucket: number): boolean {
    return this.#fills[bucket]! < this.#fillMax;
  }

  /** Keeps a slot as it is for the snapshot under way, if there is one. */
  // Hot path.
  beforeChange(slot: number): void {
    const images = this.#images;
    if (images.isActive && images.takesSlot(slot, this.#marks.bytes[slot] === 0)) {
      images.saveSlot(slot, this.#table.words);
    }
  }

  /** For slots that will change: reads what `beforeChange` needs of the first `n` of a list; says what is there, which means nothing. */
  // Hot path.
  touchImages(slots: Int32Array, n: number): number {
    return this.#images.isActive ? this.#images.touchSlots(slots, n) : 0;
  }

  /** Marks an empty slot as taken. */
  // Hot path.
  take(slot: number, mark: number): void {
    const bucket = slot >>> BUCKET_SHIFT;
    this.#marks.bytes[slot] = mark;
    this.#fills[bucket] = this.#fills[bucket]! + 1;
    this.#count++;
  }

  /** The bucket where this hash belongs, split until it has room. */
  makeRoom(hash: number): number {
    let bucket = this.bucketOf(hash);
    while (!this.hasRoom(bucket)) {
      this.#split(this.#entry(hash), bucket);
      bucket = this.bucketOf(hash);
    }
    return bucket;
  }

  /** The empty slot where the search for this hash ends, counted over all buckets. */
  // Hot path.
  emptySlot(bucket: number, hash: number): number {
    const { marks } = this;
    let slot = (bucket << BUCKET_SHIFT) | (hash & SLOT_MASK);
    while (marks[slot] !== 0) slot = nextSlot(slot);
    return slot;
  }

  /** Empties a slot, and closes the gap in the searches that went past it. */
  remove(slot: number): void {
    const { words, marks } = this;
    const step = this.#slotWords;
    const bucket = slot >>> BUCKET_SHIFT;
    this.#moved[bucket] = this.#epoch;
    let hole = slot;
    for (let next = nextSlot(slot); marks[next] !== 0; next = nextSlot(next)) {
      const wanted = this.#hashOf(words, next * step);
      // An entry may move back into the hole unless its wanted place lies behind the hole.
      if (((next - wanted) & SLOT_MASK) < ((next - hole) & SLOT_MASK)) continue;
      this.beforeChange(hole);
      words.copyWithin(hole * step, next * step, (next + 1) * step);
      marks[hole] = marks[next]!;
      hole = next;
    }
    this.beforeChange(hole);
    words.fill(0, hole * step, (hole + 1) * step);
    marks[hole] = 0;
    this.#fills[bucket] = this.#fills[bucket]! - 1;
    this.#count--;
  }

  /** Calls back for every taken slot, in no order that anything may depend on. */
  forEach(visit: (words: Uint32Array, at: number) => void): void {
    const { words } = this;
    const step = this.#slotWords;
    for (let word = 0; word < this.start(this.#buckets); word += step) {
      if (words[word + step - 1] !== 0) visit(words, word);
    }
  }

  /** The place in the directory: the bent hash as a fraction of 1. The slope falls from 4/3 to 2/3, a factor of two. */
  // Hot path.
  #entry(hash: number): number {
    const x = (hash >>> 0) * 2 ** -32;
    return (x * (4 / 3 - x * (1 / 3)) * this.#directory.length) | 0;
  }

  #newBucket(depth: number): number {
    const bucket = this.#buckets++;
    assert(bucket < BUCKETS_MAX, 'the index is within its bound');
    this.#reach();
    if (bucket === this.#fills.length) {
      const fills = new Uint16Array(bucket * 2);
      fills.set(this.#fills);
      this.#fills = fills;
      const depths = new Uint8Array(bucket * 2);
      depths.set(this.#depths);
      this.#depths = depths;
      const moved = new Uint32Array(bucket * 2);
      moved.set(this.#moved);
      this.#moved = moved;
    }
    this.#depths[bucket] = depth;
    return bucket;
  }

  #reach(): void {
    this.#table.reach(this.start(this.#buckets));
    this.#marks.reach(this.#buckets * (BUCKET_SLOTS / 4));
  }

  /** Halves a full bucket: what belongs to the upper half of its range goes to a new one. */
  #split(entry: number, bucket: number): void {
    const depth = this.#depths[bucket]!;
    let at = entry;
    if (depth === this.#depth) {
      this.#doubleDirectory();
      at = entry * 2;
    }
    const width = 2 ** (this.#depth - depth);
    const first = at - (at % width);
    const upper = this.#newBucket(depth + 1);
    this.#depths[bucket] = depth + 1;
    this.#moved[bucket] = this.#epoch;
    this.#directory.fill(upper, first + width / 2, first + width);

    const moved = this.#moveUpper(bucket, upper, this.#leastHash(first + width / 2));
    this.#fills[bucket] = this.#fills[bucket]! - moved;
    this.#fills[upper] = moved;
  }

  /** The smallest hash whose place in the directory is not below this one: places grow with hashes. */
  #leastHash(entry: number): number {
    let least = 0;
    for (let bit = 31; bit >= 0; bit--) {
      const below = least + 2 ** bit - 1;
      if (this.#entry(below) < entry) least = below + 1;
    }
    return least;
  }

  /**
   * Moves what has such a hash or a greater one into a new bucket, and says how much. What stays is put where its search would now end: in the
   * order of slots from an empty one on, that is where it lies or before it.
   */
  // Hot path.
  #moveUpper(bucket: number, upper: number, least: number): number {
    const { words, marks } = this;
    const step = this.#slotWords;
    const first = bucket << BUCKET_SHIFT;
    const hashes = this.#hashes;
    const isImaged = this.#images.isActive;
    for (let i = 0; i < BUCKET_SLOTS; i++) hashes[i] = this.#hashOf(words, (first + i) * step);
    let empty = first;
    while (marks[empty] !== 0) empty++;
    let moved = 0;
    for (let slot = nextSlot(empty); slot !== empty; slot = nextSlot(slot)) {
      if (marks[slot] === 0) continue;
      const hash = hashes[slot & SLOT_MASK]!;
      let to: number;
      if (hash >>> 0 >= least) {
        to = this.emptySlot(upper, hash);
        moved++;
      } else {
        to = first | (hash & SLOT_MASK);
        while (to !== slot && marks[to] !== 0) to = nextSlot(to);
        if (to === slot) continue;
      }
      // Where it goes was emptied by this loop, or lies in the new bucket.
      if (isImaged) this.beforeChange(slot);
      for (let w = 0; w < step; w++) {
        words[to * step + w] = words[slot * step + w]!;
        words[slot * step + w] = 0;
      }
      marks[to] = marks[slot]!;
      marks[slot] = 0;
    }
    return moved;
  }

  #doubleDirectory(): void {
    assert(this.#directory.length < BUCKETS_MAX * 4, 'the directory is within its bound');
    const old = this.#directory;
    this.#directory = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i++) this.#directory.fill(old[i]!, i * 2, i * 2 + 2);
    this.#depth++;
  }

  /** All but the slots. */
  save(out: StateWriter): void {
    out.put(this.#buckets);
    out.put(this.#depth);
    out.put(this.#count);
    out.putList(this.#directory);
    out.putBytes(this.#depths);
    out.putBytes(new Uint8Array(this.#fills.buffer));
  }

  load(from: StateReader): void {
    assert(this.#count === 0, 'only an empty index is loaded');
    this.#buckets = from.take();
    this.#depth = from.take();
    this.#count = from.take();
    this.#directory = from.takeList().slice();
    this.#depths = from.takeBytes();
    this.#fills = new Uint16Array(from.takeBytes().buffer);
    this.#moved = new Uint32Array(this.#fills.length);
    assert(this.#directory.length === 2 ** this.#depth, 'the directory has its depth');
    assert(this.#fills.length === this.#depths.length, 'every bucket has a fill and a depth');
    this.#reach();
  }

  /** After the words of a slab were filled in: marks its taken slots. Without a branch, since which slots are taken is as good as random. */
  loaded(slab: number, markOf: (words: Uint32Array, at: number) => number): void {
    const { words, marks } = this;
    const step = this.#slotWords;
    const end = Math.min((slab + 1) * SLAB_BUCKETS, this.#buckets) * BUCKET_SLOTS;
    for (let slot = slab * SLAB_BUCKETS * BUCKET_SLOTS; slot < end; slot++) {
      const last = words[slot * step + step - 1]! | 0;
      const isTaken = (last | -last) >> 31;
      marks[slot] = markOf(words, slot * step) & isTaken;
    }
  }
}
