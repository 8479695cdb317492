/**
 * Questions about the past, and their answers: the same at the router, at the gateway, and in a client. Numbers that do not fit into 53
 * bits are bigints. 0 and false mean "not asked for".
 */
import type { Position } from './reply.ts';

/** What both kinds of filters have. A cursor is the `next` of an earlier answer to the same question; it is opaque. */
export interface PageOptions {
  /** Inclusive, nanoseconds; 0 for none. */
  readonly timestampMin: bigint;
  readonly timestampMax: bigint;
  /** From 1 to QUERY_LIMIT_MAX. */
  readonly limit: number;
  /** The newest first. */
  readonly reversed: boolean;
  readonly cursor: string;
}

export interface UserFilter {
  readonly userData128: bigint;
  readonly userData64: bigint;
  readonly userData32: number;
  readonly code: number;
}

/** For get_account_transfers and get_account_balances. Entries of the sides asked for; with neither side there are none. */
export interface AccountFilter extends PageOptions, UserFilter {
  readonly accountId: bigint;
  readonly debits: boolean;
  readonly credits: boolean;
}

/** For query_accounts and query_transfers: every given field must match. */
export interface QueryFilter extends PageOptions, UserFilter {
  readonly ledger: number;
}

export type ChangesFilter = Pick<PageOptions, 'timestampMin' | 'timestampMax' | 'limit' | 'cursor'>;

/** Rows of one page. `next` is the cursor of what follows; null at the end of what there is. */
export interface Page {
  readonly n: number;
  /** n times 32 words: transfers or accounts. */
  readonly rows: Uint32Array;
  readonly next: string | null;
  readonly positions: readonly Position[];
}

export interface TransfersPage extends Page {
  /** By row, see PendingStatus. */
  readonly pendingStatuses: Uint8Array;
}

/** An account's transfers, in the order of their effect on its shard. */
export interface AccountTransfersPage extends TransfersPage {
  /** When each took effect there: its timestamp, or later when another shard decided it. Paging and time filters go by it. */
  readonly effectTimestamps: BigUint64Array;
}

/** The balances of an account after each of its transfers: 16 words a row, in the order of an account row's balances. */
export interface BalancesPage {
  readonly n: number;
  readonly balances: Uint32Array;
  /** Of the transfers. */
  readonly timestamps: BigUint64Array;
  readonly effectTimestamps: BigUint64Array;
  readonly next: string | null;
  readonly positions: readonly Position[];
}

export const ChangeType = {
  single_phase: 0,
  two_phase_pending: 1,
  two_phase_posted: 2,
  two_phase_voided: 3,
  two_phase_expired: 4,
} as const;
export type ChangeType = (typeof ChangeType)[keyof typeof ChangeType];

/** Each change, in the order of timestamps: the transfer (of an expiry: the pending one), and both accounts as they were after it. */
export interface ChangesPage {
  readonly n: number;
  readonly types: Uint8Array;
  readonly timestamps: BigUint64Array;
  readonly transfers: Uint32Array;
  readonly debitAccounts: Uint32Array;
  readonly creditAccounts: Uint32Array;
  readonly next: string | null;
  readonly positions: readonly Position[];
}

/** What became of a pending transfer; 0 for one that is not pending. */
export const PendingStatus = { none: 0, pending: 1, posted: 2, voided: 3, expired: 4 } as const;
export type PendingStatus = (typeof PendingStatus)[keyof typeof PendingStatus];
export const PENDING_STATUS_NAMES = ['none', 'pending', 'posted', 'voided', 'expired'] as const;

export const QUERY_LIMIT_MAX = 8189;
export const QUERY_LIMIT_DEFAULT = 100;
