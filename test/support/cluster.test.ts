import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { connectHttp } from '../../client/http-client.ts';
import { spawnProcess, startProcess, startSystem } from './cluster.ts';

const BANK = { id: 1n, ledger: 1, code: 1 };

test('a system in this process has a directory of its own, which goes away with it', async () => {
  let directory: string;
  {
    await using system = await startSystem({ shards: 2 });
    ({ directory } = system);
    const { results } = await system.client.createAccounts([BANK]);
    expect(results).toMatchObject([{ status: 'created' }]);
    await system.restart();
    expect((await system.client.lookupAccounts([1n])).accounts).toMatchObject([BANK]);
  }
  expect(existsSync(directory)).toBe(false);
});

test('a child serves, is killed, and serves again from the same directory', async () => {
  await using first = await startProcess({ shards: 2 });
  {
    await using client = connectHttp(first.url);
    const { results } = await client.createAccounts([BANK]);
    expect(results).toMatchObject([{ status: 'created' }]);
  }
  first.kill('SIGKILL');
  expect(await first.exit).toEqual({ code: null, signal: 'SIGKILL' });
  await using second = await startProcess({ directory: first.directory });
  await using client = connectHttp(second.url);
  expect((await client.lookupAccounts([1n])).accounts).toMatchObject([BANK]);
  second.kill('SIGTERM');
  expect(await second.exit).toEqual({ code: 0, signal: null });
});

test('a child that refuses to start is seen with its code and what it wrote', async () => {
  await using refused = await spawnProcess({ args: ['--no-such-option'] });
  expect(await refused.exit).toEqual({ code: 2, signal: null });
  expect(refused.stderr).toMatch(/no-such-option/);
  await expect(startProcess({ args: ['--no-such-option'] })).rejects.toThrow(/ended before/);
});
