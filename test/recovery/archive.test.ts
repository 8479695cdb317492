/**
 * Segments behind two snapshots go to the archive while the ledger runs, and everything in them is found there. With the archive away what needs
 * it is refused by the name of the segment, nothing else is held up, no shard dies, and nothing has to be restarted when it is back.
 */
import { cpSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBackup } from '../../backup/backup.ts';
import { restoreBackup } from '../../backup/restore.ts';
import { TransportClient } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { assert } from '../../engine/assert.ts';
import type { SyceeError } from '../../lib/sycee-error.ts';
import { pointToArchive } from '../../persistence/archiver.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { TempDirectory } from '../support/cluster.ts';
import { readMeta, shardDirectory } from '../support/journal-surgery.ts';
import { placementOf } from '../support/placement.ts';
import { replayDirectory } from '../support/replay-directory.ts';

const SHARDS = 2;
const FIRST = 'segment-000000000001.sqlite';

const shardOf = placementOf(SHARDS);
const idsOn = (shard: number): readonly bigint[] =>
  Array.from({ length: 200 }, (_, i) => BigInt(i + 1)).filter((id) => shardOf(id) === shard);
const [A, B] = idsOn(0) as [bigint, bigint];
const [C, D] = idsOn(1) as [bigint, bigint];

/** One life of the ledger. */
class Life implements AsyncDisposable {
  readonly supervisor: Supervisor;
  readonly client: TransportClient;
  readonly lines: string[];

  private constructor(supervisor: Supervisor, lines: string[]) {
    this.supervisor = supervisor;
    this.lines = lines;
    const transport = new RouterTransport(supervisor.router, () => Promise.resolve());
    this.client = new TransportClient(transport);
  }

  static async begin(directory: string, archive: string): Promise<Life> {
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const options = { directory, shards: SHARDS, archive, log };
    return new Life(await Supervisor.start(options), lines);
  }

  /** The status, or the code of the refusal. */
  async transfer(id: bigint, from: bigint, to: bigint, deadlineMs = 10_000): Promise<string> {
    const transfer = { id, debitAccountId: from, creditAccountId: to, amount: 1n };
    return this.client
      .createTransfers([{ ...transfer, ledger: 1, code: 1 }], { retries: 0, deadlineMs })
      .then(
        ({ results }) => results[0]!.status,
        (error: SyceeError) => error.code,
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.supervisor.stop();
  }
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'answered',
    (error: SyceeError) => error.code,
  );

const segmentsIn = (directory: string): readonly string[] =>
  readdirSync(directory).filter((name) => /^segment-\d+\.sqlite$/.test(name));

/** Three lives with a snapshot each: then the first segments are behind two. Made once. */
const made = new TempDirectory();
afterAll(() => made[Symbol.asyncDispose]());
beforeAll(async () => {
  const archive = join(made.path, 'archive');
  const statuses: string[] = [];
  for (const life of [1, 2, 3]) {
    await using ledger = await Life.begin(join(made.path, 'data'), archive);
    const accounts = [A, B, C, D].map((id) => ({ id, ledger: 1, code: 1 }));
    await ledger.client.createAccounts(accounts);
    const first = life === 1 ? 0n : BigInt(life * 10);
    statuses.push(await ledger.transfer(first + 1n, A, B));
    statuses.push(await ledger.transfer(first + 2n, C, A));
    statuses.push(await ledger.transfer(first + 3n, C, D));
    await ledger.supervisor.snapshot();
    await ledger.supervisor.archiveNow();
  }
  assert(
    statuses.every((status) => status === 'created'),
    'all transfers are created',
  );
});

/** A copy of what was made. */
function archived(place: TempDirectory): { directory: string; archive: string } {
  cpSync(made.path, place.path, { recursive: true });
  const directory = join(place.path, 'data');
  const archive = join(place.path, 'archive');
  const { clusterId } = readMeta(directory);
  for (let shard = 0; shard < SHARDS; shard++) {
    const identity = { clusterId, shard, shards: SHARDS };
    pointToArchive(shardDirectory(directory, shard), identity, archive);
  }
  return { directory, archive };
}

test('with the archive away what needs it is refused, and everything else goes on', async () => {
  await using place = new TempDirectory();
  const { directory, archive } = archived(place);
  for (const shard of ['shard-000', 'shard-001']) {
    expect(segmentsIn(join(directory, shard))).not.toContain(FIRST);
  }
  renameSync(archive, `${archive}-away`);
  await using ledger = await Life.begin(directory, archive);
  const { client, supervisor } = ledger;
  expect(await ledger.transfer(1n, A, B)).toBe('segment_archived');
  const message = await client
    .createTransfers(
      [{ id: 1n, debitAccountId: A, creditAccountId: B, amount: 1n, ledger: 1, code: 1 }],
      { retries: 0 },
    )
    .then(
      () => '',
      (error: SyceeError) => error.message,
    );
  expect(message).toContain(`${FIRST} of shard 0`);
  expect(await ledger.transfer(100n, A, B)).toBe('created');
  expect(await codeOf(client.lookupTransfers([1n], { retries: 0 }))).toBe('segment_archived');
  const history = { accountId: A, limit: 10, debits: true, credits: true, reversed: true };
  expect(await codeOf(client.getAccountTransfers(history, { retries: 0 }))).toBe(
    'segment_archived',
  );
  // Its id is found known on the second shard of its way: it waits there.
  expect(await ledger.transfer(2n, C, A, 500)).toBe('unknown');
  expect(await ledger.transfer(101n, C, D)).toBe('created');
  expect(supervisor.metrics().map(({ state, restarts }) => [state, restarts])).toEqual([
    ['running', 0],
    ['running', 0],
  ]);
  renameSync(`${archive}-away`, archive);
  expect(await ledger.transfer(2n, C, A)).toBe('exists');
  expect(await ledger.transfer(1n, A, B)).toBe('exists');
  const { transfers } = await client.lookupTransfers([1n, 2n, 3n]);
  expect(transfers.map(({ id }) => id)).toEqual([1n, 2n, 3n]);
  expect((await client.getAccountTransfers(history)).transfers.map(({ id }) => id)).toEqual(
    expect.arrayContaining([1n, 2n]),
  );
  const live = await supervisor.digests();
  await supervisor.stop();
  for (const { shard, digest } of replayDirectory(directory)) {
    expect(digest).toBe(live[shard]!.digest);
  }
});

test('a start that needs the archive names what it needs, and finds the archive in another place', async () => {
  await using place = new TempDirectory();
  const { directory, archive } = archived(place);
  for (const shard of ['shard-000', 'shard-001']) {
    const own = join(directory, shard);
    for (const name of readdirSync(own).filter((one) => one.startsWith('snapshot-'))) {
      renameSync(join(own, name), join(place.path, `${shard}-${name}`));
    }
  }
  const elsewhere = join(place.path, 'elsewhere');
  renameSync(archive, elsewhere);
  await expect(Life.begin(directory, archive)).rejects.toMatchObject({
    code: 'DATA_ARCHIVED',
    exitCode: 1,
    message: expect.stringContaining(FIRST),
  });
  await using ledger = await Life.begin(directory, elsewhere);
  expect(await ledger.transfer(3n, C, D)).toBe('exists');
});

test('segments that are gone and not in the list of archived ones are damage, though a snapshot covers them', async () => {
  await using place = new TempDirectory();
  const { directory, archive } = archived(place);
  rmSync(join(directory, 'shard-001', 'archived.json'));
  await expect(Life.begin(directory, archive)).rejects.toMatchObject({
    code: 'DATA_DAMAGED',
    message: expect.stringMatching(/segment-\d+\.sqlite, sequence \d+: the rows 1 to \d+/),
  });
});

test('a backup of what is left here starts from its snapshot, and finds the rest in the archive', async () => {
  await using place = new TempDirectory();
  const { directory, archive } = archived(place);
  const target = join(place.path, 'backup');
  makeBackup({ directory, target });
  const restored = join(place.path, 'restored');
  restoreBackup({ backup: target, directory: restored });
  renameSync(directory, join(place.path, 'lost'));
  await using ledger = await Life.begin(restored, archive);
  expect(ledger.lines.filter((line) => line.includes('snapshot')).length).toBeGreaterThan(0);
  for (const [id, from, to] of [
    [1n, A, B],
    [3n, C, D],
    [33n, C, D],
  ] as const) {
    expect(await ledger.transfer(id, from, to)).toBe('exists');
  }
  expect(() =>
    restoreBackup({ backup: target, directory: join(place.path, 'early'), to: 1n }),
  ).toThrow('Name a later moment');
});
