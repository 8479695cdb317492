/** What the edges ask of the router, and nothing more: so their tests pass a fake. */
import type { Batch } from '../engine/batch.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import type { RouterStatus, ShardStatus } from '../sharding/router.ts';

export type { RouterStatus, ShardStatus };

/** Deadlines are absolute milliseconds as of `Date.now()`; 0 is the router's default. A rejection is a `SyceeError`. */
export interface RequestRouter {
  createAccounts(batch: Batch, deadlineMs: number): Promise<CreateReply>;
  createTransfers(batch: Batch, deadlineMs: number): Promise<CreateReply>;
  lookupAccounts(ids: Batch, deadlineMs: number): Promise<RowsReply>;
  lookupTransfers(ids: Batch, deadlineMs: number): Promise<RowsReply>;
  status(): RouterStatus;
}
