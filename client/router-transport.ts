/** Calls a router in this process: nothing is encoded, and a call's deadline is the router's. */
import { type Batch, BatchKind } from '../engine/batch.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import type { FilterOf, PageOf, QueryOperation } from '../gateway/wire-codec-filters.ts';
import type { Transport } from './client.ts';
import type { Attempt } from './retry.ts';
import type { RecordKind } from './rows.ts';

type Question<O extends QueryOperation> = (
  filter: FilterOf<O>,
  deadlineMs: number,
) => Promise<PageOf<O>>;

/** What is called. Deadlines are absolute, in milliseconds. */
export interface CalledRouter {
  createAccounts(batch: Batch, deadlineMs: number): Promise<CreateReply>;
  createTransfers(batch: Batch, deadlineMs: number): Promise<CreateReply>;
  lookupAccounts(ids: Batch, deadlineMs: number): Promise<RowsReply>;
  lookupTransfers(ids: Batch, deadlineMs: number): Promise<RowsReply>;
  getAccountTransfers(
    ...asked: Parameters<Question<'get_account_transfers'>>
  ): ReturnType<Question<'get_account_transfers'>>;
  getAccountBalances(
    ...asked: Parameters<Question<'get_account_balances'>>
  ): ReturnType<Question<'get_account_balances'>>;
  queryAccounts(
    ...asked: Parameters<Question<'query_accounts'>>
  ): ReturnType<Question<'query_accounts'>>;
  queryTransfers(
    ...asked: Parameters<Question<'query_transfers'>>
  ): ReturnType<Question<'query_transfers'>>;
  getChangeEvents(
    ...asked: Parameters<Question<'get_change_events'>>
  ): ReturnType<Question<'get_change_events'>>;
}

const ASK: {
  readonly [O in QueryOperation]: (
    router: CalledRouter,
    ...asked: Parameters<Question<O>>
  ) => ReturnType<Question<O>>;
} = {
  get_account_transfers: (router, ...asked) => router.getAccountTransfers(...asked),
  get_account_balances: (router, ...asked) => router.getAccountBalances(...asked),
  query_accounts: (router, ...asked) => router.queryAccounts(...asked),
  query_transfers: (router, ...asked) => router.queryTransfers(...asked),
  get_change_events: (router, ...asked) => router.getChangeEvents(...asked),
};

/** `close` is what ends it. */
export class RouterTransport implements Transport {
  readonly #router: CalledRouter;
  readonly #close: () => Promise<void>;

  constructor(router: CalledRouter, close: () => Promise<void>) {
    this.#router = router;
    this.#close = close;
  }

  prepareCreate(kind: RecordKind, batch: Batch): Attempt<CreateReply> {
    const router = this.#router;
    return kind === BatchKind.accounts
      ? (deadline) => router.createAccounts(batch, deadline)
      : (deadline) => router.createTransfers(batch, deadline);
  }

  prepareLookup(kind: RecordKind, ids: Batch): Attempt<RowsReply> {
    const router = this.#router;
    return kind === BatchKind.accounts
      ? (deadline) => router.lookupAccounts(ids, deadline)
      : (deadline) => router.lookupTransfers(ids, deadline);
  }

  prepareQuery<O extends QueryOperation>(operation: O, filter: FilterOf<O>): Attempt<PageOf<O>> {
    return (deadline) => ASK[operation](this.#router, filter, deadline);
  }

  close(): Promise<void> {
    return this.#close();
  }
}
