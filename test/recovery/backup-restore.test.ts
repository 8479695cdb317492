/**
 * Backups of a live process under load over several shards, and restores of them: what was answered before a backup began is in it, shards fit
 * together, and a kill at any step leaves the backup before it, or a directory that cannot be started half restored. SEED=n draws another load.
 */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { makeBackup, type BackupStep } from '../../backup/backup.ts';
import { readManifest } from '../../backup/manifest.ts';
import { restoreBackup, type RestoreStep } from '../../backup/restore.ts';
import type { Client } from '../../client/client.ts';
import { connectHttp } from '../../client/http-client.ts';
import { Prng } from '../../lib/prng.ts';
import { DataDirectory } from '../../persistence/data-directory.ts';
import { startProcess, startSystem, TempDirectory } from '../support/cluster.ts';
import { placementOf } from '../support/placement.ts';
import { digestPairs } from '../support/replay-directory.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const SEED = Number(process.env['SEED'] ?? 20_261_125);
const SHARDS = 2;
const LOADS = 4;
const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

function sycee(...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });
}

function booksOf(prng: Prng): TransferBooks {
  const shardOf = placementOf(SHARDS);
  return new TransferBooks({ prng, shards: SHARDS, shardOf, accountCount: 4 * SHARDS });
}

/** Sends batches, one after the other, until it is told to end. */
function startLoad(
  client: Client,
  books: TransferBooks,
  prng: Prng,
): { end(): Promise<unknown>; sent(): number } {
  const state = { isEnding: false };
  let batches = 0;
  const run = async (): Promise<void> => {
    while (!state.isEnding) {
      await books.send(client, books.next(prng.between(1, 20)));
      batches++;
    }
  };
  const done = Promise.all(Array.from({ length: LOADS }, run));
  return {
    end: () => {
      state.isEnding = true;
      return done;
    },
    sent: () => batches,
  };
}

/** What the books know to be created at this moment. */
function createdIds(books: TransferBooks): readonly bigint[] {
  return books.entries.flatMap(({ transfer, outcome }) =>
    outcome.type === 'created' ? [transfer.id] : [],
  );
}

test('a backup of a live process under load has all that was answered before it, again and again', async () => {
  await using place = new TempDirectory();
  const target = join(place.path, 'backup');
  const prng = new Prng(SEED);
  const books = booksOf(prng);
  await using served = await startProcess({ shards: SHARDS });
  await using client = connectHttp(served.url);
  await books.createAccounts(client);
  const load = startLoad(client, books, prng);
  for (let round = 1; round <= 2; round++) {
    const sent = load.sent();
    while (load.sent() < sent + 15) await new Promise((resolve) => setTimeout(resolve, 5));
    const answered = createdIds(books);
    const asked = sycee('snapshot', served.directory, '--json');
    expect(JSON.parse(asked.stdout)).toMatchObject({ type: 'snapshot', live: true });
    const done = sycee('backup', served.directory, target, '--json');
    expect(done.stderr).toBe('');
    expect(JSON.parse(done.stdout)).toMatchObject({ type: 'backup', live: true });
    const directory = join(place.path, `restored-${round}`);
    expect(sycee('restore', target, directory)).toMatchObject({ status: 0, stderr: '' });
    await using system = await startSystem({ shards: SHARDS, directory });
    for (let i = 0; i < answered.length; i += 8000) {
      const ids = answered.slice(i, i + 8000);
      const { transfers } = await system.client.lookupTransfers(ids);
      expect(transfers.length).toBe(ids.length);
    }
    await system.client.close();
    for (const { live, replayed } of await digestPairs(directory)) expect(live).toBe(replayed);
  }
  await load.end();
});

interface Made extends AsyncDisposable {
  /** Holds `data`, which is stopped, and what the tests put beside it. */
  readonly path: string;
  readonly directory: string;
  /** Transfers 1, 2, … over all shards, so many more, each in a request of its own. */
  add(count: number): Promise<readonly string[]>;
}

/** A stopped directory, and a way to let it grow. */
async function made(): Promise<Made> {
  const place = new TempDirectory();
  const directory = join(place.path, 'data');
  const shardOf = placementOf(SHARDS);
  const ids: bigint[] = [];
  for (let id = 1n; ids.length < SHARDS; id++) if (shardOf(id) === ids.length) ids.push(id);
  let last = 0;
  const add = async (count: number): Promise<readonly string[]> => {
    await using system = await startSystem({ shards: SHARDS, directory });
    const { client: to } = system;
    await to.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 1 })));
    const timestamps: string[] = [];
    for (let i = 0; i < count; i++) {
      const [debitAccountId, creditAccountId] = [ids[last % SHARDS]!, ids[(last + 1) % SHARDS]!];
      const transfer = { debitAccountId, creditAccountId, amount: 1n, ledger: 1, code: 1 };
      const { results } = await to.createTransfers([{ ...transfer, id: BigInt(++last) }]);
      timestamps.push(String(results[0]!.timestamp));
    }
    return timestamps;
  };
  const dispose = (): Promise<void> => place[Symbol.asyncDispose]();
  return { path: place.path, directory, add, [Symbol.asyncDispose]: dispose };
}

/** Which of the transfers 1 to `last` there are, after a recovery that compares every frame. */
async function transfersIn(directory: string, last: number): Promise<readonly bigint[]> {
  await using system = await startSystem({ shards: SHARDS, directory });
  const ids = Array.from({ length: last }, (_, i) => BigInt(i + 1));
  const { transfers } = await system.client.lookupTransfers(ids);
  return transfers.map(({ id }) => id);
}

const upTo = (last: number): readonly bigint[] =>
  Array.from({ length: last }, (_, i) => BigInt(i + 1));

/** Everything in a directory, by name. */
function contents(directory: string): Readonly<Record<string, number>> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted();
  const files = names.filter((name) => !/shard-\d{3}$/.test(name));
  return Object.fromEntries(
    files.map((name) => [name, crc32(readFileSync(join(directory, name)))]),
  );
}

test('a backup is restored to any moment, with the transfers up to it and no later ones', async () => {
  await using at = await made();
  const timestamps = await at.add(12);
  const target = join(at.path, 'backup');
  makeBackup({ directory: at.directory, target });
  for (const last of [3, 8]) {
    const directory = join(at.path, `to-${last}`);
    const done = sycee('restore', target, directory, '--to', timestamps[last - 1]!, '--json');
    expect(done.stderr).toBe('');
    const there = await transfersIn(directory, 12);
    // The last one may not have been applied on all its shards at the moment of its decision.
    expect(upTo(last)).toEqual(expect.arrayContaining([...there]));
    expect(there.length).toBeGreaterThanOrEqual(last - 1);
  }
});

test('a moment of a restore is read as replay reads it, and one before everything is refused', async () => {
  await using at = await made();
  await at.add(3);
  const target = join(at.path, 'backup');
  makeBackup({ directory: at.directory, target });
  const before = contents(at.directory);
  const restore = (to: string): SpawnSyncReturns<string> =>
    sycee('restore', target, at.directory, '--force', '--to', to);
  const seconds = Math.floor(Date.now() / 1000);
  for (const text of ['8143', String(seconds), `${seconds}000`, `${seconds}000000`]) {
    expect(restore(text)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(
        `sycee: --to ${text} is no time: as a number a time is nanoseconds`,
      ),
    });
  }
  for (const text of ['2020-01-01', '2020-01-01T00:00', `${seconds - 86_400}000000000`]) {
    expect(restore(text)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /is before the first row of every shard: the ledger begins at \d.*Nothing was changed/,
      ),
    });
  }
  expect(contents(at.directory)).toEqual(before);
  expect(readdirSync(at.path).toSorted()).toEqual(['backup', 'data', 'data.head']);
  expect(sycee('restore', target, join(at.path, 'all'), '--to', '2100-01-01').status).toBe(0);
  expect(await transfersIn(join(at.path, 'all'), 3)).toEqual(upTo(3));
});

test('a backup of a ledger without a row is restored to any moment', async () => {
  await using at = await made();
  DataDirectory.open({ directory: at.directory, shards: SHARDS, create: true }).close();
  const target = join(at.path, 'backup');
  makeBackup({ directory: at.directory, target });
  const empty = join(at.path, 'empty');
  expect(sycee('restore', target, empty, '--to', '2020-01-01')).toMatchObject({ stderr: '' });
  expect(await transfersIn(empty, 3)).toEqual([]);
});

test('what is in the way is refused, and moved aside as a whole when asked', async () => {
  await using at = await made();
  await at.add(2);
  const target = join(at.path, 'backup');
  makeBackup({ directory: at.directory, target });
  await at.add(2);
  const before = contents(at.directory);
  expect(sycee('restore', target, at.directory)).toMatchObject({ status: 1 });
  expect(contents(at.directory)).toEqual(before);
  // As it may be when it is put back: damaged, and with a witness beside it of what it was.
  writeFileSync(`${at.directory}.head`, '');
  const { aside } = restoreBackup({ backup: target, directory: at.directory, force: true });
  expect(existsSync(`${at.directory}.head`)).toBe(false);
  expect(contents(aside!)).toEqual(before);
  expect(await transfersIn(at.directory, 4)).toEqual(upTo(2));
  // The directory is of another line of history from here on.
  await at.add(1);
  const other = join(at.path, 'other');
  cpSync(aside!, other, { recursive: true });
  makeBackup({ directory: other, target });
  expect(sycee('backup', at.directory, target)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('another line of history'),
  });
});

test('a damaged backup is refused, and what is no backup', async () => {
  await using at = await made();
  await at.add(3);
  const target = join(at.path, 'backup');
  const { manifest } = makeBackup({ directory: at.directory, target });
  const manifestFile = join(target, 'backup.json');
  const text = readFileSync(manifestFile, 'utf8');
  writeFileSync(manifestFile, text.replace('"sequence": ', '"sequence": 1'));
  expect(sycee('restore', target, join(at.path, 'one'))).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('does not match its checksum'),
  });
  writeFileSync(manifestFile, text);
  const segment = join(target, 'shard-001', manifest.shards[1]!.segments[0]!.name);
  const bytes = readFileSync(segment);
  const at100 = bytes.lastIndexOf(Buffer.from('SYC1')) + 100;
  bytes[at100] = bytes[at100]! ^ 1;
  writeFileSync(segment, bytes);
  expect(sycee('restore', target, join(at.path, 'two')).status).toBe(3);
  expect(existsSync(join(at.path, 'two', 'sycee.json'))).toBe(false);
  // The damage shows only after the way was made: what was there is put back.
  const before = contents(at.directory);
  const forced = sycee('restore', target, at.directory, '--force');
  expect(forced.status).toBe(3);
  expect(forced.stderr).toMatch(
    /the backup is damaged: \S+backup\/shard-001: segment-\d+\.sqlite, sequence \d+: the row does not match its checksum\. Put a whole copy .* is there again, as it was\.\n$/,
  );
  expect(forced.stderr).not.toContain('Nothing was changed');
  expect(contents(at.directory)).toEqual(before);
  expect(readdirSync(at.path).filter((name) => name.includes('.before-'))).toEqual([]);
  const half = sycee('restore', target, join(at.path, 'two'));
  expect(half.stderr).toMatch(/two is half a restore now, which no start takes/);
  expect(sycee('init', '--data', join(at.path, 'two'))).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('Run ./sycee restore again'),
  });
  // Killed while it is put back: it is whole, where it was said that it is.
  const moved = { backup: target, directory: at.directory, force: true };
  expect(killAt('restoreBackup', moved, 'cleared', 1)).toBe('SIGKILL');
  const aside = readdirSync(at.path).find((name) => name.includes('.before-'))!;
  expect(existsSync(at.directory)).toBe(false);
  renameSync(join(at.path, aside), at.directory);
  expect(contents(at.directory)).toEqual(before);
  expect(sycee('restore', at.directory, join(at.path, 'three')).status).toBe(1);
  expect(sycee('backup', at.directory, join(at.directory, 'backup')).status).toBe(1);
  expect(sycee('backup', at.directory).status).toBe(2);
  expect(sycee('restore', target, 'x', '--to', 'yesterday').status).toBe(2);
});

const CHILD = `
  const [module, work, options, step, times] = JSON.parse(process.argv[1]);
  let seen = 0;
  const onStep = (name) => {
    if (name === step && ++seen === times) process.kill(process.pid, 'SIGKILL');
  };
  (await import(module))[work]({ ...options, onStep });
`;

/** Makes a backup, or a restore, in a process that kills itself behind a step. */
function killAt(
  work: 'makeBackup' | 'restoreBackup',
  options: object,
  step: BackupStep | RestoreStep,
  times: number,
): NodeJS.Signals | null {
  const file = work === 'makeBackup' ? 'backup' : 'restore';
  const module = new URL(`../../backup/${file}.ts`, import.meta.url).href;
  const given = JSON.stringify([module, work, options, step, times]);
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', CHILD, given], {
    stdio: 'inherit',
  });
  return child.signal;
}

test('a backup that is killed at any step leaves the one before it, and is made again', async () => {
  await using at = await made();
  const target = join(at.path, 'backup');
  await at.add(2);
  makeBackup({ directory: at.directory, target });
  let last = 2;
  for (const [step, times] of [
    ['segment', SHARDS],
    ['manifest', 1],
  ] as const) {
    await at.add(2);
    expect(killAt('makeBackup', { directory: at.directory, target }, step, times)).toBe('SIGKILL');
    const isDone = step === 'manifest';
    const one = join(at.path, `${step}-${times}`);
    restoreBackup({ backup: target, directory: one });
    expect(await transfersIn(one, last + 2)).toEqual(upTo(isDone ? last + 2 : last));
    makeBackup({ directory: at.directory, target });
    last += 2;
    const two = join(at.path, `${step}-${times}-again`);
    restoreBackup({ backup: target, directory: two });
    expect(await transfersIn(two, last)).toEqual(upTo(last));
    expect(readManifest(target)!.shards).toHaveLength(SHARDS);
  }
});

/** Why a start is refused. */
async function startCode(directory: string): Promise<string> {
  try {
    await using system = await startSystem({ shards: SHARDS, directory });
    return system.directory;
  } catch (error: unknown) {
    return (error as { cause: { code: string } }).cause.code;
  }
}

test('a restore that is killed at any step cannot be started half done, and is made again', async () => {
  await using at = await made();
  const backup = join(at.path, 'backup');
  await at.add(4);
  makeBackup({ directory: at.directory, target: backup });
  for (const [step, times] of [
    ['marked', 1],
    ['segment', SHARDS],
    ['whole', 1],
  ] as const) {
    const directory = join(at.path, `${step}-${times}`);
    expect(killAt('restoreBackup', { backup, directory }, step, times)).toBe('SIGKILL');
    const started = step === 'whole' ? 'whole' : await startCode(directory);
    expect(['whole', 'DATA_FOREIGN']).toContain(started);
    if (step !== 'whole') restoreBackup({ backup, directory });
    expect(await transfersIn(directory, 4)).toEqual(upTo(4));
  }
  const moved = { backup, directory: at.directory, force: true };
  expect(killAt('restoreBackup', moved, 'aside', 1)).toBe('SIGKILL');
  restoreBackup({ backup, directory: at.directory });
  expect(await transfersIn(at.directory, 4)).toEqual(upTo(4));
});
