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
 * The keys seen lie in an open-addressed table of four words each: {generation, hash, word offset of the key, owner | marks}. A slot of
 * another generation is empty, so nothing is cleared between batches and nothing is allocated for one. Behind the table lies a slot for the
 * order of imports of each shard.
 */
import { isZero } from '../engine/arithmetic.ts';
import { assert } from '../engine/assert.ts';
import { Account, BatchKind, Transfer, type Columns } from '../engine/batch.ts';
import { AccountFlags, RESOLVING, TransferFlags } from '../engine/flags.ts';
import { BATCH_EVENTS_MAX, SHARDS_MAX } from '../engine/limits.ts';
import { hashId, shardOf } from '../engine/placement.ts';

/** In the table: two accounts, an id, and the id of a pending transfer. */
const HASHED_KEYS_PER_ROW = 4;
const KEYS_PER_ROW = HASHED_KEYS_PER_ROW + 1;
const SLOTS = 65_536;
assert(SLOTS >= 2 * HASHED_KEYS_PER_ROW * BATCH_EVENTS_MAX, 'at most half of the slots are taken');

/** Whose key it is, so that an id is told from an account of the same number: accounts are 0, the ids of the transfers of home h are h + 1. Above the marks in the fourth word. */
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
  readonly #slots = new Int32Array((SLOTS + SHARDS_MAX) * 4);
  #generation = 0;
  /** The keys of the unit at hand: their slots (word offsets), and the shards that own them. */
  readonly #unitSlots = new Int32Array(BATCH_EVENTS_MAX * KEYS_PER_ROW);
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

  /** A unit of one transfer with three keys: what `#planUnit` does, without its lists. */
  // Hot path.
  #planPlain(columns: Columns, row: number): void {
    const { words, at, step } = columns;
    const slots = this.#slots;
    const dr = at[Transfer.debitAccountId]! + row * step[Transfer.debitAccountId]!;
    const cr = at[Transfer.creditAccountId]! + row * step[Transfer.creditAccountId]!;
    const home = shardOf(words, dr, this.#shards);
    const away = shardOf(words, cr, this.#shards);
    const first = home < away ? home : away;
    const debit = this.#slotOf(words, dr, ACCOUNT) + 3;
    const credit = this.#slotOf(words, cr, ACCOUNT) + 3;
    const id = at[Transfer.id]! + row * step[Transfer.id]!;
    const own = this.#slotOf(words, id, home + 1) + 3;
    const isRest =
      mustWait(slots[debit]! | slots[own]!, home === first) ||
      mustWait(slots[credit]!, away === first);
    const mark = markOf(isRest, home === first);
    slots[debit]! |= mark;
    slots[own]! |= mark;
    slots[credit]! |= markOf(isRest, away === first);
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
      const marks = this.#slots[this.#unitSlots[key]! + 3]!;
      if (mustWait(marks, this.#unitOwners[key] === first)) isRest = true;
    }
    for (let key = 0; key < this.#unitKeys; key++) {
      this.#slots[this.#unitSlots[key]! + 3]! |= markOf(isRest, this.#unitOwners[key] === first);
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

  #touchTransfer(columns: Columns, row: number): void {
    const { words, at, step } = columns;
    const dr = at[Transfer.debitAccountId]! + row * step[Transfer.debitAccountId]!;
    const cr = at[Transfer.creditAccountId]! + row * step[Transfer.creditAccountId]!;
    const home = shardOf(words, dr, this.#shards);
    const flags = flagsOf(columns, row);
    const isResolving = (flags & RESOLVING) !== 0;
    this.#touch(words, dr, ACCOUNT, home);
    // A post or void that leaves its credit account out is its home's alone, as the shards see it (engine/event-keys.ts).
    if (!isResolving || !isZero(words, cr)) {
      this.#touch(words, cr, ACCOUNT, shardOf(words, cr, this.#shards));
    }
    this.#touch(words, at[Transfer.id]! + row * step[Transfer.id]!, home + 1, home);
    if (isResolving) {
      const pending = at[Transfer.pendingId]! + row * step[Transfer.pendingId]!;
      this.#touch(words, pending, home + 1, home);
    }
    if ((flags & TransferFlags.imported) !== 0) this.#touchImports(home);
  }

  #touchAccount(columns: Columns, row: number): void {
    const { words, at, step } = columns;
    const id = at[Account.id]! + row * step[Account.id]!;
    const shard = shardOf(words, id, this.#shards);
    this.#touch(words, id, ACCOUNT, shard);
    if ((flagsOf(columns, row) & AccountFlags.imported) !== 0) this.#touchImports(shard);
  }

  /** An imported event is compared with the newest one of its shard. */
  #touchImports(shard: number): void {
    const slots = this.#slots;
    const slot = (SLOTS + shard) * 4;
    if (slots[slot] !== this.#generation) {
      slots[slot] = this.#generation;
      slots[slot + 3] = 0;
    }
    this.#addKey(slot, shard);
  }

  /** Adds the key at word `at` to those of the unit at hand. A key touched twice is there twice, which changes nothing. */
  #touch(words: Uint32Array, at: number, owner: number, shard: number): void {
    this.#addKey(this.#slotOf(words, at, owner), shard);
  }

  #addKey(slot: number, shard: number): void {
    this.#unitSlots[this.#unitKeys] = slot;
    this.#unitOwners[this.#unitKeys] = shard;
    this.#unitKeys++;
    this.#addShard(shard);
  }

  /** Word offset of the key's slot, which is taken for it if nobody touched the key before in this batch. */
  #slotOf(words: Uint32Array, at: number, owner: number): number {
    const slots = this.#slots;
    const hash = hashId(words, at, this.#seed) | 0;
    let slot = (hash & (SLOTS - 1)) * 4;
    while (slots[slot] === this.#generation) {
      if (slots[slot + 1] === hash && slots[slot + 3]! >>> OWNER_SHIFT === owner) {
        const other = slots[slot + 2]!;
        if (
          words[at] === words[other] &&
          words[at + 1] === words[other + 1] &&
          words[at + 2] === words[other + 2] &&
          words[at + 3] === words[other + 3]
        ) {
          return slot;
        }
      }
      slot = (slot + 4) & (SLOTS * 4 - 1);
    }
    slots[slot] = this.#generation;
    slots[slot + 1] = hash;
    slots[slot + 2] = at;
    slots[slot + 3] = owner << OWNER_SHIFT;
    return slot;
  }

  #nextGeneration(): void {
    this.#generation = (this.#generation + 1) | 0;
    if (this.#generation !== 0) return;
    // After 2^32 batches the stamps would come round again; 0 is that of a slot never used.
    this.#slots.fill(0);
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
