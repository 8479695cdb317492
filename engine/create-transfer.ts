/**
 * The rules for one transfer: validation in order of precedence, then the two balances and the id. One instance serves a shard: `open` it on a
 * batch, then `create` row by row. In a walk the rows and records of other shards come from `carried`; there is no second set of rules.
 *
 * What needs no other transfer is here; posts, voids, and expiries are in resolve-pending.ts, ids that are taken in transfer-exists.ts.
 * `dr` and `cr` stand for debit and credit. Nothing is allocated per transfer.
 */
import { addTo, copy, equals, isGreater, isMax, isZero, subtractFrom } from './arithmetic.ts';
import { assert } from './assert.ts';
import { BatchKind, ROW_WORDS, Transfer, type Columns } from './batch.ts';
import type { Carried } from './carried.ts';
import { EventMark } from './event-marks.ts';
import type { EventShards } from './event-shards.ts';
import {
  AccountFlags,
  BALANCING,
  CLOSING,
  RESOLVING,
  TRANSFER_FLAGS_ALL,
  TransferFlags,
} from './flags.ts';
import type { Group } from './group.ts';
import { judgeTimestamp } from './imported.ts';
import { positionState, TransferState, type Ledger } from './ledger.ts';
import { addSeconds } from './pending-table.ts';
import type { RecordShelf } from './record-shelf.ts';
import { ResolveRules } from './resolve-pending.ts';
import { isTransient, TransferStatus } from './status.ts';
import {
  CLOSED,
  CODE_FLAGS,
  CREDITS_PENDING,
  CREDITS_POSTED,
  DEBITS_PENDING,
  DEBITS_POSTED,
  LEDGER,
  TransferAccounts,
} from './transfer-accounts.ts';
import { compareExisting } from './transfer-exists.ts';
import { TransferStore } from './transfer-store.ts';
import type { UndoLog } from './undo-log.ts';
import type { WalkRows } from './units.ts';

const DEBITS_LIMITED = AccountFlags.debitsMustNotExceedCredits << 16;
const CREDITS_LIMITED = AccountFlags.creditsMustNotExceedDebits << 16;
/** Flags with which a transfer may yet be stored as it came, and needs nothing but the two balances. */
const PLAIN = TransferFlags.linked;
const PLAIN_MARKS = TransferFlags.linked | EventMark.end;

export class TransferRules {
  readonly #ledger: Ledger;
  readonly accounts: TransferAccounts;
  readonly store: TransferStore;
  readonly resolving: ResolveRules;
  #columns: Columns | null = null;
  #shards: EventShards | null = null;
  /** Where in the frame the records of the open batch lie, if they are those of a walk. */
  #records: Int32Array | null = null;
  readonly #sum = new Uint32Array(8);
  /** What a balancing transfer moves. */
  readonly #amount = new Uint32Array(8);
  readonly #record = new Uint32Array(ROW_WORDS);
  readonly #pending = new Uint32Array(ROW_WORDS);
  readonly #expires = new Uint32Array(2);

  constructor(parts: {
    readonly ledger: Ledger;
    readonly group: Group;
    readonly shelf: RecordShelf;
    readonly carried: Carried;
    readonly undo: UndoLog;
  }) {
    this.#ledger = parts.ledger;
    this.accounts = new TransferAccounts(parts);
    const { accounts } = this;
    this.store = new TransferStore({ ...parts, accounts });
    this.resolving = new ResolveRules({ ...parts, accounts, store: this.store });
  }

  open(columns: Columns, walk: WalkRows | null): void {
    this.#columns = columns;
    this.#shards = walk === null ? null : walk.shards;
    this.#records = walk === null ? null : walk.records;
    this.accounts.open(columns, walk !== null);
    this.store.open(walk !== null, walk === null ? 0 : walk.recordKind);
  }

  /**
   * Executes row i at the ledger's clock. `inputRow` is its row in the frame, -1 when it came with an earlier one. `hash` is the transfer index's of
   * its id, and `place` what that index's `search` says of it now.
   */
  // Hot path.
  // oxlint-disable-next-line max-params -- An object per transfer would cost more than it explains.
  create(i: number, inputRow: number, mark: number, hash: number, place: number): TransferStatus {
    const { words, halves, at, step } = this.#columns!;
    const id = at[Transfer.id]! + i * step[Transfer.id]!;
    const stamp = at[Transfer.timestamp]! + i * step[Transfer.timestamp]!;
    const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
    if (((flags | mark) & ~PLAIN_MARKS) !== 0) {
      const early = this.#judgeFlags(flags, mark, stamp);
      if (early !== TransferStatus.created) return early;
    } else if ((words[stamp]! | words[stamp + 1]!) !== 0) {
      return TransferStatus.timestamp_must_be_zero;
    }
    if (isZero(words, id)) return TransferStatus.id_must_not_be_zero;
    if (isMax(words, id)) return TransferStatus.id_must_not_be_int_max;

    const { shard } = this.#ledger;
    let home = shard;
    let state = 0;
    if (this.#shards !== null) {
      home = this.#shards.home[i]!;
      if (home !== shard) state = this.store.state(words, id, home);
    }
    if (home === shard && place >= 0) {
      state = positionState(this.#ledger.transferIndex.valueHigh(place));
    }
    if (state !== 0) return this.#existing(i, mark, home, state);
    if ((flags & ~PLAIN) !== 0 || inputRow === -1) {
      return this.#createAny(i, inputRow, flags, mark, home, hash, place);
    }
    // Single-phase, on this shard, stored as it came.
    let status = this.#judge(i, 0);
    if (status === TransferStatus.created) {
      const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
      status = this.#move(words, amount);
    }
    if (status === TransferStatus.created) this.store.addInput(inputRow, place, words, id, hash);
    else if (isTransient(status)) this.store.burn(words, id, home, hash);
    return status;
  }

  /** What flags and marks say before the id is looked at. */
  #judgeFlags(flags: number, mark: number, stamp: number): TransferStatus {
    const { words } = this.#columns!;
    const early = judgeTimestamp(this.#ledger, BatchKind.transfers, flags, mark, words, stamp);
    if (early !== 0) return early as TransferStatus;
    return (flags & ~TRANSFER_FLAGS_ALL) !== 0
      ? TransferStatus.reserved_flag
      : TransferStatus.created;
  }

  /** Everything else whose id is free. */
  // oxlint-disable-next-line max-params -- As above.
  #createAny(
    i: number,
    inputRow: number,
    flags: number,
    mark: number,
    home: number,
    hash: number,
    place: number,
  ): TransferStatus {
    const columns = this.#columns!;
    const record = this.#record;
    const status =
      (flags & RESOLVING) === 0
        ? this.#createTwoSided(i, flags, home)
        : this.resolving.resolve(columns, i, mark, home, record);
    if (status === TransferStatus.created) {
      if ((flags & RESOLVING) === 0) {
        columns.copyRow(i, record, 0);
        if ((flags & BALANCING) !== 0) copy(record, 12, this.#amount, 0);
      }
      this.#stamp(i, flags, record);
      const isRewritten = (flags & (RESOLVING | BALANCING)) !== 0;
      const row = isRewritten ? -1 : inputRow;
      this.store.add(record, home, row, hash, place, isRewritten ? -1 : this.#sourceOf(i));
    } else if (isTransient(status)) {
      this.store.burn(
        columns.words,
        columns.at[Transfer.id]! + i * columns.step[Transfer.id]!,
        home,
        hash,
      );
    }
    return status;
  }

  /** The word of the frame at which row i lies as a record; -1 when it does nowhere. */
  #sourceOf(i: number): number {
    return this.#records === null ? -1 : this.#records[i]!;
  }

  /** Gives the record its timestamp: the clock's, or its own when it is imported. */
  #stamp(i: number, flags: number, record: Uint32Array): void {
    const ledger = this.#ledger;
    if ((flags & TransferFlags.imported) !== 0) {
      const { words, at, step } = this.#columns!;
      const stamp = at[Transfer.timestamp]! + i * step[Transfer.timestamp]!;
      ledger.stampLow = words[stamp]!;
      ledger.stampHigh = words[stamp + 1]!;
    }
    record[30] = ledger.stampLow;
    record[31] = ledger.stampHigh;
  }

  #existing(i: number, mark: number, home: number, state: number): TransferStatus {
    if (state === TransferState.failed) return TransferStatus.id_already_failed;
    const columns = this.#columns!;
    const { words, halves, at, step } = columns;
    const old = this.#record;
    this.store.copyRecord(words, at[Transfer.id]! + i * step[Transfer.id]!, home, old);
    const pendingId = at[Transfer.pendingId]! + i * step[Transfer.pendingId]!;
    const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
    // Only for a post or void has the pending transfer's record been asked for, and only then does it matter.
    const isResolved = (flags & (old[29]! >>> 16) & RESOLVING) !== 0;
    if (isResolved && equals(words, pendingId, old, 16)) {
      this.store.copyRecord(words, pendingId, home, this.#pending);
    }
    const status = compareExisting(columns, i, mark, old, this.#pending);
    if (status === TransferStatus.exists) {
      this.#ledger.stampLow = old[30]!;
      this.#ledger.stampHigh = old[31]!;
    }
    return status;
  }

  // ---- Plain and pending transfers.

  /** Everything before the balances are looked at; the accounts are found when it is `created`. */
  // Hot path.
  #judge(i: number, flags: number): TransferStatus {
    const { words, halves, at, step } = this.#columns!;
    const drId = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
    const crId = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
    if (isZero(words, drId)) return TransferStatus.debit_account_id_must_not_be_zero;
    if (isMax(words, drId)) return TransferStatus.debit_account_id_must_not_be_int_max;
    if (isZero(words, crId)) return TransferStatus.credit_account_id_must_not_be_zero;
    if (isMax(words, crId)) return TransferStatus.credit_account_id_must_not_be_int_max;
    if (equals(words, drId, words, crId)) return TransferStatus.accounts_must_be_different;
    if (!isZero(words, at[Transfer.pendingId]! + i * step[Transfer.pendingId]!)) {
      return TransferStatus.pending_id_must_be_zero;
    }
    if ((flags & TransferFlags.pending) === 0) {
      if (words[at[Transfer.timeout]! + i * step[Transfer.timeout]!] !== 0) {
        return TransferStatus.timeout_reserved_for_pending_transfer;
      }
      if ((flags & CLOSING) !== 0) return TransferStatus.closing_transfer_must_be_pending;
    }
    const ledger = words[at[Transfer.ledger]! + i * step[Transfer.ledger]!]!;
    if (ledger === 0) return TransferStatus.ledger_must_not_be_zero;
    if (halves[at[Transfer.code]! + i * step[Transfer.code]!] === 0) {
      return TransferStatus.code_must_not_be_zero;
    }
    const accounts = this.accounts;
    if (!accounts.findDebit(i, words, drId)) return TransferStatus.debit_account_not_found;
    if (!accounts.findCredit(i, words, crId)) return TransferStatus.credit_account_not_found;
    const drLedger = accounts.dr[accounts.drAt + LEDGER]!;
    if (drLedger !== accounts.cr[accounts.crAt + LEDGER]) {
      return TransferStatus.accounts_must_have_the_same_ledger;
    }
    return drLedger === ledger
      ? TransferStatus.created
      : TransferStatus.transfer_must_have_the_same_ledger_as_accounts;
  }

  /** A transfer of any kind but a post or void, up to its effect. */
  #createTwoSided(i: number, flags: number, home: number): TransferStatus {
    const status = this.#judge(i, flags);
    if (status !== TransferStatus.created) return status;
    if ((flags & TransferFlags.imported) !== 0) {
      const early = this.#judgeImported(i, home);
      if (early !== TransferStatus.created) return early;
    }
    const { words, at, step } = this.#columns!;
    const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
    if ((flags & BALANCING) === 0) {
      return (flags & TransferFlags.pending) === 0
        ? this.#move(words, amount)
        : this.#reserve(i, flags, words, amount);
    }
    const closed = this.#closedStatus();
    if (closed !== TransferStatus.created) return closed;
    this.#balance(words, amount, flags);
    return (flags & TransferFlags.pending) === 0
      ? this.#move(this.#amount, 0)
      : this.#reserve(i, flags, this.#amount, 0);
  }

  #judgeImported(i: number, home: number): TransferStatus {
    const { words, at, step } = this.#columns!;
    const stamp = at[Transfer.timestamp]! + i * step[Transfer.timestamp]!;
    const low = words[stamp]!;
    const high = words[stamp + 1]!;
    const newest = this.store.newestOf(home);
    const newestHigh = newest.words[newest.at + 1]!;
    if (high < newestHigh || (high === newestHigh && low <= newest.words[newest.at]!)) {
      return TransferStatus.imported_event_timestamp_must_not_regress;
    }
    if (this.accounts.isBeforeDebit(low, high)) {
      return TransferStatus.imported_event_timestamp_must_postdate_debit_account;
    }
    if (this.accounts.isBeforeCredit(low, high)) {
      return TransferStatus.imported_event_timestamp_must_postdate_credit_account;
    }
    return words[at[Transfer.timeout]! + i * step[Transfer.timeout]!] === 0
      ? TransferStatus.created
      : TransferStatus.imported_event_timeout_must_be_zero;
  }

  /** Writes into `#amount` what a balancing transfer moves: no more than brings its accounts to balance. */
  #balance(words: Uint32Array, at: number, flags: number): void {
    const { dr, drAt, cr, crAt } = this.accounts;
    copy(this.#amount, 0, words, at);
    if ((flags & TransferFlags.balancingDebit) !== 0) {
      this.#limit(dr, drAt + CREDITS_POSTED, drAt + DEBITS_POSTED, drAt + DEBITS_PENDING);
    }
    if ((flags & TransferFlags.balancingCredit) !== 0) {
      this.#limit(cr, crAt + DEBITS_POSTED, crAt + CREDITS_POSTED, crAt + CREDITS_PENDING);
    }
  }

  /** Lowers `#amount` to what `has` exceeds the sum of `posted` and `pending` by, or 0. */
  #limit(words: Uint32Array, has: number, posted: number, pending: number): void {
    const room = this.#sum;
    copy(room, 4, words, posted);
    const carry = addTo(room, 4, words, pending);
    assert(carry === 0, 'the sum of both was checked');
    if (isGreater(words, has, room, 4)) {
      copy(room, 0, words, has);
      subtractFrom(room, 0, room, 4);
    } else room.fill(0, 0, 4);
    if (isGreater(this.#amount, 0, room, 0)) copy(this.#amount, 0, room, 0);
  }

  #closedStatus(): TransferStatus {
    const { dr, drAt, cr, crAt } = this.accounts;
    if ((dr[drAt + CODE_FLAGS]! & CLOSED) !== 0) return TransferStatus.debit_account_already_closed;
    return (cr[crAt + CODE_FLAGS]! & CLOSED) === 0
      ? TransferStatus.created
      : TransferStatus.credit_account_already_closed;
  }

  /** Single-phase: overflows and limits of the two accounts, in order of precedence; then the effect. */
  // Hot path.
  #move(words: Uint32Array, amount: number): TransferStatus {
    const status = this.#judgeBalances(words, amount, false);
    if (status !== TransferStatus.created) return status;
    // After this point the transfer must succeed.
    const accounts = this.accounts;
    accounts.beforeChange();
    const { dr, drAt, cr, crAt } = accounts;
    const carry =
      addTo(dr, drAt + DEBITS_POSTED, words, amount) +
      addTo(cr, crAt + CREDITS_POSTED, words, amount);
    assert(carry === 0, 'overflows were refused');
    return TransferStatus.created;
  }

  /** Pending: the same, and the effect on the pending balances. */
  // oxlint-disable-next-line max-params -- An event and where its amount lies.
  #reserve(i: number, flags: number, words: Uint32Array, amount: number): TransferStatus {
    const accounts = this.accounts;
    const { dr, drAt, cr, crAt } = accounts;
    const closed = this.#closedStatus();
    if (closed !== TransferStatus.created) return closed;
    const sum = this.#sum;
    copy(sum, 0, dr, drAt + DEBITS_PENDING);
    if (addTo(sum, 0, words, amount) !== 0) return TransferStatus.overflows_debits_pending;
    copy(sum, 0, cr, crAt + CREDITS_PENDING);
    if (addTo(sum, 0, words, amount) !== 0) return TransferStatus.overflows_credits_pending;
    const status = this.#judgeBalances(words, amount, this.#overflowsTimeout(i, flags));
    if (status !== TransferStatus.created) return status;
    // After this point the transfer must succeed.
    accounts.beforeChange();
    const carry =
      addTo(dr, drAt + DEBITS_PENDING, words, amount) +
      addTo(cr, crAt + CREDITS_PENDING, words, amount);
    assert(carry === 0, 'overflows were refused');
    if ((flags & TransferFlags.closingDebit) !== 0) dr[drAt + CODE_FLAGS]! |= CLOSED;
    if ((flags & TransferFlags.closingCredit) !== 0) cr[crAt + CODE_FLAGS]! |= CLOSED;
    return TransferStatus.created;
  }

  #overflowsTimeout(i: number, flags: number): boolean {
    const { words, at, step } = this.#columns!;
    const timeout = words[at[Transfer.timeout]! + i * step[Transfer.timeout]!]!;
    const { clockLow, clockHigh } = this.#ledger;
    const stamp = this.#pending;
    stamp[0] = clockLow;
    stamp[1] = clockHigh;
    return (flags & TransferFlags.imported) === 0 && addSeconds(this.#expires, stamp, 0, timeout);
  }

  /** Closed accounts, sums that would not fit, and limits. */
  // Hot path.
  #judgeBalances(words: Uint32Array, amount: number, overflowsTimeout: boolean): TransferStatus {
    const { dr, drAt, cr, crAt } = this.accounts;
    const sum = this.#sum;
    const drFlags = dr[drAt + CODE_FLAGS]!;
    const crFlags = cr[crAt + CODE_FLAGS]!;
    if (((drFlags | crFlags) & CLOSED) !== 0) return this.#closedStatus();
    copy(sum, 0, dr, drAt + DEBITS_POSTED);
    if (addTo(sum, 0, words, amount) !== 0) return TransferStatus.overflows_debits_posted;
    copy(sum, 4, cr, crAt + CREDITS_POSTED);
    if (addTo(sum, 4, words, amount) !== 0) return TransferStatus.overflows_credits_posted;
    if (addTo(sum, 0, dr, drAt + DEBITS_PENDING) !== 0) return TransferStatus.overflows_debits;
    if (addTo(sum, 4, cr, crAt + CREDITS_PENDING) !== 0) return TransferStatus.overflows_credits;
    if (overflowsTimeout) return TransferStatus.overflows_timeout;
    if ((drFlags & DEBITS_LIMITED) !== 0 && isGreater(sum, 0, dr, drAt + CREDITS_POSTED)) {
      return TransferStatus.exceeds_credits;
    }
    return (crFlags & CREDITS_LIMITED) !== 0 && isGreater(sum, 4, cr, crAt + DEBITS_POSTED)
      ? TransferStatus.exceeds_debits
      : TransferStatus.created;
  }
}
