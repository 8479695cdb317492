/**
 * The balances of all accounts of all shards as they were at one moment of the past, made by applying the stored transfers in the order of their
 * timestamps (change-rules.ts). An account costs about 150 bytes (its row, its timestamp, a slot in the index).
 */
import { AccountIndex } from '../engine/account-index.ts';
import { AccountTable } from '../engine/account-table.ts';
import { addTo } from '../engine/arithmetic.ts';
import { type Columns, ROW_WORDS, Transfer } from '../engine/batch.ts';
import type { ChangeType } from '../engine/query.ts';
import {
  ChangeRules,
  CREDIT_ACCOUNT,
  CREDITS_POSTED,
  DEBIT_ACCOUNT,
  DEBITS_POSTED,
} from './change-rules.ts';
import { QueryDamage } from './query-damage.ts';

const TABLE_CAPACITY = 1024;

/** Accounts that are looked at before the first of them is changed. */
const ACCOUNTS_AT_ONCE = 256;

/** Seeds only spread; the ids were let in by a ledger whose own hash is seeded. */
const SEED = 0x1b873593;

export class BalanceShadow {
  readonly #accounts = new AccountTable();
  readonly #index = new AccountIndex(this.#accounts, SEED);
  readonly #rules = new ChangeRules(TABLE_CAPACITY, SEED);
  readonly #hashes = new Int32Array(ACCOUNTS_AT_ONCE);
  readonly #rows = new Int32Array(ACCOUNTS_AT_ONCE);
  /** Keeps the reads ahead from being optimized away. */
  touched = 0;
  /** The accounts of the last change, and where they lie. One object for all changes. */
  #debit = 0;
  #credit = 0;
  readonly #both = { words: this.#accounts.words, debit: 0, credit: 0 };

  get accounts(): number {
    return this.#accounts.rows;
  }

  get byteLength(): number {
    return this.#accounts.byteLength + this.#index.byteLength + this.#rules.byteLength;
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
    this.#debit = this.#rowOf(record, DEBIT_ACCOUNT);
    this.#credit = this.#rowOf(record, CREDIT_ACCOUNT);
    const both = this.#both;
    both.words = this.#accounts.words;
    both.debit = this.#accounts.offset(this.#debit);
    both.credit = this.#accounts.offset(this.#credit);
    return this.#rules.apply(record, isExpiry, both);
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
}
