/** What inspect says of a ledger of which not all can be read: segments that are away, and damage. Neither is passed over in silence. */
import { cpSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assert } from '../../engine/assert.ts';
import { TempDirectory } from '../support/cluster.ts';
import { alterSegment, readMeta, segments, shardDirectory } from '../support/journal-surgery.ts';
import { archiveSegments, firstsOf, segmentedLedger } from '../support/segmented-ledger.ts';
import { type Json, sycee, syceeJson } from '../support/sycee.ts';

/** Of the first group of transfers, so it is in the first segments. */
const ID = '1000';
const UNKNOWN_ID = '999999';

let made: TempDirectory;
let whole: string;
/** Of each shard the first two segments are in `archive`. */
let parted: string;
let archive: string;
/** What there is of the id. */
let all: readonly Json[];

beforeAll(async () => {
  made = new TempDirectory();
  whole = join(made.path, 'whole');
  parted = join(made.path, 'parted');
  archive = join(made.path, 'archive');
  await segmentedLedger(whole);
  cpSync(whole, parted, { recursive: true });
  archiveSegments(parted, archive, 2);
  all = (await transfer(whole, ID))['appearances'] as readonly Json[];
  const { shard, sequence } = all[0]!;
  assert(sequence < firstsOf(parted, shard as number)[0]!, 'the transfer is archived');
});
afterAll(() => made[Symbol.asyncDispose]());

const transfer = (directory: string, id: string, ...args: readonly string[]): Promise<Json> =>
  syceeJson('inspect', directory, '--transfer', id, ...args);

/** With the archive where nobody looks for it. */
async function withArchiveAway<T>(look: (away: string) => Promise<T>): Promise<T> {
  const away = `${archive}-away`;
  renameSync(archive, away);
  try {
    return await look(away);
  } finally {
    renameSync(away, archive);
  }
}

test('a transfer in an archived segment is found where archived.json says, and where --archive does', async () => {
  expect(await transfer(parted, ID)).toMatchObject({ code: 0, log: '', appearances: all });
  await withArchiveAway(async (away) => {
    const found = await transfer(parted, ID, '--archive', away);
    expect(found).toMatchObject({ code: 0, log: '', appearances: all, not_read: [] });
  });
});

test('where segments are away nobody says that no journal names a transfer, but which rows were not looked at', async () => {
  const unknown = await sycee('inspect', parted, '--transfer', UNKNOWN_ID);
  expect(unknown).toMatchObject({ code: 1, out: '' });
  expect(unknown.log).toContain('No journal of');
  const { clusterId } = readMeta(parted);
  await withArchiveAway(async () => {
    const shown = await sycee('inspect', parted, '--transfer', ID);
    expect(shown).toMatchObject({ code: 1, out: '' });
    expect(shown.log).not.toContain('No journal of');
    const found = await transfer(parted, ID);
    expect(found).toMatchObject({ code: 1, appearances: [], damages: [] });
    for (const shard of [0, 1]) {
      const last = firstsOf(parted, shard)[0]! - 1;
      const directory = join(archive, clusterId, `shard-00${shard}`);
      const text = `Not looked at: shard ${shard}, sequences 1 to ${last}, in 2 archived segments, not in ${directory} now`;
      expect(shown.log).toContain(text);
      expect(found['log']).toContain(text);
      expect(found['not_read'][shard]).toEqual({ shard, first: 1, last, segments: 2, directory });
    }
  });
});

test('an archive that lacks a segment is read before it and behind it', async () => {
  await using own = new TempDirectory();
  const partial = join(own.path, 'partial');
  cpSync(archive, partial, { recursive: true });
  const { clusterId } = readMeta(parted);
  const { shard, sequence } = all[0]! as { readonly shard: number; readonly sequence: number };
  const there = join(partial, clusterId, `shard-00${shard}`);
  const [first, second] = readdirSync(there).toSorted();
  const from = Number(/\d+/.exec(second!)![0]);
  const last = firstsOf(parted, shard)[0]! - 1;
  await withArchiveAway(async () => {
    rmSync(join(there, second!));
    const after = await transfer(parted, ID, '--archive', partial);
    expect(after).toMatchObject({ code: 1, not_read: [{ shard, first: from, last, segments: 1 }] });
    expect(after['appearances']).toEqual(all.filter((one) => !isIn(one, shard, from, last)));
    cpSync(join(`${archive}-away`, clusterId, `shard-00${shard}`, second!), join(there, second!));
    rmSync(join(there, first!));
    const before = await transfer(parted, ID, '--archive', partial);
    expect(before).toMatchObject({ code: 1, not_read: [{ shard, first: 1, last: from - 1 }] });
    expect(before['appearances']).toEqual(all.filter((one) => !isIn(one, shard, 1, from - 1)));
  });
  expect(sequence).toBeLessThan(from);
});

// oxlint-disable-next-line max-params -- A row, and the range that it may be in.
function isIn(row: Json, shard: number, first: number, last: number): boolean {
  return row['shard'] === shard && row['sequence'] >= first && row['sequence'] <= last;
}

interface Damage {
  readonly what: string;
  readonly harm: (directory: string) => void;
  readonly rule: string;
  /** A group of which nobody can tell whether it is there. */
  readonly isFrameLost: boolean;
}

const pathOf = (directory: string, at: number): string =>
  join(shardDirectory(directory, 0), segments(directory, 0)[at]!);

const DAMAGES: readonly Damage[] = [
  {
    what: 'a segment is gone, and its empty WAL is there',
    harm: (directory) => {
      const path = pathOf(directory, 1);
      rmSync(path);
      writeFileSync(`${path}-wal`, '');
    },
    rule: 'is not there, though a -wal of it is',
    isFrameLost: true,
  },
  {
    what: 'the WAL of the last segment is without it',
    harm: (directory) => {
      const path = pathOf(directory, segments(directory, 0).length - 1);
      rmSync(path);
      writeFileSync(`${path}-wal`, '');
    },
    rule: 'is not there, though a -wal of it is',
    isFrameLost: true,
  },
  {
    what: 'the first segment is gone, and nothing was archived',
    harm: (directory) => rmSync(pathOf(directory, 0)),
    rule: 'are missing: no file has them',
    isFrameLost: false,
  },
  {
    what: 'a segment is gone in the middle',
    harm: (directory) => rmSync(pathOf(directory, 1)),
    rule: 'missing',
    isFrameLost: false,
  },
  {
    what: 'a segment is no database',
    harm: (directory) => writeFileSync(pathOf(directory, 1), 'Dear Sir'),
    rule: '',
    isFrameLost: false,
  },
];

test.each(DAMAGES)(
  'inspect says the damage of a shard, and shows what is there: $what',
  async ({ harm, rule, isFrameLost }) => {
    await using own = new TempDirectory();
    const directory = join(own.path, 'ledger');
    cpSync(whole, directory, { recursive: true });
    harm(directory);
    const names = segments(directory, 0).filter((name) => name.endsWith('.sqlite'));
    const shown = await sycee('inspect', directory);
    expect(shown.code).toBe(3);
    for (const name of [...names, ...segments(directory, 1)]) expect(shown.out).toContain(name);
    expect(shown.log).toMatch(/^sycee: shard 0, segment-\d+\.sqlite/);
    expect(shown.log).toContain(rule);
    const overview = await syceeJson('inspect', directory);
    expect(overview['code']).toBe(3);
    expect(overview['damages']).toMatchObject([{ shard: 0 }]);
    expect(overview['damages'][0]['rule']).toContain(rule);
    const listed = (overview['segments'] as readonly Json[]).filter(({ shard }) => shard === 0);
    expect(listed.map(({ file }) => file as string)).toEqual(names);

    const found = await transfer(directory, ID);
    expect(found).toMatchObject({ code: 3, damages: [{ shard: 0 }] });
    const ofOthers = (rows: readonly Json[]): readonly Json[] =>
      rows.filter(({ shard }) => shard !== 0);
    expect(ofOthers(found['appearances'])).toEqual(ofOthers(all));
    const unknown = await sycee('inspect', directory, '--transfer', UNKNOWN_ID);
    expect(unknown).toMatchObject({ code: 3, out: '' });
    expect(unknown.log).not.toContain('No journal of');
    expect(unknown.log).toContain(rule);

    if (!isFrameLost) return;
    for (const place of ['0:1', '0:999999']) {
      const frame = await sycee('inspect', directory, '--frame', place);
      expect(frame).toMatchObject({ code: 3, out: '' });
      expect(frame.log).toContain(rule);
    }
    const row = await sycee('inspect', directory, '--transfer', '0:1:0');
    expect(row).toMatchObject({ code: 3, out: '' });
  },
);

test('a row that was altered ends what is read of its shard, and not of others', async () => {
  await using own = new TempDirectory();
  const directory = join(own.path, 'ledger');
  cpSync(whole, directory, { recursive: true });
  alterSegment(pathOf(directory, 1), (one) =>
    one.exec('UPDATE journal_row SET timestamp = timestamp + 2'),
  );
  const found = await transfer(directory, ID);
  const sequence = firstsOf(directory, 0)[1]!;
  const rule = 'the row does not match its checksum';
  expect(found).toMatchObject({ code: 3, damages: [{ shard: 0, sequence, rule }] });
  const isRead = ({ shard, sequence: at }: Json): boolean => shard !== 0 || at < sequence;
  expect(found['appearances']).toEqual(all.filter(isRead));
});
