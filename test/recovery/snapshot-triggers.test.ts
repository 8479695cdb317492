/** When snapshots are taken without being asked for, in `sycee serve` as a child: at a stop, by bytes of journal, and never when both settings are 0. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connectHttp } from '../../client/http-client.ts';
import { listSnapshots } from '../../persistence/snapshot-manifest.ts';
import { startProcess, TempDirectory, type ServeProcess } from '../support/cluster.ts';

const shardPath = (directory: string): string => join(directory, 'shard-000');

async function serve(
  directory: string,
  env: Readonly<Record<string, string>> = {},
): Promise<ServeProcess> {
  return startProcess({ directory, shards: 1, env });
}

/** Accounts with ids from `first` on, in batches of 1,000. */
async function createAccounts(url: string, first: number, batches: number): Promise<void> {
  await using client = connectHttp(url);
  for (let batch = 0; batch < batches; batch++) {
    const from = first + batch * 1000;
    const ids = Array.from({ length: 1000 }, (_, i) => BigInt(from + i));
    await client.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 1 })));
  }
}

async function terminate(served: ServeProcess): Promise<void> {
  served.kill('SIGTERM');
  expect(await served.exit).toMatchObject({ code: 0 });
}

test('an orderly stop takes a snapshot of what is new, and the next start replays what comes after it', async () => {
  await using temp = new TempDirectory();
  await using first = await serve(temp.path);
  await createAccounts(first.url, 1, 1);
  await terminate(first);
  const [taken] = listSnapshots(shardPath(temp.path));
  expect(taken).toBeDefined();
  await using second = await serve(temp.path);
  expect(second.stderr).toContain(`snapshot at ${taken!.sequence}`);
  await terminate(second);
  // Nothing has happened but the stop itself.
  expect(listSnapshots(shardPath(temp.path)).map(({ sequence }) => sequence)).toEqual([
    taken!.sequence,
  ]);
});

test('a snapshot is taken when so much journal has come since the last', async () => {
  await using temp = new TempDirectory();
  await using served = await serve(temp.path, { SYCEE_SNAPSHOT_MIB: '1' });
  let first = 1;
  // The supervisor looks every quarter of a second.
  while (listSnapshots(shardPath(temp.path)).length < 2) {
    await createAccounts(served.url, first, 4);
    first += 4000;
  }
  expect(served.stderr).toMatch(/shard 0: snapshot at sequence \d+/);
  await terminate(served);
});

test('with both settings 0 there is none', async () => {
  await using temp = new TempDirectory();
  const off = { SYCEE_SNAPSHOT_MIB: '0', SYCEE_SNAPSHOT_MINUTES: '0' };
  await using served = await serve(temp.path, off);
  await createAccounts(served.url, 1, 1);
  await terminate(served);
  expect(listSnapshots(shardPath(temp.path))).toEqual([]);
});
