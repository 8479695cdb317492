/**
 * Which rows of a batch go to their shards at once, and which follow as one walk when all of those are answered: the effect of a batch is
 * that of its events one after another. It owns its arrays, which hold for the batch planned last; the router calls it for each batch and
 * it calls nothing but the placement. It never fails for what a user sent.
 *
 * A unit is what succeeds or fails together: an event, or a chain (consecutive linked events and the one after them; one that is open at the
 * end of the batch too). The keys of a transfer are its two accounts, each on its own shard, its id, and for a post or void the id of its
 * pending transfer, both on the shard of its debit account (so one id sent with debit accounts on two shards is two keys). The key of an
 * account is its id. An imported event has one more: the order of imports of its shard. Flags of accounts are not known here, so that every
 * touch of a key may decide an outcome: two units conflict when they share a key.
 *
 * - B1 A unit is sent to the ring of its first shard (home, or the lowest of those of its keys) in the order of the batch.
 * - B2 A unit joins the rest if it conflicts with an earlier one of the rest.
 * - B3 It joins the rest if it conflicts with an earlier one of the first wave over a key that is not on the shard to which both were
 *   sent: only one ring keeps an order. Else it joins the first wave.
 *
 * The keys seen lie one after the other, four words each: {hash, word offset of the key, owner | marks, 0}. An open-addressed index, small enough for
 * the processor's cache, has a word for each: its number and the generation, which is the batch's. A slot of another generation is empty, so nothing is
 * cleared between batches and nothing is allocated for one. Behind the keys lies one for the order of imports of each shard.
 */
import { equals, isZero } from '../engine/arithmetic.ts';
import { assert } from '../engine/assert.ts';
import { Account, BatchKind, Transfer, type Columns } from '../engine/batch.ts';
import { AccountFlags, RESOLVING, TransferFlags } from '../engine/flags.ts';
import { BATCH_EVENTS_MAX, SHARDS_MAX } from '../engine/limits.ts';
import { BLOCK_ROWS } from '../engine/look-ahead.ts';
import { hashId, shardOf } from '../engine/placement.ts';

/** In the index: two accounts, an id, and the id of a pending transfer. */
const HASHED_KEYS_PER_ROW = 4;
const KEYS_PER_ROW = HASHED_KEYS_PER_ROW + 1;
const SLOTS = 65_536;
const KEY_BITS = 15;
const KEYS_MAX = 1 << KEY_BITS;
assert(KEYS_MAX >= HASHED_KEYS_PER_ROW * BATCH_EVENTS_MAX, 'each key has a number');
assert(SLOTS >= 2 * KEYS_MAX, 'at most half of the slots are taken');
const GENERATIONS = 1 << (32 - KEY_BITS);
/** Words of a key, and of them that of its hash, of where it is, and of its owner and marks. */
const KEY_WORDS = 4;
const [HASH, AT, MARKS] = [0, 1, 2];
/** Keys of a row that are looked ahead at: its debit account, its credit account, its id. */
const KEYS_AHEAD = 3;

/** Whose key it is, so that an id is told from an account of the same number: accounts are 0, the ids of the transfers of home h are h + 1. Above the marks. */
const OWNER_SHIFT = 8;
const ACCOUNT = 0;
/** How units before touched a key: sent to the shard that owns it, sent to another shard, or part of the rest. */
const MARK_RING = 1;
const MARK_AWAY = 2;
const MARK_REST = 4;
const LINKED = TransferFlags.linked;
/** The flags that make a unit of transfers longer or give it more keys. */
const LOOKED_AT = LINKED | RESOLVING | TransferFlags.imported;
assert(LINKED === AccountFlags.linked, 'accounts and transfers are linked by the same bit');

export class BatchOrder {
  /** Per row: where it goes in the first wave, the lowest shard of its unit. */
  readonly shard = new Uint8Array(BATCH_EVENTS_MAX);
  /** Per row: 1 if it joins the rest. */
  readonly isRest = new Uint8Array(BATCH_EVENTS_MAX);
  restCount = 0;
  /** Rows of the first wave, per shard. */
  readonly firstCount: Uint32Array;
  /** The shards of the rest's walk: bits 0 to 31, and 32 to 63; both unsigned. */
  restMaskLow = 0;
  restMaskHigh = 0;
  readonly #shards: number;
  readonly #seed: number;
  readonly #index = new Int32Array(SLOTS);
  readonly #keys = new Int32Array((KEYS_MAX + SHARDS_MAX) * KEY_WORDS);
  #count = 0;
  #generation = 0;
  /** Of the rows that were looked ahead at: the shards of their accounts, and KEYS_AHEAD hashes for each. */
  #aheadFrom = 0;
  #aheadTo = 0;
  readonly #homes = new Uint8Array(BLOCK_ROWS);
  readonly #aways = new Uint8Array(BLOCK_ROWS);
  readonly #hashes = new Int32Array(KEYS_AHEAD * BLOCK_ROWS);
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;
  /** The keys of the unit at hand (word offsets), and the shards that own them. */
  readonly #unitWords = new Int32Array(BATCH_EVENTS_MAX * KEYS_PER_ROW);
  readonly #unitOwners = new Uint8Array(BATCH_EVENTS_MAX * KEYS_PER_ROW);
  #unitKeys = 0;
  /** The shards of the unit at hand. */
  #unitMaskLow = 0;
  #unitMaskHigh = 0;

  constructor(shards: number, seed = 0) {
    assert(shards >= 1 && shards <= SHARDS_MAX, 'a shard count within its bound');
    this.#shards = shards;
    this.#seed = seed;
    this.firstCount = new Uint32Array(shards);
  }

  /** Plans the rows of `columns`, which must not change meanwhile. */
  plan(columns: Columns): void {
    const { n } = columns;
    assert(columns.kind !== BatchKind.ids, 'what is read does not conflict');
    assert(n <= BATCH_EVENTS_MAX, 'a batch is within its bound');
    this.restCount = 0;
    this.restMaskLow = 0;
    this.restMaskHigh = 0;
    this.firstCount.fill(0);
    if (this.#shards === 1) {
      // One ring keeps the order of everything.
      this.shard.fill(0, 0, n);
      this.isRest.fill(0, 0, n);
      this.firstCount[0] = n;
      return;
    }
    this.#nextGeneration();
    if (columns.kind === BatchKind.transfers && !looksAtFlags(columns)) {
      for (let row = 0; row < n; row++) this.#planPlain(columns, row);
      return;
    }
    for (let row = 0; row < n;) {
      const from = row;
      while (row < n - 1 && (flagsOf(columns, row) & LINKED) !== 0) row++;
      row++;
      this.#planUnit(columns, from, row);
    }
  }

  /** Looks ahead at a block of transfers that begins with a row: at their shards, at their hashes, and at where the index has these. */
  // Hot path.
  #lookAhead({ words, at, step, n }: Columns, from: number): void {
    const homes = this.#homes;
    const aways = this.#aways;
    const hashes = this.#hashes;
    const index = this.#index;
    const count = Math.min(BLOCK_ROWS, n - from);
    const drStep = step[Transfer.debitAccountId]!;
    const crStep = step[Transfer.creditAccountId]!;
    const idStep = step[Transfer.id]!;
    const drStart = at[Transfer.debitAccountId]! + from * drStep;
    const crStart = at[Transfer.creditAccountId]! + from * crStep;
    const idStart = at[Transfer.id]! + from * idStep;
    for (let i = 0; i < count; i++) {
      const dr = drStart + i * drStep;
      const cr = crStart + i * crStep;
      homes[i] = shardOf(words, dr, this.#shards);
      aways[i] = shardOf(words, cr, this.#shards);
      hashes[KEYS_AHEAD * i] = hashId(words, dr, this.#seed);
      hashes[KEYS_AHEAD * i + 1] = hashId(words, cr, this.#seed);
      hashes[KEYS_AHEAD * i + 2] = hashId(words, idStart + i * idStep, this.#seed);
    }
    let touched = 0;
    for (let i = 0; i < KEYS_AHEAD * count; i++) touched ^= index[hashes[i]! & (SLOTS - 1)]!;
    this.touched ^= touched;
    this.#aheadFrom = from;
    this.#aheadTo = from + count;
  }

  /** Where in the block that was looked ahead at a row is; rows come in order. */
  // Hot path.
  #placeOf(columns: Columns, row: number): number {
    if (row >= this.#aheadTo) this.#lookAhead(columns, row);
    return row - this.#aheadFrom;
  }

  /** A unit of one transfer with three keys: what `#planUnit` does, without its lists. */
  // Hot path.
  #planPlain(columns: Columns, row: number): void {
    const { words, at, step } = columns;
    const keys = this.#keys;
    const place = this.#placeOf(columns, row);
    const hashes = this.#hashes;
    const hash = KEYS_AHEAD * place;
    const dr = at[Transfer.debitAccountId]! + row * step[Transfer.debitAccountId]!;
    const cr = at[Transfer.creditAccountId]! + row * step[Transfer.creditAccountId]!;
    const home = this.#homes[place]!;
    const away = this.#aways[place]!;
    const first = home < away ? home : away;
    const debit = this.#keyOf(words, dr, ACCOUNT, hashes[hash]!) + MARKS;
    const credit = this.#keyOf(words, cr, ACCOUNT, hashes[hash + 1]!) + MARKS;
    const id = at[Transfer.id]! + row * step[Transfer.id]!;
    const own = this.#keyOf(words, id, home + 1, hashes[hash + 2]!) + MARKS;
    const isRest =
      mustWait(keys[debit]! | keys[own]!, home === first) ||
      mustWait(keys[credit]!, away === first);
    const mark = markOf(isRest, home === first);
    keys[debit]! |= mark;
    keys[own]! |= mark;
    keys[credit]! |= markOf(isRest, away === first);
    this.shard[row] = first;
    this.isRest[row] = isRest ? 1 : 0;
    if (isRest) {
      this.#beginUnit();
      this.#addShard(home);
      this.#addShard(away);
      this.#joinRest(1);
    } else this.firstCount[first]!++;
  }

  #planUnit(columns: Columns, from: number, to: number): void {
    this.#beginUnit();
    for (let row = from; row < to; row++) {
      if (columns.kind === BatchKind.transfers) this.#touchTransfer(columns, row);
      else this.#touchAccount(columns, row);
    }
    const first = lowestShard(this.#unitMaskLow, this.#unitMaskHigh);
    let isRest = false;
    for (let key = 0; key < this.#unitKeys; key++) {
      const marks = this.#keys[this.#unitWords[key]! + MARKS]!;
      if (mustWait(marks, this.#unitOwners[key] === first)) isRest = true;
    }
    for (let key = 0; key < this.#unitKeys; key++) {
      const word = this.#unitWords[key]! + MARKS;
      this.#keys[word]! |= markOf(isRest, this.#unitOwners[key] === first);
    }
    for (let row = from; row < to; row++) {
      this.shard[row] = first;
      this.isRest[row] = isRest ? 1 : 0;
    }
    if (isRest) this.#joinRest(to - from);
    else this.firstCount[first]! += to - from;
  }

  #beginUnit(): void {
    this.#unitKeys = 0;
    this.#unitMaskLow = 0;
    this.#unitMaskHigh = 0;
  }

  #addShard(shard: number): void {
    if (shard < 32) this.#unitMaskLow |= 1 << shard;
    else this.#unitMaskHigh |= 1 << (shard - 32);
  }

  /** The unit at hand, of so many rows. */
  #joinRest(rows: number): void {
    this.restCount += rows;
    this.restMaskLow = (this.restMaskLow | this.#unitMaskLow) >>> 0;
    this.restMaskHigh = (this.restMaskHigh | this.#unitMaskHigh) >>> 0;
  }

  // Hot path.
  #touchTransfer(columns: Columns, row: number): void {
    const { words, at, step } = columns;
    const place = this.#placeOf(columns, row);
    const hashes = this.#hashes;
    const hash = KEYS_AHEAD * place;
    const dr = at[Transfer.debitAccountId]! + row * step[Transfer.debitAccountId]!;
    const cr = at[Transfer.creditAccountId]! + row * step[Transfer.creditAccountId]!;
    const home = this.#homes[place]!;
    const flags = flagsOf(columns, row);
    const isResolving = (flags & RESOLVING) !== 0;
    this.#addKey(this.#keyOf(words, dr, ACCOUNT, hashes[hash]!), home);
    // A post or void that leaves its credit account out is its home's alone, as the shards see it (engine/event-keys.ts).
    if (!isResolving || !isZero(words, cr)) {
      this.#addKey(this.#keyOf(words, cr, ACCOUNT, hashes[hash + 1]!), this.#aways[place]!);
    }
    const id = at[Transfer.id]! + row * step[Transfer.id]!;
    this.#addKey(this.#keyOf(words, id, home + 1, hashes[hash + 2]!), home);
    if (isResolving) {
      const pending = at[Transfer.pendingId]! + row * step[Transfer.pendingId]!;
      this.#addKey(this.#keyOf(words, pending, home + 1, this.#hash(words, pending)), home);
    }
    if ((flags & TransferFlags.imported) !== 0) this.#touchImports(home);
  }

  #touchAccount(columns: Columns, row: number): void {
    const { words, at, step } = columns;
    const id = at[Account.id]! + row * step[Account.id]!;
    const shard = shardOf(words, id, this.#shards);
    this.#addKey(this.#keyOf(words, id, ACCOUNT, this.#hash(words, id)), shard);
    if ((flagsOf(columns, row) & AccountFlags.imported) !== 0) this.#touchImports(shard);
  }

  #hash(words: Uint32Array, at: number): number {
    return hashId(words, at, this.#seed);
  }

  /** An imported event is compared with the newest one of its shard. Its hash says of which batch the marks are. */
  #touchImports(shard: number): void {
    const keys = this.#keys;
    const key = (KEYS_MAX + shard) * KEY_WORDS;
    if (keys[key + HASH] !== this.#generation) {
      keys[key + HASH] = this.#generation;
      keys[key + MARKS] = 0;
    }
    this.#addKey(key, shard);
  }

  /** Adds a key to those of the unit at hand. A key touched twice is there twice, which changes nothing. */
  // Hot path.
  #addKey(word: number, shard: number): void {
    this.#unitWords[this.#unitKeys] = word;
    this.#unitOwners[this.#unitKeys] = shard;
    this.#unitKeys++;
    this.#addShard(shard);
  }

  /** Word offset of the key at word `at`, which is noted if nobody touched it before in this batch. */
  // Hot path.
  #keyOf(words: Uint32Array, at: number, owner: number, hash: number): number {
    const index = this.#index;
    const keys = this.#keys;
    const generation = this.#generation << KEY_BITS;
    let slot = hash & (SLOTS - 1);
    for (;;) {
      const number = (index[slot]! ^ generation) >>> 0;
      if (number >= KEYS_MAX) break;
      const key = number * KEY_WORDS;
      if (keys[key + HASH] === hash && keys[key + MARKS]! >>> OWNER_SHIFT === owner) {
        if (equals(words, at, words, keys[key + AT]!)) return key;
      }
      slot = (slot + 1) & (SLOTS - 1);
    }
    const number = this.#count++;
    index[slot] = generation | number;
    const key = number * KEY_WORDS;
    keys[key + HASH] = hash;
    keys[key + AT] = at;
    keys[key + MARKS] = owner << OWNER_SHIFT;
    return key;
  }

  #nextGeneration(): void {
    this.#count = 0;
    this.#aheadTo = 0;
    this.#generation = (this.#generation + 1) % GENERATIONS;
    if (this.#generation !== 0) return;
    // Generations come round again; 0 is that of a slot never used.
    this.#index.fill(0);
    this.#keys.fill(0, KEYS_MAX * KEY_WORDS);
    this.#generation = 1;
  }
}

/** Whether a unit could overtake or be overtaken by one that left these marks on a key (B2, B3). `isHere`: it is sent to the key's own shard. */
function mustWait(marks: number, isHere: boolean): boolean {
  return (marks & (isHere ? MARK_REST | MARK_AWAY : MARK_REST | MARK_AWAY | MARK_RING)) !== 0;
}

function markOf(isRest: boolean, isHere: boolean): number {
  if (isRest) return MARK_REST;
  return isHere ? MARK_RING : MARK_AWAY;
}

function flagsOf(columns: Columns, row: number): number {
  return columns.halves[columns.at[Transfer.flags]! + row * columns.step[Transfer.flags]!]!;
}

/** Whether flags may join transfers or give them keys; not so where the column is left out, or is one harmless value. */
function looksAtFlags(columns: Columns): boolean {
  return columns.step[Transfer.flags] !== 0 || (flagsOf(columns, 0) & LOOKED_AT) !== 0;
}

/** The lowest shard of a mask that is not empty. */
export function lowestShard(low: number, high: number): number {
  assert(low !== 0 || high !== 0, 'a unit has a shard');
  return low !== 0 ? 31 - Math.clz32(low & -low) : 63 - Math.clz32(high & -high);
}
