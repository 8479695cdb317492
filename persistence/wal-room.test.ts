import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import {
  fill,
  type Place,
  place,
  sequences,
  upTo,
  walBytes,
} from '../test/support/journal-place.ts';
import { JournalReader } from './journal-reader.ts';
import { viewJournal } from './journal-view.ts';
import { SegmentSealer } from './segment-sealer.ts';
import { segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { WalPages } from './wal-pages.ts';
import { preflightWal } from './wal-preflight.ts';
import {
  GROW_BYTES,
  growWal,
  isKeptHeader,
  KEPT_WAL_NAME,
  keepWal,
  takeKeptWal,
  WalFill,
} from './wal-room.ts';

const inodeOf = (path: string): number => statSync(path).ino;

/** A kill: segments and their WALs as they are, without what was in shared memory. */
function crashed(at: Place): Place {
  const copy = place();
  for (const name of readdirSync(at.options.directory)) {
    if (!/^segment-\d+\.sqlite(-wal)?$/.test(name)) continue;
    copyFileSync(join(at.options.directory, name), join(copy.options.directory, name));
  }
  return copy;
}

/** Whether only the live segment has something in its WAL. */
const sealedWals = (at: Place): boolean =>
  at.firsts().every((first, i, all) => i === all.length - 1 || walBytes(at.path(first)) === 0);

function expectRows(at: Place, last: number): void {
  using journal = SqliteJournal.open(at.options);
  expect(sequences(journal)).toEqual(upTo(last));
}

describe('the WAL of a sealed segment', () => {
  test('becomes that of a later one, whose rows are found after a kill at any of them', async () => {
    using at = place();
    const problems: string[] = [];
    const sealer = new SegmentSealer((problem) => problems.push(problem));
    using journal = SqliteJournal.open({ ...at.options, sealer: sealer.connect() });
    const kept = join(at.options.directory, KEPT_WAL_NAME);
    const inodes = new Map<number, number>();
    for (let last = 1; last <= 18; last++) {
      fill(journal, last);
      const first = at.firsts().at(-1)!;
      inodes.set(first, inodeOf(`${at.path(first)}-wal`));
      // What is full is sealed, and its WAL kept, before the next segment begins.
      const isToBeKept = first > 1 && first < last;
      await expect
        .poll(() => sealedWals(at) && (!isToBeKept || existsSync(kept)), { timeout: 10_000 })
        .toBe(true);
      using copy = crashed(at);
      expectRows(copy, last);
    }
    // One for the live segment, one for the full one.
    expect(inodes.size).toBeGreaterThan(5);
    expect(new Set(inodes.values()).size).toBeLessThanOrEqual(3);
    journal.close();
    await sealer.stop();
    expect(problems).toEqual([]);
    // A start takes what the life before has kept.
    using next = SqliteJournal.open(at.options);
    fill(next, 19);
    expect(existsSync(kept)).toBe(false);
    next.close();
    expectRows(at, 19);
  });

  test('is kept once, says that nothing is in it, and is not taken when it does not', () => {
    using at = place();
    const { directory } = at.options;
    const kept = join(directory, KEPT_WAL_NAME);
    const spent = join(directory, 'segment-000000000001.spent');
    const segment = at.path(4);
    expect(keepWal(spent, directory)).toBe(false);
    takeKeptWal(directory, segment);
    expect(existsSync(`${segment}-wal`)).toBe(false);
    writeFileSync(spent, new Uint8Array(100_000).fill(7));
    expect(keepWal(spent, directory)).toBe(true);
    expect([existsSync(spent), isKeptHeader(readFileSync(kept))]).toEqual([false, true]);
    writeFileSync(spent, 'another one');
    expect(keepWal(spent, directory)).toBe(false);
    expect(existsSync(spent)).toBe(true);
    takeKeptWal(directory, segment);
    expect([existsSync(kept), walBytes(segment)]).toEqual([false, 100_000]);
    rmSync(`${segment}-wal`);
    writeFileSync(kept, 'something else');
    expect(takeKeptWal(directory, segment)).toBeUndefined();
    expect([existsSync(kept), existsSync(`${segment}-wal`)]).toEqual([false, false]);
    // Whatever is wrong with it, a segment does without.
    mkdirSync(kept);
    expect(takeKeptWal(directory, segment)).toContain('segment-kept.wal cannot be used');
    expect(existsSync(`${segment}-wal`)).toBe(false);
    writeFileSync(`${segment}-wal`, '');
    growWal(segment, 4096);
    expect(walBytes(segment)).toBe(0);
  });

  test('is not read any more as that of the segment that had it', () => {
    using at = place();
    using journal = SqliteJournal.open(at.options);
    fill(journal, 2);
    using pages = WalPages.open(at.path(1), 1)!;
    const found = pages.place(2)!;
    const target = new Uint8Array(found.bytes);
    const read = (): boolean => pages.read(found, 0, target, { at: 0, bytes: found.bytes });
    expect([read(), pages.isGone(), target[100]]).toEqual([true, false, 2]);
    // As the sealer does it.
    const directory = mkdtempSync(join(tmpdir(), 'sycee-kept-'));
    const whole = readFileSync(`${at.path(1)}-wal`);
    copyFileSync(`${at.path(1)}-wal`, join(directory, 'spent'));
    using other = WalPages.open(writeWal(directory, whole), 1)!;
    expect(other.place(2)).toEqual(found);
    expect(keepWal(`${join(directory, segmentName(1))}-wal`, directory)).toBe(true);
    expect([other.read(found, 0, target, { at: 0, bytes: found.bytes }), other.isGone()]).toEqual([
      false,
      true,
    ]);
    rmSync(directory, { recursive: true });
  });
});

function writeWal(directory: string, wal: Uint8Array): string {
  const path = join(directory, segmentName(1));
  writeFileSync(`${path}-wal`, wal);
  return path;
}

describe('zeros at the end of a live WAL', () => {
  test('are written over by what is appended, and are no rows after a kill', () => {
    using at = place();
    using journal = SqliteJournal.open({ ...at.options, segmentBytesMax: 64 << 20 });
    growWal(at.path(9), GROW_BYTES);
    expect(existsSync(`${at.path(9)}-wal`)).toBe(false);
    for (let last = 1; last <= 40; last++) {
      fill(journal, last);
      const before = walBytes(at.path(1));
      if (last % 7 === 2) growWal(at.path(1), 1_500_000);
      expect(walBytes(at.path(1))).toBe(before + (last % 7 === 2 ? 1_500_000 : 0));
      if (last % 7 < 5) continue;
      using copy = crashed(at);
      expect(preflightWal(copy.path(1), 1)).toBeLessThan(before);
      expectRows(copy, last);
    }
    expect(sequences(journal)).toEqual(upTo(40));
  });

  test(
    'while another thread appends: every row is there, and who looks on sees no damage',
    { timeout: 60_000 },
    async () => {
      using at = place();
      const rows = 150;
      const worker = new Worker(new URL('../test/support/append-rows.ts', import.meta.url), {
        workerData: { options: { ...at.options, segmentBytesMax: 512 << 20 }, rows },
      });
      const state = { isDone: false };
      const ended = new Promise((resolve, reject) =>
        worker.once('exit', resolve).once('error', reject),
      ).then(() => (state.isDone = true));
      const scratch = join(at.options.directory, 'scratch');
      let seen = 0;
      let looks = 0;
      while (!state.isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        if (walBytes(at.path(1)) === 0) continue;
        growWal(at.path(1), looks % 3 === 0 ? 3_000_000 : 4096);
        looks++;
        const view = viewJournal(at.options.directory, scratch);
        using reader = JournalReader.open({ ...at.options, view });
        const last = reader.lastSequence();
        expect(last).toBeGreaterThanOrEqual(seen);
        expect([...reader.rows(1)].length).toBe(last);
        seen = last;
      }
      await ended;
      expect(looks).toBeGreaterThan(3);
      using copy = crashed(at);
      expectRows(copy, rows);
    },
  );

  test('are asked for ahead of what is written, once for each part, and not beyond the bound', () => {
    let published = 0;
    const fillOf = (room: number): WalFill => new WalFill(() => published, room, 16 << 20);
    const small = fillOf(0);
    const asked: number[] = [];
    for (let i = 0; i < 400; i++) {
      published += 50_000;
      // An upper bound, as the journal knows it.
      small.wrote(180_000);
      if (small.wantsRoom()) asked.push(published);
    }
    // With each row until there is room for 2 MiB, then each 512 KiB, as long as it is not 16 MiB long.
    expect(asked.slice(0, 5)).toEqual([1_050_000, 1_100_000, 1_150_000, 1_200_000, 1_250_000]);
    expect(asked.slice(5, 8)).toEqual([1_600_000, 2_100_000, 2_650_000]);
    expect(asked).toHaveLength(Math.ceil(((16 << 20) - 1_050_000) / GROW_BYTES));
    published = 32;
    const large = fillOf(10 << 20);
    for (; published < 8 << 20; published += 50_000) {
      large.wrote(60_000);
      expect(large.wantsRoom()).toBe(false);
    }
    large.wrote(60_000);
    published += 100_000;
    expect([large.wantsRoom(), large.wantsRoom()]).toEqual([true, false]);
  });
});
