/**
 * The balances of a few accounts at one moment of the past, made from all that was stored before it: rows that name none of these accounts are
 * passed over, at a few nanoseconds each. Unlike `BalanceShadow` it takes the journals of the shards one after the other: what is before the moment
 * adds up in any order, if only what ends a pending transfer comes behind it, as it does in the journal where both are at home.
 */
import { addTo } from '../engine/arithmetic.ts';
import { assert } from '../engine/assert.ts';
import { Account, COLUMN_OFFSETS, type Columns, ROW_WORDS, Transfer } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import type { ChangeType } from '../engine/query.ts';
import {
  ChangeRules,
  CREDIT_ACCOUNT,
  CREDITS_POSTED,
  DEBIT_ACCOUNT,
  DEBITS_POSTED,
} from './change-rules.ts';
import { type FrameRows, RowKind } from './frame-rows.ts';
import { QueryDamage } from './query-damage.ts';

/** Nearly every row of a journal is told from these accounts by one look, for which the slots have to be in the nearest cache. */
const SLOTS_PER_ACCOUNT = 32;
const ACCOUNTS_MAX = 65_535;
const PENDINGS_CAPACITY = 64;
const SEED = 0x6d2b79f5;
const TIMESTAMP = COLUMN_OFFSETS[Account.timestamp]! >> 2;

export class AccountSums {
  /** Behind the rows of the accounts one of which nothing is asked: it stands for all others. */
  readonly #words: Uint32Array;
  readonly #elsewhere: number;
  /** By hash, 0 or the row's number + 1: one after the other until the first 0. */
  readonly #slots: Uint16Array;
  readonly #shift: number;
  #accounts = 0;
  readonly #rules = new ChangeRules(PENDINGS_CAPACITY, SEED);
  readonly #record = new Uint32Array(ROW_WORDS);
  /** Rows of one batch of which a look does not say that they name none of the accounts. */
  readonly #candidates = new Uint16Array(BATCH_EVENTS_MAX + 1);
  readonly #both: { readonly words: Uint32Array; debit: number; credit: number };

  /** Of so many accounts at most. */
  constructor(accountsMax: number) {
    this.#words = new Uint32Array((accountsMax + 1) * ROW_WORDS);
    this.#elsewhere = accountsMax * ROW_WORDS;
    assert(accountsMax > 0 && accountsMax <= ACCOUNTS_MAX, 'as many accounts as slots can name');
    const bits = Math.ceil(Math.log2(accountsMax * SLOTS_PER_ACCOUNT));
    this.#slots = new Uint16Array(2 ** bits);
    this.#shift = 32 - bits;
    this.#both = { words: this.#words, debit: 0, credit: 0 };
  }

  /** One more account, with the id at `at`, of which nothing is known yet. */
  add(ids: Uint32Array, at: number): void {
    if (this.#find(ids, at) !== this.#elsewhere) return;
    const row = this.#accounts++ * ROW_WORDS;
    assert(row < this.#elsewhere, 'there is room for the accounts');
    for (let w = 0; w < 4; w++) this.#words[row + w] = ids[at + w]!;
    let slot = hashOf(ids, at) >>> this.#shift;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
    this.#slots[slot] = this.#accounts;
  }

  /** Takes all changes of a frame that stand before a time, and the accounts that were created in it. */
  addFrame(rows: FrameRows, words: Uint32Array, before: bigint): void {
    rows.open(words);
    while (rows.next()) {
      if (rows.isSinglePhase) {
        rows.columns.n = rows.rowsBefore(before);
        this.addPostings(rows.columns);
      } else this.#addRun(rows, before);
    }
  }

  /** Single-phase transfers, every one of them stored. */
  // Hot path.
  addPostings({ n, words, at, step }: Columns): void {
    const elsewhere = this.#elsewhere;
    const debitsAt = at[Transfer.debitAccountId]!;
    const debitsStep = step[Transfer.debitAccountId]!;
    const creditsAt = at[Transfer.creditAccountId]!;
    const creditsStep = step[Transfer.creditAccountId]!;
    const candidates = this.#candidates;
    const slots = this.#slots;
    const shift = this.#shift;
    let count = 0;
    // With next to nothing to decide, the processor looks at several rows at once.
    for (let i = 0; i < n; i++) {
      candidates[count] = i;
      const debit = slots[hashOf(words, debitsAt + i * debitsStep) >>> shift]!;
      const credit = slots[hashOf(words, creditsAt + i * creditsStep) >>> shift]!;
      if ((debit | credit) !== 0) count++;
    }
    for (let c = 0; c < count; c++) {
      const i = candidates[c]!;
      const debit = this.#find(words, debitsAt + i * debitsStep);
      const credit = this.#find(words, creditsAt + i * creditsStep);
      if (debit === elsewhere && credit === elsewhere) continue;
      const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
      addTo(this.#words, debit + DEBITS_POSTED, words, amount);
      addTo(this.#words, credit + CREDITS_POSTED, words, amount);
    }
  }

  /** Applies the record of a stored transfer, or the end of the pending one whose record it is. */
  apply(record: Uint32Array, from: number, isExpiry: boolean): ChangeType {
    const row = this.#record;
    for (let w = 0; w < ROW_WORDS; w++) row[w] = record[from + w]!;
    const both = this.#both;
    both.debit = this.#find(row, DEBIT_ACCOUNT);
    both.credit = this.#find(row, CREDIT_ACCOUNT);
    return this.#rules.apply(row, isExpiry, both);
  }

  /** Copies the debit and the credit account of the change applied last, 32 words each. */
  copyAccounts(target: Uint32Array, to: number): void {
    this.#copy(this.#both.debit, target, to);
    this.#copy(this.#both.credit, target, to + ROW_WORDS);
  }

  #copy(row: number, target: Uint32Array, to: number): void {
    const words = this.#words;
    const isCreated = (words[row + TIMESTAMP]! | words[row + TIMESTAMP + 1]!) !== 0;
    if (row === this.#elsewhere || !isCreated) {
      throw new QueryDamage('a transfer names an account that no journal has');
    }
    for (let w = 0; w < ROW_WORDS; w++) target[to + w] = words[row + w]!;
  }

  // Hot path.
  #addRun(rows: FrameRows, before: bigint): void {
    const { columns } = rows;
    const { words, at, step } = columns;
    const elsewhere = this.#elsewhere;
    for (let i = 0; i < rows.n; i++) {
      const kind = rows.rowKind(i);
      if (kind === RowKind.none || kind === RowKind.copy) continue;
      if (kind === RowKind.account) {
        this.#addAccount(rows, i);
        continue;
      }
      const debit = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
      const credit = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
      const isElsewhere =
        this.#find(words, debit) === elsewhere && this.#find(words, credit) === elsewhere;
      if (isElsewhere) continue;
      rows.changeKey(i);
      if (((BigInt(rows.high) << 32n) | BigInt(rows.low)) >= before) continue;
      columns.copyRow(i, this.#record, 0);
      this.apply(this.#record, 0, kind === RowKind.expired);
    }
  }

  /** Takes an account as it was created. What happened to it may be known already. */
  // Hot path.
  #addAccount(rows: FrameRows, i: number): void {
    const { words, at, step } = rows.columns;
    const row = this.#find(words, at[Account.id]! + i * step[Account.id]!);
    if (row === this.#elsewhere) return;
    const record = this.#record;
    rows.columns.copyRow(i, record, 0);
    rows.timestamp(i);
    record[TIMESTAMP] = rows.low;
    record[TIMESTAMP + 1] = rows.high;
    for (let w = 0; w < ROW_WORDS; w++) this.#words[row + w] = this.#words[row + w]! | record[w]!;
  }

  /** Where the account's row begins, or that which stands for all others. */
  // Hot path.
  #find(ids: Uint32Array, at: number): number {
    const slots = this.#slots;
    let slot = hashOf(ids, at) >>> this.#shift;
    if (slots[slot] === 0) return this.#elsewhere;
    const words = this.#words;
    for (; slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
      const row = (slots[slot]! - 1) * ROW_WORDS;
      const isIt =
        words[row] === ids[at] &&
        words[row + 1] === ids[at + 1] &&
        words[row + 2] === ids[at + 2] &&
        words[row + 3] === ids[at + 3];
      if (isIt) return row;
    }
    return this.#elsewhere;
  }
}

/** Ids that collide cost a look more, and no more than that. */
// Hot path.
function hashOf(ids: Uint32Array, at: number): number {
  const low = Math.imul(ids[at]!, 0x85ebca77) ^ Math.imul(ids[at + 1]!, 0xc2b2ae3d);
  const high = Math.imul(ids[at + 2]!, 0x27d4eb2f) ^ Math.imul(ids[at + 3]!, 0x9e3779b1);
  const hash = low ^ ((high << 15) | (high >>> 17));
  return Math.imul(hash ^ (hash >>> 15), 0x9e3779b1);
}
