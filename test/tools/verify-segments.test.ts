/** What verify says of directories whose segments are missing: what a start refuses is not called sound, whatever a snapshot covers. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assert } from '../../engine/assert.ts';
import { listSnapshots } from '../../persistence/snapshot-manifest.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { TempDirectory } from '../support/cluster.ts';
import { alterSegment, readMeta, segments, shardDirectory } from '../support/journal-surgery.ts';
import { archiveSegments, firstsOf, segmentedLedger } from '../support/segmented-ledger.ts';
import { type Json, sycee, syceeJson } from '../support/sycee.ts';

let made: TempDirectory;
/** Nothing of it was archived. */
let whole: string;
/** Of each shard the first two segments are in `archive`. */
let parted: string;
let archive: string;

beforeAll(async () => {
  made = new TempDirectory();
  whole = join(made.path, 'whole');
  parted = join(made.path, 'parted');
  archive = join(made.path, 'archive');
  await segmentedLedger(whole);
  cpSync(whole, parted, { recursive: true });
  archiveSegments(parted, archive, 2);
});
afterAll(() => made[Symbol.asyncDispose]());

const verify = (...args: readonly string[]): Promise<Json> => syceeJson('verify', ...args);

/** Why a start refuses the directory; undefined when it does not. */
async function refusal(directory: string): Promise<string | undefined> {
  try {
    const supervisor = await Supervisor.start({ directory });
    await supervisor.stop();
    return undefined;
  } catch (error: unknown) {
    return (error as Error).message;
  }
}

function removeSegment(directory: string, shard: number, at: number): string {
  const name = segments(directory, shard)[at]!;
  const path = join(shardDirectory(directory, shard), name);
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
  return name;
}

/** A copy of which the archive may be away. */
function copyOf(directory: string, own: TempDirectory): string {
  const copy = join(own.path, 'ledger');
  cpSync(directory, copy, { recursive: true });
  return copy;
}

const listOf = (directory: string, shard: number): string =>
  join(shardDirectory(directory, shard), 'archived.json');

test('a directory of several segments is sound, with all of them here, in the archive, or away', async () => {
  expect(await verify(whole)).toMatchObject({ code: 0, sound: true, notes: [] });
  expect(await verify(parted)).toMatchObject({ code: 0, sound: true, notes: [] });
  renameSync(archive, `${archive}-away`);
  const partly = await verify(parted);
  const wholly = await verify(parted, '--archive', `${archive}-away`);
  const { clusterId } = readMeta(parted);
  const bare = join(made.path, 'bare');
  mkdirSync(join(bare, clusterId, 'shard-000'), { recursive: true });
  const barely = await verify(parted, '--archive', bare);
  renameSync(`${archive}-away`, archive);
  expect(barely).toMatchObject({ code: 0, sound: true });
  expect(barely['notes'][0]).toContain(
    `the archive ${bare} does not have all of its first segments`,
  );
  expect(partly).toMatchObject({ code: 0, sound: true });
  expect(partly['notes'][0]).toContain('--archive DIR checks all of it');
  expect(wholly).toMatchObject({ code: 0, sound: true, notes: [] });
});

interface Loss {
  readonly what: string;
  readonly from: () => string;
  readonly harm: (directory: string) => void;
  /** What both say. */
  readonly rule: (directory: string) => string;
  readonly file?: string | RegExp;
}

/** The first row of shard 0 that is not archived. */
const firstHere = (): number => firstsOf(parted, 0)[0]!;

const LOSSES: readonly Loss[] = [
  {
    what: 'the first segment, and nothing was ever archived',
    from: () => whole,
    harm: (directory) => void removeSegment(directory, 0, 0),
    rule: (directory) => `the rows 1 to ${firstsOf(directory, 0)[0]! - 1} are missing`,
    file: 'segment-000000000001.sqlite',
  },
  {
    what: 'the first segment that was not archived',
    from: () => parted,
    harm: (directory) => void removeSegment(directory, 0, 0),
    rule: (directory) =>
      `the rows ${firstHere()} to ${firstsOf(directory, 0)[0]! - 1} are missing: no file has them`,
  },
  {
    what: 'what says which segments were archived',
    from: () => parted,
    harm: (directory) => rmSync(listOf(directory, 0)),
    rule: () => `the rows 1 to ${firstHere() - 1} are missing: no file has them`,
  },
  {
    what: 'what says which segments were archived, for the one of another shard',
    from: () => parted,
    harm: (directory) => cpSync(listOf(directory, 1), listOf(directory, 0)),
    rule: () => 'it belongs to another cluster or shard',
    file: 'archived.json',
  },
  {
    what: 'a segment in the middle, and a snapshot covers it',
    from: () => parted,
    harm: (directory) => {
      const [, older] = listSnapshots(shardDirectory(directory, 0));
      // Of the two segments before the older snapshot the second.
      assert(firstsOf(directory, 0)[2]! <= older!.sequence + 1, 'two segments lie before it');
      removeSegment(directory, 0, 1);
    },
    rule: () => 'missing',
  },
];

test.each(LOSSES)(
  'verify does not call sound what a start refuses: $what',
  async ({ from, harm, rule, file = /^segment-/ }) => {
    await using own = new TempDirectory();
    const directory = copyOf(from(), own);
    harm(directory);
    const bare = join(own.path, 'bare');
    mkdirSync(join(bare, readMeta(directory).clusterId, 'shard-000'), { recursive: true });
    for (const place of [archive, bare]) {
      const found = await verify(directory, '--archive', place);
      expect(found).toMatchObject({ code: 3, sound: false });
      const [finding] = found['findings'] as readonly Json[];
      expect(finding).toMatchObject({ check: 'journal', shard: 0 });
      expect(finding!['file']).toMatch(file);
      expect(finding!['rule']).toContain(rule(directory));
    }
    // The archive may not be there either.
    renameSync(archive, `${archive}-away`);
    try {
      const found = await verify(directory);
      expect(found).toMatchObject({ code: 3, sound: false });
      expect(found['findings'][0]['rule']).toContain(rule(directory));
      expect(await refusal(directory)).toContain(rule(directory));
    } finally {
      renameSync(`${archive}-away`, archive);
    }
  },
);

test('rows that lie before the snapshot with which verify begins are checked as well', async () => {
  await using own = new TempDirectory();
  const directory = copyOf(parted, own);
  const name = segments(directory, 0)[0]!;
  const sequence = firstHere() + 1;
  alterSegment(join(shardDirectory(directory, 0), name), (one) =>
    one.exec(`UPDATE journal_row SET timestamp = timestamp + 2 WHERE sequence = ${sequence}`),
  );
  renameSync(archive, `${archive}-away`);
  const found = await verify(directory);
  renameSync(`${archive}-away`, archive);
  expect(found).toMatchObject({ code: 3, sound: false });
  expect(found['findings']).toMatchObject([
    {
      check: 'journal',
      shard: 0,
      sequence,
      file: name,
      rule: 'the row does not match its checksum',
    },
  ]);
});

test('a segment that an archive lacks is named with exit code 1, and the overview shows it as away', async () => {
  await using own = new TempDirectory();
  const directory = copyOf(parted, own);
  const partial = join(own.path, 'partial');
  cpSync(archive, partial, { recursive: true });
  const { clusterId } = readMeta(directory);
  const there = join(partial, clusterId, 'shard-000');
  const [first, second] = readdirSync(there).toSorted();
  rmSync(join(there, second!));
  for (const verb of [['verify'], ['replay', '--from-start']]) {
    const ran = await sycee(...verb, directory, '--archive', partial);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.log).toContain(
      `the archive does not have it just now: ${clusterId}/shard-000/${second}`,
    );
  }
  const overview = await sycee('inspect', directory, '--archive', partial, '--json');
  expect(overview).toMatchObject({ code: 0, log: '' });
  const here = firstsOf(directory, 0)[0]!;
  const from = Number(/\d+/.exec(second!)![0]);
  expect((JSON.parse(overview.out) as Json)['segments'].slice(0, 3)).toMatchObject([
    { shard: 0, file: first, first: 1, last: from - 1, state: 'archived' },
    { shard: 0, file: second, first: from, last: here - 1, from: null, to: null, state: 'away' },
    { shard: 0, first: here, state: 'sealed' },
  ]);
  expect((await sycee('inspect', directory, '--archive', partial)).out).toContain(' away');
});

test('an archive whose first segments are gone is not sound, and one that lacks a shard says so', async () => {
  await using own = new TempDirectory();
  const copy = join(own.path, 'archive');
  cpSync(archive, copy, { recursive: true });
  const { clusterId } = readMeta(parted);
  const cluster = join(copy, clusterId);
  const [first, second] = readdirSync(shardDirectory(cluster, 0)).toSorted();
  expect((await sycee('verify', copy)).out).toContain(`the segments that are in ${copy} are sound`);
  rmSync(join(shardDirectory(cluster, 0), first!));
  const sequence = Number(/\d+/.exec(second!)![0]);
  for (const place of [copy, cluster, shardDirectory(cluster, 0)]) {
    const found = await verify(place);
    expect(found).toMatchObject({ code: 3, sound: false, kind: 'archive' });
    expect(found['findings']).toMatchObject([
      { check: 'journal', shard: 0, sequence, file: second },
    ]);
    expect(found['findings'][0]['rule']).toContain(`the rows 1 to ${sequence - 1} before`);
    expect((await sycee('verify', place)).out).not.toContain('sound');
  }
  // A shard that has archived nothing has no directory there, or an empty one.
  const absent = `shard 0 of 2 of cluster ${clusterId}: nothing is here`;
  rmSync(join(shardDirectory(cluster, 0), second!));
  for (const isEmpty of [true, false]) {
    if (!isEmpty) rmSync(shardDirectory(cluster, 0), { recursive: true });
    const shown = await sycee('verify', copy);
    expect(shown).toMatchObject({ code: 0, log: '' });
    expect(shown.out).toContain(`note: ${absent}`);
    const alone = await verify(shardDirectory(cluster, 1));
    expect(alone).toMatchObject({ code: 0, sound: true });
    expect((alone['notes'] as readonly string[]).join()).not.toContain('nothing is here');
  }
});

test('what is named with --archive and is no archive of the ledger is wrong usage', async () => {
  await using own = new TempDirectory();
  const { clusterId } = readMeta(parted);
  const file = join(own.path, 'file');
  writeFileSync(file, '');
  const other = '0'.repeat(32);
  const foreign = join(own.path, 'foreign');
  cpSync(join(archive, clusterId), join(foreign, other), { recursive: true });
  const empty = join(own.path, 'empty');
  mkdirSync(empty);
  const places = [
    [join(own.path, 'nowhere'), 'is not there'],
    [join(file, 'within'), 'is not there'],
    [file, 'is not a directory'],
    [join(archive, clusterId), 'has no shards of this ledger'],
    [whole, 'has no shards of this ledger'],
    [empty, 'has no shards of this ledger'],
    [foreign, `is an archive of another ledger (${other})`],
  ] as const;
  const backup = join(own.path, 'backup');
  expect(await sycee('backup', parted, backup)).toMatchObject({ code: 0 });
  for (const [place, what] of places) {
    for (const verb of ['verify', 'replay', 'inspect']) {
      const ran = await sycee(verb, parted, '--archive', place);
      expect(ran).toMatchObject({ code: 2, out: '' });
      const remedy = `name the directory that has ${clusterId}/shard-…`;
      expect(ran.log).toContain(`--archive ${place} ${what}`);
      expect(ran.log).toContain(remedy);
    }
    expect(await sycee('verify', backup, '--archive', place)).toMatchObject({ code: 2, out: '' });
  }
  // An archive to which nothing has gone yet.
  mkdirSync(join(empty, 'lost+found'));
  expect(await verify(whole, '--archive', empty)).toMatchObject({
    code: 0,
    sound: true,
    notes: [],
  });
});

test('one head witness that cannot be read is a note, as a start makes it anew, and both are a finding', async () => {
  await using own = new TempDirectory();
  const directory = copyOf(whole, own);
  const [inside, beside] = [join(directory, 'head'), `${directory}.head`];
  cpSync(inside, beside);
  expect(await verify(directory)).toMatchObject({ code: 0, notes: [] });
  const sound = readFileSync(inside);
  const other = join(own.path, 'other');
  await segmentedLedger(other);
  cpSync(`${other}.head`, beside);
  const note = (path: string, what: string): string =>
    `the head witness ${path} ${what} and was passed over; a start makes it anew`;
  const notes = [note(beside, 'is of another cluster')];
  expect(await verify(directory)).toMatchObject({ code: 0, sound: true, notes });
  for (const [path, file] of [
    [inside, beside],
    [beside, inside],
  ] as const) {
    writeFileSync(path, sound);
    writeFileSync(file, 'Dear Sir');
    const found = await verify(directory);
    expect(found).toMatchObject({ code: 0, sound: true, notes: [note(file, 'is damaged')] });
  }
  writeFileSync(beside, 'Dear Sir');
  const both = await verify(directory);
  expect(both).toMatchObject({ code: 3, sound: false, notes: [] });
  expect(both['findings']).toMatchObject([{ check: 'witness' }, { check: 'witness' }]);
  writeFileSync(inside, sound);
  expect(await refusal(directory)).toBeUndefined();
  expect(await verify(directory)).toMatchObject({ code: 0, notes: [] });
});
