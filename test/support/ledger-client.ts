/** What tables and comparisons need of a client of the system. A client that lacks a read fails the table that asks for it. */
import type { AccountFilter, ChangesFilter, QueryFilter } from '../../engine/query.ts';
import type {
  AccountInput,
  Balances,
  Result,
  StoredAccount,
  Transfer,
  TransferInput,
} from './ledger-records.ts';

/** A transfer as look-ups and reads show it. */
export type StoredTransfer = Transfer & { readonly pendingStatus?: string };

export interface ChangeEvent {
  readonly type: string;
  readonly timestamp: bigint;
  /** Of an expiry: the pending one. */
  readonly transfer: Transfer;
  /** As they were after it. */
  readonly debitAccount: StoredAccount;
  readonly creditAccount: StoredAccount;
}

export interface LedgerClient {
  createAccounts(events: readonly AccountInput[]): Promise<{ readonly results: readonly Result[] }>;
  createTransfers(
    events: readonly TransferInput[],
  ): Promise<{ readonly results: readonly Result[] }>;
  lookupAccounts(ids: readonly bigint[]): Promise<{ readonly accounts: readonly StoredAccount[] }>;
  lookupTransfers(
    ids: readonly bigint[],
  ): Promise<{ readonly transfers: readonly StoredTransfer[] }>;
  getAccountTransfers?(filter: AskedOfAccount): Promise<{
    readonly transfers: readonly StoredTransfer[];
    readonly next: string | null;
  }>;
  getAccountBalances?(filter: AskedOfAccount): Promise<{
    readonly balances: readonly (Balances & { readonly timestamp: bigint })[];
    readonly next: string | null;
  }>;
  queryAccounts?(filter: Partial<QueryFilter>): Promise<{
    readonly accounts: readonly StoredAccount[];
    readonly next: string | null;
  }>;
  queryTransfers?(filter: Partial<QueryFilter>): Promise<{
    readonly transfers: readonly StoredTransfer[];
    readonly next: string | null;
  }>;
  changeEvents?(filter?: Partial<ChangesFilter>): AsyncIterable<ChangeEvent>;
}

export type AskedOfAccount = Partial<AccountFilter> & Pick<AccountFilter, 'accountId'>;
