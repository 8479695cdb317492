/**
 * The ledger's state on one shard: accounts, the index from account id to row, the index from transfer id to position, and the clock.
 * A transfer's record is in the journal; here is only where, in 24 bytes.
 */
import { AccountIndex } from './account-index.ts';
import { AccountTable } from './account-table.ts';
import { assert } from './assert.ts';
import { BeforeImages } from './before-images.ts';
import { IdIndex } from './id-index.ts';
import { SEQUENCE_MAX } from './limits.ts';
import { PendingTable } from './pending-table.ts';
import type { StateReader, StateWriter } from './state-words.ts';

/**
 * What became of a transfer id; kept in the low byte of the index's second value word, where 0 means an empty slot. Of an open pending
 * transfer the index has the number of its entry in the pending table, of every other its position.
 */
export const TransferState = {
  created: 1,
  failed: 2,
  pending: 3,
  posted: 4,
  voided: 5,
  expired: 6,
} as const;

/** The tag of a position that belongs to an account's history: which side of that transfer the account is. */
export const HistorySide = { debit: 1, credit: 2 } as const;

export interface LedgerOptions {
  readonly shard: number;
  readonly shards: number;
  /** Of the hashes of the indexes; drawn once per data directory. */
  readonly seed: number;
}

export class Ledger {
  readonly shard: number;
  readonly shards: number;
  /** Where changes leave what was there before, while a snapshot is taken. */
  readonly images = new BeforeImages();
  readonly accounts = new AccountTable(this.images);
  readonly accountIndex: AccountIndex;
  readonly transferIndex: IdIndex;
  readonly pendings = new PendingTable(this.images);
  /** The largest timestamp of an account and of a transfer of this shard: {low, high} each. Imported ones have to be above it. */
  readonly newestAccount = new Uint32Array(2);
  readonly newestTransfer = new Uint32Array(2);
  /** The shard's clock, ns since the epoch: the timestamp of the newest event. Congruent to the shard modulo the shards. */
  clockLow = 0;
  clockHigh = 0;
  /** The timestamp of the outcome of the last event: the clock's, but for `exists`, which has the original's. */
  stampLow = 0;
  stampHigh = 0;

  constructor({ shard, shards, seed }: LedgerOptions) {
    assert(shard < shards, 'a shard is one of the shards');
    this.shard = shard;
    this.shards = shards;
    this.accountIndex = new AccountIndex(this.accounts, seed);
    this.transferIndex = new IdIndex(seed ^ 0x9e3779b9, this.images);
    this.clockLow = shard;
  }

  /** Moves the clock to the next timestamp of this shard, and gives it to the next outcome. */
  // Hot path.
  tick(): void {
    let low = this.clockLow + this.shards;
    if (low > 0xffffffff) {
      low -= 4294967296;
      this.clockHigh++;
    }
    this.clockLow = low;
    this.stampLow = low;
    this.stampHigh = this.clockHigh;
  }

  /** Moves the clock to the first timestamp of this shard that is not below the given one; never back. */
  advance(low: number, high: number): void {
    if (high < this.clockHigh || (high === this.clockHigh && low <= this.clockLow)) return;
    const time = (BigInt(high) << 32n) | BigInt(low);
    const shards = BigInt(this.shards);
    const behind = (BigInt(this.shard) - (time % shards) + shards) % shards;
    const next = time + behind;
    this.clockLow = Number(next & 0xffffffffn);
    this.clockHigh = Number(next >> 32n);
  }

  save(out: StateWriter): void {
    out.put(this.clockLow);
    out.put(this.clockHigh);
    out.putList(this.newestAccount);
    out.putList(this.newestTransfer);
    out.put(this.accounts.rows);
    this.transferIndex.save(out);
    this.pendings.save(out);
  }

  /** Makes tables of the sizes that they had. Their words come afterwards. */
  load(from: StateReader): void {
    this.clockLow = from.take();
    this.clockHigh = from.take();
    this.newestAccount.set(from.takeList());
    this.newestTransfer.set(from.takeList());
    this.accounts.load(from.take());
    this.transferIndex.load(from);
    this.pendings.load(from);
  }
}

/** Remembers a timestamp in two words if it is larger than what is there. */
export function raise(newest: Uint32Array, at: number, low: number, high: number): void {
  if (high < newest[at + 1]! || (high === newest[at + 1] && low <= newest[at]!)) return;
  newest[at] = low;
  newest[at + 1] = high;
}

/** The second value word of a transfer: sequence (its upper 8 bits), row, state. The first is the lower 32 bits of the sequence. */
// Hot path.
export function positionHigh(sequence: number, row: number, state: number): number {
  assert(sequence <= SEQUENCE_MAX, 'a sequence fits into a position');
  return ((Math.floor(sequence / 4294967296) << 24) | (row << 8) | state) >>> 0;
}

export function positionSequence(low: number, high: number): number {
  return (high >>> 24) * 4294967296 + low;
}

export function positionRow(high: number): number {
  return (high >>> 8) & 0xffff;
}

export function positionState(high: number): number {
  return high & 0xff;
}
