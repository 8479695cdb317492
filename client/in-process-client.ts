/**
 * The ledger inside this process: `open` starts the shards of a data directory and gives the same Client as a connection does. The one
 * file of client/ that knows the supervisor. Closing answers what was taken, then closes the journals.
 */
import type { Batch } from '../engine/batch.ts';
import { BatchKind } from '../engine/batch.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import { Supervisor, type ShardDigest, type SupervisorOptions } from '../sharding/supervisor.ts';
import { type Client, type Transport, TransportClient } from './client.ts';
import type { Attempt } from './retry.ts';
import type { RecordKind } from './rows.ts';

/** `shards` is fixed when the directory is made: one less than the cores unless given. */
export type { SupervisorOptions as OpenOptions, ShardDigest };

export interface InProcessClient extends Client {
  readonly shards: number;
  /** Digests of the live state, one for each shard: equal to what a replay of its journal gives. */
  digests(): Promise<readonly ShardDigest[]>;
}

/** Resolves when every shard has recovered. Rejects with the supervisor's DataDirectoryError when the directory is refused. */
export async function open(options: SupervisorOptions): Promise<InProcessClient> {
  const supervisor = await Supervisor.start(options);
  return new SupervisorClient(supervisor);
}

class SupervisorClient extends TransportClient implements InProcessClient {
  readonly #supervisor: Supervisor;

  constructor(supervisor: Supervisor) {
    super(new RouterTransport(supervisor));
    this.#supervisor = supervisor;
  }

  get shards(): number {
    return this.#supervisor.shards;
  }

  digests(): Promise<readonly ShardDigest[]> {
    return this.#supervisor.digests();
  }
}

class RouterTransport implements Transport {
  readonly #supervisor: Supervisor;

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
  }

  prepareCreate(kind: RecordKind, batch: Batch): Attempt<CreateReply> {
    const { router } = this.#supervisor;
    return kind === BatchKind.accounts
      ? (deadline) => router.createAccounts(batch, deadline)
      : (deadline) => router.createTransfers(batch, deadline);
  }

  prepareLookup(kind: RecordKind, ids: Batch): Attempt<RowsReply> {
    const { router } = this.#supervisor;
    return kind === BatchKind.accounts
      ? (deadline) => router.lookupAccounts(ids, deadline)
      : (deadline) => router.lookupTransfers(ids, deadline);
  }

  close(): Promise<void> {
    return this.#supervisor.stop();
  }
}
