/**
 * Bits flipped in SQLite's headers of records, and files cut off: SQLite gives back values of other types then, and no error of its own. Whatever is
 * asked of such a segment is answered as before, or refused as a damaged journal.
 */
import {
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import { describe, expect, test, vi } from 'vitest';
import { assert } from '../engine/assert.ts';
import { place, type Place } from '../test/support/journal-place.ts';
import { chainStart } from './checksum-chain.ts';
import { JournalReader } from './journal-reader.ts';
import { SegmentPages } from './segment-pages.ts';
import { segmentIdentity } from './segment-reader.ts';
import { SqliteJournal } from './sqlite-journal.ts';

/** Of frames: all begin in one page, and one goes on over others. */
const ONE_LEAF = [150, 150, 20_000, 150];
/** The last one is in a page of its own, the last one of the file. */
const OWN_LEAF = [5000, 5000];
/** Each goes on over several pages, and the first ones are in a sealed segment. */
const LARGE = Array.from({ length: 9 }, (_, i) => 20_000 + i * 3000);
const LARGE_SEGMENT_BYTES = 100_000;
/** Several to a segment. */
const EVEN = Array.from({ length: 9 }, () => 100_000);
/** In the header of a SQLite file. */
const PAGE_COUNT_AT = 28;
const EVEN_SEGMENT_BYTES = 400_000;
/** Of a page's number, and of SQLite's headers, each byte; of all else one now and then. */
const FLIP_EVERY = 509;
const META_REACH = 48;
/** The last one is in a segment of its own. */
const EACH_ALONE = Array.from({ length: 3 }, () => 50_000);
const PAGE_BYTES = 8192;
/** A record's header is not longer here, with the length and the number before it, and its two integers behind it. */
const HEADER_BYTES = 28;
/** The columns of `meta` behind the identity of the cluster, and the header before it. */
const META_BYTES = { before: 16, after: 12 };
const CUT_BYTES = 128;
const DAMAGED = 'JournalError: The journal is damaged: shard-000/segment-';
const START = 1_795_000_000_000_000_000n;

const framesOf = (sizes: readonly number[]): readonly Uint8Array[] =>
  sizes.map((bytes, i) => new Uint8Array(bytes).fill(0xa1 + i));
const hexOf = (frame: Uint8Array): string => Buffer.from(frame).toString('hex');

function written(frames: readonly Uint8Array[], segmentBytesMax?: number): Place {
  const at = place();
  using journal = SqliteJournal.open({ ...at.options, segmentBytesMax });
  for (const [i, frame] of frames.entries()) {
    journal.append({ sequence: i + 1, timestamp: START + BigInt(i), frame });
  }
  return at;
}

class Judge {
  readonly wrong: string[] = [];
  refused = 0;
  readonly #at: Place;
  readonly #frames: readonly string[];
  readonly #isInPlace: boolean;

  constructor(at: Place, frames: readonly Uint8Array[], isInPlace: boolean) {
    this.#at = at;
    this.#frames = frames.map(hexOf);
    this.#isInPlace = isInPlace;
  }

  /** Asks everything that a journal can be asked. */
  judge(damage: string): void {
    const { directory, clusterId, shard, shards } = this.#at.options;
    const first = this.#at.firsts().at(-1)!;
    const viewed = { first, path: this.#at.path(first), bytes: 0, isInPlace: this.#isInPlace };
    const ask = (what: string, question: () => void): void => {
      this.#ask(`${damage}: ${what}`, question);
    };
    ask('identity', () => chainStart(segmentIdentity(viewed)));
    ask('open', () => {
      const identity = { clusterId, shard, shards };
      using journal = JournalReader.open({ directory, ...identity, view: [viewed] });
      if (first === 1) ask('segments', () => journal.checkSegments());
      ask('rows', () => {
        const rows = [...journal.rows(first)].map(({ frame }) => hexOf(frame));
        // Fewer rows are a shorter journal, which the head witness is for.
        assert(
          rows.every((frame, i) => frame === this.#frames[first - 1 + i]),
          'rows as written',
        );
      });
      for (const [i, frame] of this.#frames.entries()) {
        const row = i + 1;
        if (row < first) continue;
        ask(`row ${row}`, () => assert(hexOf(journal.read(row)) === frame, 'the row as written'));
        // Not checked when they are asked for alone.
        ask(`timestamp ${row}`, () =>
          assert(typeof journal.timestamp(row) === 'bigint', 'a whole number'),
        );
        ask(`checksum ${row}`, () =>
          assert(Number.isInteger(journal.checksum(row)), 'a whole number'),
        );
      }
    });
  }

  #ask(what: string, question: () => void): void {
    try {
      question();
    } catch (error: unknown) {
      this.refused++;
      const { code, message } = error as { code?: unknown; message: string };
      const isNamed = /: (shard-000\/)?segment-\d+\.sqlite, sequence \d+: /.test(message);
      if (code !== 'JOURNAL_CORRUPT' || !isNamed) this.wrong.push(`${what}: ${String(error)}`);
    }
  }
}

/** Calls `judge` for each bit, with that one flipped. */
function flipEach(path: string, from: number, to: number, judge: (damage: string) => void): void {
  const whole = readFileSync(path);
  const write = (at: number, value: number): void => {
    const file = openSync(path, 'r+');
    writeSync(file, Uint8Array.of(value), 0, 1, at);
    closeSync(file);
  };
  for (let at = from; at < to; at++) {
    for (let bit = 0; bit < 8; bit++) {
      write(at, whole[at]! ^ (1 << bit));
      judge(`byte ${at}, bit ${bit}`);
    }
    write(at, whole[at]!);
  }
}

describe.each([
  { how: 'around locks', isInPlace: true },
  { how: 'as a live one', isInPlace: false },
])('a segment that is read $how', ({ isInPlace }) => {
  test('with any bit flipped in the header of a row is refused, or says the same', () => {
    const frames = framesOf(ONE_LEAF);
    using at = written(frames);
    const judge = new Judge(at, frames, isInPlace);
    const path = at.path(1);
    for (const row of [1, 2]) {
      const end = readFileSync(path).indexOf(frames[row]!.subarray(0, 100));
      flipEach(path, end - HEADER_BYTES, end, (damage) => judge.judge(damage));
    }
    expect(judge.wrong).toEqual([]);
    expect(judge.refused).toBeGreaterThan(HEADER_BYTES);
  });

  test('and in what it says of itself', () => {
    const frames = framesOf(EACH_ALONE);
    using at = written(frames, 60_000);
    const judge = new Judge(at, frames, isInPlace);
    const path = at.path(EACH_ALONE.length);
    const { clusterId } = at.options;
    const begin = readFileSync(path).indexOf(clusterId) - META_BYTES.before;
    const bytes = META_BYTES.before + clusterId.length + META_BYTES.after;
    flipEach(path, begin, begin + bytes, (damage) => judge.judge(damage));
    expect(judge.wrong).toEqual([]);
    expect(judge.refused).toBeGreaterThan(bytes);
  });

  test('and cut off in the middle of its last page', () => {
    const frames = framesOf(OWN_LEAF);
    using at = written(frames);
    const judge = new Judge(at, frames, isInPlace);
    const { length } = readFileSync(at.path(1));
    for (let cut = CUT_BYTES; cut < PAGE_BYTES + CUT_BYTES; cut += CUT_BYTES) {
      truncateSync(at.path(1), length - cut);
      judge.judge(`${cut} bytes less`);
    }
    expect(judge.wrong).toEqual([]);
    expect(judge.refused).toBeGreaterThan(PAGE_BYTES / CUT_BYTES / 2);
  });
});

/** What a reader gives of a journal, row after row, or says of it. */
function told(at: Place, lendsFrames: boolean): string {
  try {
    using journal = JournalReader.open({ ...at.options, lendsFrames });
    return Array.from(journal.rows(1), ({ sequence, timestamp, frame }) =>
      [sequence, timestamp, crc32(frame)].join(' '),
    ).join('\n');
  } catch (error: unknown) {
    return String(error);
  }
}

describe('a sealed segment whose large frames are read around SQLite', () => {
  test('is refused as before when its header says that it has fewer pages', () => {
    using at = written(framesOf(EVEN), EVEN_SEGMENT_BYTES);
    const path = at.path(1);
    const whole = readFileSync(path);
    let refused = 0;
    for (let pages = whole.length / PAGE_BYTES; pages > 0; pages--) {
      const damaged = Buffer.from(whole);
      damaged.writeUint32BE(pages, PAGE_COUNT_AT);
      writeFileSync(path, damaged);
      const says = told(at, true);
      expect(`${pages} pages: ${says}`).toBe(`${pages} pages: ${told(at, false)}`);
      if (says.startsWith(DAMAGED)) refused++;
    }
    expect(refused).toBeGreaterThan(1);
  });

  test('gives what SQLite gives when the schema does not name the table of rows', () => {
    using at = written(framesOf(EVEN), EVEN_SEGMENT_BYTES);
    const path = at.path(1);
    const damaged = readFileSync(path);
    // Type, name, and name of the table, before the statement; a small letter that is a large one is the same name to SQLite.
    const name = damaged.indexOf('tablejournal_row') + 'table'.length;
    damaged[name]! ^= 0x20;
    writeFileSync(path, damaged);
    expect(told(at, true)).toBe(told(at, false));
    expect(told(at, true)).not.toContain(DAMAGED);
  });

  test('is read on when it is moved away meanwhile', () => {
    using at = written(framesOf(EVEN), EVEN_SEGMENT_BYTES);
    using journal = JournalReader.open({ ...at.options, lendsFrames: true });
    const last = at.firsts()[1]! - 1;
    expect(last).toBeGreaterThan(2);
    const sequences: number[] = [];
    for (const { sequence } of journal.rows(1, last)) {
      if (sequence === 1) renameSync(at.path(1), `${at.path(1)}.moved`);
      sequences.push(sequence);
    }
    expect(sequences).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  });

  test('is left to SQLite when the disk does not give a page of it', () => {
    using at = written(framesOf(EVEN), EVEN_SEGMENT_BYTES);
    using pages = vi.spyOn(SegmentPages.prototype, 'frame');
    pages.mockImplementation(() => {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' });
    });
    // It is SQLite that is asked then, which says what it finds.
    expect(told(at, true)).toBe(told(at, false));
    expect(pages).toHaveBeenCalled();
  });

  test('gives the rows that SQLite gives, and with a bit flipped anywhere is refused when SQLite would refuse it', () => {
    const frames = LARGE.map((bytes, i) =>
      Uint8Array.from({ length: bytes }, (_, at) => (at * 31 + (at >> 8) + i) & 0xff),
    );
    using at = written(frames, LARGE_SEGMENT_BYTES);
    expect(told(at, true)).toBe(told(at, false));
    const sealed = at.firsts().slice(0, -1);
    expect(sealed.length).toBeGreaterThan(1);
    const path = at.path(sealed.at(-1)!);
    const whole = readFileSync(path);
    const meta = whole.indexOf(at.options.clusterId);
    const heads = frames.map((frame) => whole.indexOf(frame.subarray(0, 100)));
    const isHead = (byte: number): boolean =>
      byte % PAGE_BYTES < 16 ||
      Math.abs(byte - meta) < META_REACH ||
      heads.some((head) => byte < head && byte >= head - HEADER_BYTES);
    const wrong: string[] = [];
    let refused = 0;
    for (let byte = 0; byte < whole.length; byte++) {
      if (byte % FLIP_EVERY !== 0 && !isHead(byte)) continue;
      const flipped = Uint8Array.from(whole);
      flipped[byte]! ^= 1 << ((byte * 5 + 7) % 8);
      writeFileSync(path, flipped);
      const says = told(at, true);
      const bySqlite = told(at, false);
      // It reads more rows at once, and may come across another sign of it.
      const areRefused = [says, bySqlite].every((text) => text.startsWith(DAMAGED));
      if (says !== bySqlite && !areRefused) wrong.push(`byte ${byte}: ${says.slice(0, 200)}`);
      if (says.startsWith(DAMAGED)) refused++;
    }
    expect(wrong).toEqual([]);
    expect(refused).toBeGreaterThan(whole.length / FLIP_EVERY);
  });
});
