import { expect, test } from 'vitest';
import { Prng } from './prng.ts';

test('one seed gives one run', () => {
  const one = new Prng(7);
  const again = new Prng(7);
  const other = new Prng(8);
  const run = (prng: Prng): number[] => Array.from({ length: 50 }, () => prng.uint32());
  const first = run(one);
  expect(run(again)).toEqual(first);
  expect(run(other)).not.toEqual(first);
});

test('the run of a seed never changes', () => {
  const prng = new Prng(1);
  expect([prng.uint32(), prng.uint32(), prng.uint32()]).toEqual([
    2448283801, 2512788973, 4029899660,
  ]);
});

test('numbers keep within their bounds and use all of them', () => {
  const prng = new Prng(3);
  const counts = new Map<number, number>();
  for (let i = 0; i < 6000; i++) {
    const value = prng.between(-1, 4);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([-1, 0, 1, 2, 3, 4]);
  for (const count of counts.values()) expect(count).toBeGreaterThan(850);
  expect(() => prng.below(0)).toThrow(RangeError);
  for (let i = 0; i < 100; i++) expect(prng.bits(128)).toBeLessThan(1n << 128n);
});

test('a shuffle keeps every element', () => {
  const list = [1, 2, 3, 4, 5, 6, 7, 8];
  expect(new Prng(5).shuffle([...list]).toSorted((a, b) => a - b)).toEqual(list);
});
