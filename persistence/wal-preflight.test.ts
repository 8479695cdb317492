import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { preflightWal, preflightWals } from './wal-preflight.ts';

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

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sycee-preflight-'));
  segment = join(directory, segmentName(FIRST));
  using live = SqliteJournal.open({
    directory,
    clusterId: 'a'.repeat(32),
    shard: 0,
    shards: 1,
  });
  for (const [i, bytes] of FRAME_BYTES.entries()) {
    live.append({ sequence: i + 1, timestamp: 1n, frame: new Uint8Array(bytes).fill(i + 1) });
  }
  copyFileSync(`${segment}-wal`, join(directory, 'copy'));
  whole = readFileSync(join(directory, 'copy'));
  ends = [];
  for (let at = HEADER; at < whole.length; at += STRIDE) {
    if (whole.readUInt32BE(at + 4) !== 0) ends.push(at + STRIDE);
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function check(wal: Uint8Array): void {
  writeFileSync(`${segment}-wal`, wal);
  preflightWal(segment, FIRST);
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
