/** What the edges ask of the router, and nothing more: so their tests pass a fake. */
import type { Batch } from '../engine/batch.ts';
import type {
  AccountFilter,
  AccountTransfersPage,
  BalancesPage,
  ChangesFilter,
  ChangesPage,
  Page,
  QueryFilter,
  TransfersPage,
} from '../engine/query.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import type { RouterStatus, ShardStatus } from '../sharding/router.ts';

export type { RouterStatus, ShardStatus };

/** Deadlines are absolute milliseconds as of `Date.now()`; 0 is the router's default. A rejection is a `SyceeError`. */
export interface RequestRouter {
  createAccounts(batch: Batch, deadlineMs: number): Promise<CreateReply>;
  createTransfers(batch: Batch, deadlineMs: number): Promise<CreateReply>;
  lookupAccounts(ids: Batch, deadlineMs: number): Promise<RowsReply>;
  lookupTransfers(ids: Batch, deadlineMs: number): Promise<RowsReply>;
  /** Filters are valid ones: what nothing can fit has been answered before. */
  getAccountTransfers(filter: AccountFilter, deadlineMs: number): Promise<AccountTransfersPage>;
  getAccountBalances(filter: AccountFilter, deadlineMs: number): Promise<BalancesPage>;
  queryAccounts(filter: QueryFilter, deadlineMs: number): Promise<Page>;
  queryTransfers(filter: QueryFilter, deadlineMs: number): Promise<TransfersPage>;
  getChangeEvents(filter: ChangesFilter, deadlineMs: number): Promise<ChangesPage>;
  status(): RouterStatus;
}
