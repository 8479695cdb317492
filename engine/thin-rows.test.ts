import { expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { BatchKind, batchOfRows, Columns } from './batch.ts';
import { WordList } from './link-message.ts';
import {
  appendThin,
  appendThinRow,
  evenEnd,
  evenOut,
  readThin,
  skipThin,
  thinWord,
  widen,
} from './thin-rows.ts';

const BEHIND = 3;

/** Rows of which some words are 0, some have all their bits, and the last ones too. */
function randomRows(prng: Prng, rows: number, count: number): Uint32Array {
  return Uint32Array.from({ length: rows * count }, () =>
    prng.chance(60) ? 0 : prng.pick([1, 0x80000000, 0xffffffff, prng.below(2 ** 32)]),
  );
}

test.for([1, 22, 32])('rows of %i words come back as they were', (count) => {
  const prng = new Prng(count);
  for (let rows = 0; rows < 80; rows++) {
    const source = randomRows(prng, rows, count);
    const list = new WordList();
    list.extend(2);
    const starts: number[] = [];
    for (let i = 0; i < rows; i++) {
      starts.push(list.length);
      appendThin(list, source, i * count, count);
      for (let w = 0; w < BEHIND; w++) list.append(Uint32Array.of(0xffffffff), 0, 1);
    }
    const words = list.copy();
    const found = new Uint32Array(rows * count).fill(7);
    for (let i = 0; i < rows; i++) {
      const end = readThin(words, starts[i]!, found, i * count, count);
      expect(end + BEHIND).toBe(starts[i + 1] ?? words.length);
    }
    expect(found).toEqual(source);
    const single = Array.from(source, (_, w) =>
      thinWord(words, starts[Math.floor(w / count)]!, w % count),
    );
    expect(single).toEqual([...source]);
    expect(skipThin(words, 2, rows, BEHIND)).toBe(words.length);
  }
});

test.for([1, 2, 3, 4, 5, 6, 7, 8])(
  'rows of a batch are as those copied before; seed %i',
  (seed) => {
    const prng = new Prng(seed);
    const rows = prng.between(1, 60);
    const source = randomRows(prng, rows, 32);
    // Columns that are left out, or that have one value, are read from elsewhere.
    const [absent, constant] = [prng.below(32), prng.below(32)];
    for (let i = 0; i < rows; i++) {
      for (let w = 0; w < 32; w++) {
        if ((w & absent) === absent) source[i * 32 + w] = 0;
        if ((w & constant) === constant) source[i * 32 + w] = source[w]!;
      }
    }
    const batch = batchOfRows(BatchKind.transfers, source, rows);
    const words = new Uint32Array(batch.words.length + 4);
    words.set(batch.words);
    const columns = new Columns();
    columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
    const byRow = new Columns();
    byRow.openRows(BatchKind.transfers, source, new Uint16Array(source.buffer), 0, rows);
    const lists = [new WordList(), new WordList(), new WordList()] as const;
    for (let i = 0; i < rows; i++) {
      appendThin(lists[0], source, i * 32, 32);
      appendThinRow(lists[1], columns, i);
      appendThinRow(lists[2], byRow, i);
    }
    expect(lists[1].copy()).toEqual(lists[0].copy());
    expect(lists[2].copy()).toEqual(lists[0].copy());
  },
);

test('a row has a mask, and only the words that are not 0', () => {
  const row = new Uint32Array(32);
  row[0] = 5;
  row[31] = 6;
  const list = new WordList();
  appendThin(list, row, 0, 32);
  appendThin(list, new Uint32Array(32), 0, 32);
  expect([...list.copy()]).toEqual([0x80000001, 5, 6, 0]);
  expect(() => appendThin(list, new Uint32Array(33), 0, 33)).toThrow('a mask of one word');
});

test('whole rows are made of thin ones', () => {
  const source = randomRows(new Prng(9), 50, 32);
  const list = new WordList();
  for (let i = 0; i < 50; i++) appendThin(list, source, i * 32, 32);
  widen(list, 50, 32);
  expect(list.copy()).toEqual(source);
});

test('what is behind them begins after an even number of words', () => {
  const list = new WordList();
  appendThin(list, Uint32Array.of(1, 2), 0, 2);
  evenOut(list);
  expect([...list.copy()]).toEqual([3, 1, 2, 0]);
  evenOut(list);
  expect(list.length).toBe(4);
  expect([evenEnd(5, 8), evenEnd(5, 9), evenEnd(4, 7)]).toEqual([9, 9, 8]);
});
