/**
 * Which file is named when a segment is gone: the one that is wanted, with the rows that it had and its shard, and none beside it that is whole. The
 * tools, and what opens a directory, say the same.
 */
import { cpSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TempDirectory } from '../support/cluster.ts';
import { readMeta, segments, shardDirectory } from '../support/journal-surgery.ts';
import { archiveSegments, firstsOf, segmentedLedger } from '../support/segmented-ledger.ts';
import { sycee } from '../support/sycee.ts';

const SHARD = 1;

let made: TempDirectory;
let whole: string;

beforeAll(async () => {
  made = new TempDirectory();
  whole = join(made.path, 'whole');
  await segmentedLedger(whole);
});
afterAll(() => made[Symbol.asyncDispose]());

/** Each of them has to read the rows that are gone. */
const VERBS: readonly (readonly string[])[] = [
  ['verify'],
  ['replay', '--from-start'],
  ['snapshot'],
  ['backup'],
  ['init', '--data'],
];

test.each([
  { what: 'all files of a segment', leavesWal: false },
  { what: 'the file of a segment, and not its empty WAL,', leavesWal: true },
])('$what in the middle: it is named, with its rows and its shard', async ({ leavesWal }) => {
  await using own = new TempDirectory();
  const directory = join(own.path, 'ledger');
  cpSync(whole, directory, { recursive: true });
  const name = segments(directory, SHARD)[1]!;
  const [, first, next] = firstsOf(directory, SHARD);
  const path = join(shardDirectory(directory, SHARD), name);
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
  if (leavesWal) writeFileSync(`${path}-wal`, '');
  const frame = leavesWal ? [] : [['inspect', '--frame', `${SHARD}:${first}`]];
  for (const verb of [...VERBS, ...frame]) {
    const places = verb[0] === 'backup' ? [directory, join(own.path, 'backup')] : [directory];
    const ran = await sycee(...verb, ...places);
    const said = `${ran.out}\n${ran.log}`;
    expect({ code: ran.code, said }).toMatchObject({ code: 3 });
    expect(said).toContain(`the rows ${first} to ${next! - 1} are missing`);
    expect(said).toContain(`${name} is not there`);
    expect(said).toMatch(new RegExp(`shard[- ](00)?${SHARD}[/, ]+${name.replace('.', '\\.')}`));
  }
});

test('a replay of what is in segments that are away names them, and the place that archived.json says', async () => {
  await using own = new TempDirectory();
  const directory = join(own.path, 'ledger');
  const archive = join(own.path, 'archive');
  cpSync(whole, directory, { recursive: true });
  archiveSegments(directory, archive, 2);
  renameSync(archive, `${archive}-away`);
  const { clusterId } = readMeta(directory);
  const [, second] = firstsOf(whole, SHARD);
  const [here] = firstsOf(directory, SHARD);
  const last = segments(whole, SHARD)[1]!;
  const wanted =
    `the rows 1 to ${here! - 1} are not here, and have to be read. Wanted: segment-000000000001.sqlite to ${last}, ` +
    `by archived.json in ${join(archive, clusterId, `shard-00${SHARD}`)}.`;
  const only = ['--shard', String(SHARD)];
  for (const asked of [
    ['--from-start'],
    ['--account', '3'],
    ['--to', String(second)],
    ['--to', '2020-01-01'],
    ['--from', '2020-01-01'],
  ]) {
    const ran = await sycee('replay', directory, ...only, ...asked);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.log).toContain(wanted);
    expect(ran.log).toMatch(/^sycee: shard 1\b/);
    expect(ran.log).not.toContain('--help');
  }
  // The first one is at hand again.
  const there = join(archive, clusterId, `shard-00${SHARD}`);
  cpSync(`${archive}-away`, archive, { recursive: true });
  rmSync(join(there, last));
  const { log } = await sycee('replay', directory, ...only, '--from-start');
  expect(log).toContain(`Wanted: ${last}, by archived.json in ${there}.`);
});
