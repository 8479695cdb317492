/**
 * Who holds which key of this shard (see event-keys.ts), and who waits for it: first come, first served for each key.
 *
 * A key has an owner (a walk), a number of places of parked items that wait for it, and their queue (key-queues.ts). A key nobody owns or waits
 * for is not in the table.
 */
import { assert } from './assert.ts';
import type { EventKeys } from './event-keys.ts';
import { KeyQueues, NONE } from './key-queues.ts';
import { KeyTable } from './key-table.ts';
import { BLOCK_ROWS } from './look-ahead.ts';
import type { StateReader, StateWriter } from './state-words.ts';

/** Of a key in a list: {id 4, kind} */
export const KEY_WORDS = 5;
const OWNER = 5;
const WAITERS = 6;
/** The last node of its queue, + 1. */
const LAST = 7;

/** The owner of keys that a walk of another shard has claimed here. Own walks have their number, which is below. */
export const OWNER_AWAY = 0xffffffff;
/** Not an owner: what `ownerUnlessAwaited` says of a key that others wait for. */
export const AWAITED = -1;
/** In place of a parked item: who asks has just come. */
export const NEWCOMER = NONE;

export class Claims {
  readonly #keys: KeyTable;
  /** Its items are those that are parked. */
  readonly queues = new KeyQueues();
  #scans = 0;
  readonly #hashes = new Int32Array(BLOCK_ROWS);
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;

  /** Of the hashes of the keys: an `EventKeys` made with it has them ready. */
  readonly seed: number;

  /** `keysAtFirst`: room to begin with, a power of two. */
  constructor(seed: number, keysAtFirst = 256) {
    this.seed = seed;
    this.#keys = new KeyTable(keysAtFirst, seed);
  }

  get count(): number {
    return this.#keys.count;
  }

  // Hot path.
  #find({ words, at, kinds, hashes }: EventKeys, key: number): number {
    return this.#keys.find(words[key]!, at[key]!, kinds[key]!, hashes[key]);
  }

  // Hot path.
  #obtain({ words, at, kinds, hashes }: EventKeys, key: number): number {
    return this.#keys.obtain(words[key]!, at[key]!, kinds[key]!, hashes[key]);
  }

  /** What is parked has its turns. They are counted in images, and nowhere else. */
  countScan(): void {
    this.#scans = (this.#scans + 1) >>> 0;
  }

  /** The owner, 0 when there is none; AWAITED when somebody who came earlier than the parked item, or NEWCOMER, waits for it. */
  ownerUnlessAwaited(keys: EventKeys, key: number, item: number): number {
    const entry = this.#find(keys, key);
    if (entry === -1) return 0;
    return this.#isFirst(entry, item) ? this.#keys.words[entry + OWNER]! : AWAITED;
  }

  /** Neither owned nor awaited by somebody who came earlier than the parked item, or NEWCOMER. */
  isFree(keys: EventKeys, key: number, item: number): boolean {
    const entry = this.#find(keys, key);
    if (entry === -1) return true;
    return this.#keys.words[entry + OWNER] === 0 && this.#isFirst(entry, item);
  }

  #isFirst(entry: number, item: number): boolean {
    const last = this.#keys.words[entry + LAST]!;
    return last === 0 || this.queues.first(last - 1) === item;
  }

  /** Takes a key for a walk; false when that walk has it already. */
  claim(keys: EventKeys, key: number, owner: number): boolean {
    const entry = this.#obtain(keys, key);
    const words = this.#keys.words;
    if (words[entry + OWNER] === owner) return false;
    assert(words[entry + OWNER] === 0, 'a key has one owner');
    words[entry + OWNER] = owner;
    return true;
  }

  /** Reads where keys of these hashes are most likely, so that their cache misses overlap; at most `count` of them. */
  // Hot path.
  touchAll(hashes: Int32Array, count: number): void {
    this.touched ^= this.#keys.touchAll(hashes, count);
  }

  /** Frees the keys of a walk: {id 4, kind} for each. */
  // Hot path.
  releaseAll(ids: Uint32Array): void {
    const table = this.#keys;
    const hashes = this.#hashes;
    for (let from = 0; from < ids.length; from += BLOCK_ROWS * KEY_WORDS) {
      const count = Math.min(BLOCK_ROWS, (ids.length - from) / KEY_WORDS);
      for (let i = 0; i < count; i++) {
        const at = from + i * KEY_WORDS;
        hashes[i] = table.hash(ids, at, ids[at + 4]!);
      }
      this.touched ^= table.touchAll(hashes, count);
      for (let i = 0; i < count; i++) this.#release(ids, from + i * KEY_WORDS, hashes[i]!);
    }
  }

  #release(ids: Uint32Array, at: number, hash: number): void {
    const entry = this.#keys.find(ids, at, ids[at + 4]!, hash);
    assert(entry !== -1, 'a released key was claimed');
    assert(this.#keys.words[entry + OWNER] !== 0, 'a released key was claimed');
    this.#keys.words[entry + OWNER] = 0;
    const last = this.#keys.words[entry + LAST]!;
    if (last === 0) this.#keys.remove(entry);
    else this.queues.setDue(this.queues.first(last - 1));
  }

  /** A parked item begins to wait for it. */
  await(keys: EventKeys, key: number, item: number): void {
    const entry = this.#obtain(keys, key);
    const words = this.#keys.words;
    words[entry + WAITERS] = words[entry + WAITERS]! + 1;
    words[entry + LAST] = this.queues.append(words[entry + LAST]! - 1, item) + 1;
  }

  /** A parked item has had its turn: it gives its keys back in the opposite order. */
  leave(keys: EventKeys, key: number, item: number): void {
    const entry = this.#find(keys, key);
    assert(entry !== -1, 'a key that is left was awaited');
    const words = this.#keys.words;
    assert(words[entry + WAITERS]! > 0, 'a key that is left was awaited');
    words[entry + WAITERS] = words[entry + WAITERS]! - 1;
    const last = this.queues.remove(words[entry + LAST]! - 1, item);
    words[entry + LAST] = last + 1;
    if (last !== NONE) this.queues.setDue(this.queues.first(last));
    else if (words[entry + OWNER] === 0) this.#keys.remove(entry);
  }

  /** Queues are not in an image: they follow from what is parked, in its order. */
  save(out: StateWriter): void {
    out.put(this.#scans);
    this.#keys.save(out, LAST);
  }

  /** Whoever is parked has to `await` its keys again. */
  load(from: StateReader): void {
    this.#scans = from.take();
    this.#keys.load(from);
    this.#keys.forEach((words, at) => words.fill(0, at + WAITERS, at + LAST + 1));
  }

  /** Order-free sum over keys, for the digest. */
  digest(mix: (words: Uint32Array, at: number, count: number) => number): number {
    let sum = 0;
    this.#keys.forEach((words, at) => {
      sum = (sum + mix(words, at, 7)) | 0;
    });
    return sum >>> 0;
  }
}
