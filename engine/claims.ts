/**
 * Who holds which key of this shard (see event-keys.ts), and who waits for it: first come, first served for each key.
 *
 * A key has an owner (a walk), a number of places of parked items that wait for it, and their queue (key-queues.ts). A key nobody owns or waits
 * for is not in the table. The account of a row that somebody owns and nobody waits for is not there either: its owner is in account-owners.ts.
 */
import type { AccountIndex } from './account-index.ts';
import { AccountOwners, IN_TABLE } from './account-owners.ts';
import type { AccountTable } from './account-table.ts';
import { assert } from './assert.ts';
import type { Columns } from './batch.ts';
import { type EventKeys, KeyKind, KeysAhead } from './event-keys.ts';
import { KeyQueues, NONE } from './key-queues.ts';
import { KeyTable } from './key-table.ts';
import { BLOCK_ROWS } from './look-ahead.ts';
import type { StateReader, StateWriter } from './state-words.ts';

/** Of a key in a list: {id 4, kind} */
export const KEY_WORDS = 5;
const KIND = 4;
const OWNER = 5;
const WAITERS = 6;
/** The last node of its queue, + 1; and ROWLESS. */
const LAST = 7;
/** Of a key whose account had no row when it came into the table: whoever knows of a row has to look here all the same. */
const ROWLESS = 0x80000000;

/** The owner of keys that a walk of another shard has claimed here. Own walks have their number, which is below IN_TABLE. */
export const OWNER_AWAY = 0xffffffff;
/** Not an owner: what `ownerUnlessAwaited` says of a key that others wait for. */
export const AWAITED = -1;
/** In place of a parked item: who asks has just come. */
export const NEWCOMER = NONE;

/**
 * The keys that a walk has claimed, KEY_WORDS for each; of each the row of its account + 1, or 0, and where it was claimed, or, where that is not known,
 * any place. It may have given them back since.
 */
export interface HeldKeys {
  readonly keys: Uint32Array;
  readonly rows: Uint32Array;
  readonly places: Uint32Array;
  readonly owner: number;
}

/** The accounts of this shard. */
interface Accounts {
  readonly accounts: AccountTable;
  readonly accountIndex: AccountIndex;
}

export class Claims {
  readonly #accounts: Accounts;
  readonly #owners = new AccountOwners();
  readonly #keys: KeyTable;
  /** Keys in the table that are ROWLESS. */
  #rowless = 0;
  /** Its items are those that are parked. */
  readonly queues = new KeyQueues();
  #scans = 0;
  /** Of the rows of the batch that is open. */
  readonly ahead: KeysAhead;
  /** What walks under way have claimed, told by who knows them. */
  held: () => Iterable<HeldKeys> = () => [];
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;

  /** Of the hashes of the keys: an `EventKeys` made with it has them ready. */
  readonly seed: number;

  /** `keysAtFirst`: room to begin with, a power of two. */
  constructor(accounts: Accounts, seed: number, keysAtFirst = 256) {
    this.#accounts = accounts;
    this.seed = seed;
    this.ahead = new KeysAhead(seed);
    this.#keys = new KeyTable(keysAtFirst, seed);
  }

  get count(): number {
    return this.#keys.count + this.#owners.count;
  }

  // Hot path.
  #find({ words, at, kinds, hashes }: EventKeys, key: number): number {
    const kind = kinds[key]!;
    if (kind === KeyKind.account) return this.#keys.find(words[key]!, at[key]!, kind);
    return this.#keys.find(words[key]!, at[key]!, kind, hashes[key]);
  }

  // Hot path.
  #obtain({ words, at, kinds, hashes }: EventKeys, key: number): number {
    const kind = kinds[key]!;
    if (kind === KeyKind.account) return this.#keys.obtain(words[key]!, at[key]!, kind);
    return this.#keys.obtain(words[key]!, at[key]!, kind, hashes[key]);
  }

  /** The row of an account's key, which is noted with it, or -1. */
  // Hot path.
  #rowOf({ words, at, rows }: EventKeys, key: number): number {
    const likely = rows[key]!;
    const { accounts, accountIndex } = this.#accounts;
    const ids = words[key]!;
    const id = at[key]!;
    if (likely >= 0 && accounts.hasId(likely, ids, id)) return likely;
    const row = accountIndex.find(ids, id, accountIndex.hash(ids, id));
    rows[key] = row;
    return row;
  }

  /** The owner of a key, 0 for none, or IN_TABLE: the table of keys knows, if anybody. */
  // Hot path.
  #owner(keys: EventKeys, key: number): number {
    if (keys.kinds[key] !== KeyKind.account) return IN_TABLE;
    const row = this.#rowOf(keys, key);
    if (row === -1) return IN_TABLE;
    const owner = this.#owners.of(row);
    return owner === 0 && this.#rowless > 0 ? IN_TABLE : owner;
  }

  /** What is parked has its turns. They are counted in images, and nowhere else. */
  countScan(): void {
    this.#scans = (this.#scans + 1) >>> 0;
  }

  /** The owner, 0 when there is none; AWAITED when somebody who came earlier than the parked item, or NEWCOMER, waits for it. */
  // Hot path.
  ownerUnlessAwaited(keys: EventKeys, key: number, item: number): number {
    const owner = this.#owner(keys, key);
    if (owner !== IN_TABLE) return owner;
    const entry = this.#find(keys, key);
    if (entry === -1) return 0;
    return this.#isFirst(entry, item) ? this.#keys.words[entry + OWNER]! : AWAITED;
  }

  /** Neither owned nor awaited by somebody who came earlier than the parked item, or NEWCOMER. */
  // Hot path.
  isFree(keys: EventKeys, key: number, item: number): boolean {
    const owner = this.#owner(keys, key);
    if (owner !== IN_TABLE) return owner === 0;
    const entry = this.#find(keys, key);
    if (entry === -1) return true;
    return this.#keys.words[entry + OWNER] === 0 && this.#isFirst(entry, item);
  }

  #isFirst(entry: number, item: number): boolean {
    const last = this.#last(entry);
    return last === NONE || this.queues.first(last) === item;
  }

  /** The last node of the queue of a key, or NONE. */
  #last(entry: number): number {
    return (this.#keys.words[entry + LAST]! & ~ROWLESS) - 1;
  }

  #setLast(entry: number, node: number): void {
    const { words } = this.#keys;
    words[entry + LAST] = (words[entry + LAST]! & ROWLESS) | (node + 1);
  }

  /**
   * Takes a key for a walk; -1 when that walk has it already. What it says else goes with the key to `releaseAll`. Which row an account has, if any, is
   * among the keys afterwards.
   */
  // Hot path.
  claim(keys: EventKeys, key: number, owner: number): number {
    const other = this.#owner(keys, key);
    if (other === owner) return -1;
    if (other !== IN_TABLE) {
      assert(other === 0, 'a key has one owner');
      this.#owners.take(keys.rows[key]!, owner);
      return 0;
    }
    return this.#claimInTable(keys, key, owner);
  }

  #claimInTable(keys: EventKeys, key: number, owner: number): number {
    const isAccount = keys.kinds[key] === KeyKind.account;
    const row = isAccount ? keys.rows[key]! : -1;
    if (row !== -1 && this.#find(keys, key) === -1) {
      this.#owners.forget(row);
      this.#owners.take(row, owner);
      return 0;
    }
    const entry = this.#enter(keys, key, isAccount && row === -1);
    const { words } = this.#keys;
    if (words[entry + OWNER] === owner) return -1;
    assert(words[entry + OWNER] === 0, 'a key has one owner');
    words[entry + OWNER] = owner;
    return entry;
  }

  /** The entry of a key in the table, made if it was not there. */
  #enter(keys: EventKeys, key: number, isRowless: boolean): number {
    const entry = this.#obtain(keys, key);
    const { words } = this.#keys;
    const isNew = (words[entry + OWNER]! | words[entry + WAITERS]! | words[entry + LAST]!) === 0;
    if (isRowless && isNew) {
      words[entry + LAST] = ROWLESS;
      this.#rowless++;
    }
    return entry;
  }

  #remove(entry: number): void {
    if ((this.#keys.words[entry + LAST]! & ROWLESS) !== 0) this.#rowless--;
    this.#keys.remove(entry);
  }

  /** Looks ahead at rows of the open batch, all transfers, at most BLOCK_ROWS of them: at hashes of ids, where these are claimed, and at owners of accounts. */
  // Hot path.
  // oxlint-disable-next-line max-params -- Rows, and where they belong.
  lookAhead(
    columns: Columns,
    from: number,
    to: number,
    home: Uint8Array,
    shard: number,
    accounts: Int32Array,
  ): void {
    this.ahead.look(columns, from, to, home, shard);
    this.touched ^= this.#keys.touchAll(this.ahead.hashes, this.ahead.count);
    this.touched ^= this.#owners.touchAll(accounts, 2 * (to - from));
  }

  /** Frees keys of a walk. `places`: where each was claimed, or, where that is not known, any. */
  // Hot path.
  releaseAll(keys: Uint32Array, rows: Uint32Array, places: Uint32Array): void {
    const table = this.#keys;
    const owners = this.#owners;
    const count = rows.length;
    for (let from = 0; from < count; from += BLOCK_ROWS) {
      const to = Math.min(from + BLOCK_ROWS, count);
      this.touched ^= owners.touchEach(rows, from, to);
      this.touched ^= table.touchEntries(places, from, to);
      for (let i = from; i < to; i++) {
        const row = rows[i]! - 1;
        const owner = row === -1 ? IN_TABLE : owners.of(row);
        if (owner !== IN_TABLE && owner !== 0) owners.free(row);
        else this.#release(keys, i * KEY_WORDS, row, places[i]!);
      }
    }
  }

  #release(ids: Uint32Array, at: number, row: number, likely: number): void {
    const entry = this.#placeOf(ids, at, likely);
    assert(entry !== -1, 'a released key was claimed');
    assert(this.#keys.words[entry + OWNER] !== 0, 'a released key was claimed');
    this.#keys.words[entry + OWNER] = 0;
    const last = this.#last(entry);
    if (last !== NONE) {
      this.queues.setDue(this.queues.first(last));
      return;
    }
    this.#remove(entry);
    if (row !== -1) this.#owners.forget(row);
  }

  /** Where the table has a key, or -1. */
  #placeOf(ids: Uint32Array, at: number, likely: number): number {
    const kind = ids[at + KIND]!;
    const isThere = this.#keys.isAt(likely, ids, at, kind);
    return isThere ? likely : this.#keys.find(ids, at, kind);
  }

  /** A parked item begins to wait for it. */
  await(keys: EventKeys, key: number, item: number): void {
    const isAccount = keys.kinds[key] === KeyKind.account;
    const row = isAccount ? this.#rowOf(keys, key) : -1;
    const owner = row === -1 ? 0 : this.#owners.hand(row);
    const entry = this.#enter(keys, key, isAccount && row === -1);
    const { words } = this.#keys;
    if (owner !== 0) words[entry + OWNER] = owner;
    words[entry + WAITERS] = words[entry + WAITERS]! + 1;
    this.#setLast(entry, this.queues.append(this.#last(entry), item));
  }

  /** A parked item has had its turn: it gives its keys back in the opposite order. */
  leave(keys: EventKeys, key: number, item: number): void {
    const entry = this.#find(keys, key);
    assert(entry !== -1, 'a key that is left was awaited');
    const { words } = this.#keys;
    assert(words[entry + WAITERS]! > 0, 'a key that is left was awaited');
    words[entry + WAITERS] = words[entry + WAITERS]! - 1;
    const last = this.queues.remove(this.#last(entry), item);
    this.#setLast(entry, last);
    if (last !== NONE) this.queues.setDue(this.queues.first(last));
    else if (words[entry + OWNER] === 0) this.#remove(entry);
  }

  /**
   * Calls back for each key, {id 4, kind, owner, waiters, a word that means nothing}: those that walks have, in the order in which they have claimed them,
   * and then those for which somebody waits that nobody has. Nothing may depend on the order. Valid during the call.
   */
  #forEach(visit: (entry: Uint32Array) => void): void {
    const entry = new Uint32Array(LAST + 1);
    let found = 0;
    for (const held of this.held()) {
      for (let i = 0; i < held.rows.length; i++) {
        if (!this.#readHeld(held, i, entry)) continue;
        visit(entry);
        found++;
      }
    }
    this.#keys.forEach((awaited) => {
      if (awaited[OWNER] !== 0) return;
      visit(awaited);
      found++;
    });
    assert(found === this.count, 'every owner of a key is a walk under way');
    assert(this.#rowless <= this.#keys.count, 'keys without a row are in the table');
  }

  /** Reads the i-th key of a walk. False: it does not have it any more. */
  #readHeld({ keys, rows, places, owner }: HeldKeys, i: number, entry: Uint32Array): boolean {
    const at = i * KEY_WORDS;
    if (rows[i] !== 0 && this.#owners.of(rows[i]! - 1) === owner) {
      for (let w = 0; w < KEY_WORDS; w++) entry[w] = keys[at + w]!;
      entry[OWNER] = owner;
      entry[WAITERS] = 0;
      return true;
    }
    const place = this.#placeOf(keys, at, places[i]!);
    if (place === -1 || this.#keys.words[place + OWNER] !== owner) return false;
    this.#keys.read(place, entry);
    return true;
  }

  /** An image has all keys as the table has them. Queues are not in it: they follow from what is parked, in its order. */
  save(out: StateWriter): void {
    out.put(this.#scans);
    out.put(this.count);
    this.#forEach((entry) => {
      entry.fill(0, LAST);
      out.putList(entry);
    });
  }

  /**
   * Whoever is parked has to `await` its keys again. The accounts may not be there yet: all keys stay in the table until they are released, as if they had
   * had no rows.
   */
  load(from: StateReader): void {
    this.#scans = from.take();
    assert(this.#keys.count === 0, 'claims are loaded where there are none');
    for (let left = from.take(); left > 0; left--) {
      const key = from.takeList();
      const kind = key[KIND]!;
      const entry = this.#keys.obtain(key, 0, kind);
      this.#keys.words[entry + OWNER] = key[OWNER]!;
      if (kind !== KeyKind.account) continue;
      this.#keys.words[entry + LAST] = ROWLESS;
      this.#rowless++;
    }
  }

  /** Order-free sum over keys, for the digest. */
  digest(mix: (words: Uint32Array, at: number, count: number) => number): number {
    let sum = 0;
    this.#forEach((entry) => {
      sum = (sum + mix(entry, 0, LAST)) | 0;
    });
    return sum >>> 0;
  }
}
