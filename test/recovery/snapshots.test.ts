/**
 * Snapshots of a whole ledger: taken under load, loaded by shards that come back and by starts, and passed over where they are damaged. A replay of the
 * whole journal, without snapshots, always gives the state that was live.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { TransportClient } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { Prng } from '../../lib/prng.ts';
import { listSnapshots } from '../../persistence/snapshot-manifest.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { TempDirectory } from '../support/cluster.ts';
import { placementOf } from '../support/placement.ts';
import { replayDirectory } from '../support/replay-directory.ts';
import { Supervised } from '../support/supervised.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const SHARDS = 3;
const LOADS = 6;
/** After each batch. Without it the load takes from the snapshots what they need, and so makes more for them to write. */
const LOAD_PAUSE_MS = 8;

interface Loaded {
  readonly system: Supervised;
  readonly books: TransferBooks;
  readonly end: () => Promise<void>;
}

async function underLoad(stack: AsyncDisposableStack): Promise<Loaded> {
  const system = stack.use(await Supervised.start({ shards: SHARDS }));
  const prng = new Prng(7);
  const shardOf = placementOf(SHARDS);
  const books = new TransferBooks({ prng, shards: SHARDS, shardOf, accountCount: 18 });
  await books.createAccounts(system.client);
  const load = { isEnding: false };
  const run = async (): Promise<void> => {
    while (!load.isEnding) {
      await books.send(system.client, books.next(prng.between(1, 20)));
      await pause(LOAD_PAUSE_MS);
    }
  };
  const loads = Promise.all(Array.from({ length: LOADS }, run));
  const end = async (): Promise<void> => {
    load.isEnding = true;
    await loads;
    await books.settle(system.client);
    await system.until('nothing claimed, nothing waiting', () => system.isAtRest());
    await books.audit(system.client, 'all');
  };
  return { system, books, end };
}

const shardPath = (directory: string, shard: number): string =>
  join(directory, `shard-${String(shard).padStart(3, '0')}`);

/** Starts on the directory, says what its log had to say and which digests it has, and stops. */
async function startedOn(directory: string) {
  const lines: string[] = [];
  const supervisor = await Supervisor.start({ directory, log: (line) => lines.push(line) });
  const digests = await supervisor.digests();
  await supervisor.stop();
  return { log: lines.join('\n'), digests: digests.map(({ digest }) => digest) };
}

function expectReplayed(directory: string, digests: readonly string[]): void {
  expect(replayDirectory(directory).map(({ digest }) => digest)).toEqual(digests);
}

test('snapshots are taken under load, shards come back from them, and nothing is lost or doubled', async () => {
  await using stack = new AsyncDisposableStack();
  const { system, books, end } = await underLoad(stack);
  for (let round = 1; round <= 3; round++) {
    const created = books.createdCount;
    await system.until('the load goes on', () => books.createdCount > created + 50);
    const taken = await system.supervisor.snapshot();
    expect(taken.map(({ shard }) => shard)).toEqual([0, 1, 2]);
    const again = books.createdCount;
    await system.until('the load goes on', () => books.createdCount > again + 20);
    system.supervisor.injectFault(1, 'throw');
    await system.until(
      'the shard is back',
      () => system.supervisor.metrics()[1]!.restarts === round && system.state(1) === 'running',
    );
  }
  await end();
  expect(system.lines.filter((line) => /shard 1 recovered .* snapshot at/.test(line))).toHaveLength(
    3,
  );
  const live = await system.supervisor.digests();
  await system.supervisor.stop();
  for (let shard = 0; shard < SHARDS; shard++) {
    expect(listSnapshots(shardPath(system.directory, shard))).toHaveLength(2);
  }
  const { log, digests } = await startedOn(system.directory);
  expect(log).toMatch(/shard 0 recovered to sequence \d+: snapshot at \d+/);
  expect(digests).toEqual(live.map(({ digest }) => digest));
  expectReplayed(system.directory, digests);
});

test('a shard that dies while its snapshot is written leaves none, and the next request takes one', async () => {
  await using stack = new AsyncDisposableStack();
  const { system, end } = await underLoad(stack);
  for (let round = 1; round <= 3; round++) {
    const taken = system.supervisor.snapshot();
    system.supervisor.injectFault(0, 'throw');
    await taken.catch(() => undefined);
    await system.until(
      'the shard is back',
      () => system.supervisor.metrics()[0]!.restarts === round && system.state(0) === 'running',
    );
  }
  const taken = await system.supervisor.snapshot();
  expect(taken).toHaveLength(SHARDS);
  await end();
});

test('a damaged snapshot is passed over for the older one, and that for the journal, and the log says so', async () => {
  await using stack = new AsyncDisposableStack();
  const { system, books, end } = await underLoad(stack);
  for (let i = 0; i < 2; i++) {
    const created = books.createdCount;
    await system.until('the load goes on', () => books.createdCount > created + 50);
    await system.supervisor.snapshot();
  }
  await end();
  const live = (await system.supervisor.digests()).map(({ digest }) => digest);
  await system.supervisor.stop();
  const own = shardPath(system.directory, 2);
  const [newest, older] = listSnapshots(own);
  const first = await startedOn(system.directory);
  expect(first.log).toContain(`snapshot at ${newest!.sequence}`);
  expect(first.digests).toEqual(live);
  flipByte(newest!.image, 0.6);
  const second = await startedOn(system.directory);
  expect(second.log).toMatch(/shard 2: a snapshot is passed over: snapshot-\d+\.image: byte \d+/);
  expect(second.log).toContain(`snapshot at ${older!.sequence}`);
  expect(second.digests).toEqual(live);
  flipByte(older!.manifest, 0.5);
  const third = await startedOn(system.directory);
  expect(third.log).toMatch(/passed over: snapshot-\d+\.json: it is not as it was written/);
  expect(third.log).toMatch(/shard 2 recovered to sequence \d+: \d+ events/);
  expect(third.digests).toEqual(live);
  expectReplayed(system.directory, live);
});

test('a journal that is older than its snapshot, or another, is refused', async () => {
  await using stack = new AsyncDisposableStack();
  const { system, end } = await underLoad(stack);
  await end();
  await system.supervisor.stop();
  await using old = new TempDirectory();
  cpSync(system.directory, old.path, { recursive: true });
  const supervisor = await Supervisor.start({ directory: system.directory });
  const client = new TransportClient(new RouterTransport(supervisor.router, async () => undefined));
  const ids = Array.from({ length: 20 }, (_, i) => BigInt(9_000_001 + i));
  await client.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 1 })));
  await supervisor.snapshot();
  await supervisor.stop();
  for (let shard = 0; shard < SHARDS; shard++) {
    const [newest] = listSnapshots(shardPath(system.directory, shard));
    for (const file of [newest!.image, newest!.manifest]) {
      cpSync(file, file.replace(system.directory, old.path));
    }
  }
  await expect(Supervisor.start({ directory: old.path })).rejects.toMatchObject({
    code: 'DATA_DAMAGED',
    exitCode: 3,
    message: expect.stringMatching(/was durable, and the journal ends with \d+/) as string,
  });
});

test('what a crash leaves of a snapshot is not one, and goes away with the next', async () => {
  await using stack = new AsyncDisposableStack();
  const { system, end } = await underLoad(stack);
  const own = shardPath(system.directory, 0);
  writeFileSync(join(own, 'snapshot-000000000003.image'), 'half');
  writeFileSync(join(own, 'snapshot-000000000004.image.writing'), 'less');
  await end();
  await system.supervisor.snapshot();
  const names = readdirSync(own).filter((name) => name.startsWith('snapshot-'));
  expect(names.toSorted()).toEqual(
    [...listSnapshots(own)].flatMap(({ sequence }) => {
      const stem = `snapshot-${String(sequence).padStart(12, '0')}`;
      return [`${stem}.image`, `${stem}.json`];
    }),
  );
  rmSync(join(own, names[0]!));
});

function flipByte(path: string, where: number): void {
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length * where);
  bytes[at] = bytes[at]! ^ 4;
  writeFileSync(path, bytes);
}
