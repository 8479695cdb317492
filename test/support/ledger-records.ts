/** Accounts, transfers and answers as tests write and read them: the words of the model, of the tables, and of every client. */
import type { AccountStatus, TransferStatus } from '../../engine/status.ts';

export type AccountStatusName = keyof typeof AccountStatus;
export type TransferStatusName = keyof typeof TransferStatus;
export type StatusName = AccountStatusName | TransferStatusName;
export type PendingStatusName = 'none' | 'pending' | 'posted' | 'voided' | 'expired';
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
/** The part of it that transfers change. */
export type Balances = Pick<
  Account,
  'debitsPending' | 'debitsPosted' | 'creditsPending' | 'creditsPosted'
>;

/** An event as a client writes it: what is left out is 0. */
export type AccountInput = Pick<Account, 'id' | 'ledger' | 'code'> & Partial<Account>;
export type TransferInput = Pick<Transfer, 'id' | 'debitAccountId' | 'creditAccountId'> &
  Pick<Transfer, 'amount' | 'ledger' | 'code'> &
  Partial<Transfer>;

/** What a client of the system answers. */
export interface Result {
  readonly status: string;
  readonly timestamp: bigint;
}

export type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export const U128_MAX = 2n ** 128n - 1n;
/** What a timestamp may be, and what a timeout may reach: 2^63-1 ns. */
export const TIMESTAMP_MAX = 2n ** 63n - 1n;
export const SECOND = 1_000_000_000n;

export function fullAccount(event: AccountInput): Mutable<Account> {
  const zero = { debitsPending: 0n, debitsPosted: 0n, creditsPending: 0n, creditsPosted: 0n };
  const userData = { userData128: 0n, userData64: 0n, userData32: 0 };
  return { ...zero, ...userData, reserved: 0, flags: 0, timestamp: 0n, ...event };
}

export function fullTransfer(event: TransferInput): Mutable<Transfer> {
  const userData = { userData128: 0n, userData64: 0n, userData32: 0 };
  return { pendingId: 0n, ...userData, timeout: 0, flags: 0, timestamp: 0n, ...event };
}
