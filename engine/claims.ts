/**
 * Who holds which key of this shard (see event-keys.ts), and who waits for it: first come, first served for each key.
 *
 * A key has an owner (a walk), a number of places of parked items that wait for it, and their queue (key-queues.ts). A key nobody owns or waits
 * for is not in the table.
 */
import { assert } from './assert.ts';
import type { Columns } from './batch.ts';
import { KeysAhead, type EventKeys } from './event-keys.ts';
import type { EventShards } from './event-shards.ts';
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
  /** Of the rows of the batch that is open. */
  readonly ahead: KeysAhead;
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;

  /** Of the hashes of the keys: an `EventKeys` made with it has them ready. */
  readonly seed: number;

  /** `keysAtFirst`: room to begin with, a power of two. */
  constructor(seed: number, keysAtFirst = 256) {
    this.seed = seed;
    this.ahead = new KeysAhead(seed);
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

  /** Takes a key for a walk, and says where it is, for `releaseAll`; -1 when that walk has it already. */
  claim(keys: EventKeys, key: number, owner: number): number {
    const entry = this.#obtain(keys, key);
    const words = this.#keys.words;
    if (words[entry + OWNER] === owner) return -1;
    assert(words[entry + OWNER] === 0, 'a key has one owner');
    words[entry + OWNER] = owner;
    return entry;
  }

  /** Looks ahead at the keys of rows of the open batch, all transfers, at most BLOCK_ROWS of them: at their hashes, and at where they are claimed. */
  // Hot path.
  // oxlint-disable-next-line max-params -- Rows, and where they belong.
  lookAhead(columns: Columns, from: number, to: number, shards: EventShards, shard: number): void {
    this.ahead.look(columns, from, to, shards, shard);
    this.touched ^= this.#keys.touchAll(this.ahead.hashes, this.ahead.count);
  }

  /** Frees the keys of a walk: {id 4, kind} for each. `places`: where each was claimed, or, where that is not known, any. */
  // Hot path.
  releaseAll(ids: Uint32Array, places: Uint32Array): void {
    const table = this.#keys;
    const count = ids.length / KEY_WORDS;
    for (let from = 0; from < count; from += BLOCK_ROWS) {
      const to = Math.min(from + BLOCK_ROWS, count);
      this.touched ^= table.touchEntries(places, from, to);
      for (let i = from; i < to; i++) this.#release(ids, i * KEY_WORDS, places[i]!);
    }
  }

  #release(ids: Uint32Array, at: number, likely: number): void {
    const kind = ids[at + 4]!;
    const isThere = this.#keys.isAt(likely, ids, at, kind);
    const entry = isThere ? likely : this.#keys.find(ids, at, kind);
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
    const { words } = this.#keys;
    this.#keys.forEach((_, at) => words.fill(0, at + WAITERS, at + LAST + 1));
  }

  /** Order-free sum over keys, for the digest. */
  digest(mix: (words: Uint32Array, at: number, count: number) => number): number {
    let sum = 0;
    this.#keys.forEach((entry) => {
      sum = (sum + mix(entry, 0, 7)) | 0;
    });
    return sum >>> 0;
  }
}
