/**
 * The rules for what ends a pending transfer: its post, its void, and its expiry. Both pending balances go down by the whole amount; a post adds
 * what it takes to the posted ones. The record of a post or void inherits from the pending transfer what the event leaves open.
 */
import { addTo, copy, equals, isGreater, isMax, isZero, subtractFrom } from './arithmetic.ts';
import { assert } from './assert.ts';
import { Transfer, type Columns } from './batch.ts';
import { EventMark } from './event-marks.ts';
import { BALANCING, CLOSING, RESOLVING, TransferFlags } from './flags.ts';
import { DerivedKind } from './frame.ts';
import { type Group } from './group.ts';
import { TransferState, type Ledger } from './ledger.ts';
import { addSeconds } from './pending-table.ts';
import { TransferStatus } from './status.ts';
import {
  CLOSED,
  CODE_FLAGS,
  CREDITS_PENDING,
  CREDITS_POSTED,
  DEBITS_PENDING,
  DEBITS_POSTED,
  NOT_AHEAD,
  type TransferAccounts,
} from './transfer-accounts.ts';
import type { TransferStore } from './transfer-store.ts';

const EXCLUDED = TransferFlags.pending | BALANCING | CLOSING;
const AMOUNT = 12;

interface ResolveParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly accounts: TransferAccounts;
  readonly store: TransferStore;
}

export class ResolveRules {
  readonly #ledger: Ledger;
  readonly #group: Group;
  readonly #accounts: TransferAccounts;
  readonly #store: TransferStore;
  /** Of the pending transfer at hand. */
  readonly #pending = new Uint32Array(32);
  #state = 0;
  readonly #expires = new Uint32Array(2);

  constructor(parts: ResolveParts) {
    this.#ledger = parts.ledger;
    this.#group = parts.group;
    this.#accounts = parts.accounts;
    this.#store = parts.store;
  }

  /**
   * Judges a post or void whose id is free, and applies it. When it is created, `record` (32 words) is the transfer as it is to be stored, but for
   * its timestamp; its accounts are found.
   */
  // oxlint-disable-next-line max-params -- An object per event would cost more than it explains.
  resolve(
    columns: Columns,
    i: number,
    mark: number,
    home: number,
    record: Uint32Array,
  ): TransferStatus {
    const status = this.#judge(columns, i, mark, home);
    if (status !== TransferStatus.created) return status;
    const fit = this.#amount(columns, i, record);
    if (fit !== TransferStatus.created) return fit;
    const open = this.#mayResolve(columns, i, home);
    if (open !== TransferStatus.created) return open;
    this.#write(columns, i, record);
    this.#apply(record);
    const isPost = ((record[29]! >>> 16) & TransferFlags.postPendingTransfer) !== 0;
    const state = isPost ? TransferState.posted : TransferState.voided;
    this.#store.resolve(this.#pending, home, state);
    return TransferStatus.created;
  }

  /** What can be said before its amount is looked at. */
  // oxlint-disable-next-line max-params -- As above.
  #judge(columns: Columns, i: number, mark: number, home: number): TransferStatus {
    const { words, halves, at, step } = columns;
    const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
    if ((flags & RESOLVING) === RESOLVING || (flags & EXCLUDED) !== 0) {
      return TransferStatus.flags_are_mutually_exclusive;
    }
    const pendingId = at[Transfer.pendingId]! + i * step[Transfer.pendingId]!;
    if (isZero(words, pendingId)) return TransferStatus.pending_id_must_not_be_zero;
    if (isMax(words, pendingId)) return TransferStatus.pending_id_must_not_be_int_max;
    if (equals(words, pendingId, words, at[Transfer.id]! + i * step[Transfer.id]!)) {
      return TransferStatus.pending_id_must_be_different;
    }
    if (words[at[Transfer.timeout]! + i * step[Transfer.timeout]!] !== 0) {
      return TransferStatus.timeout_reserved_for_pending_transfer;
    }
    const state = this.#store.state(words, pendingId, home);
    this.#state = state;
    if (state === 0 || state === TransferState.failed) {
      return TransferStatus.pending_transfer_not_found;
    }
    if (state === TransferState.created) return TransferStatus.pending_transfer_not_pending;
    const pending = this.#pending;
    this.#store.copyFound(words, pendingId, home, pending);
    const debit = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
    const credit = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
    // The router names the accounts of every pending transfer it finds. Those of one that came after it had looked are not keys of this event:
    // a walk may hold them, or they lie outside of this work. To the event that came earlier it is not there.
    if (state === TransferState.pending && this.#ledger.shards > 1) {
      const isUnnamed = isZero(words, debit) || isZero(words, credit);
      if (isUnnamed) return TransferStatus.pending_transfer_not_found;
    }
    if (
      (mark & EventMark.otherDebit) !== 0 ||
      (!isZero(words, debit) && !equals(words, debit, pending, 4))
    ) {
      return TransferStatus.pending_transfer_has_different_debit_account_id;
    }
    if (
      (mark & EventMark.otherCredit) !== 0 ||
      (!isZero(words, credit) && !equals(words, credit, pending, 8))
    ) {
      return TransferStatus.pending_transfer_has_different_credit_account_id;
    }
    const ledger = words[at[Transfer.ledger]! + i * step[Transfer.ledger]!]!;
    if (ledger !== 0 && ledger !== pending[28]) {
      return TransferStatus.pending_transfer_has_different_ledger;
    }
    const code = halves[at[Transfer.code]! + i * step[Transfer.code]!]!;
    return code !== 0 && code !== (pending[29]! & 0xffff)
      ? TransferStatus.pending_transfer_has_different_code
      : TransferStatus.created;
  }

  /** Writes what is to move into the record: all of it where the event leaves that open. */
  #amount({ words, halves, at, step }: Columns, i: number, record: Uint32Array): TransferStatus {
    const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
    const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
    const isVoid = (flags & TransferFlags.voidPendingTransfer) !== 0;
    const pending = this.#pending;
    if (isVoid ? isZero(words, amount) : isMax(words, amount)) {
      copy(record, AMOUNT, pending, AMOUNT);
      return TransferStatus.created;
    }
    copy(record, AMOUNT, words, amount);
    if (isGreater(record, AMOUNT, pending, AMOUNT)) {
      return TransferStatus.exceeds_pending_transfer_amount;
    }
    return isVoid && !equals(record, AMOUNT, pending, AMOUNT)
      ? TransferStatus.pending_transfer_has_different_amount
      : TransferStatus.created;
  }

  /** Whether it is still open, and its accounts too. */
  #mayResolve({ words, halves, at, step }: Columns, i: number, home: number): TransferStatus {
    const pending = this.#pending;
    const state = this.#state;
    if (state === TransferState.posted) return TransferStatus.pending_transfer_already_posted;
    if (state === TransferState.voided) return TransferStatus.pending_transfer_already_voided;
    if (state === TransferState.expired || this.#isOver()) {
      return TransferStatus.pending_transfer_expired;
    }
    const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
    if ((flags & TransferFlags.imported) !== 0) {
      const stamp = at[Transfer.timestamp]! + i * step[Transfer.timestamp]!;
      const newest = this.#store.newestOf(home);
      const high = words[stamp + 1]!;
      const newestHigh = newest.words[newest.at + 1]!;
      if (high < newestHigh || (high === newestHigh && words[stamp]! <= newest.words[newest.at]!)) {
        return TransferStatus.imported_event_timestamp_must_not_regress;
      }
    }
    const isFound = this.#accounts.findOfRecord(i, pending);
    assert(isFound, 'the accounts of an open pending transfer are at hand');
    if ((flags & TransferFlags.voidPendingTransfer) !== 0) return TransferStatus.created;
    const { dr, drAt, cr, crAt } = this.#accounts;
    if ((dr[drAt + CODE_FLAGS]! & CLOSED) !== 0) return TransferStatus.debit_account_already_closed;
    return (cr[crAt + CODE_FLAGS]! & CLOSED) !== 0
      ? TransferStatus.credit_account_already_closed
      : TransferStatus.created;
  }

  /** Whether its time is over, be the expiry journalled or not. */
  #isOver(): boolean {
    const pending = this.#pending;
    if (pending[27] === 0) return false;
    const expires = this.#expires;
    addSeconds(expires, pending, 30, pending[27]!);
    const { clockLow, clockHigh } = this.#ledger;
    return expires[1]! < clockHigh || (expires[1] === clockHigh && expires[0]! <= clockLow);
  }

  /** The record of the post or void, but for amount and timestamp. */
  #write(columns: Columns, i: number, record: Uint32Array): void {
    const pending = this.#pending;
    const { words, halves, at, step } = columns;
    const id = at[Transfer.id]! + i * step[Transfer.id]!;
    for (let w = 0; w < 4; w++) record[w] = words[id + w]!;
    for (let w = 4; w < 12; w++) record[w] = pending[w]!;
    for (let w = 0; w < 4; w++) record[16 + w] = pending[w]!;
    const user128 = at[Transfer.userData128]! + i * step[Transfer.userData128]!;
    if (isZero(words, user128)) copy(record, 20, pending, 20);
    else copy(record, 20, words, user128);
    const user64 = at[Transfer.userData64]! + i * step[Transfer.userData64]!;
    const own64 = (words[user64]! | words[user64 + 1]!) !== 0;
    record[24] = own64 ? words[user64]! : pending[24]!;
    record[25] = own64 ? words[user64 + 1]! : pending[25]!;
    const user32 = words[at[Transfer.userData32]! + i * step[Transfer.userData32]!]!;
    record[26] = user32 === 0 ? pending[26]! : user32;
    record[27] = 0;
    record[28] = pending[28]!;
    const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
    record[29] = ((flags << 16) | (pending[29]! & 0xffff)) >>> 0;
  }

  #apply(record: Uint32Array): void {
    const accounts = this.#accounts;
    const pending = this.#pending;
    accounts.beforeChange();
    const { dr, drAt, cr, crAt } = accounts;
    subtractFrom(dr, drAt + DEBITS_PENDING, pending, AMOUNT);
    subtractFrom(cr, crAt + CREDITS_PENDING, pending, AMOUNT);
    if (((record[29]! >>> 16) & TransferFlags.postPendingTransfer) !== 0) {
      const carry =
        addTo(dr, drAt + DEBITS_POSTED, record, AMOUNT) +
        addTo(cr, crAt + CREDITS_POSTED, record, AMOUNT);
      assert(carry === 0, 'what was pending was counted');
      return;
    }
    this.#reopen();
  }

  /** A closing transfer that does not come to pass opens its accounts again. */
  #reopen(): void {
    const flags = this.#pending[29]! >>> 16;
    const { dr, drAt, cr, crAt } = this.#accounts;
    if ((flags & TransferFlags.closingDebit) !== 0) dr[drAt + CODE_FLAGS]! &= ~CLOSED;
    if ((flags & TransferFlags.closingCredit) !== 0) cr[crAt + CODE_FLAGS]! &= ~CLOSED;
  }

  /** Expires the pending transfer of a record if it is still open; false when it is not. */
  expire(record: Uint32Array, at: number, home: number): boolean {
    if (this.#store.state(record, at, home) !== TransferState.pending) return false;
    const pending = this.#pending;
    for (let w = 0; w < 32; w++) pending[w] = record[at + w]!;
    const isFound = this.#accounts.findOfRecord(NOT_AHEAD, pending);
    assert(isFound, 'the accounts of an open pending transfer are at hand');
    this.#accounts.beforeChange();
    const { dr, drAt, cr, crAt } = this.#accounts;
    subtractFrom(dr, drAt + DEBITS_PENDING, pending, AMOUNT);
    subtractFrom(cr, crAt + CREDITS_PENDING, pending, AMOUNT);
    this.#reopen();
    this.#store.resolve(pending, home, TransferState.expired);
    if (home === this.#ledger.shard) this.noteExpired(pending);
    return true;
  }

  /** Writes into the frame that the pending transfer of this shard has expired now. */
  noteExpired(record: Uint32Array): void {
    const row = this.#group.derive(record, 0, DerivedKind.home | DerivedKind.expired);
    this.#group.setEffect(row, this.#ledger.clockLow, this.#ledger.clockHigh);
    this.#group.setDecided(row, this.#ledger.clockLow, this.#ledger.clockHigh);
  }
}
