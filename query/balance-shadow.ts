/**
 * The balances of all accounts of all shards as they were at one moment of the past, made by applying the stored transfers in the order of their
 * timestamps. Nothing is validated: what is applied was decided. An account costs about 150 bytes (its row, its timestamp, a slot in the
 * index), an open pending transfer 85 to 170 (two entries of 32 bytes in a table that is between three eighths and three quarters full).
 */
import { AccountIndex } from '../engine/account-index.ts';
import { AccountTable } from '../engine/account-table.ts';
import { addTo, subtractFrom } from '../engine/arithmetic.ts';
import { assert } from '../engine/assert.ts';
import { Account, COLUMN_OFFSETS, type Columns, ROW_WORDS, Transfer } from '../engine/batch.ts';
import { AccountFlags, RESOLVING, TransferFlags } from '../engine/flags.ts';
import { KeyTable } from '../engine/key-table.ts';
import { ChangeType } from '../engine/query.ts';
import { QueryDamage } from './query-damage.ts';

const word = (column: number): number => COLUMN_OFFSETS[column]! >> 2;
const DEBIT_ACCOUNT = word(Transfer.debitAccountId);
const CREDIT_ACCOUNT = word(Transfer.creditAccountId);
const AMOUNT = word(Transfer.amount);
const PENDING_ID = word(Transfer.pendingId);
/** Code and flags share a word. */
const FLAGS = word(Transfer.code);
const DEBITS_PENDING = word(Account.debitsPending);
const DEBITS_POSTED = word(Account.debitsPosted);
const CREDITS_PENDING = word(Account.creditsPending);
const CREDITS_POSTED = word(Account.creditsPosted);

/** A pending transfer lies under two tags: three words of its amount, and the fourth with its flags. */
const PendingTag = { low: 1, high: 2 } as const;
const TABLE_CAPACITY = 1024;

/** Accounts that are looked at before the first of them is changed. */
const ACCOUNTS_AT_ONCE = 256;

/** Seeds only spread; the ids were let in by a ledger whose own hash is seeded. */
const SEED = 0x1b873593;

export class BalanceShadow {
  readonly #accounts = new AccountTable();
  readonly #index = new AccountIndex(this.#accounts, SEED);
  readonly #pending = new KeyTable(TABLE_CAPACITY, SEED);
  readonly #amount = new Uint32Array(4);
  #pendingFlags = 0;
  readonly #hashes = new Int32Array(ACCOUNTS_AT_ONCE);
  readonly #rows = new Int32Array(ACCOUNTS_AT_ONCE);
  /** Keeps the reads ahead from being optimized away. */
  touched = 0;
  /** The accounts of the last change. */
  #debit = 0;
  #credit = 0;

  get accounts(): number {
    return this.#accounts.rows;
  }

  get byteLength(): number {
    return this.#accounts.byteLength + this.#index.byteLength + this.#pending.words.byteLength;
  }

  /** Adds an account as it was created. One that is there already stays as it is. */
  addAccount(row: Uint32Array): void {
    const hash = this.#index.hash(row, 0);
    if (this.#index.find(row, 0, hash) !== -1) return;
    this.#index.insert(hash, this.#accounts.add(row, 0));
  }

  /** Applies a run of single-phase transfers (`FrameRows.isSinglePhase`), a block of them at a time. */
  // Hot path.
  applyRun({ n, words, at, step }: Columns): void {
    const debitsAt = at[Transfer.debitAccountId]!;
    const debitsStep = step[Transfer.debitAccountId]!;
    const creditsAt = at[Transfer.creditAccountId]!;
    const creditsStep = step[Transfer.creditAccountId]!;
    const [hashes, rows, index] = [this.#hashes, this.#rows, this.#index];
    for (let first = 0; first < n; first += ACCOUNTS_AT_ONCE / 2) {
      const end = Math.min(first + ACCOUNTS_AT_ONCE / 2, n);
      let count = 0;
      for (let i = first; i < end; i++) {
        hashes[count++] = index.hash(words, debitsAt + i * debitsStep);
        hashes[count++] = index.hash(words, creditsAt + i * creditsStep);
      }
      this.touched ^= index.guessAll(hashes, rows, count) ^ this.#accounts.touchAll(rows, count);
      count = 0;
      for (let i = first; i < end; i++) {
        const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
        const debit = this.#checked(rows[count++]!, words, debitsAt + i * debitsStep);
        const credit = this.#checked(rows[count++]!, words, creditsAt + i * creditsStep);
        const accounts = this.#accounts;
        addTo(accounts.words, accounts.offset(debit) + DEBITS_POSTED, words, amount);
        addTo(accounts.words, accounts.offset(credit) + CREDITS_POSTED, words, amount);
      }
    }
  }

  /** The row, if it is that of the account with the id at `at`; else that account's. */
  #checked(row: number, words: Uint32Array, at: number): number {
    return row !== -1 && this.#accounts.hasId(row, words, at) ? row : this.#rowOf(words, at);
  }

  /** Applies the record of a stored transfer, or the end of the pending one whose record it is. */
  // Hot path.
  apply(record: Uint32Array, isExpiry: boolean): ChangeType {
    const flags = record[FLAGS]! >>> 16;
    const debit = this.#rowOf(record, DEBIT_ACCOUNT);
    const credit = this.#rowOf(record, CREDIT_ACCOUNT);
    this.#debit = debit;
    this.#credit = credit;
    if (isExpiry) {
      this.#takePending(record, 0);
      this.#release(debit, credit);
      return ChangeType.two_phase_expired;
    }
    if ((flags & RESOLVING) !== 0) {
      this.#takePending(record, PENDING_ID);
      this.#release(debit, credit);
      if ((flags & TransferFlags.voidPendingTransfer) !== 0) return ChangeType.two_phase_voided;
      this.#add(debit, DEBITS_POSTED, record);
      this.#add(credit, CREDITS_POSTED, record);
      return ChangeType.two_phase_posted;
    }
    if ((flags & TransferFlags.pending) === 0) {
      this.#add(debit, DEBITS_POSTED, record);
      this.#add(credit, CREDITS_POSTED, record);
      return ChangeType.single_phase;
    }
    this.#add(debit, DEBITS_PENDING, record);
    this.#add(credit, CREDITS_PENDING, record);
    this.#keepPending(record, flags);
    if ((flags & TransferFlags.closingDebit) !== 0) this.#setClosed(debit, true);
    if ((flags & TransferFlags.closingCredit) !== 0) this.#setClosed(credit, true);
    return ChangeType.two_phase_pending;
  }

  /** Copies the debit and the credit account of the change applied last, 32 words each. */
  // Hot path.
  copyAccounts(target: Uint32Array, to: number): void {
    this.#accounts.copyRow(this.#debit, target, to);
    this.#accounts.copyRow(this.#credit, target, to + ROW_WORDS);
  }

  #rowOf(record: Uint32Array, at: number): number {
    const row = this.#index.find(record, at, this.#index.hash(record, at));
    if (row === -1) throw new QueryDamage('a transfer names an account that no journal has');
    return row;
  }

  #add(row: number, at: number, record: Uint32Array): void {
    addTo(this.#accounts.words, this.#accounts.offset(row) + at, record, AMOUNT);
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
  #release(debit: number, credit: number): void {
    const accounts = this.#accounts;
    subtractFrom(accounts.words, accounts.offset(debit) + DEBITS_PENDING, this.#amount, 0);
    subtractFrom(accounts.words, accounts.offset(credit) + CREDITS_PENDING, this.#amount, 0);
    if ((this.#pendingFlags & TransferFlags.closingDebit) !== 0) this.#setClosed(debit, false);
    if ((this.#pendingFlags & TransferFlags.closingCredit) !== 0) this.#setClosed(credit, false);
  }

  #setClosed(row: number, isClosed: boolean): void {
    const chunk = this.#accounts.words;
    const at = this.#accounts.offset(row) + FLAGS;
    const bit = AccountFlags.closed << 16;
    chunk[at] = isClosed ? chunk[at]! | bit : chunk[at]! & ~bit;
  }
}
