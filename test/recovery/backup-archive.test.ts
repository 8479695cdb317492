import { spawnSync } from 'node:child_process';
/**
 * Backups of a ledger that moves its segments to an archive: a second one into the same place can be restored whatever was moved since, one of
 * another line of history is refused although its rows were moved, and a run that is cut off leaves what was there.
 */
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BackupDone, makeBackup, type BackupStep } from '../../backup/backup.ts';
import { type BackupShard, readManifest } from '../../backup/manifest.ts';
import { restoreBackup } from '../../backup/restore.ts';
import { assert } from '../../engine/assert.ts';
import { behindSnapshots } from '../../persistence/archive-thread.ts';
import { archiveDirectory, ArchivedSegments } from '../../persistence/archived-segments.ts';
import { archiveShard, pointToArchive } from '../../persistence/archiver.ts';
import { DataDirectory } from '../../persistence/data-directory.ts';
import { segmentName } from '../../persistence/segment.ts';
import { TempDirectory } from '../support/cluster.ts';
import { readMeta, shardDirectory } from '../support/journal-surgery.ts';
import { placementOf } from '../support/placement.ts';
import { liveShortly, transfersOf } from '../support/short-lives.ts';

const SHARDS = 2;
const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
const FIRST = 'segment-000000000001.sqlite';

const shardOf = placementOf(SHARDS);
const idOn = (shard: number): bigint => {
  for (let id = 1n; ; id++) if (shardOf(id) === shard) return id;
};
const ACCOUNTS = [idOn(0), idOn(1)] as const;

const live = (
  directory: string,
  archive: string,
  transfers: readonly bigint[],
  inTheMiddle?: () => void,
): Promise<readonly bigint[]> =>
  liveShortly(
    { directory, shards: SHARDS, archive },
    { accounts: ACCOUNTS, transfers, inTheMiddle },
  );

const idsOf = (life: number): readonly bigint[] =>
  Array.from({ length: 4 }, (_, i) => BigInt(life * 10 + i));

const LIVES = [1, 2, 3, 4, 5, 6, 7] as const;
let firstLife: readonly bigint[] = [];

/**
 * Made once. `data` has lived seven times, and its first segments are in `archive`. `live-1` is a backup made in the middle of its first life, `whole-2` one
 * behind its second, `late-4` one in the middle of its fourth, which begins behind archived segments, and `data-1` the directory as it was after its first life.
 */
const made = new TempDirectory();
afterAll(() => made[Symbol.asyncDispose]());
beforeAll(async () => {
  const at = (name: string): string => join(made.path, name);
  const directory = at('data');
  const backUpLive = (target: string): void => {
    const args = ['backup', directory, target, '--no-snapshot'];
    const done = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });
    assert(done.status === 0, () => done.stderr);
  };
  for (const life of LIVES) {
    const name = life === 1 ? 'live-1' : life === 4 ? 'late-4' : undefined;
    const inTheMiddle = name === undefined ? undefined : () => backUpLive(at(name));
    const timestamps = await live(directory, at('archive'), idsOf(life), inTheMiddle);
    if (life === 1) {
      firstLife = timestamps;
      cpSync(directory, at('data-1'), { recursive: true });
    }
    if (life === 2) makeBackup({ directory, target: at('whole-2') });
  }
  const [moved] = movedOf(directory);
  assert(moved!.segments.length >= 3, 'several segments were archived');
  assert(
    beginnings(at('late-4')).every((first) => first > 1),
    'and some before the late backup',
  );
}, 120_000);

/** A copy of what was made, archive included. */
function copyOf(place: TempDirectory): (name: string) => string {
  cpSync(made.path, place.path, { recursive: true });
  const at = (name: string): string => join(place.path, name);
  pointTo(at('data'), at('archive'));
  return at;
}

function identities(directory: string): { clusterId: string; shard: number; shards: number }[] {
  const { clusterId } = readMeta(directory);
  return Array.from({ length: SHARDS }, (_, shard) => ({ clusterId, shard, shards: SHARDS }));
}

function pointTo(directory: string, archive: string): void {
  for (const identity of identities(directory)) {
    pointToArchive(shardDirectory(directory, identity.shard), identity, archive);
  }
}

const movedOf = (directory: string): readonly (ArchivedSegments | undefined)[] =>
  identities(directory).map((identity) =>
    ArchivedSegments.read(shardDirectory(directory, identity.shard), identity),
  );

/** With which rows the shards of a backup begin. */
const beginnings = (backup: string): readonly number[] =>
  readManifest(backup)!.shards.map(({ segments }) => segments[0]!.first);

function backUp(directory: string, target: string): BackupDone & { readonly lines: string[] } {
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  return { ...makeBackup({ directory, target, log }), lines };
}

/** Which of the transfers of these lives there are. */
const transfersIn = (
  directory: string,
  archive: string | undefined,
  lives: readonly number[],
): Promise<readonly bigint[]> =>
  transfersOf({ directory, shards: SHARDS, archive }, lives.flatMap(idsOf));

/** Takes the last archived segment of each shard away; gives what brings them back. */
function hideLastArchived(directory: string): () => void {
  const files = movedOf(directory).map((one) => {
    const { archive, identity, segments } = one!;
    return join(archiveDirectory(archive, identity), segmentName(segments.at(-1)!.first));
  });
  for (const file of files) renameSync(file, `${file}-away`);
  return () => {
    for (const file of files) renameSync(`${file}-away`, file);
  };
}

/** One bit, in the middle. */
function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

/** Everything in a directory, by name. */
function contents(directory: string): Readonly<Record<string, number>> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  return Object.fromEntries(files.toSorted().map((file) => [file, crc32(readFileSync(file))]));
}

test('a second backup has everything from row 1 on, though segments were archived since', async () => {
  for (const name of ['live-1', 'whole-2']) {
    await using place = new TempDirectory();
    const at = copyOf(place);
    const { lines } = backUp(at('data'), at(name));
    expect(lines).toEqual([]);
    expect(beginnings(at(name))).toEqual([1, 1]);
    // Nothing but the backup is needed for it.
    renameSync(at('archive'), at('archive-away'));
    restoreBackup({ backup: at(name), directory: at('all') });
    expect(await transfersIn(at('all'), undefined, LIVES)).toEqual(LIVES.flatMap(idsOf));
    const early = { backup: at(name), directory: at('early'), to: firstLife[1]! };
    restoreBackup(early);
    const there = await transfersIn(at('early'), undefined, LIVES);
    expect(there[0]).toBe(idsOf(1)[0]);
    expect(there.length).toBeLessThanOrEqual(2);
    // All but the last segments are kept the next time.
    expect(backUp(at('data'), at(name))).toMatchObject({ segments: SHARDS, lines: [] });
  }
});

test('segments that are moved to the archive while others are copied are in the backup', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const directory = at('data-1');
  for (const life of [8, 9, 10]) {
    const transfers = idsOf(life);
    await liveShortly({ directory, shards: SHARDS }, { accounts: ACCOUNTS, transfers });
  }
  const archive = at('archive-other');
  const onStep = (): void => {
    for (const identity of identities(directory)) {
      const own = shardDirectory(directory, identity.shard);
      archiveShard({ ...identity, directory: own, archive, behind: behindSnapshots(own) });
    }
  };
  {
    // As if a process had it.
    using _ = DataDirectory.open({ directory, create: false });
    makeBackup({ directory, target: at('backup'), onStep });
  }
  expect(movedOf(directory).every((one) => one!.segments.length > 1)).toBe(true);
  renameSync(archive, at('archive-away'));
  restoreBackup({ backup: at('backup'), directory: at('restored') });
  const lives = [1, 8, 9, 10];
  expect(await transfersIn(at('restored'), undefined, lives)).toEqual(lives.flatMap(idsOf));
});

test('what was archived since and cannot be had is left out with all before it, and a snapshot stands for it', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const moved = movedOf(at('data'));
  renameSync(at('archive'), at('archive-away'));
  const { lines } = backUp(at('data'), at('whole-2'));
  expect(lines).toEqual([
    expect.stringMatching(/shard 0: the rows up to \d+ are not in the backup any more/),
    expect.stringMatching(/shard 1: the rows up to \d+ are not in the backup any more/),
  ]);
  expect(beginnings(at('whole-2'))).toEqual(moved.map((one) => one!.last + 1));
  restoreBackup({ backup: at('whole-2'), directory: at('restored') });
  renameSync(at('archive-away'), at('archive'));
  expect(await transfersIn(at('restored'), at('archive'), LIVES)).toEqual(LIVES.flatMap(idsOf));
});

test('a backup that begins behind archived segments goes on from there, and its list ends there', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const before = beginnings(at('late-4'));
  backUp(at('data'), at('late-4'));
  expect(beginnings(at('late-4'))).toEqual(before);
  restoreBackup({ backup: at('late-4'), directory: at('restored') });
  expect(movedOf(at('restored')).map((one) => one!.last + 1)).toEqual(before);
  expect(await transfersIn(at('restored'), at('archive'), LIVES)).toEqual(LIVES.flatMap(idsOf));
});

test.for<{ step: BackupStep; times: number; isDone: boolean }>([
  // The first shard is done then, its new list of archived segments included.
  { step: 'segment', times: 4, isDone: false },
  { step: 'manifest', times: 1, isDone: true },
])(
  'a run that is cut off at a $step leaves a backup, and what lies besides it is passed over',
  async ({ step, times, isDone }) => {
    await using place = new TempDirectory();
    const at = copyOf(place);
    const first = isDone
      ? movedOf(at('data')).map((one) => one!.last + 1)
      : beginnings(at('late-4'));
    const bringBack = hideLastArchived(at('data'));
    let count = 0;
    const onStep = (name: BackupStep): void => {
      if (name === step && ++count === times) throw new Error('cut off');
    };
    const target = at('late-4');
    expect(() => makeBackup({ directory: at('data'), target, onStep })).toThrow('cut off');
    const list = ArchivedSegments.read(join(target, 'shard-000'), identities(at('data'))[0]!);
    expect(list!.last).toBe(movedOf(at('data'))[0]!.last);
    restoreBackup({ backup: target, directory: at('restored') });
    expect(movedOf(at('restored')).map((one) => one!.last + 1)).toEqual(first);
    bringBack();
    const lives = isDone ? LIVES : [1, 2, 3];
    expect(await transfersIn(at('restored'), at('archive'), lives)).toEqual(lives.flatMap(idsOf));
  },
);

test('a backup that could not be restored is not written down: what was there counts', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const target = at('whole-2');
  const before = readFileSync(join(target, 'backup.json'), 'utf8');
  // A segment that is kept goes away behind its back.
  const onStep = (): void => rmSync(join(target, 'shard-000', FIRST), { force: true });
  expect(() => makeBackup({ directory: at('data'), target, onStep })).toThrow(
    /could not be restored: segment-000000000001\.sqlite is not there any more/,
  );
  expect(readFileSync(join(target, 'backup.json'), 'utf8')).toBe(before);
});

test('a damaged snapshot does not come into a backup, and a backup that would hang on one is refused', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const own = join(at('data'), 'shard-001');
  const [older, newer] = readdirSync(own)
    .filter((name) => name.endsWith('.image'))
    .toSorted();
  flip(join(own, newer!));
  const { lines } = backUp(at('data'), at('late-4'));
  expect(lines).toEqual([expect.stringContaining(`damaged: ${newer}: byte`)]);
  const [, { files }] = readManifest(at('late-4'))!.shards as [BackupShard, BackupShard];
  expect(files.map(({ name }) => name)).toEqual([
    older,
    older!.replace('.image', '.json'),
    'archived.json',
  ]);
  flip(join(own, older!));
  // The one that was copied is sound still.
  expect(backUp(at('data'), at('late-4')).lines).toHaveLength(1);
  flip(join(at('late-4'), 'shard-001', older!));
  const before = readFileSync(join(at('late-4'), 'backup.json'), 'utf8');
  expect(() => backUp(at('data'), at('late-4'))).toThrow(/shard 1 .*no sound snapshot/);
  expect(readFileSync(join(at('late-4'), 'backup.json'), 'utf8')).toBe(before);
});

test('a damaged segment in the archive ends a backup before it takes the place of a sound one', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const { clusterId } = readMeta(at('data'));
  const file = join(archiveDirectory(at('archive'), { clusterId, shard: 0 }), FIRST);
  const bytes = readFileSync(file);
  const frame = bytes.lastIndexOf(Buffer.from('SYC1')) + 100;
  bytes[frame] = bytes[frame]! ^ 1;
  writeFileSync(file, bytes);
  const named = readFileSync(join(at('live-1'), 'shard-000', FIRST));
  expect(() => backUp(at('data'), at('live-1'))).toThrow(FIRST);
  expect(readFileSync(join(at('live-1'), 'shard-000', FIRST)).equals(named)).toBe(true);
  restoreBackup({ backup: at('live-1'), directory: at('restored') });
  expect((await transfersIn(at('restored'), undefined, [1])).length).toBeGreaterThan(0);
});

test('a backup of another line of history is refused though its rows were archived, and so is one that cannot be compared', async () => {
  await using place = new TempDirectory();
  const at = copyOf(place);
  const other = at('data-1');
  for (const life of [8, 9, 10, 11]) await live(other, at('archive-other'), idsOf(life));
  for (const [shard, { sequence }] of readManifest(at('whole-2'))!.shards.entries()) {
    expect(movedOf(other)[shard]!.last).toBeGreaterThan(sequence);
  }
  const before = contents(at('whole-2'));
  expect(() => backUp(other, at('whole-2'))).toThrow('another line of history');
  renameSync(at('archive'), at('archive-away'));
  expect(() => backUp(at('data'), at('live-1'))).toThrow(/cannot be seen.*Mount the archive/);
  expect(contents(at('whole-2'))).toEqual(before);
  expect(existsSync(join(at('whole-2'), 'shard-000', 'unchecked'))).toBe(false);
});
