/** Opens a data directory once more in this process, and holds a full replay of each journal against the digests of the live state. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from '../../client/in-process-client.ts';
import { replayShard, type ShardReplay } from '../../sharding/replay.ts';

interface Meta {
  readonly clusterId: string;
  readonly shards: number;
  readonly seed: number;
}

/** Every shard of a directory that nobody has open. */
export function replayDirectory(directory: string): readonly ShardReplay[] {
  const text = readFileSync(join(directory, 'sycee.json'), 'utf8');
  const { clusterId, shards, seed } = JSON.parse(text) as Meta;
  return Array.from({ length: shards }, (_, shard) => {
    const own = join(directory, `shard-${String(shard).padStart(3, '0')}`);
    return replayShard({ directory: own, shard, shards, seed, clusterId });
  });
}

/** Digests of the state that recovery gives, and of the replay after it was closed. They are to be equal. */
export async function digestPairs(
  directory: string,
): Promise<readonly { readonly live: string; readonly replayed: string }[]> {
  const client = await open({ directory });
  const live = await client.digests();
  await client.close();
  const replayed = replayDirectory(directory);
  return live.map(({ shard, digest }) => ({ live: digest, replayed: replayed[shard]!.digest }));
}
