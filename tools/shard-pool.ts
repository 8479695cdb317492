/**
 * Replays several shards at once, on as many threads as there are cores. Work that is bound by the processor and reads only: a pool of threads
 * that may be cut short at any time is the right place for it.
 */
import { availableParallelism } from 'node:os';
// oxlint-disable-next-line import/extensions -- a package, which resolves to a file of another ending
import { Piscina } from 'piscina';
import type { ViewedSegment } from '../persistence/journal-view.ts';
import type { Capture } from './capture.ts';
import { Progress } from './progress.ts';
import type { ShardAnswer, ShardTask } from './shard-task.ts';

export type ShardRequest = Pick<ShardTask, 'shard' | 'to'> &
  Partial<Pick<ShardTask, 'from' | 'statement' | 'keepFrom' | 'wantsIds' | 'wantsPendings'>>;

const NOTHING_MORE = {
  from: null,
  statement: null,
  keepFrom: null,
  wantsIds: false,
  wantsPendings: false,
};

/** The answers, in the order of the requests. */
export async function replayShards(
  { meta, shards }: Pick<Capture, 'meta' | 'shards'>,
  requests: readonly ShardRequest[],
  what: string,
): Promise<readonly ShardAnswer[]> {
  const progress = new SharedArrayBuffer(meta.shards * Float64Array.BYTES_PER_ELEMENT);
  const total = requests.reduce(
    (sum, { shard, to }) => sum + bytesUpTo(shards[shard]!.view, to, shards[shard]!.last),
    0,
  );
  using _ = new Progress(what, total, progress);
  await using pool = new Piscina<ShardTask, ShardAnswer>({
    filename: new URL('./shard-task-worker.ts', import.meta.url).href,
    maxThreads: Math.min(requests.length, availableParallelism()),
    concurrentTasksPerWorker: 1,
    // A parked worker would hold up what a database closes in the background.
    atomics: 'disabled',
  });
  return await Promise.all(
    requests.map(async (request): Promise<ShardAnswer> => {
      const { damage } = shards[request.shard]!;
      if (damage !== undefined) {
        return { type: 'damage', damage: { shard: request.shard, ...damage } };
      }
      return await pool.run({ ...taskOf({ meta, shards }, request), progress });
    }),
  );
}

/** All but for where its progress is told. */
export function taskOf(
  { meta, shards }: Pick<Capture, 'meta' | 'shards'>,
  request: ShardRequest,
): Omit<ShardTask, 'progress'> {
  const { clusterId, shards: count, seed } = meta;
  const { directory, view } = shards[request.shard]!;
  return { ...NOTHING_MORE, ...request, clusterId, shards: count, seed, directory, view };
}

/** About how many bytes the rows up to a sequence take. */
export function bytesUpTo(
  view: readonly ViewedSegment[],
  to: number,
  last: number | undefined,
): number {
  let sum = 0;
  for (const [i, { first, bytes }] of view.entries()) {
    if (first > to) break;
    const end = view[i + 1]?.first ?? (last ?? first) + 1;
    sum += bytes * Math.min(1, (to - first + 1) / Math.max(1, end - first));
  }
  return sum;
}
