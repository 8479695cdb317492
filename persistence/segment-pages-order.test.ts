/**
 * Where the overflow pages of a row do not follow each other, a frame is left to SQLite. No segment has such rows: these files are made with what
 * a segment never has, maps of pointers between the pages and pages that were used before.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { SegmentPages } from './segment-pages.ts';

const PAGE_BYTES = 8192;
const FRAME_BYTES = 700_000;

function frameOf(sequence: number): Uint8Array {
  const frame = new Uint8Array(FRAME_BYTES);
  for (let i = 0; i < FRAME_BYTES; i++) frame[i] = (i * 31 + sequence + (i >> 8)) & 0xff;
  return frame;
}

class Rows implements Disposable {
  readonly path: string;
  readonly database: DatabaseSync;

  constructor(autoVacuum: 'FULL' | 'NONE') {
    const directory = mkdtempSync(join(tmpdir(), 'sycee-page-order-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    this.path = join(directory, 'rows.sqlite');
    this.database = new DatabaseSync(this.path);
    this.database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = ${autoVacuum};`);
    this.database.exec(
      'CREATE TABLE journal (sequence INTEGER PRIMARY KEY, timestamp INTEGER, checksum INTEGER, frame BLOB)',
    );
  }

  add(from: number, to: number): void {
    const insert = this.database.prepare('INSERT INTO journal VALUES (?, 1, 2, ?)');
    for (let sequence = from; sequence <= to; sequence++) insert.run(sequence, frameOf(sequence));
  }

  pages(): SegmentPages {
    const found = this.database.prepare(
      "SELECT rootpage FROM sqlite_schema WHERE name = 'journal'",
    );
    return SegmentPages.open(this.path, found.get()!['rootpage'] as number);
  }

  /** Which rows are read around SQLite; throws when what is read of them is not what was written. */
  placed(from: number, to: number): number[] {
    using pages = this.pages();
    const target = new Uint8Array(FRAME_BYTES);
    const placed: number[] = [];
    for (let sequence = from; sequence <= to; sequence++) {
      const place = pages.place(sequence);
      if (place === undefined) continue;
      const isRead = pages.read(place, 0, target, { at: 0, bytes: FRAME_BYTES });
      const isRight = isRead && Buffer.compare(target, frameOf(sequence)) === 0;
      if (!isRight) throw new Error(`row ${sequence} is not what was written`);
      placed.push(sequence);
    }
    return placed;
  }

  [Symbol.dispose](): void {
    if (this.database.isOpen) this.database.close();
  }
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('rows one after the other are read around SQLite', () => {
  using rows = new Rows('NONE');
  rows.add(1, 30);
  expect(rows.placed(1, 30)).toEqual(range(1, 30));
});

test('a row with a page of something else between its own is not', () => {
  using rows = new Rows('FULL');
  rows.add(1, 45);
  // A map of pointers comes every 1,639 pages, and a row has 86.
  const placed = rows.placed(1, 45);
  expect(range(1, 45).filter((sequence) => !placed.includes(sequence))).toEqual([20, 39]);
});

test('a row in pages that were used before is not, unless they follow each other', () => {
  using rows = new Rows('NONE');
  rows.add(1, 10);
  rows.database.exec('DELETE FROM journal WHERE sequence IN (2, 5, 9)');
  rows.add(11, 13);
  expect(rows.placed(1, 13)).toEqual([1, 3, 4, 6, 7, 8, 10]);
});

test('ends of a row that do not fit are seen', () => {
  using rows = new Rows('NONE');
  rows.add(1, 3);
  rows.database.close();
  const file = readFileSync(rows.path);
  using pages = SegmentPages.open(rows.path, 2);
  const { overflowAt, bytes, localBytes } = pages.place(3)!;
  const last = Math.ceil((bytes - localBytes) / (PAGE_BYTES - 4)) - 1;
  expect(file.readUInt32BE(overflowAt + last * PAGE_BYTES)).toBe(0);
  for (const page of [0, 1, last - 1, last]) {
    const damaged = Buffer.from(file);
    damaged.writeUInt32BE(7, overflowAt + page * PAGE_BYTES);
    writeFileSync(rows.path, damaged);
    using read = SegmentPages.open(rows.path, 2);
    expect(read.place(2)).toBeDefined();
    expect(read.place(3)).toBeUndefined();
  }
});
