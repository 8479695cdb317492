/** What facts.json of a golden directory says, and how it is found. Numbers that may be large are texts. */
import { open } from '../../client/in-process-client.ts';

export interface GoldenShard {
  readonly shard: number;
  /** Of the last journal row. */
  readonly sequence: number;
  /** Of the state behind that row. */
  readonly digest: string;
  readonly parked: number;
  readonly claimed: number;
  readonly walks: number;
  /** Messages to and from each shard. */
  readonly sent: readonly number[];
  readonly received: readonly number[];
  /** Sequences of its snapshots, ascending. */
  readonly snapshots: readonly number[];
}

/** Of an account, when all that was in flight has arrived. */
export interface GoldenAccount {
  readonly name: string;
  readonly id: string;
  readonly flags: number;
  /** Debits pending and posted, credits pending and posted. */
  readonly balances: readonly string[];
}

export interface GoldenTransfer {
  readonly id: string;
  readonly amount: string;
  readonly flags: number;
  readonly timestamp: string;
}

export interface GoldenFacts {
  /** Of the ledger, when the directory was left: nanoseconds since 1970. */
  readonly time: string;
  readonly shards: readonly GoldenShard[];
  /** A transfer id that failed, and can never be used. */
  readonly burnt: string;
  readonly accounts: readonly GoldenAccount[];
  readonly transfers: readonly GoldenTransfer[];
}

/** Starts on the directory, at its time, lets what is in flight arrive, and looks. */
export async function arrived(
  directory: string,
  time: bigint,
  ids: { readonly accounts: ReadonlyMap<string, bigint>; readonly transfers: readonly bigint[] },
): Promise<Pick<GoldenFacts, 'accounts' | 'transfers'>> {
  const manualClock = new SharedArrayBuffer(8);
  new BigInt64Array(manualClock)[0] = time;
  const client = await open({ directory, manualClock });
  try {
    await client.settle();
    const names = new Map([...ids.accounts].map(([name, id]) => [id, name]));
    const { accounts } = await client.lookupAccounts([...ids.accounts.values()]);
    const { transfers } = await client.lookupTransfers(ids.transfers);
    return {
      accounts: accounts.map((one) => {
        const { debitsPending, debitsPosted, creditsPending, creditsPosted, flags } = one;
        const balances = [debitsPending, debitsPosted, creditsPending, creditsPosted].map(String);
        return { name: names.get(one.id)!, id: String(one.id), flags, balances };
      }),
      transfers: transfers.map(({ id, amount, flags, timestamp }) => ({
        id: String(id),
        amount: String(amount),
        flags,
        timestamp: String(timestamp),
      })),
    };
  } finally {
    await client.close();
  }
}
