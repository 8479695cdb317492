/**
 * The ledger inside this process: `open` starts the shards of a data directory and gives the same Client as a connection does. The one
 * file of client/ that knows the supervisor. Closing answers what was taken, then closes the journals.
 */
import { Supervisor, type ShardDigest, type SupervisorOptions } from '../sharding/supervisor.ts';
import { type Client, TransportClient } from './client.ts';
import { RouterTransport } from './router-transport.ts';

/** `shards` is fixed when the directory is made: one less than the cores unless given. */
export type { SupervisorOptions as OpenOptions, ShardDigest };

export interface InProcessClient extends Client {
  readonly shards: number;
  /** Digests of the live state, one for each shard: equal to what a replay of its journal gives. */
  digests(): Promise<readonly ShardDigest[]>;
  /** Tests only: resolves when everything that is due by now has expired, and nothing crosses shards any more. */
  settle(): Promise<void>;
}

/** Resolves when every shard has recovered. Rejects with the supervisor's DataDirectoryError when the directory is refused. */
export async function open(options: SupervisorOptions): Promise<InProcessClient> {
  const supervisor = await Supervisor.start(options);
  return new SupervisorClient(supervisor);
}

class SupervisorClient extends TransportClient implements InProcessClient {
  readonly #supervisor: Supervisor;

  constructor(supervisor: Supervisor) {
    super(new RouterTransport(supervisor.router, () => supervisor.stop()));
    this.#supervisor = supervisor;
  }

  get shards(): number {
    return this.#supervisor.shards;
  }

  digests(): Promise<readonly ShardDigest[]> {
    return this.#supervisor.digests();
  }

  async settle(): Promise<void> {
    this.#supervisor.wake();
    // A shard may be at a step that began before; the next one looks at the time.
    await this.#supervisor.digests();
    do await this.#supervisor.digests();
    while (this.#supervisor.isSettling());
  }
}
