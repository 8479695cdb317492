/**
 * What a stored transfer, or the end of a pending one, does to the rows of its two accounts (32 words each, as in a batch). Nothing is validated:
 * what is applied was decided. Owns what is known of open pending transfers: 85 to 170 bytes each (two entries of 32 bytes in a table that is
 * between three eighths and three quarters full).
 */
import { addTo, subtractFrom } from '../engine/arithmetic.ts';
import { assert } from '../engine/assert.ts';
import { Account, COLUMN_OFFSETS, Transfer } from '../engine/batch.ts';
import { AccountFlags, RESOLVING, TransferFlags } from '../engine/flags.ts';
import { KeyTable } from '../engine/key-table.ts';
import { ChangeType } from '../engine/query.ts';
import { QueryDamage } from './query-damage.ts';

const word = (column: number): number => COLUMN_OFFSETS[column]! >> 2;
export const DEBIT_ACCOUNT = word(Transfer.debitAccountId);
export const CREDIT_ACCOUNT = word(Transfer.creditAccountId);
const AMOUNT = word(Transfer.amount);
const PENDING_ID = word(Transfer.pendingId);
/** Code and flags share a word. */
const FLAGS = word(Transfer.code);
const DEBITS_PENDING = word(Account.debitsPending);
export const DEBITS_POSTED = word(Account.debitsPosted);
const CREDITS_PENDING = word(Account.creditsPending);
export const CREDITS_POSTED = word(Account.creditsPosted);

/** A pending transfer lies under two tags: three words of its amount, and the fourth with its flags. */
const PendingTag = { low: 1, high: 2 } as const;

/** Where the rows of both accounts begin. */
export interface AccountRows {
  readonly words: Uint32Array;
  readonly debit: number;
  readonly credit: number;
}

export class ChangeRules {
  readonly #pending: KeyTable;
  readonly #amount = new Uint32Array(4);
  #pendingFlags = 0;

  /** Seeds only spread; the ids were let in by a ledger whose own hash is seeded. */
  constructor(capacity: number, seed: number) {
    this.#pending = new KeyTable(capacity, seed);
  }

  get byteLength(): number {
    return this.#pending.words.byteLength;
  }

  /** Applies the record of a stored transfer, or the end of the pending one whose record it is. */
  // Hot path.
  apply(record: Uint32Array, isExpiry: boolean, rows: AccountRows): ChangeType {
    const flags = record[FLAGS]! >>> 16;
    const { words, debit, credit } = rows;
    if (isExpiry) {
      this.#takePending(record, 0);
      this.#release(rows);
      return ChangeType.two_phase_expired;
    }
    if ((flags & RESOLVING) !== 0) {
      this.#takePending(record, PENDING_ID);
      this.#release(rows);
      if ((flags & TransferFlags.voidPendingTransfer) !== 0) return ChangeType.two_phase_voided;
      addTo(words, debit + DEBITS_POSTED, record, AMOUNT);
      addTo(words, credit + CREDITS_POSTED, record, AMOUNT);
      return ChangeType.two_phase_posted;
    }
    if ((flags & TransferFlags.pending) === 0) {
      addTo(words, debit + DEBITS_POSTED, record, AMOUNT);
      addTo(words, credit + CREDITS_POSTED, record, AMOUNT);
      return ChangeType.single_phase;
    }
    addTo(words, debit + DEBITS_PENDING, record, AMOUNT);
    addTo(words, credit + CREDITS_PENDING, record, AMOUNT);
    this.#keepPending(record, flags);
    if ((flags & TransferFlags.closingDebit) !== 0) setClosed(words, debit, true);
    if ((flags & TransferFlags.closingCredit) !== 0) setClosed(words, credit, true);
    return ChangeType.two_phase_pending;
  }

  #keepPending(record: Uint32Array, flags: number): void {
    const low = this.#pending.obtain(record, 0, PendingTag.low);
    for (let w = 0; w < 3; w++) this.#pending.words[low + 5 + w] = record[AMOUNT + w]!;
    const high = this.#pending.obtain(record, 0, PendingTag.high);
    this.#pending.words[high + 5] = record[AMOUNT + 3]!;
    this.#pending.words[high + 6] = flags;
  }

  /** Takes the pending transfer with the id at `at` out, into `#amount` and `#pendingFlags`. */
  #takePending(record: Uint32Array, at: number): void {
    const low = this.#pending.find(record, at, PendingTag.low);
    if (low === -1) throw new QueryDamage('what ends a pending transfer comes before it');
    for (let w = 0; w < 3; w++) this.#amount[w] = this.#pending.words[low + 5 + w]!;
    this.#pending.remove(low);
    const high = this.#pending.find(record, at, PendingTag.high);
    assert(high !== -1, 'a pending transfer lies under both tags');
    this.#amount[3] = this.#pending.words[high + 5]!;
    this.#pendingFlags = this.#pending.words[high + 6]!;
    this.#pending.remove(high);
  }

  /** The pending amount goes; void and expiry also open what the transfer has closed. A closing one cannot be posted: it is closed. */
  #release({ words, debit, credit }: AccountRows): void {
    subtractFrom(words, debit + DEBITS_PENDING, this.#amount, 0);
    subtractFrom(words, credit + CREDITS_PENDING, this.#amount, 0);
    if ((this.#pendingFlags & TransferFlags.closingDebit) !== 0) setClosed(words, debit, false);
    if ((this.#pendingFlags & TransferFlags.closingCredit) !== 0) setClosed(words, credit, false);
  }
}

function setClosed(words: Uint32Array, row: number, isClosed: boolean): void {
  const at = row + FLAGS;
  const bit = AccountFlags.closed << 16;
  words[at] = isClosed ? words[at]! | bit : words[at]! & ~bit;
}
