/**
 * Hash index from a 128-bit transfer id to two value words, for hundreds of millions of ids: 25 bytes a slot, 38 to 40 an id. Growth is
 * bucket-directory.ts's business.
 */
import { equals } from './arithmetic.ts';
import { assert } from './assert.ts';
import type { BeforeImages } from './before-images.ts';
import { BUCKET_SHIFT, BucketDirectory, nextMarkWord, nextSlot } from './bucket-directory.ts';
import { inAllLanes, lanesFrom, lanesLike, lowestLane, zeroLanes } from './byte-lanes.ts';
import { DeferredIds, type DeferredRun } from './deferred-ids.ts';
import { TRANSFER_SLOTS_BYTES_MAX } from './limits.ts';
import { hashId } from './placement.ts';
import type { StateReader, StateWriter } from './state-words.ts';

/** {id 4, values 2}; the second value is not 0. */
export const SLOT_WORDS = 6;
const HIGH = 5;
const TOUCHED_MAX = 256;
/** What `searchFrom` says while searches are deferred. */
const DEFERRED = -0x80000000;
/** Where fewer ids had been deferred when one had to be looked for, the next groups look for theirs at once. */
const DEFERRED_MIN = 1 << 18;
const GROUPS_UNDEFERRED = 256;
/** So many are deferred at most, 1.6 GB: when they are entered, they have memory in both places. */
const DEFERRED_MAX = 1 << 26;
/** Deferred ids that are looked ahead at in one go. */
const BLOCK_IDS = 64;

export class IdIndex {
  readonly #seed: number;
  readonly #buckets: BucketDirectory;
  readonly #places = new Int32Array(TOUCHED_MAX);
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;
  readonly #deferredMax: number;
  #deferred: DeferredIds | null = null;
  #isDeferring = false;
  #groupsUndeferred = 0;
  #hasRepeats = false;

  constructor(seed: number, images?: BeforeImages, deferredMax = DEFERRED_MAX) {
    this.#seed = seed | 0;
    this.#deferredMax = deferredMax;
    const hashOf = (words: Uint32Array, at: number): number => hashId(words, at, this.#seed);
    this.#buckets = new BucketDirectory(SLOT_WORDS, TRANSFER_SLOTS_BYTES_MAX, hashOf, { images });
  }

  get buckets(): number {
    return this.#buckets.buckets;
  }

  /** The words of all slots, bucket after bucket. */
  get words(): Uint32Array {
    return this.#buckets.words;
  }

  save(out: StateWriter): void {
    this.#buckets.save(out);
  }

  /** Makes the buckets in an empty index; the caller fills in the words of the slabs. */
  load(from: StateReader): void {
    this.#buckets.load(from);
  }

  get count(): number {
    return this.#buckets.count + (this.#deferred?.count ?? 0);
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
    if (this.#isDeferring) this.enterDeferred();
    const { words: slots, markWords } = this.#buckets;
    const wanted = inAllLanes(markOf(words, at));
    const place = this.#buckets.place(hash);
    let looked = lanesFrom(place & 3);
    for (let word = place >>> 2; ; word = nextMarkWord(word)) {
      const marks = markWords[word]! | 0;
      const empty = zeroLanes(marks) & looked;
      let like = lanesLike(marks, wanted) & looked;
      for (; like !== 0; like &= like - 1) {
        const slot = (word << 2) | lowestLane(like);
        if (equals(slots, slot * SLOT_WORDS, words, at)) return slot;
      }
      if (empty !== 0) return -1 - ((word << 2) | lowestLane(empty));
      looked = -1;
    }
  }

  /** What `seekFree` and `seekAll` find from here on is good for `searchFrom` until the next time. */
  beginSeeks(): void {
    this.#buckets.beginEpoch();
  }

  /**
   * The same for an id that `seekFree` or `seekAll` has looked for: where it was not, it is not now, and its place is still empty, unless an insert has taken
   * that since, as one of the same id would have, or something in its bucket has moved.
   */
  // Hot path.
  searchFrom(free: number, words: Uint32Array, at: number, hash: number): number {
    if (this.#isDeferring) return DEFERRED;
    const buckets = this.#buckets;
    const isKnown = free >= 0 && buckets.marks[free] === 0 && !buckets.hasMoved(free);
    return isKnown ? -1 - free : this.search(words, at, hash);
  }

  /**
   * Reads the places where the searches for the hashes from..to-1 of a list begin, for the cache's sake only; see `AccountTable.touchAll`.
   * At most TOUCHED_MAX hashes.
   */
  // Hot path.
  touchAll(hashes: Int32Array, from: number, to: number): void {
    const places = this.#places;
    const n = to - from;
    assert(n <= TOUCHED_MAX, 'no more hashes than there is room for');
    for (let i = 0; i < n; i++) places[i] = this.#buckets.place(hashes[from + i]!);
    const { marks } = this.#buckets;
    let { touched } = this;
    for (let i = 0; i < n; i++) touched = (touched + marks[places[i]!]!) | 0;
    this.touched = touched;
  }

  /** The same for ids that are likely to be new: the empty slots too that they will get, if none of them takes another's. */
  // Hot path.
  touchFree(hashes: Int32Array, from: number, to: number): void {
    this.touchAll(hashes, from, to);
    const places = this.#places;
    const { marks } = this.#buckets;
    const n = to - from;
    for (let i = 0; i < n; i++) {
      let slot = places[i]!;
      while (marks[slot] !== 0) slot = nextSlot(slot);
      places[i] = slot;
    }
    this.#touchPlaces(n);
  }

  /**
   * The same, and puts these empty slots into `free`, for `searchFrom`; -1 where a slot on the way may have the id. The ids lie at word `start` and every
   * `step` words from there on, row `from` of the list first.
   */
  // Hot path.
  // oxlint-disable-next-line max-params -- A column, hashes, and rows.
  seekFree(
    words: Uint32Array,
    start: number,
    step: number,
    hashes: Int32Array,
    from: number,
    to: number,
    free: Int32Array,
  ): void {
    this.#seek(words, start, step, hashes, from, to, free, 0);
    this.#touchPlaces(to - from);
  }

  /** The same without looking ahead at the slots, for rows whose turn is later: row by row into `sought`, as `hashes` are. */
  // Hot path.
  // oxlint-disable-next-line max-params -- As above.
  seekAll(
    words: Uint32Array,
    start: number,
    step: number,
    hashes: Int32Array,
    from: number,
    to: number,
    sought: Int32Array,
  ): void {
    this.#seek(words, start, step, hashes, from, to, sought, from);
  }

  /** Looks ahead at what `seekAll` has found for the rows from..to-1, and puts it into `free`. */
  // Hot path.
  touchSought(sought: Int32Array, from: number, to: number, free: Int32Array): void {
    const places = this.#places;
    const { marks } = this.#buckets;
    const n = to - from;
    let { touched } = this;
    for (let i = 0; i < n; i++) {
      const slot = sought[from + i]!;
      free[i] = slot;
      // The first slot in place of none.
      places[i] = slot & ~(slot >> 31);
    }
    for (let i = 0; i < n; i++) touched = (touched + marks[places[i]!]!) | 0;
    this.touched = touched;
    this.#touchPlaces(n);
  }

  // Hot path.
  #touchPlaces(n: number): void {
    const places = this.#places;
    const { words: slots } = this.#buckets;
    let { touched } = this;
    for (let i = 0; i < n; i++) touched = (touched + slots[places[i]! * SLOT_WORDS]!) | 0;
    this.touched = (touched + this.#buckets.touchImages(places, n)) | 0;
  }

  // Hot path.
  // oxlint-disable-next-line max-params -- As above, and where the first one goes.
  #seek(
    words: Uint32Array,
    start: number,
    step: number,
    hashes: Int32Array,
    from: number,
    to: number,
    free: Int32Array,
    at: number,
  ): void {
    this.touchAll(hashes, from, to);
    const places = this.#places;
    const { markWords } = this.#buckets;
    const n = to - from;
    for (let i = 0; i < n; i++) {
      const wanted = inAllLanes(markOf(words, start + i * step));
      let word = places[i]! >>> 2;
      let marks = markWords[word]! | 0;
      let looked = lanesFrom(places[i]! & 3);
      let empty = zeroLanes(marks) & looked;
      let like = 0;
      while (empty === 0) {
        like |= lanesLike(marks, wanted) & looked;
        looked = -1;
        word = nextMarkWord(word);
        marks = markWords[word]! | 0;
        empty = zeroLanes(marks);
      }
      like |= lanesLike(marks, wanted) & looked;
      const slot = (word << 2) | lowestLane(empty);
      places[i] = slot;
      free[at + i] = like === 0 ? slot : -1;
    }
  }

  /** Reads the slots from..to-1 of a list, -1 for none, for the cache's sake only; says what is there, which means nothing. */
  // Hot path.
  readSlots(slots: Int32Array, from: number, to: number): number {
    const { words } = this.#buckets;
    let touched = 0;
    for (let i = from; i < to; i++) {
      const slot = slots[i]!;
      touched = (touched + words[(slot & ~(slot >> 31)) * SLOT_WORDS]!) | 0;
    }
    return touched;
  }

  /** The same for ids that are likely to be there: their slots too. */
  // Hot path.
  touchSlots(hashes: Int32Array, from: number, to: number): void {
    this.touchAll(hashes, from, to);
    const places = this.#places;
    const { words: slots } = this.#buckets;
    const n = to - from;
    let { touched } = this;
    for (let i = 0; i < n; i++) touched = (touched + slots[places[i]! * SLOT_WORDS]!) | 0;
    this.touched = touched;
  }

  /** The slot of the id, or -1, where it had a slot a while ago, -1 for none; inserts may have moved it. */
  // Hot path.
  findFrom(known: number, words: Uint32Array, at: number): number {
    if (known !== -1 && equals(this.#buckets.words, known * SLOT_WORDS, words, at)) return known;
    return this.find(words, at, this.hash(words, at));
  }

  // Hot path.
  valueLow(slot: number): number {
    return this.#buckets.words[slot * SLOT_WORDS + 4]!;
  }

  // Hot path.
  valueHigh(slot: number): number {
    return this.#buckets.words[slot * SLOT_WORDS + HIGH]!;
  }

  /** Adds an id that is not there. `high` is not 0. */
  // Hot path.
  insert(words: Uint32Array, at: number, hash: number, low: number, high: number): void {
    const bucket = this.#buckets.makeRoom(hash);
    this.#put(this.#buckets.emptySlot(bucket, hash), words, at, low, high);
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
    if (place === DEFERRED) {
      assert(this.#isDeferring, 'nothing was looked for since');
      this.#deferred!.add(words, at, hash, low, high);
      return;
    }
    const slot = -1 - place;
    if (this.#buckets.hasRoom(slot >>> BUCKET_SHIFT)) this.#put(slot, words, at, low, high);
    else this.insert(words, at, hash, low, high);
  }

  // Hot path.
  #put(slot: number, words: Uint32Array, at: number, low: number, high: number): void {
    assert(high !== 0, 'the second value word marks the slot as taken');
    this.#buckets.beforeChange(slot);
    const { words: slots } = this.#buckets;
    const word = slot * SLOT_WORDS;
    slots[word] = words[at]!;
    slots[word + 1] = words[at + 1]!;
    slots[word + 2] = words[at + 2]!;
    slots[word + 3] = words[at + 3]!;
    slots[word + 4] = low;
    slots[word + HIGH] = high;
    this.#buckets.take(slot, markOf(words, at));
  }

  /** Gives the id in a slot other values. */
  set(slot: number, low: number, high: number): void {
    assert(high !== 0, 'the second value word marks the slot as taken');
    this.#buckets.beforeChange(slot);
    const { words: slots } = this.#buckets;
    slots[slot * SLOT_WORDS + 4] = low;
    slots[slot * SLOT_WORDS + HIGH] = high;
  }

  /** Takes an id out again that a broken chain has added. */
  remove(slot: number): void {
    this.#buckets.remove(slot);
  }

  /** After the words of a slab were filled in. */
  loaded(slab: number): void {
    this.#buckets.loaded(slab, markOf);
  }

  /** Copies the id that has these values and this hash into `target`; it is there. */
  copyIdOf(hash: number, low: number, high: number, target: Uint32Array): void {
    if (this.#isDeferring) this.enterDeferred();
    const { words: slots } = this.#buckets;
    let slot = this.#buckets.place(hash);
    for (;;) {
      const word = slot * SLOT_WORDS;
      assert(slots[word + HIGH] !== 0, 'the values belong to an id');
      if (slots[word + 4] === low && slots[word + HIGH] === high) {
        for (let w = 0; w < 4; w++) target[w] = slots[word + w]!;
        return;
      }
      slot = nextSlot(slot);
    }
  }

  /** Calls back for every id and its values, in no order that anything may depend on. */
  forEach(visit: (words: Uint32Array, at: number) => void): void {
    this.#buckets.forEach(visit);
    for (const { words, end } of this.deferredRuns()) {
      for (let at = 0; at < end; at += SLOT_WORDS) visit(words, at);
    }
  }

  // ---- Deferred searches, of a replay: see deferred-ids.ts.

  /** Whether ids are entered now without being looked for. */
  get isDeferring(): boolean {
    return this.#isDeferring;
  }

  /**
   * From here on the ids that come are new, and are entered without being looked for, until one has to be looked for after all, or `enterDeferred` is called.
   * Where that happens too often nothing is deferred for a while, but for `isAlways`.
   */
  beginDeferring(isAlways = false): void {
    if (this.#isDeferring) {
      if (this.#deferred!.count < this.#deferredMax) return;
      this.enterDeferred();
    }
    if (this.#groupsUndeferred > 0 && !isAlways) {
      this.#groupsUndeferred--;
      return;
    }
    this.#deferred ??= new DeferredIds(this.#seed);
    this.#isDeferring = true;
  }

  /** Ids that lie one after the other like slots, all of them taken. */
  deferredRuns(): Iterable<DeferredRun> {
    return this.#deferred?.runs() ?? [];
  }

  /** Puts the ids that were deferred where searches find them. */
  enterDeferred(): void {
    if (!this.#isDeferring) return;
    this.#isDeferring = false;
    const deferred = this.#deferred!;
    if (deferred.count < DEFERRED_MIN) this.#groupsUndeferred = GROUPS_UNDEFERRED;
    const hashes = new Int32Array(TOUCHED_MAX);
    for (const { words, block, n } of this.#blocksOf(deferred.drain(), hashes)) {
      this.touchFree(hashes, 0, n);
      for (let i = 0; i < n; i++) {
        const at = block + i * SLOT_WORDS;
        const hash = hashes[i]!;
        const place = this.search(words, at, hash);
        if (place >= 0) this.#hasRepeats = true;
        else this.insertAt(place, words, at, hash, words[at + 4]!, words[at + HIGH]!);
      }
    }
  }

  /** Whether an id was deferred that was there already. Those are looked for now, which says nothing of where they came from. */
  hasRepeats(): boolean {
    if (!this.#hasRepeats && this.#isDeferring) {
      this.#hasRepeats = this.#deferred!.hasRepeats() || this.#isDeferredEntered();
    }
    return this.#hasRepeats;
  }

  /** Whether one of the deferred ids is where searches find it. */
  #isDeferredEntered(): boolean {
    if (this.#buckets.count === 0) return false;
    const hashes = new Int32Array(TOUCHED_MAX);
    const free = new Int32Array(TOUCHED_MAX);
    this.#isDeferring = false;
    let isFound = false;
    for (const { words, block, n } of this.#blocksOf(this.deferredRuns(), hashes)) {
      this.seekFree(words, block, SLOT_WORDS, hashes, 0, n, free);
      for (let i = 0; i < n; i++) {
        if (free[i] === -1 && this.search(words, block + i * SLOT_WORDS, hashes[i]!) >= 0) {
          isFound = true;
        }
      }
    }
    this.#isDeferring = true;
    return isFound;
  }

  /** Runs of ids in blocks that can be looked ahead at, with their hashes. */
  *#blocksOf(
    runs: Iterable<DeferredRun>,
    hashes: Int32Array,
  ): Generator<{ readonly words: Uint32Array; readonly block: number; readonly n: number }> {
    for (const { words, end } of runs) {
      for (let block = 0; block < end; block += BLOCK_IDS * SLOT_WORDS) {
        const n = Math.min(BLOCK_IDS, (end - block) / SLOT_WORDS);
        for (let i = 0; i < n; i++) hashes[i] = this.hash(words, block + i * SLOT_WORDS);
        yield { words, block, n };
      }
    }
  }
}

/** The mark of an id's slot: bits that its hash does not have. Not 0. */
// Hot path.
function markOf(words: Uint32Array, at: number): number {
  const low = words[at]! ^ words[at + 2]!;
  const high = words[at + 1]! ^ words[at + 3]!;
  const mark = (Math.imul(low, 0x9e3779b1) + Math.imul(high, 0x85ebca77)) >>> 24;
  // 1 in place of 0.
  return mark | ((mark - 1) >>> 31);
}
