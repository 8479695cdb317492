import { expect, test } from 'vitest';
import { connectHttp } from '../../client/http-client.ts';
import { spawnProcess, startProcess } from '../support/cluster.ts';

test('a second process on the same data directory is refused with exit code 4 and a sentence, and the first serves on', async () => {
  await using first = await startProcess({ shards: 1 });
  await using second = await spawnProcess({ directory: first.directory });
  const exit = await second.exit;
  expect({ ...exit, said: second.stderr }).toMatchObject({ code: 4 });
  expect(second.stderr).toContain(`${first.directory} is in use by process ${first.child.pid}`);
  expect(second.stderr).not.toMatch(/\bat .*\.ts:\d/);
  await using client = connectHttp(first.url);
  const { results } = await client.createAccounts([{ id: 1n, ledger: 1, code: 1 }]);
  expect(results).toMatchObject([{ status: 'created' }]);
});

test('the directory of a process that was killed is free at once', async () => {
  await using first = await startProcess({ shards: 1 });
  first.kill('SIGKILL');
  await first.exit;
  await using second = await startProcess({ directory: first.directory });
  expect(await second.isReady()).toBe(true);
});
