import fs, {
  copyFileSync,
  cpSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { preflightWals } from './wal-preflight.ts';
import { WAL_HEADER_BYTES } from './wal-room.ts';

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** What the disk has of the WAL after a sync has failed: it gets what is written from now on, with the next sync, and what was written before it has or never will have. */
let disk = new Uint8Array(0);
let unsynced: Write[] = [];
/** The WAL's inode. */
let watched = 0;

const { writeSync, fsyncSync } = fs;
type Calls = { -readonly [Name in 'writeSync' | 'fsyncSync']: unknown };

/** Node's own functions, which the product imports, and so is given. */
function watchWrites(): void {
  const calls = fs as unknown as Calls;
  calls.writeSync = (...args: [number, Uint8Array, number, number, number]) => {
    const written = writeSync(...args);
    const [file, bytes, from, , at] = args;
    if (fstatSync(file).ino === watched) {
      unsynced.push({ at, bytes: bytes.slice(from, from + written) });
    }
    return written;
  };
  calls.fsyncSync = (file: number) => {
    fsyncSync(file);
    if (fstatSync(file).ino !== watched) return;
    for (const { at, bytes } of unsynced) disk.set(bytes, at);
    unsynced = [];
  };
  syncBuiltinESMExports();
}

function leaveWrites(): void {
  Object.assign(fs, { writeSync, fsyncSync });
  syncBuiltinESMExports();
}

const FIRST = 1;
const WAL = `${segmentName(FIRST)}-wal`;
const IDENTITY = { clusterId: 'a'.repeat(32), shard: 0, shards: 1 };
const LARGE_BYTES = 3 << 20;

let temp: string;
let count = 0;
beforeAll(() => {
  temp = mkdtempSync(join(tmpdir(), 'sycee-wal-sync-'));
});
afterAll(() => rmSync(temp, { recursive: true, force: true }));

/** The directory of a shard as a kill leaves it, behind groups of so many bytes, and how long its WAL was before the last of them. */
function killedBehind(frames: readonly number[]): { directory: string; before: number } {
  const live = join(temp, `live-${++count}`);
  const directory = join(temp, `killed-${count}`);
  mkdirSync(live);
  using journal = SqliteJournal.open({ directory: live, ...IDENTITY });
  let before = 0;
  for (const [i, bytes] of frames.entries()) {
    before = preflightWals(live)!.bytes;
    const frame = new Uint8Array(bytes).fill(i + 1);
    journal.append({ sequence: i + 1, timestamp: 1n, frame });
  }
  cpSync(live, directory, {
    recursive: true,
    filter: (path) => !path.endsWith('-shm') && !path.endsWith('-wal'),
  });
  copyFileSync(join(live, WAL), join(directory, WAL));
  return { directory, before };
}

/** Opens the journal, where the disk has the first bytes of the WAL only, and says what it has then. */
function openedAfterLoss(directory: string, kept: number): Uint8Array {
  const wal = readFileSync(join(directory, WAL));
  disk = new Uint8Array(wal.length);
  disk.set(wal.subarray(0, kept));
  unsynced = [];
  watched = statSync(join(directory, WAL)).ino;
  watchWrites();
  try {
    const journal = SqliteJournal.open({ directory, ...IDENTITY, isHeld: true });
    // Nothing is changed before it is clear that the start is not refused.
    expect(unsynced).toEqual([]);
    journal.secure();
    journal.close();
  } finally {
    leaveWrites();
  }
  return disk;
}

describe('what a failed sync has left readable is on the disk before anybody is told of it:', () => {
  test.each([
    { name: 'a small group', frames: [100, 100, 100] },
    { name: 'the first of a WAL', frames: [100] },
    { name: 'a group of many pages', frames: [100, 20_000, LARGE_BYTES] },
  ])('$name', ({ frames }) => {
    const { directory, before } = killedBehind(frames);
    const wal = readFileSync(join(directory, WAL));
    const { bytes } = preflightWals(directory)!;
    expect(bytes).toBeGreaterThan(before);
    const synced = openedAfterLoss(directory, before);
    expect(wal.subarray(0, bytes).equals(synced.subarray(0, bytes))).toBe(true);
  });

  test('the header of a WAL, whose own sync has failed', () => {
    const { directory } = killedBehind([]);
    const wal = readFileSync(join(directory, WAL));
    const synced = openedAfterLoss(directory, 0);
    expect(preflightWals(directory)!.bytes).toBeGreaterThan(WAL_HEADER_BYTES);
    expect(wal.equals(synced)).toBe(true);
  });
});
