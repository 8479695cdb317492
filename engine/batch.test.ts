import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import {
  Batch,
  batchDefect,
  BatchKind,
  batchOfColumns,
  batchOfRows,
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  Columns,
  HEADER_BYTES,
  ROW_BYTES,
  ROW_WORDS,
} from './batch.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';

/** Rows in which each column is 0, one value throughout, or random. */
function randomRows(seed: number, n: number): { rows: Uint32Array; uses: number[] } {
  const prng = new Prng(seed);
  const bytes = new Uint8Array(n * ROW_BYTES);
  const uses = Array.from({ length: COLUMNS }, () => prng.below(3));
  for (const [column, use] of uses.entries()) {
    const width = COLUMN_BYTES[column]!;
    const one = Array.from({ length: width }, () => prng.between(1, 255));
    for (let i = 0; i < n; i++) {
      const value = use === 1 ? one : one.map(() => prng.below(256));
      if (use !== 0) bytes.set(value, i * ROW_BYTES + COLUMN_OFFSETS[column]!);
    }
  }
  return { rows: new Uint32Array(bytes.buffer), uses };
}

/** The rows of an encoded batch, which lies behind other words, with zero words in front. */
function rowsOf(words: Uint32Array, n: number): Uint32Array {
  const place = new Uint32Array(words.length + 10).fill(0xffffffff);
  place.fill(0, 0, 4);
  place.set(words, 6);
  const columns = new Columns();
  columns.openBatch(place, new Uint16Array(place.buffer), 24, 0);
  expect([columns.n, columns.kind]).toEqual([n, words[0]! >>> 24]);
  const rows = new Uint32Array(n * ROW_WORDS);
  for (let i = 0; i < n; i++) columns.copyRow(i, rows, i * ROW_WORDS);
  return rows;
}

describe('a batch', () => {
  test('gives back the rows that it was made of, whatever the columns hold', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 40 }), (seed, n) => {
        const { rows } = randomRows(seed, n);
        const batch = batchOfRows(BatchKind.transfers, rows, n);
        expect(batchDefect(batch.words, 0, batch.byteLength)).toBeNull();
        expect(rowsOf(batch.words, n)).toEqual(rows);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test('leaves columns out that are 0, and keeps a constant once', () => {
    const { rows, uses } = randomRows(77, 100);
    const batch = batchOfRows(BatchKind.accounts, rows, 100);
    const masks = batch.words[1]!;
    let bytes = HEADER_BYTES;
    for (const [column, use] of uses.entries()) {
      expect([(masks >>> column) & 1, (masks >>> (16 + column)) & 1]).toEqual([
        use === 0 ? 0 : 1,
        use === 1 ? 1 : 0,
      ]);
      const width = COLUMN_BYTES[column]!;
      if (use !== 0) bytes += Math.ceil((use === 1 ? width : width * 100) / 8) * 8;
    }
    expect(batch.byteLength).toBe(bytes);
  });

  test('a full batch, and a batch of one', () => {
    for (const n of [1, BATCH_EVENTS_MAX]) {
      const { rows } = randomRows(n, n);
      const batch = batchOfRows(BatchKind.transfers, rows, n);
      expect(rowsOf(batch.words, n)).toEqual(rows);
    }
    const none = new Uint32Array(ROW_WORDS * (BATCH_EVENTS_MAX + 1));
    expect(() => batchOfRows(BatchKind.ids, none, 0)).toThrow('full batch');
    expect(() => batchOfRows(BatchKind.ids, none, BATCH_EVENTS_MAX + 1)).toThrow('full batch');
  });

  test('columns as they came give the same rows', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const n = 1 + (seed % 7);
      const { rows, uses } = randomRows(seed, n);
      const bytes = new Uint8Array(rows.buffer);
      const columns = uses.flatMap((use, column) => {
        if (use === 0) return [];
        const width = COLUMN_BYTES[column]!;
        const count = use === 1 ? 1 : n;
        const own = new Uint8Array(width * count);
        for (let i = 0; i < count; i++) {
          const from = i * ROW_BYTES + COLUMN_OFFSETS[column]!;
          own.set(bytes.subarray(from, from + width), i * width);
        }
        return [{ column, constant: use === 1, bytes: own }];
      });
      const batch = batchOfColumns(BatchKind.transfers, n, columns.toReversed());
      expect(batchDefect(batch.words, 0, batch.byteLength)).toBeNull();
      expect(rowsOf(batch.words, n)).toEqual(rows);
    }
  });

  test('rows that lie one after the other are read as they are', () => {
    const { rows } = randomRows(5, 9);
    const columns = new Columns();
    const words = new Uint32Array(rows.length + 8);
    words.set(rows, 8);
    columns.openRows(BatchKind.transfers, words, new Uint16Array(words.buffer), 8, 9);
    const again = new Uint32Array(ROW_WORDS);
    for (let i = 0; i < 9; i++) {
      columns.copyRow(i, again, 0);
      expect(again).toEqual(rows.subarray(i * ROW_WORDS, (i + 1) * ROW_WORDS));
    }
  });
});

describe('batchDefect', () => {
  const { rows } = randomRows(6, 10);
  const whole = batchOfRows(BatchKind.transfers, rows, 10);
  const defectOf = (
    change: (words: Uint32Array) => void,
    limit = whole.byteLength,
  ): string | null => {
    const words = whole.words.slice();
    change(words);
    return batchDefect(words, 0, limit);
  };
  const unchanged = (): void => undefined;

  test('names what is wrong with the bytes', () => {
    const withN = (n: number) => (words: Uint32Array) => {
      words[0] = (BatchKind.transfers << 24) | n;
    };
    expect(defectOf(unchanged)).toBeNull();
    expect(defectOf(unchanged, HEADER_BYTES - 4)).toBe('shorter than a header');
    expect(defectOf(unchanged, whole.byteLength - 8)).toBe('cut off');
    for (const kind of [0, 4, 255]) {
      expect(defectOf((words) => (words[0] = ((kind << 24) | 10) >>> 0))).toBe('unknown kind');
    }
    for (const n of [0, BATCH_EVENTS_MAX + 1, 0xffffff]) {
      expect(defectOf(withN(n))).toBe('row count out of bounds');
    }
    expect(defectOf(withN(9))).toBe('wrong length');
    expect(defectOf((words) => (words[1]! |= 1 << COLUMNS))).toBe('unknown columns');
    expect(defectOf((words) => (words[1] = 0x0001_0002))).toBe('unknown columns');
    expect(defectOf((words) => (words[2]! += 8))).toBe('wrong length');
    expect(defectOf((words) => (words[2] = 0))).toBe('wrong length');
  });

  test('bytes that it lets through can be opened: one flipped bit in the header is found, or harmless', () => {
    const padded = new Uint32Array(4 + whole.words.length + 20_000);
    for (let bit = 0; bit < 96; bit++) {
      padded.fill(0);
      padded.set(whole.words, 4);
      padded[4 + (bit >> 5)]! ^= 1 << (bit & 31);
      if (batchDefect(padded, 16, 16 + whole.byteLength) !== null) continue;
      const columns = new Columns();
      columns.openBatch(padded, new Uint16Array(padded.buffer), 16, 0);
      columns.copyRow(columns.n - 1, new Uint32Array(ROW_WORDS), 0);
      // Kind, or a row count that gives the same padded length.
      expect(columns.n * columns.kind).toBeGreaterThan(0);
    }
  });

  test('a batch that lies about its length is not made', () => {
    const words = whole.words.slice();
    words[2]! += 8;
    expect(() => new Batch(words)).toThrow('its own length');
  });
});
