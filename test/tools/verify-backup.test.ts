/**
 * What verify says of a backup: it is what a restore needs, or it is not sound. And of what a directory may be taken for that is neither a data directory
 * nor a backup any more.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBackup } from '../../backup/backup.ts';
import { type BackupManifest, readManifest, writeManifest } from '../../backup/manifest.ts';
import { restoreBackup } from '../../backup/restore.ts';
import { open } from '../../client/in-process-client.ts';
import { listSnapshots } from '../../persistence/snapshot-manifest.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { TempDirectory } from '../support/cluster.ts';
import { untouchedContentOf } from '../support/directory-content.ts';
import { alterSegment, readMeta, segments, shardDirectory } from '../support/journal-surgery.ts';
import { archiveSegments, segmentedLedger } from '../support/segmented-ledger.ts';
import { type Json, sycee, syceeJson } from '../support/sycee.ts';

let made: TempDirectory;
let ledger: string;
/** Of the whole ledger; and of one whose first segments are in `archive`. */
let whole: string;
let parted: string;
let archive: string;

beforeAll(async () => {
  made = new TempDirectory();
  ledger = join(made.path, 'ledger');
  whole = join(made.path, 'backup');
  parted = join(made.path, 'parted');
  archive = join(made.path, 'archive');
  await segmentedLedger(ledger);
  makeBackup({ directory: ledger, target: whole });
  const other = join(made.path, 'other');
  cpSync(ledger, other, { recursive: true });
  archiveSegments(other, archive, 2);
  makeBackup({ directory: other, target: parted });
});
afterAll(() => made[Symbol.asyncDispose]());

const verify = (...args: readonly string[]): Promise<Json> => syceeJson('verify', ...args);

function copyOf(directory: string, own: TempDirectory): string {
  const copy = join(own.path, 'copy');
  cpSync(directory, copy, { recursive: true });
  return copy;
}

/** Whether a restore refuses it. */
function isRefused(backup: string, own: TempDirectory): boolean {
  try {
    restoreBackup({ backup, directory: join(own.path, 'restored') });
    return false;
  } catch {
    return true;
  }
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 4;
  writeFileSync(path, bytes);
}

const segmentAt = (backup: string, shard: number, at: number): string =>
  join(shardDirectory(backup, shard), segments(backup, shard).at(at)!);

const newestImage = (backup: string): string => listSnapshots(shardDirectory(backup, 0))[0]!.image;

function alterManifest(backup: string, change: (manifest: BackupManifest) => BackupManifest): void {
  writeManifest(backup, change(readManifest(backup)!));
}

test('a backup is executed as its manifest says, and is sound; nothing in it is changed', async () => {
  const before = untouchedContentOf(made.path);
  const ofLedger = await verify(ledger);
  const found = await verify(whole);
  expect(found).toMatchObject({ code: 0, sound: true, kind: 'backup', live: false, log: '' });
  expect(found['notes'][0]).toContain('a backup of cluster');
  const digests = (document: Json): readonly unknown[] =>
    (document['shards'] as readonly Json[]).map(({ digest }) => digest as unknown);
  expect(digests(found)).toEqual(digests(ofLedger));
  expect(found['snapshots']).toHaveLength(4);
  expect(found['ledgers']).toEqual(ofLedger['ledgers']);
  expect((await sycee('verify', whole)).out).toContain(`${whole} is sound`);
  expect(untouchedContentOf(made.path)).toEqual(before);
});

test('a backup of a ledger with an archive is sound with the archive, and without it from a snapshot on', async () => {
  const partly = await verify(parted);
  expect(partly).toMatchObject({ code: 0, sound: true, kind: 'backup' });
  renameSync(archive, `${archive}-away`);
  try {
    expect(await verify(parted, '--archive', `${archive}-away`)).toMatchObject({ code: 0 });
    const away = await verify(parted);
    expect(away).toMatchObject({ code: 0, sound: true });
    expect(away['notes'][1]).toContain('--archive DIR checks all of it');
  } finally {
    renameSync(`${archive}-away`, archive);
  }
});

test('what a later run that was cut off has left in a backup is passed over', async () => {
  await using own = new TempDirectory();
  const [directory, backup] = [join(own.path, 'directory'), join(own.path, 'backup')];
  await using client = await open({ directory, shards: 2 });
  const ids = [1n, 2n, 3n, 4n];
  await client.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 1 })));
  const transfer = { amount: 1n, ledger: 1, code: 1 };
  const send = async (id: bigint): Promise<unknown> =>
    await client.createTransfers(
      ids.map((one) => ({
        ...transfer,
        id: id + one,
        debitAccountId: one,
        creditAccountId: (one % 4n) + 1n,
      })),
    );
  await send(10n);
  makeBackup({ directory, target: backup });
  for (const id of [20n, 30n, 40n]) await send(id);
  const stop = (step: string): void => {
    if (step === 'manifest') throw new Error('cut off');
  };
  const { sequence } = readManifest(backup)!.shards[0]!;
  const earlier = readFileSync(join(backup, 'backup.json'));
  expect(() => makeBackup({ directory, target: backup, onStep: stop })).toThrow('cut off');
  const later = readManifest(backup)!.shards[0]!;
  expect(later.sequence).toBeGreaterThan(sequence);
  expect(later.segments, 'the rows are in the same segment').toHaveLength(1);
  // As if it had been cut off a moment earlier, with all files in their places.
  writeFileSync(join(backup, 'backup.json'), earlier);
  const found = await verify(backup);
  expect(found).toMatchObject({ code: 0, sound: true });
  expect(found['shards'][0]).toMatchObject({ sequence });
  expect(isRefused(backup, own)).toBe(false);
});

interface Damage {
  readonly what: string;
  readonly harm: (backup: string) => void;
  readonly finding: Json;
  readonly from?: () => string;
  /** A restore can do without it, and says so. */
  readonly isNeedless?: boolean;
}

const DAMAGES: readonly Damage[] = [
  {
    what: 'the last segment of a shard is gone',
    harm: (backup) => rmSync(segmentAt(backup, 0, -1)),
    finding: { check: 'journal', shard: 0, rule: 'backup.json names it, and it is not there' },
  },
  {
    what: 'the first segment is gone',
    harm: (backup) => rmSync(segmentAt(backup, 0, 0)),
    finding: { check: 'journal', shard: 0, sequence: 1, file: 'segment-000000000001.sqlite' },
  },
  {
    what: 'a segment in the middle is gone',
    harm: (backup) => rmSync(segmentAt(backup, 1, 1)),
    finding: { check: 'journal', shard: 1 },
  },
  {
    what: 'a shard is gone',
    harm: (backup) => rmSync(shardDirectory(backup, 1), { recursive: true }),
    finding: { check: 'backup', shard: 1, file: expect.stringContaining('snapshot-') },
  },
  {
    what: 'a shard is emptied',
    harm: (backup) => {
      rmSync(shardDirectory(backup, 1), { recursive: true });
      mkdirSync(shardDirectory(backup, 1));
    },
    finding: { check: 'backup', shard: 1, file: expect.stringContaining('snapshot-') },
  },
  {
    what: 'two shards are exchanged',
    harm: (backup) => {
      const [one, other] = [shardDirectory(backup, 0), shardDirectory(backup, 1)];
      renameSync(one, `${one}-away`);
      renameSync(other, one);
      renameSync(`${one}-away`, other);
    },
    finding: { check: 'backup', shard: 0 },
  },
  {
    what: 'a segment of another shard lies in the place of one',
    harm: (backup) => cpSync(segmentAt(backup, 1, 0), segmentAt(backup, 0, 0)),
    finding: {
      check: 'journal',
      shard: 0,
      rule: 'the segment belongs to shard 1 of 2, not to 0 of 2',
    },
  },
  {
    what: 'a bit of its manifest is flipped',
    harm: (backup) => flip(join(backup, 'backup.json'), 300),
    finding: { check: 'backup', shard: null },
  },
  {
    what: 'its manifest is empty',
    harm: (backup) => writeFileSync(join(backup, 'backup.json'), ''),
    finding: { check: 'backup', rule: expect.stringContaining('backup.json') },
  },
  {
    what: 'a bit of an image is flipped',
    isNeedless: true,
    harm: (backup) => flip(newestImage(backup), 3000),
    finding: { check: 'backup', shard: 0, rule: expect.stringContaining('checksum') },
  },
  {
    what: 'an image is gone',
    isNeedless: true,
    harm: (backup) => rmSync(newestImage(backup)),
    finding: { check: 'backup', shard: 0, file: expect.stringMatching(/image$/) },
  },
  {
    what: 'an image is shorter',
    isNeedless: true,
    harm: (backup) => writeFileSync(newestImage(backup), 'x'),
    finding: { check: 'backup', rule: expect.stringContaining('it has 1 bytes') },
  },
  {
    what: 'a bit of a row is flipped',
    harm: (backup) =>
      alterSegment(segmentAt(backup, 0, 0), (one) =>
        one.exec('UPDATE journal_row SET timestamp = timestamp + 2 WHERE sequence = 3'),
      ),
    finding: { check: 'journal', shard: 0, sequence: 3, file: 'segment-000000000001.sqlite' },
  },
  {
    what: 'its last row is gone',
    harm: (backup) =>
      alterSegment(segmentAt(backup, 0, -1), (one) =>
        one.exec(
          'DELETE FROM journal_row WHERE sequence = (SELECT max(sequence) FROM journal_row)',
        ),
      ),
    finding: { check: 'journal', shard: 0, rule: expect.stringContaining('the row is missing') },
  },
  {
    what: 'its manifest tells of another last row',
    harm: (backup) =>
      alterManifest(backup, ({ shards: [one, ...others], ...rest }) => ({
        ...rest,
        shards: [{ ...one!, checksum: one!.checksum ^ 1 }, ...others],
      })),
    finding: { check: 'journal', shard: 0, rule: 'it is another row than backup.json says' },
  },
  {
    what: 'its manifest tells of another last row of a segment',
    harm: (backup) =>
      alterManifest(backup, ({ shards: [one, ...others], ...rest }) => {
        const [first, ...more] = one!.segments;
        const segment = { ...first!, lastChecksum: first!.lastChecksum ^ 1 };
        return { ...rest, shards: [{ ...one!, segments: [segment, ...more] }, ...others] };
      }),
    finding: { check: 'journal', shard: 0, file: 'segment-000000000001.sqlite' },
  },
  {
    what: 'its manifest tells of other links',
    harm: (backup) =>
      alterManifest(backup, ({ shards: [one, ...others], ...rest }) => {
        const links = { ...one!.links, received: [0, one!.links.received[1]! + 1] };
        return { ...rest, shards: [{ ...one!, links }, ...others] };
      }),
    finding: { check: 'journal', shard: 0, rule: expect.stringContaining('of the links') },
  },
  {
    what: 'its archived.json is gone',
    isNeedless: true,
    from: () => parted,
    harm: (backup) => rmSync(join(shardDirectory(backup, 0), 'archived.json')),
    finding: { check: 'backup', shard: 0, file: 'archived.json' },
  },
  {
    what: 'the first segment that was not archived is gone',
    from: () => parted,
    harm: (backup) => rmSync(segmentAt(backup, 0, 0)),
    finding: { check: 'journal', shard: 0, rule: 'backup.json names it, and it is not there' },
  },
];

test.each(DAMAGES)(
  'a backup that is not what its manifest says is not sound: $what',
  async ({ harm, finding, from = () => whole, isNeedless = false }) => {
    await using own = new TempDirectory();
    const backup = copyOf(from(), own);
    harm(backup);
    const found = await verify(backup);
    expect(found).toMatchObject({ code: 3, sound: false, kind: 'backup' });
    expect(found['findings'][0]).toMatchObject(finding);
    expect(isRefused(backup, own)).toBe(!isNeedless);
  },
);

test('a shard without rows has its directory', async () => {
  await using own = new TempDirectory();
  const backup = copyOf(whole, own);
  const none = { sequence: 0, timestamp: '0', segments: [], files: [] };
  alterManifest(backup, ({ shards: [one, other], ...rest }) => {
    return { ...rest, shards: [one!, { ...other!, ...none }] };
  });
  rmSync(shardDirectory(backup, 1), { recursive: true });
  expect((await verify(backup))['findings']).toMatchObject([
    { shard: 1, file: 'shard-001', rule: 'the directory of this shard is missing' },
  ]);
  expect(isRefused(backup, own)).toBe(true);
});

test('damage that is known without the archive is said while that is away', async () => {
  await using own = new TempDirectory();
  const backup = copyOf(parted, own);
  for (const { image } of listSnapshots(shardDirectory(backup, 0))) flip(image, 3000);
  renameSync(archive, `${archive}-away`);
  const found = await verify(backup);
  renameSync(`${archive}-away`, archive);
  expect(found).toMatchObject({ code: 3, sound: false });
  expect(found['findings']).toMatchObject([
    { check: 'backup', shard: 0 },
    { check: 'backup', shard: 0 },
  ]);
});

test('a backup without its manifest, and a data directory without sycee.json and head, are no archives', async () => {
  await using own = new TempDirectory();
  const backup = copyOf(whole, own);
  rmSync(join(backup, 'backup.json'));
  const directory = join(own.path, 'directory');
  cpSync(ledger, directory, { recursive: true });
  for (const name of ['sycee.json', 'head']) rmSync(join(directory, name));
  // Under the name that a cluster has in an archive, too.
  const named = join(own.path, readMeta(ledger).clusterId);
  cpSync(backup, named, { recursive: true });
  // Segments alone are not enough for an archive.
  const bare = join(own.path, 'bare');
  const isSnapshot = (path: string): boolean => basename(path).startsWith('snapshot-');
  cpSync(backup, bare, { recursive: true, filter: (path) => !isSnapshot(path) });
  for (const path of [backup, directory, named, bare, shardDirectory(backup, 0)]) {
    const found = await verify(path);
    expect(found).toMatchObject({ code: 3, sound: false });
    expect(found['findings']).toMatchObject([{ check: 'directory' }]);
    expect(found['findings'][0]['rule']).toContain('one of them is lost');
    const shown = await sycee('verify', path);
    expect(shown).toMatchObject({ code: 3, out: '' });
    expect(shown.log).toContain('is not sound');
  }
  await expect(Supervisor.start({ directory })).rejects.toThrow('sycee.json');
});

test('half of a restore is not sound', async () => {
  await using own = new TempDirectory();
  const directory = join(own.path, 'half');
  const stop = (step: string): void => {
    if (step === 'file') throw new Error('cut off');
  };
  expect(() => restoreBackup({ backup: whole, directory, onStep: stop })).toThrow('cut off');
  expect(existsSync(join(directory, 'restoring.json'))).toBe(true);
  const shown = await sycee('verify', directory);
  expect(shown).toMatchObject({ code: 3, out: '' });
  expect(shown.log).toContain('what a restore that was cut off has left');
});

test('an archive is verified by its places: rows of another shard or cluster are found', async () => {
  await using own = new TempDirectory();
  const copy = copyOf(archive, own);
  const cluster = join(copy, readMeta(ledger).clusterId);
  expect(await verify(copy)).toMatchObject({ code: 0, sound: true, kind: 'archive' });
  expect(await verify(cluster)).toMatchObject({ code: 0, kind: 'archive' });
  expect(await verify(shardDirectory(cluster, 1))).toMatchObject({ code: 0, kind: 'archive' });
  const [first] = readdirSync(shardDirectory(cluster, 1));
  cpSync(join(shardDirectory(cluster, 0), first!), join(shardDirectory(cluster, 1), first!));
  const exchanged = await verify(copy);
  expect(exchanged).toMatchObject({ code: 3, kind: 'archive' });
  expect(exchanged['findings']).toMatchObject([
    { check: 'journal', shard: 1, rule: 'the segment belongs to shard 0 of 2, not to 1 of 2' },
  ]);
  const other = join(copy, '0'.repeat(32));
  renameSync(cluster, other);
  expect((await verify(shardDirectory(other, 0)))['findings'][0]['rule']).toContain(
    'belongs to cluster',
  );
});
