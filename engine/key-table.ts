/**
 * A small hash table of keys (a 128-bit id and a tag) with three value words each, from which keys can be removed: what is claimed or
 * waited for, what a walk has brought along. Linear probing; removal shifts the followers back, so places are valid until the next
 * `obtain` or `remove` only. It doubles when it fills up: what is in it is bounded by what is in flight. The hash is seeded, so that nobody
 * outside can choose ids that collide; the order of places shows nowhere.
 */
import { equals } from './arithmetic.ts';
import { assert } from './assert.ts';
import { hashId } from './placement.ts';
import type { StateReader, StateWriter } from './state-words.ts';

const ENTRY_WORDS = 8;
const TAG = 4;

export class KeyTable {
  words: Uint32Array;
  /** Of each place 0, or bits of the hash of its key: nearly all that a search looks at, in a thirtieth of the memory. */
  #marks: Uint8Array;
  #capacity: number;
  readonly #seed: number;
  /** Where entries were made since the last clear, so that clearing after a few does not cost the whole table. */
  #made: Uint32Array;
  #count = 0;

  constructor(capacity: number, seed: number) {
    assert((capacity & (capacity - 1)) === 0, 'a power of two');
    this.#capacity = capacity;
    this.#seed = seed | 0;
    this.words = new Uint32Array(capacity * ENTRY_WORDS);
    this.#marks = new Uint8Array(capacity);
    this.#made = new Uint32Array(capacity >> 4);
  }

  get count(): number {
    return this.#count;
  }

  /** What `find` and `obtain` take, so that a key that is looked up twice is hashed once. */
  // Hot path.
  hash(ids: Uint32Array, at: number, tag: number): number {
    return hashId(ids, at, this.#seed ^ tag);
  }

  /** Word offset of the entry {id 4, tag 1, values 3}, or -1. Tags are not 0. */
  // Hot path.
  find(ids: Uint32Array, at: number, tag: number, hash = this.hash(ids, at, tag)): number {
    const { words } = this;
    const marks = this.#marks;
    const mask = this.#capacity - 1;
    const wanted = markOf(hash);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const mark = marks[slot]!;
      if (mark === 0) return -1;
      if (mark === wanted && isKey(words, slot * ENTRY_WORDS, ids, at, tag)) {
        return slot * ENTRY_WORDS;
      }
    }
  }

  /** The entry of the key, made with zero values when it was not there. */
  // Hot path.
  obtain(ids: Uint32Array, at: number, tag: number, hash = this.hash(ids, at, tag)): number {
    if (this.#count >= this.#capacity * 0.75) this.#grow();
    const { words } = this;
    const marks = this.#marks;
    const mask = this.#capacity - 1;
    const wanted = markOf(hash);
    let slot = hash & mask;
    for (; marks[slot] !== 0; slot = (slot + 1) & mask) {
      if (marks[slot] === wanted && isKey(words, slot * ENTRY_WORDS, ids, at, tag)) {
        return slot * ENTRY_WORDS;
      }
    }
    const word = slot * ENTRY_WORDS;
    marks[slot] = wanted;
    for (let w = 0; w < 4; w++) words[word + w] = ids[at + w]!;
    words[word + TAG] = tag;
    words[word + 5] = 0;
    words[word + 6] = 0;
    words[word + 7] = 0;
    if (this.#count < this.#made.length) this.#made[this.#count] = word;
    this.#count++;
    return word;
  }

  /** Reads where the first `count` keys of a list of hashes are most likely, so that their cache misses overlap; what is there means nothing. */
  // Hot path.
  touchAll(hashes: Int32Array, count: number): number {
    const { words } = this;
    const mask = this.#capacity - 1;
    let touched = 0;
    for (let i = 0; i < count; i++) touched ^= words[(hashes[i]! & mask) * ENTRY_WORDS]!;
    return touched;
  }

  #grow(): void {
    const old = this.words;
    this.#capacity *= 2;
    this.words = new Uint32Array(this.#capacity * ENTRY_WORDS);
    this.#marks = new Uint8Array(this.#capacity);
    this.#made = new Uint32Array(this.#capacity >> 4);
    this.#count = 0;
    for (let from = 0; from < old.length; from += ENTRY_WORDS) {
      if (old[from + TAG] === 0) continue;
      const to = this.obtain(old, from, old[from + TAG]!);
      for (let w = TAG + 1; w < ENTRY_WORDS; w++) this.words[to + w] = old[from + w]!;
    }
  }

  remove(entry: number): void {
    const { words } = this;
    const marks = this.#marks;
    const mask = this.#capacity - 1;
    let hole = entry / ENTRY_WORDS;
    let slot = hole;
    for (;;) {
      slot = (slot + 1) & mask;
      const word = slot * ENTRY_WORDS;
      if (words[word + TAG] === 0) break;
      const wanted = this.hash(words, word, words[word + TAG]!) & mask;
      // An entry may move back into the hole unless its wanted place lies after the hole.
      if (((slot - wanted) & mask) < ((slot - hole) & mask)) continue;
      for (let w = 0; w < ENTRY_WORDS; w++) words[hole * ENTRY_WORDS + w] = words[word + w]!;
      marks[hole] = marks[slot]!;
      hole = slot;
    }
    words[hole * ENTRY_WORDS + TAG] = 0;
    marks[hole] = 0;
    this.#count--;
  }

  /** Calls back for every entry, in no order that anything may depend on. */
  forEach(visit: (words: Uint32Array, at: number) => void): void {
    if (this.#count === 0) return;
    for (let word = 0; word < this.words.length; word += ENTRY_WORDS) {
      if (this.words[word + TAG] !== 0) visit(this.words, word);
    }
  }

  /** With the first `count` words of each entry, the rest being 0. */
  save(out: StateWriter, count: number): void {
    out.put(this.#count);
    const entry = new Uint32Array(ENTRY_WORDS);
    this.forEach((words, at) => {
      entry.set(words.subarray(at, at + count));
      out.putList(entry);
    });
  }

  load(from: StateReader): void {
    assert(this.#count === 0, 'only an empty table is loaded');
    for (let left = from.take(); left > 0; left--) {
      const entry = from.takeList();
      const to = this.obtain(entry, 0, entry[TAG]!);
      for (let w = TAG + 1; w < ENTRY_WORDS; w++) this.words[to + w] = entry[w]!;
    }
  }

  /** Empties the table. Only for tables from which nothing has been removed since they were empty. */
  clear(): void {
    if (this.#count > this.#made.length) {
      this.words.fill(0);
      this.#marks.fill(0);
    } else {
      for (let i = 0; i < this.#count; i++) {
        const word = this.#made[i]!;
        this.words[word + TAG] = 0;
        this.#marks[word / ENTRY_WORDS] = 0;
      }
    }
    this.#count = 0;
  }
}

/** 1 to 255, of bits that do not pick the place. */
// Hot path.
function markOf(hash: number): number {
  return (hash >>> 24) | 1;
}

// Hot path.
function isKey(
  words: Uint32Array,
  word: number,
  ids: Uint32Array,
  at: number,
  tag: number,
): boolean {
  return words[word + TAG] === tag && equals(words, word, ids, at);
}
