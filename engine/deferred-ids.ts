/**
 * Ids that were entered without being looked for, since the journal says that they were new: whether they were is asked once, at the end (SQL calls such a
 * check *deferred*). To look each one up when it comes takes two cache misses and its share of buckets that split, a third of a replay; put off, an id
 * goes to the end of its part, parts being the upper bits of hashes, and in the end a part and a table of it fit into the cache.
 */
import { equals } from './arithmetic.ts';
import { assert } from './assert.ts';
import { hashId } from './placement.ts';

/** As slots of the index have them: {id 4, values 2}. */
const ENTRY_WORDS = 6;
const PART_BITS = 8;
const PARTS = 1 << PART_BITS;
/** A part takes memory in chunks of 192 KiB, of which the system gives what is used. */
const CHUNK_SHIFT = 13;
const CHUNK_ENTRIES = 1 << CHUNK_SHIFT;
const CHUNK_WORDS = CHUNK_ENTRIES * ENTRY_WORDS;
/** Slots of the smallest table. */
const TABLE_SLOTS_MIN = 1024;

/** Entries that lie one after the other, from the first word on. */
export interface DeferredRun {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly end: number;
}

export class DeferredIds {
  readonly #seed: number;
  /** By part: its chunks, the newest one of them, and where in that the next entry goes. */
  readonly #chunks: readonly Uint32Array<ArrayBuffer>[][] = Array.from({ length: PARTS }, () => []);
  readonly #newest: Uint32Array[] = Array.from({ length: PARTS }, () => new Uint32Array(0));
  readonly #next = new Int32Array(PARTS).fill(CHUNK_WORDS);
  #count = 0;
  /** Of one part: its hashes, and an open-addressed table of entry numbers plus 1, 0 for none. */
  #hashes = new Int32Array(TABLE_SLOTS_MIN / 2);
  #slots = new Int32Array(TABLE_SLOTS_MIN);

  /** `seed`: of the hashes that are given. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get count(): number {
    return this.#count;
  }

  // Hot path.
  // oxlint-disable-next-line max-params -- An id, its hash, and its values; an object for each would cost more.
  add(words: Uint32Array, at: number, hash: number, low: number, high: number): void {
    const part = hash >>> (32 - PART_BITS);
    if (this.#next[part] === CHUNK_WORDS) this.#addChunk(part);
    const to = this.#next[part]!;
    this.#next[part] = to + ENTRY_WORDS;
    this.#count++;
    const entries = this.#newest[part]!;
    entries[to] = words[at]!;
    entries[to + 1] = words[at + 1]!;
    entries[to + 2] = words[at + 2]!;
    entries[to + 3] = words[at + 3]!;
    entries[to + 4] = low;
    entries[to + 5] = high;
  }

  #addChunk(part: number): void {
    const chunk = new Uint32Array(CHUNK_WORDS);
    this.#chunks[part]!.push(chunk);
    this.#newest[part] = chunk;
    this.#next[part] = 0;
  }

  /** All entries, part by part, in each in the order in which they came. */
  *runs(): Generator<DeferredRun, void, undefined> {
    for (let part = 0; part < PARTS; part++) {
      for (const words of this.#chunks[part]!) yield { words, end: this.#endOf(part, words) };
    }
  }

  /** The same, and lets each run go when the next one is asked for. Afterwards nothing is left. */
  *drain(): Generator<DeferredRun, void, undefined> {
    for (const run of this.runs()) {
      yield run;
      this.#count -= run.end / ENTRY_WORDS;
      run.words.buffer.transfer(0);
    }
    assert(this.#count === 0, 'every run was let go');
    for (const chunks of this.#chunks) chunks.length = 0;
    this.#next.fill(CHUNK_WORDS);
  }

  /** Where the entries of a chunk end. */
  #endOf(part: number, chunk: Uint32Array): number {
    return chunk === this.#newest[part] ? this.#next[part]! : CHUNK_WORDS;
  }

  /** Whether an id is there twice. */
  hasRepeats(): boolean {
    for (let part = 0; part < PARTS; part++) if (this.#repeatsInPart(part)) return true;
    return false;
  }

  #repeatsInPart(part: number): boolean {
    const chunks = this.#chunks[part]!;
    const entriesMax = chunks.length * CHUNK_ENTRIES;
    if (this.#hashes.length < entriesMax) {
      const size = 2 ** Math.ceil(Math.log2(entriesMax));
      this.#hashes = new Int32Array(size);
      this.#slots = new Int32Array(2 * size);
    } else this.#slots.fill(0);
    for (let number = 0; number < chunks.length; number++) {
      if (this.#enter(chunks, number, this.#endOf(part, chunks[number]!))) return true;
    }
    return false;
  }

  /** Enters a chunk of a part. True when one of its ids was there. */
  // Hot path.
  #enter(chunks: readonly Uint32Array[], chunk: number, end: number): boolean {
    const words = chunks[chunk]!;
    const seed = this.#seed;
    const hashes = this.#hashes;
    const slots = this.#slots;
    const mask = slots.length - 1;
    let number = chunk << CHUNK_SHIFT;
    for (let at = 0; at < end; at += ENTRY_WORDS) {
      const hash = hashId(words, at, seed);
      hashes[number] = hash;
      let slot = hash & mask;
      for (let other = slots[slot]!; other !== 0; other = slots[slot]!) {
        if (hashes[other - 1] === hash && isEntry(chunks, other - 1, words, at)) return true;
        slot = (slot + 1) & mask;
      }
      slots[slot] = ++number;
    }
    return false;
  }
}

/** Whether the entry of a part with this number has the id at a word. */
// oxlint-disable-next-line max-params -- An entry and a place.
function isEntry(
  chunks: readonly Uint32Array[],
  number: number,
  words: Uint32Array,
  at: number,
): boolean {
  const place = (number & (CHUNK_ENTRIES - 1)) * ENTRY_WORDS;
  return equals(chunks[number >>> CHUNK_SHIFT]!, place, words, at);
}
