/**
 * The naive ledger that the real one is judged by: one Map for each kind, bigint everywhere, one event after the other, written for
 * obviousness. A rule is a line of a list in order of precedence; the status is the first rule that the event breaks.
 *
 * Single-phase transfers only. Timestamps are not predicted: `learn` takes over what the system gave to each created event, so that a
 * later `exists` can be held against the original's. A transfer id is unique per shard of its debit account.
 */
import { assert } from '../../engine/assert.ts';
import type { AccountStatus, TransferStatus } from '../../engine/status.ts';

export type AccountStatusName = keyof typeof AccountStatus;
export type TransferStatusName = keyof typeof TransferStatus;
export type StatusName = AccountStatusName | TransferStatusName;
export type ShardOf = (accountId: bigint) => number;

export interface Account {
  readonly id: bigint;
  readonly debitsPending: bigint;
  readonly debitsPosted: bigint;
  readonly creditsPending: bigint;
  readonly creditsPosted: bigint;
  readonly userData128: bigint;
  readonly userData64: bigint;
  readonly userData32: number;
  readonly reserved: number;
  readonly ledger: number;
  readonly code: number;
  readonly flags: number;
  readonly timestamp: bigint;
}

export interface Transfer {
  readonly id: bigint;
  readonly debitAccountId: bigint;
  readonly creditAccountId: bigint;
  readonly amount: bigint;
  readonly pendingId: bigint;
  readonly userData128: bigint;
  readonly userData64: bigint;
  readonly userData32: number;
  readonly timeout: number;
  readonly ledger: number;
  readonly code: number;
  readonly flags: number;
  readonly timestamp: bigint;
}

/** An account as a lookup shows it. */
export type StoredAccount = Omit<Account, 'reserved'>;

/** An event as a client writes it: what is left out is 0. */
export type AccountInput = Pick<Account, 'id' | 'ledger' | 'code'> & Partial<Account>;
export type TransferInput = Pick<Transfer, 'id' | 'debitAccountId' | 'creditAccountId'> &
  Pick<Transfer, 'amount' | 'ledger' | 'code'> &
  Partial<Transfer>;

/** What the model answers. `record` is what the event made, or the original that it repeats. */
export interface Expected<Row> {
  readonly status: StatusName;
  readonly record?: Row;
}

/** What a client of the system answers. */
export interface Result {
  readonly status: string;
  readonly timestamp: bigint;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Rule<Name> = readonly [name: Name, isBroken: boolean];

export const U128_MAX = 2n ** 128n - 1n;
export const DEBITS_MUST_NOT_EXCEED_CREDITS = 2;
export const CREDITS_MUST_NOT_EXCEED_DEBITS = 4;
const ACCOUNT_FLAGS_DEFINED = 0b11_1111;
const TRANSFER_FLAGS_DEFINED = 0b1_1111_1111;
const ACCOUNT_FLAGS_HERE = DEBITS_MUST_NOT_EXCEED_CREDITS | CREDITS_MUST_NOT_EXCEED_DEBITS;
/** Transient failures: the id is never to be used again. */
export const BURNING: ReadonlySet<StatusName> = new Set([
  'debit_account_not_found',
  'credit_account_not_found',
  'exceeds_credits',
  'exceeds_debits',
]);

export class ModelLedger {
  readonly #shardOf: ShardOf;
  readonly #accounts = new Map<bigint, Mutable<Account>>();
  readonly #transfers = new Map<string, Mutable<Transfer>>();
  readonly #burnt = new Set<string>();

  constructor(shardOf: ShardOf) {
    this.#shardOf = shardOf;
  }

  createAccounts(events: readonly AccountInput[]): Expected<Account>[] {
    return events.map((event) => this.createAccount(event));
  }

  createTransfers(events: readonly TransferInput[]): Expected<Transfer>[] {
    return events.map((event) => this.createTransfer(event));
  }

  createAccount(event: AccountInput): Expected<Account> {
    const account = fullAccount(event);
    const status = firstBroken(this.accountRules(account));
    if (status === 'exists') return { status, record: this.#accounts.get(account.id)! };
    if (status !== 'created') return { status };
    this.#accounts.set(account.id, account);
    return { status, record: account };
  }

  createTransfer(event: TransferInput): Expected<Transfer> {
    const transfer = fullTransfer(event);
    const key = this.#keyOf(transfer.id, transfer.debitAccountId);
    const status = firstBroken(this.transferRules(transfer));
    if (BURNING.has(status)) this.#burnt.add(key);
    if (status === 'exists') return { status, record: this.#transfers.get(key)! };
    if (status !== 'created') return { status };
    this.#accounts.get(transfer.debitAccountId)!.debitsPosted += transfer.amount;
    this.#accounts.get(transfer.creditAccountId)!.creditsPosted += transfer.amount;
    this.#transfers.set(key, transfer);
    return { status, record: transfer };
  }

  /** Every rule for one account, in order of precedence. */
  accountRules(event: AccountInput): readonly Rule<AccountStatusName>[] {
    const a = fullAccount(event);
    const old = this.#accounts.get(a.id);
    assert((a.flags & ACCOUNT_FLAGS_DEFINED & ~ACCOUNT_FLAGS_HERE) === 0, 'a flag for the edge');
    return [
      ['timestamp_must_be_zero', a.timestamp !== 0n],
      ['reserved_field', a.reserved !== 0],
      ['reserved_flag', (a.flags & ~ACCOUNT_FLAGS_DEFINED) !== 0],
      ['id_must_not_be_zero', a.id === 0n],
      ['id_must_not_be_int_max', a.id === U128_MAX],
      ['exists_with_different_flags', old !== undefined && old.flags !== a.flags],
      [
        'exists_with_different_user_data_128',
        old !== undefined && old.userData128 !== a.userData128,
      ],
      ['exists_with_different_user_data_64', old !== undefined && old.userData64 !== a.userData64],
      ['exists_with_different_user_data_32', old !== undefined && old.userData32 !== a.userData32],
      ['exists_with_different_ledger', old !== undefined && old.ledger !== a.ledger],
      ['exists_with_different_code', old !== undefined && old.code !== a.code],
      ['exists', old !== undefined],
      ['flags_are_mutually_exclusive', (a.flags & ACCOUNT_FLAGS_HERE) === ACCOUNT_FLAGS_HERE],
      ['debits_pending_must_be_zero', a.debitsPending !== 0n],
      ['debits_posted_must_be_zero', a.debitsPosted !== 0n],
      ['credits_pending_must_be_zero', a.creditsPending !== 0n],
      ['credits_posted_must_be_zero', a.creditsPosted !== 0n],
      ['ledger_must_not_be_zero', a.ledger === 0],
      ['code_must_not_be_zero', a.code === 0],
    ];
  }

  /** Every rule for one single-phase transfer, in order of precedence. */
  transferRules(event: TransferInput): readonly Rule<TransferStatusName>[] {
    const t = fullTransfer(event);
    assert((t.flags & TRANSFER_FLAGS_DEFINED) === 0, 'a flag for the edge');
    return [
      ['timestamp_must_be_zero', t.timestamp !== 0n],
      ['reserved_flag', (t.flags & ~TRANSFER_FLAGS_DEFINED) !== 0],
      ['id_must_not_be_zero', t.id === 0n],
      ['id_must_not_be_int_max', t.id === U128_MAX],
      ...this.#idRules(t),
      ['debit_account_id_must_not_be_zero', t.debitAccountId === 0n],
      ['debit_account_id_must_not_be_int_max', t.debitAccountId === U128_MAX],
      ['credit_account_id_must_not_be_zero', t.creditAccountId === 0n],
      ['credit_account_id_must_not_be_int_max', t.creditAccountId === U128_MAX],
      ['accounts_must_be_different', t.debitAccountId === t.creditAccountId],
      ['pending_id_must_be_zero', t.pendingId !== 0n],
      ['timeout_reserved_for_pending_transfer', t.timeout !== 0],
      ['ledger_must_not_be_zero', t.ledger === 0],
      ['code_must_not_be_zero', t.code === 0],
      ...this.#balanceRules(t),
    ];
  }

  #idRules(t: Transfer): readonly Rule<TransferStatusName>[] {
    const key = this.#keyOf(t.id, t.debitAccountId);
    const old = this.#transfers.get(key);
    const has = old !== undefined;
    return [
      ['exists_with_different_flags', has && old.flags !== t.flags],
      ['exists_with_different_pending_id', has && old.pendingId !== t.pendingId],
      ['exists_with_different_timeout', has && old.timeout !== t.timeout],
      ['exists_with_different_debit_account_id', has && old.debitAccountId !== t.debitAccountId],
      ['exists_with_different_credit_account_id', has && old.creditAccountId !== t.creditAccountId],
      ['exists_with_different_amount', has && old.amount !== t.amount],
      ['exists_with_different_user_data_128', has && old.userData128 !== t.userData128],
      ['exists_with_different_user_data_64', has && old.userData64 !== t.userData64],
      ['exists_with_different_user_data_32', has && old.userData32 !== t.userData32],
      ['exists_with_different_ledger', has && old.ledger !== t.ledger],
      ['exists_with_different_code', has && old.code !== t.code],
      ['exists', has],
      ['id_already_failed', this.#burnt.has(key)],
    ];
  }

  #balanceRules(t: Transfer): readonly Rule<TransferStatusName>[] {
    const dr = this.#accounts.get(t.debitAccountId);
    const cr = this.#accounts.get(t.creditAccountId);
    const debits = dr === undefined ? 0n : dr.debitsPosted + t.amount;
    const credits = cr === undefined ? 0n : cr.creditsPosted + t.amount;
    const hasOtherLedger = (a: Account | undefined): boolean =>
      a !== undefined && a.ledger !== t.ledger;
    const isLimited = (a: Account | undefined, flag: number): a is Account =>
      a !== undefined && (a.flags & flag) !== 0;
    return [
      ['debit_account_not_found', dr === undefined],
      ['credit_account_not_found', cr === undefined],
      ['accounts_must_have_the_same_ledger', !!dr && !!cr && dr.ledger !== cr.ledger],
      ['transfer_must_have_the_same_ledger_as_accounts', hasOtherLedger(dr) || hasOtherLedger(cr)],
      ['overflows_debits_posted', debits > U128_MAX],
      ['overflows_credits_posted', credits > U128_MAX],
      [
        'exceeds_credits',
        isLimited(dr, DEBITS_MUST_NOT_EXCEED_CREDITS) && debits > dr.creditsPosted,
      ],
      [
        'exceeds_debits',
        isLimited(cr, CREDITS_MUST_NOT_EXCEED_DEBITS) && credits > cr.debitsPosted,
      ],
    ];
  }

  /** Takes over the timestamps that the system gave to the created events of a batch. */
  learn(expected: readonly Expected<Account | Transfer>[], results: readonly Result[]): void {
    for (const [i, { status, record }] of expected.entries()) {
      if (status === 'created') (record as Mutable<Account>).timestamp = results[i]!.timestamp;
    }
  }

  /** The accounts that are there, in the order of the ids. */
  lookupAccounts(ids: readonly bigint[]): readonly Account[] {
    return ids.flatMap((id) => this.#accounts.get(id) ?? []);
  }

  /** The transfers that are there, in the order of the ids. An id that was used on several shards brings one for each. */
  lookupTransfers(ids: readonly bigint[]): readonly Transfer[] {
    const wanted = new Map<bigint, Transfer[]>(ids.map((id) => [id, []]));
    for (const transfer of this.#transfers.values()) wanted.get(transfer.id)?.push(transfer);
    return ids.flatMap((id) => wanted.get(id)!);
  }

  accounts(): readonly Account[] {
    return [...this.#accounts.values()];
  }

  transfers(): readonly Transfer[] {
    return [...this.#transfers.values()];
  }

  /** A ledger that goes its own way from here. Transfers are shared: once learnt they never change. */
  clone(): ModelLedger {
    const copy = new ModelLedger(this.#shardOf);
    for (const [id, account] of this.#accounts) copy.#accounts.set(id, { ...account });
    for (const [key, transfer] of this.#transfers) copy.#transfers.set(key, transfer);
    for (const key of this.#burnt) copy.#burnt.add(key);
    return copy;
  }

  /** What two ledgers with the same balances, transfers and burnt ids have in common. */
  digest(): string {
    const accounts = this.accounts().map((a) => `${a.id} ${a.debitsPosted} ${a.creditsPosted}`);
    const keys = [...this.#transfers.keys()].toSorted();
    return [accounts.toSorted().join(), keys.join(), [...this.#burnt].toSorted().join()].join(';');
  }

  #keyOf(id: bigint, debitAccountId: bigint): string {
    return `${this.#shardOf(debitAccountId)}/${id}`;
  }
}

/**
 * The model behind the calls of a client, with a clock that counts. What judges the system is itself judged through it.
 */
export class ModelClient {
  readonly model: ModelLedger;
  #clock = 1_000_000n;

  constructor(model: ModelLedger) {
    this.model = model;
  }

  async createAccounts(events: readonly AccountInput[]): Promise<{ results: Result[] }> {
    return this.#answer(this.model.createAccounts(events));
  }

  async createTransfers(events: readonly TransferInput[]): Promise<{ results: Result[] }> {
    return this.#answer(this.model.createTransfers(events));
  }

  async lookupAccounts(ids: readonly bigint[]): Promise<{ accounts: readonly Account[] }> {
    return { accounts: this.model.lookupAccounts(ids) };
  }

  async lookupTransfers(ids: readonly bigint[]): Promise<{ transfers: readonly Transfer[] }> {
    return { transfers: this.model.lookupTransfers(ids) };
  }

  #answer(expected: readonly Expected<Account | Transfer>[]): { results: Result[] } {
    this.#clock += BigInt(expected.length);
    const first = this.#clock - BigInt(expected.length) + 1n;
    const stamps = expected.map(({ status }, i) => ({ status, timestamp: first + BigInt(i) }));
    this.model.learn(expected, stamps);
    const results = expected.map(({ status, record }, i) => {
      return status === 'exists' ? { status, timestamp: record!.timestamp } : stamps[i]!;
    });
    return { results };
  }
}

/** What is wrong with the system's answer to a batch, or null. Call it after `learn`: `exists` has the original's timestamp. */
export function differenceOfResults(
  expected: readonly Expected<Account | Transfer>[],
  results: readonly Result[],
): string | null {
  if (results.length !== expected.length) {
    return `${results.length} results for ${expected.length} events`;
  }
  for (const [i, { status, record }] of expected.entries()) {
    const result = results[i]!;
    if (result.status !== status) return `event ${i}: ${result.status}, but ${status} was due`;
    if (record !== undefined && record.timestamp !== result.timestamp) {
      return `event ${i}: ${status} with timestamp ${result.timestamp}, not ${record.timestamp}`;
    }
  }
  return null;
}

function firstBroken<Name extends StatusName>(rules: readonly Rule<Name>[]): Name | 'created' {
  return rules.find(([, isBroken]) => isBroken)?.[0] ?? 'created';
}

function fullAccount(event: AccountInput): Mutable<Account> {
  const zero = { debitsPending: 0n, debitsPosted: 0n, creditsPending: 0n, creditsPosted: 0n };
  const userData = { userData128: 0n, userData64: 0n, userData32: 0 };
  return { ...zero, ...userData, reserved: 0, flags: 0, timestamp: 0n, ...event };
}

function fullTransfer(event: TransferInput): Mutable<Transfer> {
  const userData = { userData128: 0n, userData64: 0n, userData32: 0 };
  return { pendingId: 0n, ...userData, timeout: 0, flags: 0, timestamp: 0n, ...event };
}
