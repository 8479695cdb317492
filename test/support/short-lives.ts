/** Short lives of a ledger in this process, one after the other over the same directory: each begins a new segment for every shard. */
import { type Client, TransportClient } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { Supervisor, type SupervisorOptions } from '../../sharding/supervisor.ts';

/** Starts the ledger, has it used, and stops it in order. */
export async function withLedger<T>(
  options: SupervisorOptions,
  use: (client: Client, supervisor: Supervisor) => Promise<T>,
): Promise<T> {
  const supervisor = await Supervisor.start(options);
  try {
    const transport = new RouterTransport(supervisor.router, () => Promise.resolve());
    return await use(new TransportClient(transport), supervisor);
  } finally {
    await supervisor.stop();
  }
}

export interface Life {
  readonly accounts: readonly [bigint, bigint];
  /** Transfers between both, to and fro. */
  readonly transfers: readonly bigint[];
  readonly inTheMiddle?: (() => void) | undefined;
}

/** A life that ends with a snapshot, and with what can be archived in the archive. Gives the timestamps of its transfers. */
export function liveShortly(options: SupervisorOptions, life: Life): Promise<readonly bigint[]> {
  return withLedger(options, async (client, supervisor) => {
    const [one, two] = life.accounts;
    const timestamps: bigint[] = [];
    await client.createAccounts([one, two].map((id) => ({ id, ledger: 1, code: 1 })));
    for (const [i, id] of life.transfers.entries()) {
      if (i === Math.ceil(life.transfers.length / 2)) life.inTheMiddle?.();
      const [debitAccountId, creditAccountId] = i % 2 === 0 ? [one, two] : [two, one];
      const transfer = { id, debitAccountId, creditAccountId, amount: 1n, ledger: 1, code: 1 };
      const { results } = await client.createTransfers([transfer]);
      timestamps.push(results[0]!.timestamp);
    }
    await supervisor.snapshot();
    if (options.archive !== undefined) await supervisor.archiveNow();
    return timestamps;
  });
}

/** Which of these transfers a directory has. */
export function transfersOf(
  options: SupervisorOptions,
  ids: readonly bigint[],
): Promise<readonly bigint[]> {
  return withLedger(options, async (client) => {
    const { transfers } = await client.lookupTransfers(ids);
    return transfers.map(({ id }) => id);
  });
}
