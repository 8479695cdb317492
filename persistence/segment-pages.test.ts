import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { JournalReader } from './journal-reader.ts';
import { FrameMemory, SegmentPages } from './segment-pages.ts';
import { segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';

const identity = { clusterId: 'c'.repeat(32), shard: 0, shards: 1 };

/** As the header of a SQLite file has it. */
const pageBytesOf = (path: string): number => readFileSync(path).readUint16BE(16);

describe.for([
  { state: 'sealed', pageBytes: 8192 },
  { state: 'sealed', pageBytes: 32_768 },
  { state: 'live', pageBytes: 8192 },
  { state: 'restarted', pageBytes: 8192 },
])(
  'reading parts of frames around SQLite, $state, pages of $pageBytes bytes',
  ({ state, pageBytes }) => {
    test('gives the bytes that SQLite gives', () => {
      const directory = mkdtempSync(join(tmpdir(), 'sycee-pages-'));
      const options = {
        ...identity,
        directory,
        segmentBytesMax: state === 'sealed' ? 4_000_000 : 50_000_000,
        // The first one has small ones always.
        ...(pageBytes > 8192 ? { largeFrameBytes: 1 } : {}),
      };
      const prng = new Prng(6);
      let journal = SqliteJournal.open(options);
      using reader = JournalReader.open(options);
      const segments = pageBytes > 8192 ? 6 : 4;
      while (state === 'sealed' ? reader.firsts.length < segments : journal.lastSequence < 200) {
        const sequence = journal.lastSequence + 1;
        // Many that lie within a page, so that the B-tree has interior pages, and some of up to a hundred pages.
        const bytes = prng.chance(70)
          ? prng.between(1, 9000)
          : prng.between(8_000, prng.pick([20_000, 900_000]));
        const frame = new Uint8Array(bytes);
        for (let i = 0; i < bytes; i++) frame[i] = (i * 31 + sequence + (i >> 8)) & 0xff;
        const timestamp = prng.bits(prng.pick([32, 64]));
        journal.append({ sequence, timestamp, frame });
        reader.refresh();
        // The last one to close a segment moves its WAL into the file; the next one begins another.
        if (state === 'restarted' && sequence === 120) {
          reader.release(segmentName(1));
          journal.close();
          journal = SqliteJournal.open(options);
        }
      }
      const memory = new FrameMemory();
      let placed = 0;
      const unplaced: { readonly sequence: number; readonly bytes: number }[] = [];
      for (const [at, first] of reader.firsts.entries()) {
        const next = reader.firsts[at + 1] ?? journal.lastSequence + 1;
        expect(pageBytesOf(reader.path(first))).toBe(at === 0 ? 8192 : pageBytes);
        expect(reader.isSealed(first)).toBe(at < reader.firsts.length - 1);
        using pages = reader.isSealed(first) ? reader.pages(first) : reader.walPages(first)!;
        for (let sequence = first; sequence < next; sequence++) {
          const place = pages.place(sequence);
          const frame = reader.read(sequence);
          if (place === undefined) {
            unplaced.push({ sequence, bytes: frame.byteLength });
            continue;
          }
          placed++;
          const whole = pages instanceof SegmentPages ? pages.frame(sequence, memory) : frame;
          expect(Buffer.compare(whole!, frame)).toBe(0);
          expect(place.bytes).toBe(frame.byteLength);
          for (let i = 0; i < 20; i++) {
            const from = i === 0 ? 0 : prng.below(frame.byteLength);
            const most = frame.byteLength - from;
            const count = i === 0 ? most : prng.between(1, Math.min(most, prng.pick([16, 40_000])));
            const target = new Uint8Array(count + 8);
            expect(pages.read(place, from, target, { at: 4, bytes: count })).toBe(true);
            const isEqual = Buffer.compare(
              target.subarray(4, 4 + count),
              frame.subarray(from, from + count),
            );
            expect(isEqual).toBe(0);
          }
        }
        expect(pages.place(next)).toBeUndefined();
      }
      // The pages of the first one do not fit: it ends early.
      const firstMax = pageBytes > 8192 ? 1_500_000 : Infinity;
      expect(statSync(reader.path(1)).size).toBeLessThan(firstMax);
      expect(placed).toBeGreaterThan(15);
      const first = state === 'restarted' ? 121 : 1;
      const large = unplaced.filter(
        ({ sequence, bytes }) => sequence >= first && bytes > pageBytes,
      );
      expect(large).toEqual([]);
      journal.close();
      rmSync(directory, { recursive: true, force: true });
    });
  },
);

describe('the file of a segment', () => {
  test('is read around SQLite when it is sealed only', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sycee-pages-'));
    const options = { ...identity, directory, segmentBytesMax: 300_000 };
    using journal = SqliteJournal.open(options);
    using reader = JournalReader.open(options);
    const frame = new Uint8Array(200_000);
    for (let sequence = 1; sequence <= 3; sequence++) {
      journal.append({ sequence, timestamp: BigInt(sequence), frame });
    }
    reader.refresh();
    expect(reader.firsts).toEqual([1, 3]);
    expect([1, 3, 5].map((first) => reader.isSealed(first))).toEqual([true, false, false]);
    expect(() => reader.pages(3)).toThrow('sealed');
    const places = [0, 1].map(() => {
      using pages = reader.pages(1);
      return [1, 2, 3].map((sequence) => pages.place(sequence));
    });
    expect(places[0]!.map((place) => place?.bytes)).toEqual([200_000, 200_000, undefined]);
    expect(places[1]).toEqual(places[0]);
    rmSync(directory, { recursive: true, force: true });
  });

  test('and numbers in it that lead out of a page lead to no place', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sycee-pages-'));
    const options = { ...identity, directory, segmentBytesMax: 300_000 };
    using journal = SqliteJournal.open(options);
    using reader = JournalReader.open(options);
    for (let sequence = 1; sequence <= 3; sequence++) {
      journal.append({ sequence, timestamp: 1n, frame: new Uint8Array(200_000) });
    }
    reader.refresh();
    const path = reader.path(1);
    const whole = readFileSync(path);
    const placesOf = (): readonly unknown[] => {
      using pages = reader.pages(1);
      return [1, 2].map((sequence) => pages.place(sequence));
    };
    const before = placesOf();
    const lost = Array.from({ length: 24 }, (_, byte) => {
      const damaged = Uint8Array.from(whole);
      for (let at = pageBytesOf(path); at < damaged.length; at += pageBytesOf(path)) {
        damaged[at + byte] = 0xff;
      }
      writeFileSync(path, damaged);
      return placesOf().filter((place, i) => !isDeepStrictEqual(place, before[i])).length;
    });
    // The type of a page, how many cells it has, and where they are.
    expect([0, 3, 8, 10].map((byte) => lost[byte])).toEqual([2, 2, 1, 2]);
    rmSync(directory, { recursive: true, force: true });
  });
});
