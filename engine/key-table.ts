/**
 * A small hash table of keys (a 128-bit id and a tag) with three value words each, from which keys can be removed: what is claimed or
 * waited for, what a walk has brought along. Linear probing; removal shifts the followers back, so places are valid until the next
 * `obtain` or `remove` only. It doubles when it fills up: what is in it is bounded by what is in flight. The hash is seeded, so that nobody
 * outside can choose ids that collide; the order of places shows nowhere.
 */
import { assert } from './assert.ts';
import { hashId } from './placement.ts';
import type { StateReader, StateWriter } from './state-words.ts';

const ENTRY_WORDS = 8;
const TAG = 4;

export class KeyTable {
  words: Uint32Array;
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
    this.#made = new Uint32Array(capacity >> 4);
  }

  get count(): number {
    return this.#count;
  }

  /** Word offset of the entry {id 4, tag 1, values 3}, or -1. Tags are not 0. */
  // Hot path.
  find(ids: Uint32Array, at: number, tag: number): number {
    const words = this.words;
    const mask = this.#capacity - 1;
    let slot = hashId(ids, at, this.#seed ^ tag) & mask;
    for (;;) {
      const word = slot * ENTRY_WORDS;
      if (words[word + TAG] === 0) return -1;
      if (
        words[word + TAG] === tag &&
        words[word] === ids[at] &&
        words[word + 1] === ids[at + 1] &&
        words[word + 2] === ids[at + 2] &&
        words[word + 3] === ids[at + 3]
      ) {
        return word;
      }
      slot = (slot + 1) & mask;
    }
  }

  /** The entry of the key, made with zero values when it was not there. */
  // Hot path.
  obtain(ids: Uint32Array, at: number, tag: number): number {
    if (this.#count >= this.#capacity * 0.75) this.#grow();
    const words = this.words;
    const mask = this.#capacity - 1;
    let slot = hashId(ids, at, this.#seed ^ tag) & mask;
    let word = slot * ENTRY_WORDS;
    while (words[word + TAG] !== 0) {
      if (
        words[word + TAG] === tag &&
        words[word] === ids[at] &&
        words[word + 1] === ids[at + 1] &&
        words[word + 2] === ids[at + 2] &&
        words[word + 3] === ids[at + 3]
      ) {
        return word;
      }
      slot = (slot + 1) & mask;
      word = slot * ENTRY_WORDS;
    }
    for (let w = 0; w < 4; w++) words[word + w] = ids[at + w]!;
    words[word + TAG] = tag;
    words[word + 5] = 0;
    words[word + 6] = 0;
    words[word + 7] = 0;
    if (this.#count < this.#made.length) this.#made[this.#count] = word;
    this.#count++;
    return word;
  }

  #grow(): void {
    const old = this.words;
    this.#capacity *= 2;
    this.words = new Uint32Array(this.#capacity * ENTRY_WORDS);
    this.#made = new Uint32Array(this.#capacity >> 4);
    this.#count = 0;
    for (let from = 0; from < old.length; from += ENTRY_WORDS) {
      if (old[from + TAG] === 0) continue;
      const to = this.obtain(old, from, old[from + TAG]!);
      for (let w = TAG + 1; w < ENTRY_WORDS; w++) this.words[to + w] = old[from + w]!;
    }
  }

  remove(entry: number): void {
    const words = this.words;
    const mask = this.#capacity - 1;
    let hole = entry / ENTRY_WORDS;
    let slot = hole;
    for (;;) {
      slot = (slot + 1) & mask;
      const word = slot * ENTRY_WORDS;
      if (words[word + TAG] === 0) break;
      const wanted = hashId(words, word, this.#seed ^ words[word + TAG]!) & mask;
      // An entry may move back into the hole unless its wanted place lies after the hole.
      if (((slot - wanted) & mask) < ((slot - hole) & mask)) continue;
      words.copyWithin(hole * ENTRY_WORDS, word, word + ENTRY_WORDS);
      hole = slot;
    }
    words[hole * ENTRY_WORDS + TAG] = 0;
    this.#count--;
  }

  /** Calls back for every entry, in no order that anything may depend on. */
  forEach(visit: (words: Uint32Array, at: number) => void): void {
    if (this.#count === 0) return;
    for (let word = 0; word < this.words.length; word += ENTRY_WORDS) {
      if (this.words[word + TAG] !== 0) visit(this.words, word);
    }
  }

  save(out: StateWriter): void {
    out.put(this.#count);
    this.forEach((words, at) => out.putList(words.subarray(at, at + ENTRY_WORDS)));
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
    if (this.#count > this.#made.length) this.words.fill(0);
    else for (let i = 0; i < this.#count; i++) this.words[this.#made[i]! + TAG] = 0;
    this.#count = 0;
  }
}
