/**
 * After a run, the books: every account holds what was acknowledged, debits equal credits and both equal the amounts, and a replay of
 * each shard's journal ends at the sequence and digest of the live state. What does not hold becomes a sentence; no sentence, verified.
 */
// oxlint-disable-next-line import/extensions -- a package, which resolves to a file of another ending
import { Piscina } from 'piscina';
import type { Client } from '../client/client.ts';
import { Account, COLUMN_OFFSETS, ROW_WORDS } from '../engine/batch.ts';
import type { ShardDigest } from '../sharding/supervisor.ts';
import type { Books } from './books.ts';
import type { ReplayEnd, ReplayTask } from './replay-worker.ts';
import type { Workload } from './workload.ts';

const LOOKUP_DEADLINE_MS = 60_000;
const COMPLAINTS_MAX = 5;

export interface Replay {
  readonly shards: readonly ReplayEnd[];
  readonly events: number;
  readonly eventsPerSecond: number;
}

/** The balances that the acknowledged amounts must be in, and those that must be 0. */
export const AMOUNTS_IN = {
  posted: {
    debits: Account.debitsPosted,
    credits: Account.creditsPosted,
    zero: [Account.debitsPending, Account.creditsPending],
  },
  pending: {
    debits: Account.debitsPending,
    credits: Account.creditsPending,
    zero: [Account.debitsPosted, Account.creditsPosted],
  },
} as const;

/** Compares each account with the books. */
export async function verifyBalances(
  client: Client,
  workload: Workload,
  books: Books,
  amountsIn: keyof typeof AMOUNTS_IN = 'posted',
): Promise<readonly string[]> {
  const columns = AMOUNTS_IN[amountsIn];
  const { debits, credits, amount } = books.close();
  const complaints: string[] = [];
  if (books.refused > 0) {
    complaints.push(
      `${books.refused} transfers were refused, the first with status ${books.firstRefusal}`,
    );
  }
  let [at, debitSum, creditSum] = [0, 0n, 0n];
  for (const ids of workload.lookupBatches()) {
    const { n, rows } = await client.lookupAccounts(ids, { deadlineMs: LOOKUP_DEADLINE_MS });
    if (n !== ids.n) return [...complaints, `${ids.n - n} accounts were not found`];
    const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
    for (let row = 0; row < n; row++, at++) {
      const debit = balance(view, row, columns.debits);
      const credit = balance(view, row, columns.credits);
      const rest = columns.zero.reduce((sum, one) => sum + balance(view, row, one), 0n);
      debitSum += debit;
      creditSum += credit;
      if (complaints.length >= COMPLAINTS_MAX) continue;
      if (rest !== 0n) {
        const other = amountsIn === 'posted' ? 'pending' : 'posted';
        complaints.push(`account ${at} has ${rest} ${other}, and should have nothing`);
      }
      if (debit === BigInt(debits[at]!) && credit === BigInt(credits[at]!)) continue;
      complaints.push(
        `account ${at} has ${amountsIn} debits ${debit} and credits ${credit}, acknowledged were ${debits[at]} and ${credits[at]}`,
      );
    }
  }
  if (debitSum !== creditSum || debitSum !== BigInt(amount)) {
    complaints.push(
      `debits are ${debitSum}, credits are ${creditSum}, acknowledged amounts are ${amount}`,
    );
  }
  return complaints;
}

function balance(view: DataView, row: number, column: number): bigint {
  const at = row * ROW_WORDS * 4 + COLUMN_OFFSETS[column]!;
  return view.getBigUint64(at, true) | (view.getBigUint64(at + 8, true) << 64n);
}

/** Replays the journals of a directory that is not in use, all shards at once. */
export async function replayJournals(directory: string, shards: number): Promise<Replay> {
  await using pool = new Piscina<ReplayTask, ReplayEnd>({
    filename: new URL('./replay-worker.ts', import.meta.url).href,
    maxThreads: shards,
    concurrentTasksPerWorker: 1,
    // A parked worker would hold up what a database closes in the background.
    atomics: 'disabled',
  });
  const ends = await Promise.all(
    Array.from({ length: shards }, (_, shard) => pool.run({ directory, shard })),
  );
  const events = ends.reduce((sum, end) => sum + end.events, 0);
  const seconds = Math.max(...ends.map((end) => end.seconds));
  return { shards: ends, events, eventsPerSecond: seconds > 0 ? events / seconds : 0 };
}

/** A clean stop adds a row that changes nothing: the replay may end behind the live state's sequence, never before it. */
export function compareDigests(
  live: readonly ShardDigest[],
  replayed: readonly ReplayEnd[],
): readonly string[] {
  if (live.length !== replayed.length) {
    return [`${live.length} shards were live, ${replayed.length} were replayed`];
  }
  return live
    .filter((one) => {
      const end = replayed[one.shard];
      return end?.digest !== one.digest || end.sequence < one.sequence;
    })
    .map((one) => {
      const end = replayed[one.shard];
      return `shard ${one.shard} was live at ${one.sequence} with digest ${one.digest}, its replay ended at ${end?.sequence} with ${end?.digest}`;
    });
}
