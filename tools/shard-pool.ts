/**
 * Replays several shards at once, on as many threads as there are cores, but for small journals. Work that is bound by the processor and reads only: a pool of threads
 * that may be cut short at any time is the right place for it.
 */
import { availableParallelism } from 'node:os';
// oxlint-disable-next-line import/extensions -- a package, which resolves to a file of another ending
import { Piscina } from 'piscina';
import { DataDirectoryError } from '../persistence/errors.ts';
import type { ViewedSegment } from '../persistence/journal-view.ts';
import type { SnapshotFiles } from '../persistence/snapshot-manifest.ts';
import type { Capture, CapturedShard } from './capture.ts';
import { Progress } from './progress.ts';
import type { ShardAnswer, ShardTask } from './shard-task.ts';

export type ShardRequest = Pick<ShardTask, 'shard' | 'to'> &
  Partial<
    Pick<
      ShardTask,
      'from' | 'statement' | 'keepFrom' | 'wantsIds' | 'wantsPendings' | 'checksSnapshots'
    >
  > & {
    /** Begin with the first row. */
    readonly fromStart?: boolean;
  };

const NOTHING_MORE = {
  from: null,
  statement: null,
  keepFrom: null,
  checksSnapshots: false,
  wantsIds: false,
  wantsPendings: false,
};

/** Up to so much one thread replays all shards: it is done before a second one has started. */
const ONE_THREAD_BYTES_MAX = 2 ** 20;

/** The answers, in the order of the requests. Throws DATA_ARCHIVED when a segment is needed that is away. */
export async function replayShards(
  { meta, shards }: Pick<Capture, 'meta' | 'shards'>,
  requests: readonly ShardRequest[],
  what: string,
): Promise<readonly ShardAnswer[]> {
  const progress = new SharedArrayBuffer(meta.shards * Float64Array.BYTES_PER_ELEMENT);
  const total = requests.reduce(
    (sum, request) => sum + bytesToRead(request, shards[request.shard]!),
    0,
  );
  using _ = new Progress(what, total, progress);
  await using pool = new Piscina<ShardTask, ShardAnswer>({
    filename: new URL('./shard-task-worker.ts', import.meta.url).href,
    maxThreads:
      total <= ONE_THREAD_BYTES_MAX ? 1 : Math.min(requests.length, availableParallelism()),
    concurrentTasksPerWorker: 1,
    // A parked worker would hold up what a database closes in the background.
    atomics: 'disabled',
  });
  const answers = await Promise.all(
    requests.map(async (request): Promise<ShardAnswer> => {
      const { damage } = shards[request.shard]!;
      if (damage !== undefined) {
        const where = { shard: request.shard, ...damage };
        return { type: 'damage', damage: where, passedOver: [], checks: [] };
      }
      return await pool.run({ ...taskOf({ meta, shards }, request), progress });
    }),
  );
  for (const answer of answers) {
    if (answer.type !== 'damage' || answer.damage.isAway !== true) continue;
    const { shard, sequence, rule } = answer.damage;
    throw new DataDirectoryError('DATA_ARCHIVED', `shard ${shard}, sequence ${sequence}: ${rule}`);
  }
  return answers;
}

/** All but for where its progress is told. */
export function taskOf(
  { meta, shards }: Pick<Capture, 'meta' | 'shards'>,
  request: ShardRequest,
): Omit<ShardTask, 'progress'> {
  const { clusterId, shards: count, seed } = meta;
  const { fromStart: _, ...rest } = request;
  const captured = shards[request.shard]!;
  const { directory, view } = captured;
  const snapshots = snapshotsFor(request, captured);
  return { ...NOTHING_MORE, ...rest, clusterId, shards: count, seed, directory, view, snapshots };
}

/** A statement needs everything since the account was made, and balances to compare with must lie behind the snapshot. */
function snapshotsFor(
  { to, from, statement, fromStart, checksSnapshots }: ShardRequest,
  { snapshots }: CapturedShard,
): readonly SnapshotFiles[] {
  if (checksSnapshots === true) return snapshots;
  if (fromStart === true || (statement ?? null) !== null) return [];
  return snapshots.filter(({ sequence }) => sequence <= Math.min(to, from ?? to));
}

function bytesToRead(request: ShardRequest, captured: CapturedShard): number {
  const { view, last } = captured;
  const all = bytesUpTo(view, request.to, last);
  const [newest] = snapshotsFor(request, captured);
  if (newest === undefined || request.checksSnapshots === true) return all;
  return all - bytesUpTo(view, newest.sequence, last);
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
