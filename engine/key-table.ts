/**
 * A small hash table of keys (a 128-bit id and a tag) with three value words each, from which keys can be removed: what is claimed or
 * waited for, what a walk has brought along. Entries lie one after the other and are chained by their hash; one that is removed is the next
 * to be made, while its line is near. An entry stays where it is as long as its key is in the table. It doubles when it fills up: what
 * is in it is bounded by what is in flight. The hash is seeded, so that nobody outside can choose ids that collide; the order of entries
 * shows nowhere.
 *
 * An entry has eight words: {id 4, tag | most of its hash << 8, values 3}; the tag is 0 where there is none.
 */
import { equals } from './arithmetic.ts';
import { assert } from './assert.ts';
import { hashId } from './placement.ts';

const ENTRY_WORDS = 8;
/** The tag, 1 to 255, and above it the lowest 24 bits of the hash: as many as pick a chain of the largest table. */
const TAG = 4;
const TAG_BITS = 8;
const TAG_MASK = 0xff;
const CAPACITY_MAX = 1 << 23;
/** Chains of a table for each entry that it has room for: most are empty, and most others have one entry. */
const CHAINS = 2;

export class KeyTable {
  words: Uint32Array;
  #capacity: number;
  readonly #seed: number;
  /** Of each chain its first entry, + 1, or 0. */
  #first: Int32Array;
  /** Of each entry the next one of its chain, + 1, or 0; of one that was removed the one that was removed before. */
  #next: Int32Array;
  /** The entry that was removed last, + 1. */
  #free = 0;
  /** Entries from here on have never been made. */
  #used = 0;
  #count = 0;

  constructor(capacity: number, seed: number) {
    assert((capacity & (capacity - 1)) === 0, 'a power of two');
    this.#capacity = capacity;
    this.#seed = seed | 0;
    this.words = new Uint32Array(capacity * ENTRY_WORDS);
    this.#first = new Int32Array(capacity * CHAINS);
    this.#next = new Int32Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** What `find` and `obtain` take, so that a key that is looked up twice is hashed once. */
  // Hot path.
  hash(ids: Uint32Array, at: number, tag: number): number {
    return hashId(ids, at, this.#seed ^ tag);
  }

  /** Word offset of the entry, or -1. Tags are not 0. */
  // Hot path.
  find(ids: Uint32Array, at: number, tag: number, hash = this.hash(ids, at, tag)): number {
    const first = this.#first;
    return this.#search(first[hash & (first.length - 1)]!, ids, at, keyWord(hash, tag));
  }

  // Hot path.
  #search(first: number, ids: Uint32Array, at: number, key: number): number {
    const { words } = this;
    for (let entry = first; entry !== 0; entry = this.#next[entry - 1]!) {
      const word = (entry - 1) * ENTRY_WORDS;
      if (words[word + TAG] === key && equals(words, word, ids, at)) return word;
    }
    return -1;
  }

  /** The entry of the key, made with zero values when it was not there. */
  // Hot path.
  obtain(ids: Uint32Array, at: number, tag: number, hash = this.hash(ids, at, tag)): number {
    const key = keyWord(hash, tag);
    const first = this.#first;
    const chain = hash & (first.length - 1);
    const found = first[chain] === 0 ? -1 : this.#search(first[chain]!, ids, at, key);
    return found === -1 ? this.#make(ids, at, key, chain) : found;
  }

  // Hot path.
  #make(ids: Uint32Array, at: number, key: number, wanted: number): number {
    let chain = wanted;
    if (this.#count === this.#capacity) {
      this.#grow();
      chain = chainOf(key, this.#first);
    }
    let entry = this.#free;
    if (entry === 0) entry = ++this.#used;
    else this.#free = this.#next[entry - 1]!;
    const { words } = this;
    const word = (entry - 1) * ENTRY_WORDS;
    for (let w = 0; w < 4; w++) words[word + w] = ids[at + w]!;
    words[word + TAG] = key;
    words[word + 5] = 0;
    words[word + 6] = 0;
    words[word + 7] = 0;
    this.#next[entry - 1] = this.#first[chain]!;
    this.#first[chain] = entry;
    this.#count++;
    return word;
  }

  /** Reads where the chains of a list of hashes begin, `count` of them, so that their cache misses overlap; what is there means nothing. */
  // Hot path.
  touchAll(hashes: Int32Array, count: number): number {
    const first = this.#first;
    const mask = first.length - 1;
    let touched = 0;
    for (let i = 0; i < count; i++) touched ^= first[hashes[i]! & mask]!;
    return touched;
  }

  /** The same for entries that are there, those from..to-1 of a list: reads them, and where their chains begin. */
  // Hot path.
  touchEntries(entries: Uint32Array, from: number, to: number): number {
    const { words } = this;
    const first = this.#first;
    let touched = 0;
    for (let i = from; i < to; i++) touched ^= first[chainOf(words[entries[i]! + TAG]!, first)]!;
    return touched;
  }

  /** Whether the entry is there, and is that of the key. */
  // Hot path.
  isAt(entry: number, ids: Uint32Array, at: number, tag: number): boolean {
    return (this.words[entry + TAG]! & TAG_MASK) === tag && equals(this.words, entry, ids, at);
  }

  #grow(): void {
    const old = this.words;
    const next = this.#next;
    this.#capacity *= 2;
    assert(this.#capacity <= CAPACITY_MAX, 'what is in flight is bounded');
    this.words = new Uint32Array(this.#capacity * ENTRY_WORDS);
    this.words.set(old);
    this.#next = new Int32Array(this.#capacity);
    this.#first = new Int32Array(this.#capacity * CHAINS);
    for (let entry = 1; entry <= next.length; entry++) {
      const chain = chainOf(old[(entry - 1) * ENTRY_WORDS + TAG]!, this.#first);
      this.#next[entry - 1] = this.#first[chain]!;
      this.#first[chain] = entry;
    }
  }

  // Hot path.
  remove(word: number): void {
    const { words } = this;
    const first = this.#first;
    const next = this.#next;
    const entry = word / ENTRY_WORDS + 1;
    const chain = chainOf(words[word + TAG]!, first);
    if (first[chain] === entry) first[chain] = next[entry - 1]!;
    else {
      let before = first[chain]!;
      while (next[before - 1] !== entry) before = next[before - 1]!;
      next[before - 1] = next[entry - 1]!;
    }
    words[word + TAG] = 0;
    next[entry - 1] = this.#free;
    this.#free = entry;
    this.#count--;
  }

  /** Calls back for every entry, {id 4, tag, values 3} and where it lies, in no order that anything may depend on. The words are valid during the call. */
  forEach(visit: (entry: Uint32Array, at: number) => void): void {
    const entry = new Uint32Array(ENTRY_WORDS);
    for (let word = 0; word < this.#used * ENTRY_WORDS; word += ENTRY_WORDS) {
      if (this.words[word + TAG] === 0) continue;
      this.read(word, entry);
      visit(entry, word);
    }
  }

  /** Copies an entry as `forEach` shows it. */
  read(word: number, entry: Uint32Array): void {
    for (let w = 0; w < ENTRY_WORDS; w++) entry[w] = this.words[word + w]!;
    entry[TAG] = entry[TAG]! & TAG_MASK;
  }

  /** After a few keys it does not take the time of the whole table. */
  clear(): void {
    const first = this.#first;
    if (this.#used > first.length >> 5) first.fill(0);
    else {
      for (let word = 0; word < this.#used * ENTRY_WORDS; word += ENTRY_WORDS) {
        first[chainOf(this.words[word + TAG]!, first)] = 0;
      }
    }
    this.words.fill(0, 0, this.#used * ENTRY_WORDS);
    this.#free = 0;
    this.#used = 0;
    this.#count = 0;
  }
}

/** Of an entry: its tag and most of its hash. */
// Hot path.
function keyWord(hash: number, tag: number): number {
  return ((hash << TAG_BITS) | tag) >>> 0;
}

// Hot path.
function chainOf(key: number, first: Int32Array): number {
  return (key >>> TAG_BITS) & (first.length - 1);
}
