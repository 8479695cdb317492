import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { preflightWal, preflightWals } from './wal-preflight.ts';
import { KEPT_WAL_NAME, keepWal } from './wal-room.ts';

const STRIDE = 8192 + 24;
const HEADER = 32;
const FIRST = 1;

/** Commits of one frame and of several, as small and large groups have them. */
const FRAME_BYTES = [100, 100, 20_000, 300, 300, 40_000, 5000, 100, 100, 17_000, 200, 200];

let directory: string;
let segment: string;
/** The WAL of a segment that is being written, as a kill leaves it. */
let whole: Buffer;
/** Where each commit ends. */
let ends: number[];
/** What a file can have been given as room, longer than the WAL: zeros, frames of another WAL, frames of another size. */
let rooms: readonly Buffer[];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sycee-preflight-'));
  segment = join(directory, segmentName(FIRST));
  whole = walOf(directory);
  const other = mkdtempSync(join(directory, 'other-'));
  const old = Buffer.concat([walOf(other, 100), Buffer.alloc(5 * STRIDE)]);
  rmSync(other, { recursive: true });
  rooms = [Buffer.alloc(old.length), old, Buffer.concat([old.subarray(0, 600), old])];
  ends = [];
  for (let at = HEADER; at < whole.length; at += STRIDE) {
    if (whole.readUInt32BE(at + 4) !== 0) ends.push(at + STRIDE);
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Of a journal in this directory, as a kill would leave it. */
function walOf(at: string, byte = 0, frames: readonly number[] = FRAME_BYTES): Buffer {
  const identity = { clusterId: 'a'.repeat(32), shard: 0, shards: 1 };
  using live = SqliteJournal.open({ directory: at, ...identity });
  for (const [i, bytes] of frames.entries()) {
    live.append({
      sequence: i + 1,
      timestamp: 1n,
      frame: new Uint8Array(bytes).fill(byte + i + 1),
    });
  }
  copyFileSync(`${join(at, segmentName(FIRST))}-wal`, join(at, 'copy'));
  return readFileSync(join(at, 'copy'));
}

/** Returns how many bytes fit. */
function check(wal: Uint8Array): number {
  writeFileSync(`${segment}-wal`, wal);
  return preflightWal(segment, FIRST);
}

/** The beginning of the WAL, written over what the file had. */
function over(room: Buffer, bytes: number, wal = whole): Buffer {
  const written = wal.subarray(0, bytes);
  return Buffer.concat([written, room.subarray(written.length)]);
}

function flipped(at: number, bit = 0): Buffer {
  const wal = Buffer.from(whole);
  wal[at]! ^= 1 << bit;
  return wal;
}

function lastBegin(): number {
  return ends.at(-2)!;
}

describe('a WAL that goes on', () => {
  test('a whole one, an empty one, and none', () => {
    expect(ends).toHaveLength(FRAME_BYTES.length + 1);
    check(whole);
    check(new Uint8Array(0));
    rmSync(`${segment}-wal`);
    preflightWal(segment, FIRST);
    preflightWals(directory);
  });

  test('one that was cut anywhere: what is left of an append is a torn tail', () => {
    expect(ends.at(-1)).toBe(whole.length);
    for (const end of ends) {
      for (const cut of [-STRIDE, -STRIDE + 10, -9, -1, 0, 1, 24, 30]) {
        check(whole.subarray(0, Math.max(0, end + cut)));
      }
    }
    for (const cut of [0, 1, 31, 32, 33]) check(whole.subarray(0, cut));
  });

  test('a hole, or a flip, in the last append, whose pages reach the disk in any order', () => {
    const torn = Buffer.from(whole.subarray(0, ends[6]));
    expect(ends[6]! - ends[5]!).toBeGreaterThan(4 * STRIDE);
    for (let at = ends[5]!; at < ends[6]!; at += STRIDE) {
      check(Buffer.from(torn).fill(0, at, at + STRIDE));
      check(Buffer.from(torn).fill(0, at, at + 4096));
      check(Buffer.from(torn).fill(0, at + 24 + 4096, at + STRIDE));
    }
    for (let at = lastBegin(); at < whole.length; at += 512) check(flipped(at, 3));
  });

  test('one with room behind it, cut anywhere, with a hole or a flip in the last append', () => {
    expect(check(whole)).toBe(whole.length);
    for (const room of rooms) {
      expect(room.length).toBeGreaterThan(whole.length + STRIDE);
      for (const [i, end] of ends.entries()) {
        for (const cut of [1, 8, 20]) expect(check(over(room, end + cut))).toBe(end);
        for (const cut of [-STRIDE + 10, -9, -1]) {
          const fits = check(over(room, end + cut));
          expect(fits).toBeGreaterThanOrEqual(ends[i - 1] ?? HEADER);
          // Up to its end where the room happens to have the bytes that are missing.
          expect(fits).toBeLessThanOrEqual(end);
        }
      }
      const last = over(room, ends[6]!);
      for (let at = ends[5]!; at < ends[6]!; at += STRIDE) {
        check(Buffer.from(last).fill(0, at, at + STRIDE));
        check(
          Buffer.concat([
            last.subarray(0, at),
            room.subarray(at, at + STRIDE),
            last.subarray(at + STRIDE),
          ]),
        );
      }
    }
  });

  test('one whose last append lost some of its sectors, which have what was there before', () => {
    const own = mkdtempSync(join(directory, 'sectors-'));
    const other = mkdtempSync(join(directory, 'sectors-'));
    const sizes = [100, 20_000, 500_000];
    const wal = walOf(own, 0, sizes);
    const old = walOf(other, 100, [5000, 300, 700_000]);
    for (const one of [own, other]) rmSync(one, { recursive: true });
    const marks: number[] = [];
    for (let at = HEADER; at < wal.length; at += STRIDE) {
      if (wal.readUInt32BE(at + 4) !== 0) marks.push(at + STRIDE);
    }
    const begin = marks.at(-2)!;
    // Among its frames is one whose header lies in two sectors.
    const split = HEADER + 41 * STRIDE;
    expect([begin < split, split % 512, split + STRIDE < wal.length]).toEqual([true, 504, true]);
    const sectors = [...new Set([begin, split, wal.length - 1].map((at) => at >> 9))];
    const prng = new Prng(9);
    const all = Array.from({ length: (wal.length - begin) >> 9 }, (_, i) => (begin >> 9) + 1 + i);
    const losses = [sectors, [split >> 9], [(split >> 9) + 1]];
    for (let i = 0; i < 60; i++) losses.push(all.filter(() => prng.chance(i % 2 === 0 ? 50 : 15)));
    for (const room of [Buffer.alloc(wal.length + STRIDE), old]) {
      for (const lost of losses) {
        const left = over(room, wal.length, wal);
        for (const sector of lost) {
          const from = Math.max(begin, sector << 9);
          room.copy(left, from, from, Math.max(from, Math.min(wal.length, (sector + 1) << 9)));
        }
        expect(check(left)).toBeGreaterThanOrEqual(begin);
      }
    }
  });

  test('a flip in the room is harmless', () => {
    for (const room of rooms) {
      const wal = over(room, whole.length);
      for (let at = whole.length; at < wal.length; at += 1500) {
        wal[at]! ^= 4;
        expect(check(wal)).toBe(whole.length);
      }
    }
  });

  test('a kept one, which says that nothing is in it', () => {
    for (const room of rooms) {
      const kept = join(directory, 'kept');
      mkdirSync(kept);
      writeFileSync(join(kept, 'spent'), room);
      expect(keepWal(join(kept, 'spent'), kept)).toBe(true);
      expect(check(readFileSync(join(kept, KEPT_WAL_NAME)))).toBe(0);
      rmSync(kept, { recursive: true });
    }
  });

  test('a header that was torn, with nothing behind it but zeros', () => {
    expect(() => check(whole.subarray(0, 20))).not.toThrow();
    expect(() => check(Buffer.alloc(4096))).not.toThrow();
  });
});

describe('damage before a later commit', () => {
  test('one flipped bit in every 512 bytes', () => {
    const prng = new Prng(7);
    for (let at = HEADER; at < lastBegin(); at += 512) {
      const place = at + prng.below(Math.min(512, lastBegin() - at));
      const wal = flipped(place, prng.below(8));
      expect(() => check(wal), `byte ${place}`).toThrow(/is damaged, and a later commit goes on/);
    }
  });

  test('the same with room behind it', () => {
    const prng = new Prng(8);
    for (const room of rooms) {
      for (let at = HEADER; at < lastBegin(); at += 5 * 1024) {
        const place = at + prng.below(Math.min(5 * 1024, lastBegin() - at));
        const wal = over(room, whole.length, flipped(place, prng.below(8)));
        expect(() => check(wal), `byte ${place}`).toThrow(/is damaged, and a later commit goes on/);
      }
      const headless = Buffer.from(over(room, whole.length)).fill(0, 0, HEADER);
      expect(() => check(headless)).toThrow(/the header of the WAL is damaged/);
    }
  });

  test('a bit of each byte of the header of the WAL and of the headers of frames', () => {
    const headers = [0, HEADER, ends[0]!, ends[3]!, ends[5]!, lastBegin() - STRIDE];
    for (const header of headers) {
      for (let byte = 0; byte < (header === 0 ? HEADER : 24); byte++) {
        const wal = flipped(header + byte, (header + byte) % 8);
        expect(() => check(wal), `byte ${byte} from ${header}`).toThrow(/WAL/);
      }
    }
  });

  test('a frame or a whole commit that was overwritten', () => {
    for (const [begin, end] of [
      [ends[1]!, ends[1]! + STRIDE],
      [ends[5]!, ends[6]!],
      [ends[5]!, ends[8]!],
    ] as const) {
      expect(() => check(Buffer.from(whole).fill(0, begin, end))).toThrow(/later commit/);
    }
  });

  test('a commit that lost the mark of its end, before the last one: the order of pages shows it', () => {
    const begin = ends.at(-3)!;
    expect(ends.slice(-2)).toEqual([begin + STRIDE, begin + 2 * STRIDE]);
    const wal = Buffer.from(whole).fill(0, begin + 4, begin + 8);
    expect(() => check(wal)).toThrow(/later commit/);
  });

  test('a segment of no bytes or of one, whose WAL SQLite would delete', () => {
    const file = readFileSync(segment);
    for (const left of ['', 'S']) {
      writeFileSync(segment, left);
      expect(() => check(whole)).toThrow(/sqlite-wal, sequence 1: the WAL has commits, and its se/);
    }
    check(whole.subarray(0, HEADER));
    writeFileSync(segment, file);
  });

  test('the sentence names the file, the byte, and the sequence', () => {
    // The first commit is `meta`: the one numbered 7 is sequence 7.
    const at = ends[6]! + 24 + 5000;
    expect(() => check(flipped(at))).toThrow(
      new RegExp(
        `segment-000000000001\\.sqlite-wal, sequence 7: the frame of the WAL at byte ${ends[6]} is damaged, and a later commit goes on at byte ${ends[7]}\\. Nothing was changed`,
      ),
    );
    expect(() => check(flipped(17))).toThrow(/sequence 1: the header of the WAL is damaged/);
  });
});
