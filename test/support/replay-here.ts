/** What `replayShards` of tools/shard-pool.ts does, in this thread: of small journals, thousands of times, threads take longer to start than all the rest. */
import { assert } from '../../engine/assert.ts';
import type { Capture } from '../../tools/capture.ts';
import { type ShardRequest, taskOf } from '../../tools/shard-pool.ts';
import { replayShardTask } from '../../tools/shard-replay.ts';
import type { ShardAnswer } from '../../tools/shard-task.ts';

export function replayHere(
  capture: Pick<Capture, 'meta' | 'shards'>,
  requests: readonly ShardRequest[],
): Promise<readonly ShardAnswer[]> {
  const progress = new SharedArrayBuffer(8 * capture.meta.shards);
  const answers = requests.map((request) => {
    assert(capture.shards[request.shard]!.damage === undefined, 'files can be listed');
    return replayShardTask({ ...taskOf(capture, request), progress });
  });
  return Promise.resolve(answers);
}
