/** A stopped ledger of two shards, each with several segments and two snapshots, some segments before the older one, and one behind the newer one. */
import { TransportClient } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { archiveShard } from '../../persistence/archiver.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { readMeta, rewriteJournal, segments, shardDirectory } from './journal-surgery.ts';

export const SEGMENTED_SHARDS = 2;
const ACCOUNTS = 8;
const SEGMENT_BYTES = 90_000;

/** Makes it at a place where nothing is. */
export async function segmentedLedger(directory: string): Promise<void> {
  await life(directory, { first: 1000, rounds: 12 });
  for (let shard = 0; shard < SEGMENTED_SHARDS; shard++) {
    rewriteJournal(directory, shard, { segmentBytesMax: SEGMENT_BYTES });
  }
  await life(directory, { first: 2000, rounds: 1, snapshots: true });
  await life(directory, { first: 3000, rounds: 1, snapshots: true });
  await life(directory, { first: 4000, rounds: 1 });
}

async function life(
  directory: string,
  {
    first,
    rounds,
    snapshots = false,
  }: { readonly first: number; readonly rounds: number; readonly snapshots?: boolean },
): Promise<void> {
  const supervisor = await Supervisor.start({ directory, shards: SEGMENTED_SHARDS });
  const transport = new RouterTransport(supervisor.router, () => Promise.resolve());
  const client = new TransportClient(transport);
  const ids = Array.from({ length: ACCOUNTS }, (_, i) => BigInt(i + 1));
  await client.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 1 })));
  for (let round = 0; round < rounds; round++) {
    const transfers = ids.map((debitAccountId, i) => ({
      id: BigInt(first + round * 100 + i),
      debitAccountId,
      creditAccountId: BigInt(((i + 1 + (round % 5)) % ACCOUNTS) + 1),
      amount: 5n,
      ledger: 1,
      code: 1,
    }));
    await client.createTransfers(transfers);
  }
  if (snapshots) await supervisor.snapshot();
  await supervisor.stop();
}

/** The first sequences of a shard's segments. */
export function firstsOf(directory: string, shard: number): readonly number[] {
  return segments(directory, shard).map((name) => Number(/\d+/.exec(name)![0]));
}

/** Moves the first segments of every shard into an archive, as a live process does. */
export function archiveSegments(directory: string, archive: string, count: number): void {
  const { clusterId, shards } = readMeta(directory);
  for (let shard = 0; shard < shards; shard++) {
    const behind = firstsOf(directory, shard)[count]! - 1;
    const own = shardDirectory(directory, shard);
    archiveShard({ directory: own, clusterId, shard, shards, archive, behind });
  }
}
