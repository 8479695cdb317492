/**
 * What the router asks of those who read the journals: the past, as far as it is committed. They know nothing of what is under way; where an
 * account's history begins, and up to when changes may be told, the router asks the shards.
 */
import type {
  AccountFilter,
  AccountTransfersPage,
  BalancesPage,
  ChangesFilter,
  ChangesPage,
  Page,
  QueryFilter,
} from '../engine/query.ts';
import type { Position } from '../engine/reply.ts';

/** What its shard says of an account: the position of its newest transfer, both words 0 when there is none, and its flags. */
export interface AccountHead {
  readonly shard: number;
  readonly low: number;
  readonly high: number;
  readonly flags: number;
}

/** n ids of four words each. */
export interface IdsPage {
  readonly n: number;
  readonly ids: Uint32Array;
  readonly next: string | null;
  readonly positions: readonly Position[];
}

/** Rejections are `SyceeError`s: `malformed_request` for a cursor that cannot be read. What became of pending transfers is not known here. */
export interface JournalQueries {
  accountTransfers(
    filter: AccountFilter,
    head: AccountHead,
    deadlineMs: number,
  ): Promise<Omit<AccountTransfersPage, 'pendingStatuses' | 'positions'>>;
  accountBalances(
    filter: AccountFilter,
    head: AccountHead,
    deadlineMs: number,
  ): Promise<Omit<BalancesPage, 'positions'>>;
  transfers(filter: QueryFilter, deadlineMs: number): Promise<Page>;
  /** Ids of accounts, in the order of the journals. */
  accountIds(filter: QueryFilter, deadlineMs: number): Promise<IdsPage>;
  /** Changes of times before `watermark`. */
  changes(
    filter: ChangesFilter,
    watermark: bigint,
    deadlineMs: number,
  ): Promise<Omit<ChangesPage, 'positions'>>;
}
