/**
 * The ledger inside this process: `open` starts the shards of a data directory and gives the same Client as a connection does. The one
 * file of client/ that knows the supervisor. Closing answers what was taken, then closes the journals.
 */
import { SHARDS_MAX } from '../engine/limits.ts';
import { SyceeError } from '../lib/sycee-error.ts';
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

/**
 * Resolves when every shard has recovered. A directory that is refused rejects with the code `not_ready`, and as its `cause` with what the supervisor said, a
 * DataDirectoryError in most cases; it is retryable while another process has the directory.
 */
export async function open(options: SupervisorOptions): Promise<InProcessClient> {
  assertOptions(options);
  let supervisor: Supervisor;
  try {
    supervisor = await Supervisor.start(options);
  } catch (error: unknown) {
    const isInUse = error instanceof Error && 'code' in error && error.code === 'DATA_IN_USE';
    const message = error instanceof Error ? error.message : String(error);
    throw new SyceeError('not_ready', message, { cause: error, retryable: isInUse });
  }
  return new SupervisorClient(supervisor);
}

/** What a program without types may give. */
function assertOptions(options: SupervisorOptions): void {
  const { directory, shards } = (options ?? {}) as Partial<SupervisorOptions>;
  if (typeof directory !== 'string' || directory === '') {
    throw badOption('directory', 'the path of a directory');
  }
  const isCount = Number.isInteger(shards) && shards! >= 1 && shards! <= SHARDS_MAX;
  if (shards !== undefined && !isCount) {
    throw badOption('shards', `a whole number from 1 to ${SHARDS_MAX}`);
  }
}

function badOption(field: string, rule: string): SyceeError {
  return new SyceeError('malformed_request', `${field}: ${rule}`, { field, rule });
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
