/**
 * The ledger inside this process: `open` starts the shards of a data directory and gives the same Client as a connection does. The one
 * file of client/ that knows the supervisor. Closing answers what was taken, then closes the journals.
 */
import type { Batch } from '../engine/batch.ts';
import { BatchKind } from '../engine/batch.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import { Supervisor } from '../sharding/supervisor.ts';
import { type Client, type Transport, TransportClient } from './client.ts';
import type { Attempt } from './retry.ts';
import type { RecordKind } from './rows.ts';

export interface OpenOptions {
  readonly directory: string;
  /** Fixed when the directory is made. One less than the cores unless given. */
  readonly shards?: number | undefined;
  readonly log?: ((line: string) => void) | undefined;
}

export interface ShardDigest {
  readonly shard: number;
  readonly sequence: number;
  readonly digest: string;
}

export interface InProcessClient extends Client {
  readonly shards: number;
  /** Digests of the live state, one for each shard: equal to what a replay of its journal gives. */
  digests(): Promise<readonly ShardDigest[]>;
}

/** Resolves when every shard has recovered. Rejects with the supervisor's DataDirectoryError when the directory is refused. */
export async function open(options: OpenOptions): Promise<InProcessClient> {
  const { directory, shards, log } = options;
  const supervisor = await Supervisor.start({
    directory,
    ...(shards === undefined ? {} : { shards }),
    ...(log === undefined ? {} : { log }),
  });
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
