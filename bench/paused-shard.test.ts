import { expect, test } from 'vitest';
import { open } from '../client/in-process-client.ts';
import { TempDirectory } from '../test/support/cluster.ts';
import { ShardPauses } from './paused-shard.ts';

const PAUSE_MS = 300;

test('a shard that is paused answers when it goes on, and not before', async () => {
  await using directory = new TempDirectory();
  await using client = await open({ directory: directory.path, shards: 1 });
  using pauses = await ShardPauses.attach();
  await expect(pauses.pause(1, PAUSE_MS)).rejects.toThrow('no thread of shard 1');
  // The first thing that it does is to stand still, whenever it wakes up.
  const began = performance.now();
  await pauses.pause(0, PAUSE_MS);
  const { results } = await client.createAccounts([{ id: 1n, ledger: 1, code: 1 }]);
  expect(results.map(({ status }) => status)).toEqual(['created']);
  expect(performance.now() - began).toBeGreaterThanOrEqual(PAUSE_MS * 0.9);
});
