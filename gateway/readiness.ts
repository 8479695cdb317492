/** What `/readyz` says while some shard is not running: a problem document with how far each has come. */
import { SyceeError } from '../lib/sycee-error.ts';
import type { RouterStatus } from './request-router.ts';
import { encodeProblem } from './wire-codec.ts';

export function notReadyText({ shards }: RouterStatus): string {
  const error = new SyceeError(
    'not_ready',
    'not every shard has recovered and can write its journal; see /v1/status',
  );
  const problem = JSON.parse(encodeProblem('json', error) as string) as object;
  return JSON.stringify({
    ...problem,
    shards: shards.map(({ shard, state, sequence, recovery }) => ({
      shard,
      phase: recovery?.phase ?? state,
      sequence: recovery?.sequence ?? sequence,
      of: recovery?.of ?? sequence,
      fraction: recovery?.fraction ?? (state === 'running' ? 1 : 0),
    })),
  });
}
