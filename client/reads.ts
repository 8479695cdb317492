/**
 * Questions about the past as a client offers them: filters and pages of objects over whatever carries them. A page ends where its limit
 * or the transport's says; `next` leads on, and is null at the end of what there is.
 */
import { BatchKind } from '../engine/batch.ts';
import { type BalancesPage, type ChangesPage, PENDING_STATUS_NAMES } from '../engine/query.ts';
import type { Position } from '../engine/reply.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import {
  emptyPage,
  type FilterOf,
  isVoidFilter,
  type PageOf,
  type QueryOperation,
} from '../gateway/wire-codec-filters.ts';
import {
  BALANCES_WORDS,
  CHANGE_TYPE_NAMES,
  type ChangeTypeName,
} from '../gateway/wire-codec-pages.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import type { Account, CallOptions, StoredTransfer, Transfer } from './client.ts';
import {
  accountFilterOf,
  type AccountFilterInput,
  changesFilterOf,
  type PageInput,
  queryFilterOf,
  type QueryFilterInput,
} from './filters.ts';
import { objectsOfRows } from './rows.ts';

interface Paged {
  readonly next: string | null;
  readonly positions: readonly Position[];
}

export interface AccountTransfer extends Transfer {
  /** When it took effect on this account: its timestamp, or later when another shard decided it. Nanoseconds. */
  readonly effectTimestamp: bigint;
}

/** The balances of an account after one of its transfers. */
export interface AccountBalance {
  readonly debitsPending: bigint;
  readonly debitsPosted: bigint;
  readonly creditsPending: bigint;
  readonly creditsPosted: bigint;
  /** Of the transfer. */
  readonly timestamp: bigint;
  readonly effectTimestamp: bigint;
}

export interface ChangeEvent {
  readonly type: ChangeTypeName;
  readonly timestamp: bigint;
  /** Of an expiry: the pending transfer that expired. */
  readonly transfer: StoredTransfer;
  /** The accounts as they were after it. */
  readonly debitAccount: Account;
  readonly creditAccount: Account;
}

export interface Reads {
  /** In the order of their effect on the account. */
  getAccountTransfers(
    filter: AccountFilterInput,
    options?: CallOptions,
  ): Promise<Paged & { readonly transfers: readonly AccountTransfer[] }>;
  /** For accounts with the flag `history`; others have none. */
  getAccountBalances(
    filter: AccountFilterInput,
    options?: CallOptions,
  ): Promise<Paged & { readonly balances: readonly AccountBalance[] }>;
  queryAccounts(
    filter: QueryFilterInput,
    options?: CallOptions,
  ): Promise<Paged & { readonly accounts: readonly Account[] }>;
  queryTransfers(
    filter: QueryFilterInput,
    options?: CallOptions,
  ): Promise<Paged & { readonly transfers: readonly Transfer[] }>;
}

/** Asks for one page of a valid filter. */
export type Ask = <O extends QueryOperation>(
  operation: O,
  filter: FilterOf<O>,
  options: CallOptions,
) => Promise<PageOf<O>>;

export class PageReads implements Reads {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  async getAccountTransfers(
    filter: AccountFilterInput,
    options: CallOptions = {},
  ): Promise<Paged & { readonly transfers: readonly AccountTransfer[] }> {
    const asked = accountFilterOf(filter);
    const page = await this.#pageOf('get_account_transfers', asked, options);
    const { next, positions, effectTimestamps } = page;
    const transfers = transfersOf(page.rows, page.n, page.pendingStatuses);
    return {
      transfers: transfers.map((one, i) => ({ ...one, effectTimestamp: effectTimestamps[i]! })),
      next,
      positions,
    };
  }

  async getAccountBalances(
    filter: AccountFilterInput,
    options: CallOptions = {},
  ): Promise<Paged & { readonly balances: readonly AccountBalance[] }> {
    const asked = accountFilterOf(filter);
    const page = await this.#pageOf('get_account_balances', asked, options);
    return { balances: balancesOf(page), next: page.next, positions: page.positions };
  }

  async queryAccounts(
    filter: QueryFilterInput,
    options: CallOptions = {},
  ): Promise<Paged & { readonly accounts: readonly Account[] }> {
    const page = await this.#pageOf('query_accounts', queryFilterOf(filter), options);
    const { next, positions } = page;
    return { accounts: accountsOf(page.rows, page.n), next, positions };
  }

  async queryTransfers(
    filter: QueryFilterInput,
    options: CallOptions = {},
  ): Promise<Paged & { readonly transfers: readonly Transfer[] }> {
    const page = await this.#pageOf('query_transfers', queryFilterOf(filter), options);
    const { next, positions } = page;
    return { transfers: transfersOf(page.rows, page.n, page.pendingStatuses), next, positions };
  }

  async changesPage(
    filter: PageInput,
    options: CallOptions,
  ): Promise<Paged & { readonly changes: readonly ChangeEvent[] }> {
    const page = await this.#pageOf('get_change_events', changesFilterOf(filter), options);
    return { changes: changesOf(page), next: page.next, positions: page.positions };
  }

  #pageOf<O extends QueryOperation>(
    operation: O,
    filter: FilterOf<O>,
    options: CallOptions,
  ): Promise<PageOf<O>> {
    if (isVoidFilter(filter)) return Promise.resolve(emptyPage(operation));
    return this.#ask(operation, filter, options);
  }
}

export function accountsOf(rows: Uint32Array, n: number): readonly Account[] {
  return objectsOfRows(BatchKind.accounts, rows, n) as readonly Account[];
}

/** Without statuses none of them is a pending one. */
export function transfersOf(
  rows: Uint32Array,
  n: number,
  pendingStatuses: Uint8Array = new Uint8Array(n),
): readonly Transfer[] {
  const objects = objectsOfRows(BatchKind.transfers, rows, n) as readonly StoredTransfer[];
  return objects.map((one, i) => {
    const pendingStatus = PENDING_STATUS_NAMES[pendingStatuses[i]!];
    if (pendingStatus === undefined) throw strange(`pending status ${pendingStatuses[i]}`);
    return { ...one, pendingStatus };
  });
}

function balancesOf(page: BalancesPage): readonly AccountBalance[] {
  return Array.from({ length: page.n }, (_, i) => {
    const at = i * BALANCES_WORDS;
    return {
      debitsPending: bigintOfUint128(page.balances, at),
      debitsPosted: bigintOfUint128(page.balances, at + 4),
      creditsPending: bigintOfUint128(page.balances, at + 8),
      creditsPosted: bigintOfUint128(page.balances, at + 12),
      timestamp: page.timestamps[i]!,
      effectTimestamp: page.effectTimestamps[i]!,
    };
  });
}

function changesOf(page: ChangesPage): readonly ChangeEvent[] {
  const { n } = page;
  const transfers = objectsOfRows(BatchKind.transfers, page.transfers, n);
  const debitAccounts = accountsOf(page.debitAccounts, n);
  const creditAccounts = accountsOf(page.creditAccounts, n);
  return (transfers as readonly StoredTransfer[]).map((transfer, i) => {
    const type = CHANGE_TYPE_NAMES[page.types[i]!];
    if (type === undefined) throw strange(`type of change ${page.types[i]}`);
    const debitAccount = debitAccounts[i]!;
    const creditAccount = creditAccounts[i]!;
    return { type, timestamp: page.timestamps[i]!, transfer, debitAccount, creditAccount };
  });
}

const strange = (what: string): SyceeError =>
  new SyceeError('unknown', `the answer has the ${what}, which this client does not know`);
