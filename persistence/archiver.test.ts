import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HEAD_WORDS, Head } from '../engine/frame.ts';
import { Prng } from '../lib/prng.ts';
import { archiveAll } from './archive-thread.ts';
import { archiveDirectory, ARCHIVED_NAME } from './archived-segments.ts';
import { archiveShard, type ArchiveStep, pointToArchive } from './archiver.ts';
import { JournalReader } from './journal-reader.ts';
import { type ViewedSegment, viewJournal } from './journal-view.ts';
import { segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';

const FRAME_BYTES = 20_000;
/** Three rows of this suite to a segment. */
const SEGMENT_BYTES = 120_000;
const ROWS = 14;
const IDENTITY = { clusterId: 'a'.repeat(32), shard: 0, shards: 2 };

/** A frame without inputs, filled up. */
function frameOf(sequence: number): Uint8Array {
  const words = new Uint32Array(FRAME_BYTES / 4).fill(sequence, HEAD_WORDS);
  words[Head.inputs] = 0;
  return new Uint8Array(words.buffer);
}

interface Place extends Disposable {
  readonly directory: string;
  readonly archive: string;
  readonly there: string;
  names(): readonly string[];
}

/** A stopped journal of several segments, and a place for its archive. */
function place(): Place {
  const root = mkdtempSync(join(tmpdir(), 'sycee-archive-'));
  const directory = mkdtempSync(join(root, 'shard-'));
  const archive = join(root, 'archive');
  const options = { ...IDENTITY, directory, segmentBytesMax: SEGMENT_BYTES };
  using journal = SqliteJournal.open(options);
  for (let sequence = 1; sequence <= ROWS; sequence++) {
    journal.append({ sequence, timestamp: BigInt(sequence), frame: frameOf(sequence) });
  }
  return {
    directory,
    archive,
    there: join(archive, IDENTITY.clusterId, 'shard-000'),
    names: () => readdirSync(directory).filter((name) => /^segment-.*\.sqlite$/.test(name)),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Every row, by both ways of reading. */
function readAll(directory: string): void {
  using journal = JournalReader.open({ ...IDENTITY, directory });
  journal.checkSegments();
  expect([...journal.rows(1)].map(({ frame }) => frame[frame.length - 4])).toEqual(
    Array.from({ length: ROWS }, (_, i) => i + 1),
  );
  for (let sequence = 1; sequence <= ROWS; sequence++) {
    expect(Buffer.compare(journal.read(sequence), frameOf(sequence))).toBe(0);
  }
}

describe('the archive', () => {
  test('takes the segments behind a row in order, and every row is still read', () => {
    using at = place();
    const before = at.names();
    const moved = archiveShard({ ...IDENTITY, ...at, behind: 9 });
    expect(moved.segments).toBeGreaterThan(1);
    expect(at.names()).toEqual(before.slice(moved.segments));
    expect(readdirSync(at.there)).toEqual(before.slice(0, moved.segments));
    readAll(at.directory);
    expect(archiveShard({ ...IDENTITY, ...at, behind: 9 })).toEqual({ segments: 0, bytes: 0 });
    using journal = SqliteJournal.open({ ...IDENTITY, directory: at.directory });
    expect(Buffer.compare(journal.read(1), frameOf(1))).toBe(0);
    expect([...journal.rows(1)]).toHaveLength(ROWS);
  });

  test('can be read where nothing can be written, and leaves nothing beside its files', () => {
    using at = place();
    archiveShard({ ...IDENTITY, ...at, behind: ROWS });
    chmodSync(at.there, 0o500);
    readAll(at.directory);
    expect(readdirSync(at.there).every((name) => name.endsWith('.sqlite'))).toBe(true);
    chmodSync(at.there, 0o700);
  });

  test('that is away refuses what it has by the name of the segment, and has it again when it is back', () => {
    using at = place();
    archiveShard({ ...IDENTITY, ...at, behind: 9 });
    renameSync(at.archive, `${at.archive}-away`);
    using journal = JournalReader.open({ ...IDENTITY, directory: at.directory });
    journal.checkSegments();
    expect(() => journal.read(1)).toThrow(
      expect.objectContaining({
        code: 'SEGMENT_ARCHIVED',
        segment: 1,
        message: expect.stringContaining(`${IDENTITY.clusterId}/shard-000/${segmentName(1)}`),
      }),
    );
    expect(Buffer.compare(journal.read(ROWS), frameOf(ROWS))).toBe(0);
    pointToArchive(at.directory, IDENTITY, `${at.archive}-away`);
    readAll(at.directory);
    renameSync(`${at.archive}-away`, at.archive);
    pointToArchive(at.directory, IDENTITY, at.archive);
    expect(Buffer.compare(journal.read(2), frameOf(2))).toBe(0);
  });

  test('leaves no damage when a reader has made an empty WAL of a segment that was dropped', () => {
    using at = place();
    archiveShard({ ...IDENTITY, ...at, behind: 9 });
    writeFileSync(join(at.directory, `${segmentName(1)}-wal`), '');
    readAll(at.directory);
    writeFileSync(join(at.directory, `${segmentName(1)}-wal`), 'rows');
    expect(() => JournalReader.open({ ...IDENTITY, directory: at.directory })).toThrow(
      'segment-000000000001.sqlite is not there, though a -wal of it is',
    );
  });

  test('is not taken for there when only its mount point is', () => {
    using at = place();
    archiveShard({ ...IDENTITY, ...at, behind: 5 });
    renameSync(at.archive, `${at.archive}-away`);
    expect(() => archiveShard({ ...IDENTITY, ...at, behind: 12 })).toThrow('is not there');
  });

  test('never overwrites a segment of the same name with other contents', () => {
    using at = place();
    archiveShard({ ...IDENTITY, ...at, behind: 5 });
    const second = at.names()[0]!;
    writeFileSync(join(at.there, second), 'something else');
    expect(() => archiveShard({ ...IDENTITY, ...at, behind: 12 })).toThrow('another archive');
    expect(readFileSync(join(at.there, second), 'utf8')).toBe('something else');
    expect(at.names()[0]).toBe(second);
  });

  test('does not hide that a segment is missing, or that its list was altered', () => {
    using at = place();
    archiveShard({ ...IDENTITY, ...at, behind: 5 });
    const [next] = at.names();
    renameSync(join(at.directory, next!), join(at.directory, 'elsewhere'));
    using journal = JournalReader.open({ ...IDENTITY, directory: at.directory });
    expect(() => journal.checkSegments()).toThrow(
      /shard-000\/segment-0+(\d+)\.sqlite, sequence \1: the rows \1 to \d+ are missing: no file has them/,
    );
    renameSync(join(at.directory, 'elsewhere'), join(at.directory, next!));
    const list = join(at.directory, ARCHIVED_NAME);
    writeFileSync(list, readFileSync(list, 'utf8').replace('"last": ', '"last": 1'));
    expect(() => JournalReader.open({ ...IDENTITY, directory: at.directory })).toThrow(
      'does not match its checksum',
    );
  });

  test('has what was moved after a directory was looked at, wherever it is', () => {
    using at = place();
    const scratch = join(at.archive, '..', 'scratch');
    const view = viewJournal(at.directory, scratch);
    archiveShard({ ...IDENTITY, ...at, behind: 9 });
    const read = (one: readonly ViewedSegment[]): number => {
      using journal = JournalReader.open({ ...IDENTITY, directory: at.directory, view: one });
      return [...journal.rows(1)].length;
    };
    expect(read(view)).toBe(ROWS);
    const away = `${at.archive}-away`;
    renameSync(at.archive, away);
    expect(() => read(view)).toThrow(
      expect.objectContaining({
        code: 'SEGMENT_ARCHIVED',
        message: expect.stringContaining(`${IDENTITY.clusterId}/shard-000/${segmentName(1)}`),
      }),
    );
    const movesTo = (first: number): string =>
      join(archiveDirectory(away, IDENTITY), segmentName(first));
    expect(read(view.map((one) => ({ ...one, movesTo: movesTo(one.first) })))).toBe(ROWS);
    rmSync(join(at.directory, ARCHIVED_NAME));
    expect(() => read(view)).toThrow(`${segmentName(1)}, sequence 1: the segment was there a`);
  });

  test('may take segments between their listing and the look at them', () => {
    using at = place();
    const scratch = join(at.archive, '..', 'scratch');
    let listings = 0;
    const view = viewJournal(at.directory, scratch, () => {
      if (++listings === 1) archiveShard({ ...IDENTITY, ...at, behind: 9 });
    });
    expect(listings).toBe(2);
    expect(view.map(({ first }) => segmentName(first))).toEqual(at.names());
    symlinkSync('nowhere', join(at.directory, segmentName(1)));
    expect(() => viewJournal(at.directory, scratch)).toThrow(
      expect.objectContaining({ code: 'JOURNAL_CORRUPT', damage: expect.anything() }),
    );
  });

  test('waits until two snapshots are behind a segment', () => {
    using at = place();
    const options = { ...IDENTITY, directories: [at.directory], archive: at.archive };
    const run = (): number => archiveAll({ ...options, shards: 2 }, () => false).segments;
    const snapshot = (sequence: number): void => {
      const stem = join(at.directory, `snapshot-${String(sequence).padStart(12, '0')}`);
      writeFileSync(`${stem}.image`, '');
      writeFileSync(`${stem}.json`, '');
    };
    expect(run()).toBe(0);
    snapshot(12);
    expect(run()).toBe(0);
    snapshot(14);
    expect(run()).toBeGreaterThan(2);
    expect(Number(at.names()[0]!.slice(8, 20))).toBeLessThanOrEqual(13);
    readAll(at.directory);
  });
});

const CHILD = `
  const { archiveShard } = await import(process.argv[1]);
  const { options, step, times } = JSON.parse(process.argv[2]);
  let seen = 0;
  const onStep = (name) => {
    if (name === step && ++seen === times) process.kill(process.pid, 'SIGKILL');
  };
  archiveShard({ ...options, onStep });
`;

/** Runs the mover in a process that kills itself behind a step. */
function killAt(options: object, step: ArchiveStep, times: number): NodeJS.Signals | null {
  const path = new URL('./archiver.ts', import.meta.url).href;
  const given = JSON.stringify({ options, step, times });
  const args = ['--input-type=module', '-e', CHILD, path, given];
  return spawnSync(process.execPath, args, { stdio: 'inherit' }).signal;
}

test.each(['copied', 'listed', 'dropped'] as const)(
  'a kill behind the step "%s" leaves every row readable, and the next run ends the work',
  (step) => {
    using at = place();
    const { directory, archive } = at;
    expect(killAt({ ...IDENTITY, directory, archive, behind: 12 }, step, 2)).toBe('SIGKILL');
    readAll(directory);
    const rest = archiveShard({ ...IDENTITY, directory, archive, behind: 12 });
    expect(rest.segments).toBeGreaterThan(0);
    expect(existsSync(join(directory, segmentName(1)))).toBe(false);
    readAll(directory);
  },
);

test('kills at any moment leave every row readable', () => {
  using at = place();
  const { directory, archive } = at;
  const path = new URL('./archiver.ts', import.meta.url).href;
  const prng = new Prng(5);
  for (let i = 0; i < 4; i++) {
    const options = { ...IDENTITY, directory, archive, behind: 12 };
    const given = JSON.stringify({ options, step: 'none', times: 0 });
    const args = ['--input-type=module', '-e', CHILD, path, given];
    const timeout = prng.between(60, 300);
    spawnSync(process.execPath, args, { timeout, killSignal: 'SIGKILL', stdio: 'ignore' });
    readAll(directory);
  }
  archiveShard({ ...IDENTITY, directory, archive, behind: 12 });
  expect(existsSync(join(directory, segmentName(1)))).toBe(false);
  readAll(directory);
});
