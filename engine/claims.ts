/**
 * Who holds which key of this shard (see event-keys.ts), and who waits for it: first come, first served for each key.
 *
 * A key has an owner (a walk), a number of parked items that wait for it, and a mark: the last scan of the parked items in which an
 * earlier item that still waits had it. A key nobody owns or waits for is not in the table.
 */
import { assert } from './assert.ts';
import type { EventKeys } from './event-keys.ts';
import { KeyTable } from './key-table.ts';
import type { StateReader, StateWriter } from './state-words.ts';

const KEYS_AT_FIRST = 1 << 12;
const OWNER = 5;
const WAITERS = 6;
const MARK = 7;

/** The owner of keys that a walk of another shard has claimed here. Own walks have their number, which is below. */
export const OWNER_AWAY = 0xffffffff;
/** Not an owner: what `ownerUnlessAwaited` says of a key that others wait for. */
export const AWAITED = -1;

export class Claims {
  readonly #keys: KeyTable;
  #scan = 0;

  /** Of the hashes of the keys: an `EventKeys` made with it has them ready. */
  readonly seed: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#keys = new KeyTable(KEYS_AT_FIRST, seed);
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

  /** Begins a scan of the parked items from the first on. */
  beginScan(): void {
    this.#scan = (this.#scan + 1) >>> 0;
  }

  /**
   * The owner, 0 when there is none; AWAITED when somebody who came earlier waits for it: any parked item on arrival, one marked in this
   * scan while scanning.
   */
  ownerUnlessAwaited(keys: EventKeys, key: number, isScan: boolean): number {
    const entry = this.#find(keys, key);
    if (entry === -1) return 0;
    const words = this.#keys.words;
    const isAwaited = isScan ? words[entry + MARK] === this.#scan : words[entry + WAITERS]! > 0;
    return isAwaited ? AWAITED : words[entry + OWNER]!;
  }

  /** Neither owned nor awaited. */
  isFree(keys: EventKeys, key: number, isScan: boolean): boolean {
    const entry = this.#find(keys, key);
    if (entry === -1) return true;
    const words = this.#keys.words;
    if (words[entry + OWNER] !== 0) return false;
    return isScan ? words[entry + MARK] !== this.#scan : words[entry + WAITERS] === 0;
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

  release(ids: Uint32Array, at: number, kind: number): void {
    const entry = this.#keys.find(ids, at, kind);
    assert(entry !== -1, 'a released key was claimed');
    assert(this.#keys.words[entry + OWNER] !== 0, 'a released key was claimed');
    this.#keys.words[entry + OWNER] = 0;
    if (this.#keys.words[entry + WAITERS] === 0) this.#keys.remove(entry);
  }

  await(keys: EventKeys, key: number): void {
    const entry = this.#obtain(keys, key);
    this.#keys.words[entry + WAITERS] = this.#keys.words[entry + WAITERS]! + 1;
  }

  /** A parked item that waits for it has had its turn. */
  leave(keys: EventKeys, key: number): void {
    const entry = this.#find(keys, key);
    assert(entry !== -1, 'a key that is left was awaited');
    const words = this.#keys.words;
    assert(words[entry + WAITERS]! > 0, 'a key that is left was awaited');
    words[entry + WAITERS] = words[entry + WAITERS]! - 1;
    if (words[entry + WAITERS] === 0 && words[entry + OWNER] === 0) this.#keys.remove(entry);
  }

  /** In a scan: a parked item that has to go on waiting holds back the later ones with this key. */
  mark(keys: EventKeys, key: number): void {
    const entry = this.#find(keys, key);
    assert(entry !== -1, 'a waiting item awaits its keys');
    this.#keys.words[entry + MARK] = this.#scan;
  }

  save(out: StateWriter): void {
    out.put(this.#scan);
    this.#keys.save(out);
  }

  load(from: StateReader): void {
    this.#scan = from.take();
    this.#keys.load(from);
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
