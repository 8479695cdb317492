/**
 * Ids that were entered without being looked for, since the journal says that they were new: whether they were is asked once, at the end (SQL calls such a
 * check *deferred*). To look each one up when it comes takes two cache misses and its share of buckets that split, a third of a replay; put off, an id
 * goes to the end of its part, parts being the upper bits of hashes, and in the end a part and a table of it fit into the near cache.
 */
import { equals } from './arithmetic.ts';
import { TRANSFER_SLOTS_BYTES_MAX } from './limits.ts';
import { hashId } from './placement.ts';
import { TableWords } from './table-words.ts';

/** As slots of the index have them: {id 4, values 2}. */
const ENTRY_WORDS = 6;
const PART_BITS = 8;
const PARTS = 1 << PART_BITS;
/** A part takes memory in chunks, each 12 KiB. */
const CHUNK_ENTRIES = 512;
const CHUNK_WORDS = CHUNK_ENTRIES * ENTRY_WORDS;
/** Slots of the smallest table. */
const TABLE_SLOTS_MIN = 1024;

/** Entries that lie one after the other: word offsets. */
export interface DeferredRun {
  readonly from: number;
  readonly end: number;
}

export class DeferredIds {
  readonly #seed: number;
  readonly #table = new TableWords(TRANSFER_SLOTS_BYTES_MAX);
  /** By part: the numbers of its chunks, where its next entry goes, and where its newest chunk ends. */
  readonly #chunks: readonly number[][] = Array.from({ length: PARTS }, () => []);
  readonly #next = new Float64Array(PARTS);
  readonly #end = new Float64Array(PARTS);
  #usedChunks = 0;
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

  /** The words of all entries; `runs` says where. */
  get words(): Uint32Array {
    return this.#table.words;
  }

  // Hot path.
  // oxlint-disable-next-line max-params -- An id, its hash, and its values; an object for each would cost more.
  add(words: Uint32Array, at: number, hash: number, low: number, high: number): void {
    const part = hash >>> (32 - PART_BITS);
    let to = this.#next[part]!;
    if (to === this.#end[part]!) to = this.#addChunk(part);
    this.#next[part] = to + ENTRY_WORDS;
    this.#count++;
    const entries = this.#table.words;
    entries[to] = words[at]!;
    entries[to + 1] = words[at + 1]!;
    entries[to + 2] = words[at + 2]!;
    entries[to + 3] = words[at + 3]!;
    entries[to + 4] = low;
    entries[to + 5] = high;
  }

  #addChunk(part: number): number {
    const chunk = this.#usedChunks++;
    this.#table.reach(this.#usedChunks * CHUNK_WORDS);
    this.#chunks[part]!.push(chunk);
    this.#end[part] = (chunk + 1) * CHUNK_WORDS;
    return chunk * CHUNK_WORDS;
  }

  /** All entries, part by part, in each in the order in which they came. */
  *runs(): Generator<DeferredRun, void, undefined> {
    for (let part = 0; part < PARTS; part++) {
      for (const chunk of this.#chunks[part]!) yield this.#runOf(part, chunk);
    }
  }

  #runOf(part: number, chunk: number): DeferredRun {
    const end = (chunk + 1) * CHUNK_WORDS;
    return { from: chunk * CHUNK_WORDS, end: end === this.#end[part] ? this.#next[part]! : end };
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
    let number = 0;
    for (const chunk of chunks) {
      const { from, end } = this.#runOf(part, chunk);
      if (this.#enter(from, end, number, chunks)) return true;
      number += CHUNK_ENTRIES;
    }
    return false;
  }

  /** Enters a run whose first entry has this number in its part. True when one of its ids was there. */
  // Hot path.
  #enter(from: number, end: number, first: number, chunks: readonly number[]): boolean {
    const { words } = this;
    const seed = this.#seed;
    const hashes = this.#hashes;
    const slots = this.#slots;
    const mask = slots.length - 1;
    let number = first;
    for (let at = from; at < end; at += ENTRY_WORDS) {
      const hash = hashId(words, at, seed);
      hashes[number] = hash;
      let slot = hash & mask;
      for (let other = slots[slot]!; other !== 0; other = slots[slot]!) {
        if (hashes[other - 1] === hash && equals(words, wordOf(other - 1, chunks), words, at)) {
          return true;
        }
        slot = (slot + 1) & mask;
      }
      slots[slot] = ++number;
    }
    return false;
  }

  /** Forgets all of them. Their memory is used again. */
  clear(): void {
    for (const chunks of this.#chunks) chunks.length = 0;
    this.#next.fill(0);
    this.#end.fill(0);
    this.#usedChunks = 0;
    this.#count = 0;
  }
}

/** Where an entry of a part lies. */
function wordOf(number: number, chunks: readonly number[]): number {
  const chunk = chunks[Math.floor(number / CHUNK_ENTRIES)]!;
  return chunk * CHUNK_WORDS + (number % CHUNK_ENTRIES) * ENTRY_WORDS;
}
