/**
 * Walks over all rows of one whole frame, a run of rows at a time: each run lies by column, so that a look at one column of many rows costs
 * little. One object, opened anew for each frame. Says of each row whether it is stored here, and its timestamps.
 */
import { assert } from '../engine/assert.ts';
import {
  Account,
  BatchKind,
  Columns,
  ROW_WORDS,
  Transfer,
  type BatchKind as Kind,
} from '../engine/batch.ts';
import { AccountFlags, CLOSING, REWRITTEN, TransferFlags } from '../engine/flags.ts';
import {
  copyDerivedRecord,
  DERIVED_HEAD_WORDS,
  DerivedHead,
  DerivedKind,
  Head,
  HEAD_WORDS,
  Input,
  INPUT_WORDS,
  ZERO_WORD,
} from '../engine/frame.ts';
import { shardOf } from '../engine/placement.ts';
import { bigintOfUint64 } from '../engine/uint128.ts';
import { isAccounts, isTransfers } from './frame-input.ts';

/** What a row is on this shard. `copy`: of a transfer that is at home on another one. */
export const RowKind = { none: 0, transfer: 1, copy: 2, account: 3, expired: 4 } as const;
export type RowKind = (typeof RowKind)[keyof typeof RowKind];

export class FrameRows {
  readonly columns = new Columns();
  /** Of the run. */
  n = 0;
  firstRow = 0;
  /** A time that the last call of `effect`, `timestamp`, or `changeKey` has found. */
  low = 0;
  high = 0;
  #words: Uint32Array = new Uint32Array(0);
  #halves: Uint16Array = new Uint16Array(0);
  #records = new Uint32Array(0);
  #recordHalves = new Uint16Array(0);
  readonly #shard: number;
  readonly #shards: number;
  #nextAt = 0;
  #inputsLeft = 0;
  #isDerived = false;
  #isDone = true;
  #inputAt = 0;
  #importedFlag = 0;

  constructor(shard: number, shards: number) {
    this.#shard = shard;
    this.#shards = shards;
  }

  /** The frame's own words, from its header on. */
  open(words: Uint32Array): void {
    assert(words.byteOffset % 4 === 0 && words[Head.bytes] === words.byteLength, 'a whole frame');
    this.#words = words;
    this.#halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
    this.#nextAt = HEAD_WORDS;
    this.#inputsLeft = words[Head.inputs]!;
    this.#isDerived = false;
    this.#isDone = false;
  }

  /** Goes to the next run of rows; false when there is none. */
  next(): boolean {
    const words = this.#words;
    while (this.#inputsLeft > 0) {
      const at = this.#nextAt;
      this.#inputsLeft--;
      this.#nextAt = at + (words[at + Input.bytes]! >> 2);
      const type = words[at + Input.type]!;
      const isOfTransfers = isTransfers(type);
      if (!isOfTransfers && !isAccounts(type)) continue;
      this.columns.openBatch(words, this.#halves, (at + INPUT_WORDS) * 4, ZERO_WORD);
      this.#inputAt = at;
      this.#importedFlag = isOfTransfers ? TransferFlags.imported : AccountFlags.imported;
      this.n = this.columns.n;
      this.firstRow = words[at + Input.firstRow]!;
      return true;
    }
    if (this.#isDone) return false;
    this.#isDone = true;
    this.n = words[Head.derivedRows]!;
    if (this.n === 0) return false;
    this.#openDerived();
    return true;
  }

  get kind(): Kind {
    return this.columns.kind;
  }

  /** Whether every row of the run is a stored transfer that got its timestamp here, one after the other: nearly all runs of nearly all ledgers. */
  get isPlain(): boolean {
    if (this.#isDerived || this.columns.kind !== BatchKind.transfers) return false;
    if (this.#words[Head.outcomes] !== 0 || this.columns.step[Transfer.flags] !== 0) return false;
    return (this.#flags(0) & (REWRITTEN | TransferFlags.imported)) === 0;
  }

  /** Plain, and all that a row does is to add its amount to what both accounts have posted. */
  get isSinglePhase(): boolean {
    return this.isPlain && (this.#flags(0) & (TransferFlags.pending | CLOSING)) === 0;
  }

  /** What row i of the run is. */
  // Hot path.
  rowKind(i: number): RowKind {
    if (this.#isDerived) return this.#derivedKind(i);
    const words = this.#words;
    const outcomes = words[Head.outcomes]!;
    if (outcomes !== 0 && this.#halves[(outcomes >> 1) + this.firstRow + i] !== 0) {
      return RowKind.none;
    }
    if (this.columns.kind === BatchKind.accounts) return this.#ownAccount(i);
    return (this.#flags(i) & REWRITTEN) === 0 ? RowKind.transfer : RowKind.none;
  }

  /** The record's timestamp. */
  // Hot path.
  timestamp(i: number): void {
    if (this.#isDerived || (this.#flags(i) & this.#importedFlag) !== 0) {
      const { columns } = this;
      const at = columns.at[Transfer.timestamp]! + i * columns.step[Transfer.timestamp]!;
      this.low = columns.words[at]!;
      this.high = columns.words[at + 1]!;
    } else this.#stamp(i);
  }

  /** When the row took effect on this shard. */
  // Hot path.
  effect(i: number): void {
    if (this.#isDerived) this.#derivedTime(i, DerivedHead.effect);
    else this.timestamp(i);
  }

  /** When the row was executed on this shard: in this order they took effect. It is the effect's time, but for imported ones, which have their own. */
  // Hot path.
  executed(i: number): void {
    if (!this.#isDerived) this.#stamp(i);
    else this.#derivedTime(i, this.#isImported(i) ? DerivedHead.decided : DerivedHead.effect);
  }

  /**
   * Where the row stands among all changes of all shards: its timestamp, given by the shard that decided it. An imported one has a timestamp of
   * its own, so that the time of its execution stands in.
   */
  // Hot path.
  changeKey(i: number): void {
    if (this.#isDerived) this.#derivedTime(i, DerivedHead.decided);
    else this.#stamp(i);
  }

  /** How many rows of a plain run stand before a time. They are in order. */
  rowsBefore(time: bigint): number {
    const words = this.#words;
    const first = bigintOfUint64(words, this.#inputAt + Input.stamp);
    if (time <= first) return 0;
    const steps = BigInt(this.#shards);
    const rows = (time - first + steps - 1n) / steps;
    return rows < BigInt(this.n) ? Number(rows) : this.n;
  }

  #stamp(i: number): void {
    const words = this.#words;
    const stamp = words[this.#inputAt + Input.stamp]! + i * this.#shards;
    this.low = stamp % 4294967296;
    this.high = words[this.#inputAt + Input.stamp + 1]! + Math.floor(stamp / 4294967296);
  }

  #derivedTime(i: number, word: number): void {
    const at = (this.#words[Head.derived]! >> 2) + i * DERIVED_HEAD_WORDS + word;
    this.low = this.#words[at]!;
    this.high = this.#words[at + 1]!;
  }

  /** Of a derived row. */
  #isImported(i: number): boolean {
    const head = (this.#words[Head.derived]! >> 2) + i * DERIVED_HEAD_WORDS;
    const isAccount = (this.#words[head + DerivedHead.kind]! & DerivedKind.account) !== 0;
    const flag = isAccount ? AccountFlags.imported : TransferFlags.imported;
    return (this.#flags(i) & flag) !== 0;
  }

  #derivedKind(i: number): RowKind {
    const words = this.#words;
    const head = (words[Head.derived]! >> 2) + i * DERIVED_HEAD_WORDS;
    const kind = words[head + DerivedHead.kind]!;
    if ((kind & DerivedKind.account) !== 0) return this.#ownAccount(i);
    if ((kind & DerivedKind.expired) !== 0) {
      return this.#isHere(i, Transfer.debitAccountId) ? RowKind.expired : RowKind.none;
    }
    return (kind & DerivedKind.home) !== 0 ? RowKind.transfer : RowKind.copy;
  }

  /** An account counts where it lives. */
  #ownAccount(i: number): RowKind {
    return this.#isHere(i, Account.id) ? RowKind.account : RowKind.none;
  }

  /** Whether the account of that column lives on this shard. */
  #isHere(i: number, column: number): boolean {
    const { columns } = this;
    const at = columns.at[column]! + i * columns.step[column]!;
    return shardOf(columns.words, at, this.#shards) === this.#shard;
  }

  #flags(i: number): number {
    const { columns } = this;
    return columns.halves[columns.at[Transfer.flags]! + i * columns.step[Transfer.flags]!]!;
  }

  /** Their records lie here and there in the frame: they are gathered, so that they too lie by column. */
  #openDerived(): void {
    this.#isDerived = true;
    this.firstRow = this.#words[Head.inputRows]!;
    if (this.#records.length < this.n * ROW_WORDS) {
      this.#records = new Uint32Array(this.n * ROW_WORDS);
      this.#recordHalves = new Uint16Array(this.#records.buffer);
    }
    const records = this.#records;
    for (let i = 0; i < this.n; i++) copyDerivedRecord(this.#words, i, records, i * ROW_WORDS);
    this.columns.openRows(BatchKind.transfers, records, this.#recordHalves, 0, this.n);
  }
}
