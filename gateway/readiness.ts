/** Whether `/readyz` is 200, and what it says while it is not: a problem document with how far each shard has come, and whether it has room. */
import { SyceeError } from '../lib/sycee-error.ts';
import type { RouterStatus } from './request-router.ts';
import { encodeProblem } from './wire-codec.ts';

const NOT_RECOVERED = 'not every shard has recovered and can write its journal; see /v1/status';
const NO_ROOM =
  'there is no room on the disk: creates are refused as storage_full until there is, and look-ups are answered';

/** Every shard has recovered, and can write its journal. */
export function areWritable({ shards }: RouterStatus): boolean {
  return shards.every(({ state, isFull }) => state === 'running' && !isFull);
}

export function notReadyText({ shards }: RouterStatus): string {
  const areRunning = shards.every(({ state }) => state === 'running');
  const isFull = areRunning && shards.some((one) => one.isFull);
  const error = new SyceeError('not_ready', isFull ? NO_ROOM : NOT_RECOVERED);
  const problem = JSON.parse(encodeProblem('json', error) as string) as object;
  return JSON.stringify({
    ...problem,
    shards: shards.map((one) => ({
      shard: one.shard,
      phase: one.recovery?.phase ?? one.state,
      storage_full: one.isFull,
      sequence: one.recovery?.sequence ?? one.sequence,
      of: one.recovery?.of ?? one.sequence,
      fraction: one.recovery?.fraction ?? (one.state === 'running' ? 1 : 0),
    })),
  });
}
