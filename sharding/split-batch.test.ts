import { describe, expect, test } from 'vitest';
import {
  batchDefect,
  BatchKind,
  batchOfRows,
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  Columns,
  ROW_BYTES,
  ROW_WORDS,
} from '../engine/batch.ts';
import { Prng } from '../lib/prng.ts';
import { splitBatch, splitBytes } from './split-batch.ts';

const AT = 6;

function randomRows(prng: Prng, n: number): Uint32Array {
  const bytes = new Uint8Array(n * ROW_BYTES);
  for (let column = 0; column < COLUMNS; column++) {
    const use = prng.below(3);
    const width = COLUMN_BYTES[column]!;
    const one = Array.from({ length: width }, () => prng.below(256));
    for (let i = 0; i < n; i++) {
      const value = use === 1 ? one : one.map(() => prng.below(256));
      if (use > 0) bytes.set(value, i * ROW_BYTES + COLUMN_OFFSETS[column]!);
    }
  }
  return new Uint32Array(bytes.buffer);
}

function placed(
  words: Uint32Array,
  room = words.length,
): { words: Uint32Array; halves: Uint16Array; at: number } {
  const place = new Uint32Array(AT + room + 2);
  place.set(words, AT);
  return { words: place, halves: new Uint16Array(place.buffer), at: AT };
}

describe('a part of a batch', () => {
  test('is a batch of the chosen rows, in their order, with the same columns', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const prng = new Prng(seed);
      const n = prng.between(1, 60);
      const rows = randomRows(prng, n);
      const source = placed(batchOfRows(BatchKind.transfers, rows, n).words);
      const chosen = Uint16Array.from(
        Array.from({ length: n }, (_, i) => i).filter((i) => i === 0 || prng.chance(40)),
      );
      const bytes = splitBytes(source, chosen.length);
      const target = placed(new Uint32Array(0), bytes / 4);
      target.words.fill(0xdddddddd, AT);
      splitBatch(source, chosen, chosen.length, target);
      expect(batchDefect(target.words, AT * 4, AT * 4 + bytes)).toBeNull();
      expect([...target.words.subarray(AT + bytes / 4)]).toEqual([0xdddddddd, 0xdddddddd]);
      const columns = new Columns();
      columns.openBatch(target.words, target.halves, AT * 4, 0);
      expect([columns.n, columns.kind]).toEqual([chosen.length, BatchKind.transfers]);
      const row = new Uint32Array(ROW_WORDS);
      for (const [i, from] of chosen.entries()) {
        columns.copyRow(i, row, 0);
        expect(row).toEqual(rows.subarray(from * ROW_WORDS, (from + 1) * ROW_WORDS));
      }
    }
  });

  test('has the marks of its rows behind it', () => {
    const n = 7;
    const rows = randomRows(new Prng(5), n);
    const marks = Uint8Array.of(1, 0, 2, 3, 0, 0, 1);
    const source = { ...placed(batchOfRows(BatchKind.transfers, rows, n).words), marks };
    for (const chosen of [Uint16Array.of(0, 2, 3, 5, 6), Uint16Array.of(6), Uint16Array.of(1, 4)]) {
      const bytes = splitBytes(source, chosen.length);
      const target = placed(new Uint32Array(0), bytes / 4);
      target.words.fill(0xdddddddd, AT);
      splitBatch(source, chosen, chosen.length, target);
      const end = AT * 4 + target.words[AT + 2]!;
      expect(end + 8).toBe(AT * 4 + bytes);
      expect(batchDefect(target.words, AT * 4, end)).toBeNull();
      const behind = [...new Uint8Array(target.words.buffer, end, 8)];
      const expected = [...chosen].map((row) => marks[row]!);
      expect(behind).toEqual([...expected, ...Array<number>(8 - chosen.length).fill(0)]);
      expect([...target.words.subarray(AT + bytes / 4)]).toEqual([0xdddddddd, 0xdddddddd]);
    }
  });

  test('of no rows, or of more than there are, is a bug', () => {
    const source = placed(batchOfRows(BatchKind.ids, new Uint32Array(ROW_WORDS), 1).words);
    const target = placed(new Uint32Array(100));
    expect(() => splitBatch(source, Uint16Array.of(), 0, target)).toThrow('some of the rows');
    expect(() => splitBatch(source, Uint16Array.of(0, 0), 2, target)).toThrow('some of the rows');
  });
});
