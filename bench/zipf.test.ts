import { expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { Zipf } from './zipf.ts';

const DRAWS = 200_000;

function counts(accounts: number, skew: number): number[] {
  const random = new Prng(1);
  const zipf = new Zipf(accounts, skew, random);
  const drawn = Array.from({ length: accounts }, () => 0);
  for (let i = 0; i < DRAWS; i++) drawn[zipf.draw(random)]!++;
  return drawn.toSorted((a, b) => b - a);
}

test('the hottest accounts have the shares that their ranks have', () => {
  const zipf = new Zipf(1_000, 0.99, new Prng(1));
  const drawn = counts(1_000, 0.99);
  expect(drawn[0]! / DRAWS).toBeCloseTo(zipf.shareOf(1), 2);
  expect(drawn[1]! / drawn[0]!).toBeCloseTo(0.5 ** 0.99, 1);
  const top = drawn.slice(0, 100).reduce((sum, one) => sum + one, 0);
  expect(top / DRAWS).toBeCloseTo(zipf.shareOf(100), 1);
  expect(zipf.shareOf(1_000)).toBe(1);
});

test('with less skew the load is more even', () => {
  const [hot, mild] = [counts(100, 0.99), counts(100, 0.1)];
  expect(mild[0]!).toBeLessThan(hot[0]! / 3);
  expect(mild.at(-1)!).toBeGreaterThan(DRAWS / 100 / 3);
});

test('hot accounts are not the first ones', () => {
  const random = new Prng(7);
  const zipf = new Zipf(10_000, 0.99, random);
  const drawn = Array.from({ length: 1_000 }, () => zipf.draw(random));
  expect(drawn.filter((account) => account < 100).length).toBeLessThan(300);
});
