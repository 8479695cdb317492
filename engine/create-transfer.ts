/**
 * The rules for one single-phase transfer: validation in order of precedence, then the two balances and the id's position. One instance
 * serves a shard: `open` it on a batch, then `create` row by row. In a walk the rows and records of other shards come from `carried`;
 * there is no second set of rules.
 *
 * `dr` and `cr` stand for debit and credit. Nothing is allocated per transfer.
 */
import { addTo, copy, equals, isGreater, isMax, isZero } from './arithmetic.ts';
import { assert } from './assert.ts';
import { ROW_WORDS, Transfer, type Columns } from './batch.ts';
import type { Carried } from './carried.ts';
import { AccountFlags } from './create-account.ts';
import type { Group } from './group.ts';
import {
  positionHigh,
  positionRow,
  positionSequence,
  positionState,
  TransferState,
  type Ledger,
} from './ledger.ts';
import { shardOf } from './placement.ts';
import type { RecordShelf } from './record-shelf.ts';
import { isTransient, TransferStatus } from './status.ts';

/** Rows whose accounts are looked up in one go: enough to have many cache misses under way, few enough to stay in the nearest cache. */
export const BLOCK_ROWS = 256;

/** Word offsets in an account row. */
const DEBITS_PENDING = 4;
const DEBITS_POSTED = 8;
const CREDITS_PENDING = 12;
const CREDITS_POSTED = 16;
const LEDGER = 28;
const CODE_FLAGS = 29;

export class TransferRules {
  readonly #ledger: Ledger;
  readonly #group: Group;
  readonly #shelf: RecordShelf;
  readonly #carried: Carried;
  #columns: Columns | null = null;
  #isWalk = false;
  /** Where the last account lookup found its row. */
  #chunk: Uint32Array;
  #offset = 0;
  #dr: Uint32Array;
  #drAt = 0;
  /** Of the block that was looked ahead at: likely rows of debit and credit account, -1 where there is none; and their hashes. */
  #block = -1;
  #blockEnd = -1;
  readonly #rows = new Int32Array(2 * BLOCK_ROWS);
  readonly #hashes = new Int32Array(2 * BLOCK_ROWS);
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;
  readonly #sum = new Uint32Array(8);
  readonly #record = new Uint32Array(ROW_WORDS);

  constructor(parts: {
    readonly ledger: Ledger;
    readonly group: Group;
    readonly shelf: RecordShelf;
    readonly carried: Carried;
  }) {
    this.#ledger = parts.ledger;
    this.#group = parts.group;
    this.#shelf = parts.shelf;
    this.#carried = parts.carried;
    this.#chunk = this.#sum;
    this.#dr = this.#sum;
  }

  open(columns: Columns, isWalk: boolean): void {
    this.#columns = columns;
    this.#isWalk = isWalk;
    this.#block = -1;
    this.#blockEnd = -1;
  }

  /**
   * Looks up the accounts of the rows from..to-1 of the open batch, so that their cache misses overlap. Accounts do not come or go while a
   * batch of transfers is executed, so `create` relies on what was found.
   */
  // Hot path.
  lookAhead(from: number, to: number): void {
    const { words, at, step } = this.#columns!;
    const index = this.#ledger.accountIndex;
    const { accounts } = this.#ledger;
    const hashes = this.#hashes;
    const drStep = step[Transfer.debitAccountId]!;
    const crStep = step[Transfer.creditAccountId]!;
    const drStart = at[Transfer.debitAccountId]! + from * drStep;
    const crStart = at[Transfer.creditAccountId]! + from * crStep;
    let touched = this.touched;
    // One short loop for each step: the shorter it is, the more of its cache misses the processor has under way.
    const n = to - from;
    for (let i = 0; i < n; i++) {
      hashes[2 * i] = index.hash(words, drStart + i * drStep);
      hashes[2 * i + 1] = index.hash(words, crStart + i * crStep);
    }
    for (let i = 0; i < 2 * n; i++) touched = (touched + index.touch(hashes[i]!)) | 0;
    for (let i = 0; i < 2 * n; i++) this.#rows[i] = index.guess(hashes[i]!);
    for (let i = 0; i < 2 * n; i++) touched = (touched + accounts.touch(this.#rows[i]!)) | 0;
    this.touched = touched;
    this.#block = from;
    this.#blockEnd = to;
  }

  /**
   * Executes row i at the ledger's clock; `position` is the frame row that will hold its record, `hash` the transfer index's of its id, and
   * `place` what that index's `search` says of it now.
   */
  // Hot path.
  create(i: number, position: number, hash: number, place: number): TransferStatus {
    const { words, halves, at, step } = this.#columns!;
    const idAt = at[Transfer.id]! + i * step[Transfer.id]!;
    const stampAt = at[Transfer.timestamp]! + i * step[Transfer.timestamp]!;
    if ((words[stampAt]! | words[stampAt + 1]!) !== 0) return TransferStatus.timestamp_must_be_zero;
    if (halves[at[Transfer.flags]! + i * step[Transfer.flags]!] !== 0) {
      return TransferStatus.reserved_flag;
    }
    if (isZero(words, idAt)) return TransferStatus.id_must_not_be_zero;
    if (isMax(words, idAt)) return TransferStatus.id_must_not_be_int_max;

    if (this.#isWalk) {
      const home = shardOf(
        words,
        at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!,
        this.#ledger.shards,
      );
      if (home !== this.#ledger.shard) return this.#createAway(i, idAt, home);
    }
    const index = this.#ledger.transferIndex;
    if (place >= 0) return this.#existing(i, idAt, place);
    const status = this.#judgeAndApply(i);
    if (status === TransferStatus.created || isTransient(status)) {
      const state =
        status === TransferStatus.created ? TransferState.created : TransferState.failed;
      const sequence = this.#group.sequence;
      const high = positionHigh(sequence, position, state);
      index.insertAt(place, words, idAt, hash, sequence >>> 0, high);
    }
    return status;
  }

  /** In a walk, an event whose home is another shard: its id is claimed there, and what is known of it was brought along. */
  #createAway(i: number, idAt: number, home: number): TransferStatus {
    const columns = this.#columns!;
    const state = this.#carried.transferState(columns.words, idAt, home);
    if (state === TransferState.failed) return TransferStatus.id_already_failed;
    if (state === TransferState.created) {
      const from = this.#carried.recordAt(columns.words, idAt, home);
      for (let w = 0; w < ROW_WORDS; w++) this.#record[w] = this.#carried.rows[from + w]!;
      return this.#compare(i);
    }
    const status = this.#judgeAndApply(i);
    if (status === TransferStatus.created) {
      columns.copyRow(i, this.#record, 0);
      this.#record[30] = this.#ledger.clockLow;
      this.#record[31] = this.#ledger.clockHigh;
      this.#carried.touch(this.#carried.addTransfer(this.#record, 0, home));
    } else if (isTransient(status)) {
      this.#carried.addFailed(columns.words, idAt, home);
    }
    return status;
  }

  #existing(i: number, idAt: number, slot: number): TransferStatus {
    const index = this.#ledger.transferIndex;
    const high = index.valueHigh(slot);
    if (positionState(high) === TransferState.failed) return TransferStatus.id_already_failed;
    const sequence = positionSequence(index.valueLow(slot), high);
    if (sequence === this.#group.sequence) {
      this.#group.copyRow(positionRow(high), this.#ledger.shards, this.#record);
    } else this.#shelf.copy(this.#columns!.words, idAt, this.#record);
    return this.#compare(i);
  }

  /** The event against the record of its id: what differs first, in order of precedence. */
  #compare(i: number): TransferStatus {
    const { words, halves, at, step } = this.#columns!;
    const old = this.#record;
    const offset = (column: number): number => at[column]! + i * step[column]!;
    if (halves[offset(Transfer.flags)] !== old[29]! >>> 16) {
      return TransferStatus.exists_with_different_flags;
    }
    if (!equals(words, offset(Transfer.pendingId), old, 16)) {
      return TransferStatus.exists_with_different_pending_id;
    }
    if (words[offset(Transfer.timeout)] !== old[27]) {
      return TransferStatus.exists_with_different_timeout;
    }
    if (!equals(words, offset(Transfer.debitAccountId), old, 4)) {
      return TransferStatus.exists_with_different_debit_account_id;
    }
    if (!equals(words, offset(Transfer.creditAccountId), old, 8)) {
      return TransferStatus.exists_with_different_credit_account_id;
    }
    if (!equals(words, offset(Transfer.amount), old, 12)) {
      return TransferStatus.exists_with_different_amount;
    }
    if (!equals(words, offset(Transfer.userData128), old, 20)) {
      return TransferStatus.exists_with_different_user_data_128;
    }
    const ud64 = offset(Transfer.userData64);
    if (words[ud64] !== old[24] || words[ud64 + 1] !== old[25]) {
      return TransferStatus.exists_with_different_user_data_64;
    }
    if (words[offset(Transfer.userData32)] !== old[26]) {
      return TransferStatus.exists_with_different_user_data_32;
    }
    if (words[offset(Transfer.ledger)] !== old[28]) {
      return TransferStatus.exists_with_different_ledger;
    }
    if (halves[offset(Transfer.code)] !== (old[29]! & 0xffff)) {
      return TransferStatus.exists_with_different_code;
    }
    this.#ledger.stampLow = old[30]!;
    this.#ledger.stampHigh = old[31]!;
    return TransferStatus.exists;
  }

  /** A new id: everything that is looked at after it, and the effect. */
  // Hot path.
  #judgeAndApply(i: number): TransferStatus {
    const { words, halves, at, step } = this.#columns!;
    const drIdAt = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
    const crIdAt = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
    if (isZero(words, drIdAt)) return TransferStatus.debit_account_id_must_not_be_zero;
    if (isMax(words, drIdAt)) return TransferStatus.debit_account_id_must_not_be_int_max;
    if (isZero(words, crIdAt)) return TransferStatus.credit_account_id_must_not_be_zero;
    if (isMax(words, crIdAt)) return TransferStatus.credit_account_id_must_not_be_int_max;
    if (equals(words, drIdAt, words, crIdAt)) return TransferStatus.accounts_must_be_different;
    if (!isZero(words, at[Transfer.pendingId]! + i * step[Transfer.pendingId]!)) {
      return TransferStatus.pending_id_must_be_zero;
    }
    if (words[at[Transfer.timeout]! + i * step[Transfer.timeout]!] !== 0) {
      return TransferStatus.timeout_reserved_for_pending_transfer;
    }
    const code = words[at[Transfer.ledger]! + i * step[Transfer.ledger]!]!;
    if (code === 0) return TransferStatus.ledger_must_not_be_zero;
    if (halves[at[Transfer.code]! + i * step[Transfer.code]!] === 0) {
      return TransferStatus.code_must_not_be_zero;
    }
    const isAhead = i >= this.#block && i < this.#blockEnd;
    if (
      !(isAhead
        ? this.#takeGuess(this.#rows[2 * (i - this.#block)]!, words, drIdAt)
        : this.#find(words, drIdAt))
    ) {
      return TransferStatus.debit_account_not_found;
    }
    this.#dr = this.#chunk;
    this.#drAt = this.#offset;
    if (
      !(isAhead
        ? this.#takeGuess(this.#rows[2 * (i - this.#block) + 1]!, words, crIdAt)
        : this.#find(words, crIdAt))
    ) {
      return TransferStatus.credit_account_not_found;
    }
    const drLedger = this.#dr[this.#drAt + LEDGER]!;
    if (drLedger !== this.#chunk[this.#offset + LEDGER]) {
      return TransferStatus.accounts_must_have_the_same_ledger;
    }
    if (drLedger !== code) return TransferStatus.transfer_must_have_the_same_ledger_as_accounts;
    const amountAt = at[Transfer.amount]! + i * step[Transfer.amount]!;
    return this.#move(words, amountAt);
  }

  /** Overflows and limits of the two accounts that were found, in order of precedence; then the effect. */
  // Hot path.
  #move(words: Uint32Array, amountAt: number): TransferStatus {
    const dr = this.#dr;
    const drAt = this.#drAt;
    const cr = this.#chunk;
    const crAt = this.#offset;
    const sum = this.#sum;
    copy(sum, 0, dr, drAt + DEBITS_POSTED);
    if (addTo(sum, 0, words, amountAt) !== 0) return TransferStatus.overflows_debits_posted;
    copy(sum, 4, cr, crAt + CREDITS_POSTED);
    if (addTo(sum, 4, words, amountAt) !== 0) return TransferStatus.overflows_credits_posted;
    if (addTo(sum, 0, dr, drAt + DEBITS_PENDING) !== 0) return TransferStatus.overflows_debits;
    if (addTo(sum, 4, cr, crAt + CREDITS_PENDING) !== 0) return TransferStatus.overflows_credits;
    if (
      ((dr[drAt + CODE_FLAGS]! >>> 16) & AccountFlags.debitsMustNotExceedCredits) !== 0 &&
      isGreater(sum, 0, dr, drAt + CREDITS_POSTED)
    ) {
      return TransferStatus.exceeds_credits;
    }
    if (
      ((cr[crAt + CODE_FLAGS]! >>> 16) & AccountFlags.creditsMustNotExceedDebits) !== 0 &&
      isGreater(sum, 4, cr, crAt + DEBITS_POSTED)
    ) {
      return TransferStatus.exceeds_debits;
    }
    // After this point the transfer must succeed.
    const drCarry = addTo(dr, drAt + DEBITS_POSTED, words, amountAt);
    const crCarry = addTo(cr, crAt + CREDITS_POSTED, words, amountAt);
    assert(drCarry + crCarry === 0, 'overflows were refused');
    if (this.#isWalk) {
      const carried = this.#carried;
      if (dr === carried.rows) carried.touch(drAt / ROW_WORDS);
      if (cr === carried.rows) carried.touch(crAt / ROW_WORDS);
    }
    return TransferStatus.created;
  }

  /** Looks an account up: in this shard's table, or, in a walk, among what was brought along. */
  // Hot path.
  #find(words: Uint32Array, at: number): boolean {
    const ledger = this.#ledger;
    if (this.#isWalk && shardOf(words, at, ledger.shards) !== ledger.shard) {
      const offset = this.#carried.findAccount(words, at);
      this.#chunk = this.#carried.rows;
      this.#offset = offset;
      return offset !== -1;
    }
    const index = ledger.accountIndex;
    return this.#take(index.find(words, at, index.hash(words, at)));
  }

  /** Takes the row that was looked ahead at, unless another account has the same hash. */
  // Hot path.
  #takeGuess(row: number, words: Uint32Array, at: number): boolean {
    if (row === -1) return false;
    if (!this.#ledger.accounts.hasId(row, words, at)) return this.#find(words, at);
    return this.#take(row);
  }

  // Hot path.
  #take(row: number): boolean {
    if (row === -1) return false;
    this.#chunk = this.#ledger.accounts.chunk(row);
    this.#offset = this.#ledger.accounts.offset(row);
    return true;
  }
}
