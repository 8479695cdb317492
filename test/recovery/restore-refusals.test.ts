/**
 * What a restore makes of a backup in which files are damaged or missing, and of what lies at its place: what is not needed is left out, and what
 * shows without reading all rows is refused with a sentence before anything is moved aside.
 */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBackup } from '../../backup/backup.ts';
import { readManifest, writeManifest } from '../../backup/manifest.ts';
import { restoreBackup, type RestoreStep } from '../../backup/restore.ts';
import { TempDirectory } from '../support/cluster.ts';
import { liveShortly, transfersOf, withLedger } from '../support/short-lives.ts';

const SHARDS = 1;
const SHARD = 'shard-000';
const FIRST = 'segment-000000000001.sqlite';
const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

function sycee(...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });
}

/**
 * Made once: `data` has lived five times, with a transfer each. `whole` is a backup behind the third life, with all rows and the last two snapshots, `late` one at
 * the end, which begins behind what was archived.
 */
const made = new TempDirectory();
afterAll(() => made[Symbol.asyncDispose]());
beforeAll(async () => {
  const directory = join(made.path, 'data');
  for (const life of [1, 2, 3, 4, 5]) {
    const archive = life < 4 ? undefined : join(made.path, 'archive');
    const options = { directory, shards: SHARDS, archive };
    await liveShortly(options, { accounts: [1n, 2n], transfers: [BigInt(life)] });
    if (life === 3) makeBackup({ directory, target: join(made.path, 'whole') });
  }
  makeBackup({ directory, target: join(made.path, 'late') });
}, 60_000);

/** Copies of what was made; the archive stays where it is. */
function copyOf(place: TempDirectory): (name: string) => string {
  for (const name of ['data', 'whole', 'late']) {
    cpSync(join(made.path, name), join(place.path, name), { recursive: true });
  }
  return (name) => join(place.path, name);
}

const imagesIn = (directory: string): readonly string[] =>
  readdirSync(join(directory, SHARD))
    .filter((name) => name.endsWith('.image'))
    .toSorted();

const lastSegment = (backup: string): string =>
  readManifest(backup)!.shards[0]!.segments.at(-1)!.name;

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

const transfersIn = (directory: string): Promise<readonly bigint[]> =>
  transfersOf({ directory, shards: SHARDS }, [1n, 2n, 3n, 4n, 5n]);

test('a snapshot that is damaged or missing in a backup with all rows is left out', async () => {
  for (const spoil of [flip, rmSync]) {
    for (const which of [0, 1]) {
      await using place = new TempDirectory();
      const at = copyOf(place);
      const bad = imagesIn(at('whole'))[which]!;
      spoil(join(at('whole'), SHARD, bad));
      const done = sycee('restore', at('whole'), at('restored'));
      expect(done.status).toBe(0);
      expect(done.stderr).toMatch(`a snapshot is left out, for it is damaged: ${bad}`);
      const names = readdirSync(join(at('restored'), SHARD));
      expect(names.filter((name) => name.startsWith('snapshot-'))).toHaveLength(2);
      expect(names).not.toContain(bad);
      expect(await transfersIn(at('restored'))).toEqual([1n, 2n, 3n]);
    }
  }
});

test('files that a backup does not name are passed over, whatever they are', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  writeFileSync(join(at('whole'), SHARD, 'segment-000000000099.sqlite'), 'not a database');
  writeFileSync(join(at('whole'), SHARD, 'archived.json'), '{}');
  expect(sycee('restore', at('whole'), at('restored'))).toMatchObject({ status: 0, stderr: '' });
  expect(await transfersIn(at('restored'))).toEqual([1n, 2n, 3n]);
});

test('where a snapshot stands for rows another one will do, and without any nothing is moved aside', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const [older, newer] = imagesIn(at('late'));
  flip(join(at('late'), SHARD, newer!));
  expect(sycee('restore', at('late'), at('restored'))).toMatchObject({ status: 0 });
  expect(imagesIn(at('restored'))).toEqual([older]);
  expect(await transfersIn(at('restored'))).toEqual([1n, 2n, 3n, 4n, 5n]);
  rmSync(join(at('late'), SHARD, older!.replace('.image', '.json')));
  expect(sycee('restore', at('late'), at('data'), '--force')).toMatchObject({
    status: 3,
    stderr: expect.stringMatching(/late\/shard-000: it begins with row \d+, and no snapshot/),
  });
  expect(readdirSync(place.path).filter((name) => name.includes('.before-'))).toEqual([]);
});

test.for<{ what: string; spoil: (backup: string) => void; sentence: RegExp }>([
  {
    what: 'a segment that is missing',
    spoil: (backup) => rmSync(join(backup, SHARD, FIRST)),
    sentence: /whole\/shard-000: segment-000000000001\.sqlite is missing\. Put a whole copy of it/,
  },
  {
    what: 'the directory of a shard that is missing',
    spoil: (backup) => rmSync(join(backup, SHARD), { recursive: true }),
    sentence: /segment-000000000001\.sqlite is missing/,
  },
  {
    what: 'a segment that is cut off',
    spoil: (backup) => truncateSync(join(backup, SHARD, FIRST), 8192),
    sentence:
      /the backup is damaged: \S+whole\/shard-000: segment-000000000001\.sqlite, sequence \d+: /,
  },
  {
    what: 'a segment in the place of another one',
    spoil: (backup) => cpSync(join(backup, SHARD, lastSegment(backup)), join(backup, SHARD, FIRST)),
    sentence:
      /the backup is damaged: \S+whole\/shard-000: segment-000000000001\.sqlite, sequence 1: /,
  },
  {
    what: 'a gap between segments',
    spoil: (backup) => {
      const manifest = readManifest(backup)!;
      const shards = manifest.shards.map((shard) => {
        const [first, ...others] = shard.segments;
        return { ...shard, segments: [{ ...first!, last: first!.last - 1 }, ...others] };
      });
      writeManifest(backup, { ...manifest, shards });
    },
    sentence: /whole\/shard-000: the rows \d+ to \d+ are missing/,
  },
])('$what in a backup is seen before anything is moved aside', async ({ spoil, sentence }) => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  spoil(at('whole'));
  const refusal = { status: 3, stderr: expect.stringMatching(sentence) };
  expect(sycee('restore', at('whole'), at('data'), '--force')).toMatchObject(refusal);
  expect(existsSync(join(at('data'), 'sycee.json'))).toBe(true);
});

test('a restore that a full disk has ended before its mark was whole is begun again', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  mkdirSync(at('restored'));
  writeFileSync(join(at('restored'), 'restoring.json.new'), '');
  expect(sycee('restore', at('whole'), at('restored'))).toMatchObject({ status: 0, stderr: '' });
  expect(readdirSync(at('restored')).toSorted()).toEqual([SHARD, 'sycee.json']);
});

test('a directory that a process has open is not moved aside, though its sycee.json is gone', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const lost = join(at('data'), 'sycee.json');
  await withLedger({ directory: at('data'), shards: SHARDS }, async (client) => {
    renameSync(lost, at('sycee.json'));
    expect(sycee('restore', at('whole'), at('data'), '--force')).toMatchObject({
      status: 4,
      stderr: expect.stringContaining(`in use by process ${process.pid}`),
    });
    renameSync(at('sycee.json'), lost);
    expect((await client.lookupTransfers([5n])).transfers).toHaveLength(1);
  });
  rmSync(lost);
  const { aside } = restoreBackup({ backup: at('whole'), directory: at('data'), force: true });
  expect(readdirSync(aside!)).not.toContain('lock.pid');
  expect(await transfersIn(at('data'))).toEqual([1n, 2n, 3n]);
});

test('a file where a directory is meant is refused with a sentence', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  writeFileSync(at('file'), 'kept');
  const refusal = { status: 1, stderr: expect.stringMatching(/file is not a directory\. Nothing/) };
  expect(sycee('backup', at('data'), at('file'))).toMatchObject(refusal);
  expect(sycee('restore', at('whole'), at('file'))).toMatchObject(refusal);
  expect(sycee('restore', at('whole'), at('file'), '--force')).toMatchObject(refusal);
  expect(readFileSync(at('file'), 'utf8')).toBe('kept');
});

test('a restore that fails half way says why, and where what was there is now', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const restore = (onStep: (step: RestoreStep) => void) => (): unknown =>
    restoreBackup({ backup: at('whole'), directory: at('data'), force: true, onStep });
  const isThereAgain = 'data is there again, as it was\\.$';
  const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
  const failAt =
    (...steps: readonly RestoreStep[]) =>
    (step: RestoreStep): void => {
      if (steps.includes(step)) throw full;
    };
  expect(restore(failAt('segment'))).toThrow(new RegExp(`^There is no room .*${isThereAgain}`));
  expect(restore(failAt('file'))).toThrow(new RegExp(isThereAgain));
  const spoilCopy = (step: RestoreStep): void => {
    if (step === 'file') truncateSync(join(at('data'), SHARD, FIRST), 5000);
  };
  expect(restore(spoilCopy)).toThrow(
    new RegExp(
      `^the copy is damaged, and the backup is not: .*Check that disk\\..*${isThereAgain}`,
    ),
  );
  expect(await transfersIn(at('data'))).toEqual([1n, 2n, 3n, 4n, 5n]);
  expect(restore(failAt('segment', 'cleared'))).toThrow(
    /What was there is (\S+data\.before-\S+), and could not be put back .*: rm -rf (\S+data) && mv \1 \2$/,
  );
});
