/** Thread entry of the replay pool: replays the journal of one shard, read-only, and answers where it ended. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { replayShard } from '../sharding/replay.ts';

export interface ReplayTask {
  /** The data directory. */
  readonly directory: string;
  readonly shard: number;
}

export interface ReplayEnd {
  readonly sequence: number;
  readonly digest: string;
  readonly events: number;
  readonly seconds: number;
}

interface DirectoryIdentity {
  readonly clusterId: string;
  readonly shards: number;
  readonly seed: number;
}

export default function replay({ directory, shard }: ReplayTask): ReplayEnd {
  const text = readFileSync(path.join(directory, 'sycee.json'), 'utf8');
  const { clusterId, shards, seed } = JSON.parse(text) as DirectoryIdentity;
  const shardName = `shard-${String(shard).padStart(3, '0')}`;
  return replayShard({
    directory: path.join(directory, shardName),
    shard,
    shards,
    seed,
    clusterId,
  });
}
