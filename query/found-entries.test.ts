import { expect, test } from 'vitest';
import { ROW_WORDS } from '../engine/batch.ts';
import { DERIVED_WORDS } from '../engine/frame.ts';
import { FoundEntries } from './found-entries.ts';

const WORDS = new Uint32Array(DERIVED_WORDS);

/** Entries of which every word says which one it is. */
function fill(found: FoundEntries, count: number, from: number): void {
  for (let i = 0; i < count; i++) {
    found.add({ low: from + i, high: 256 }, WORDS.fill(from + i), i);
  }
}

/** Whether there are just the entries that `fill` has made. */
function isFilled(found: FoundEntries, count: number, from: number): boolean {
  const records = found.records();
  const times = found.times(ROW_WORDS);
  if (found.n !== count || records.length !== count * ROW_WORDS) return false;
  return Array.from({ length: count }, (_, i) => i).every((i) => {
    const word = from + i;
    const record = records.subarray(i * ROW_WORDS, (i + 1) * ROW_WORDS);
    return (
      record.every((one) => one === word) &&
      times[i] === BigInt(word) * 0x1_0000_0001n &&
      found.positions[i]!.low === word &&
      found.entry(i, WORDS).every((one) => one === word)
    );
  });
}

test('memory is used again, and nothing of the page before is left', () => {
  let first: FoundEntries;
  {
    using found = FoundEntries.take();
    first = found;
    fill(found, 500, 1000);
    expect(isFilled(found, 500, 1000)).toBe(true);
    expect(found.lastOrdinal).toBe(499);
  }
  using found = FoundEntries.take();
  expect(found).toBe(first);
  expect(found.lastOrdinal).toBe(0);
  expect(isFilled(found, 0, 0)).toBe(true);
  fill(found, 3, 7);
  expect(isFilled(found, 3, 7)).toBe(true);
});

test('pages under way at the same time have memory of their own', () => {
  using one = FoundEntries.take();
  using other = FoundEntries.take();
  fill(one, 130, 1);
  fill(other, 130, 1000);
  expect(isFilled(one, 130, 1)).toBe(true);
  expect(isFilled(other, 130, 1000)).toBe(true);
});

test('given back twice it is given out once', () => {
  const found = FoundEntries.take();
  found[Symbol.dispose]();
  found[Symbol.dispose]();
  using one = FoundEntries.take();
  using other = FoundEntries.take();
  expect(one).not.toBe(other);
});

test('memory of a very large page is not kept', () => {
  let large: FoundEntries;
  {
    using found = FoundEntries.take();
    large = found;
    fill(found, 1500, 0);
  }
  using found = FoundEntries.take();
  expect(found).not.toBe(large);
});

test('what a page has given stays when its memory is used again', () => {
  let records: Uint32Array;
  {
    using found = FoundEntries.take();
    fill(found, 2, 5);
    records = found.records();
  }
  using found = FoundEntries.take();
  fill(found, 2, 9);
  expect([records[0], records[ROW_WORDS]]).toEqual([5, 6]);
});
