import { expect, test } from 'vitest';
import { spawnProcess, startProcess } from '../support/cluster.ts';

const NOBODY = { url: 'nats://127.0.0.1:1' };

test('a start that cannot reach its NATS server ends with exit code 1, a sentence, and the directory free', async () => {
  await using first = await spawnProcess({ shards: 1, nats: NOBODY });
  expect(await first.exit).toMatchObject({ code: 1 });
  expect(first.stderr).toContain('sycee: no NATS server answers at 127.0.0.1:1');
  expect(first.stderr).not.toMatch(/\bat .*\.ts:\d/);
  await using second = await startProcess({ directory: first.directory });
  expect(await second.isReady()).toBe(true);
});
