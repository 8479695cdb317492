import { expect, test } from 'vitest';
import { id, idSource } from './id.ts';

test('ids strictly increase, also within one millisecond', () => {
  let last = 0n;
  for (let i = 0; i < 10_000; i++) {
    const next = id();
    expect(next).toBeGreaterThan(last);
    last = next;
  }
  expect(last).toBeLessThan(2n ** 128n - 1n);
});

test('an id carries its millisecond in the upper 48 bits and randomness in the lower 80', () => {
  const next = idSource({ now: () => 1_700_000_000_000, random: () => 7n });
  expect(next()).toBe((1_700_000_000_000n << 80n) | 7n);
  expect(next()).toBe((1_700_000_000_000n << 80n) | 8n);
});

test('ids go on increasing when the clock jumps back', () => {
  const times = [2_000, 1_000, 1_500, 2_001];
  const next = idSource({ now: () => times.shift()!, random: () => 0n });
  const made = [next(), next(), next(), next()];
  expect(made).toEqual(made.toSorted((a, b) => (a < b ? -1 : 1)));
  expect(made[2]! >> 80n).toBe(2_000n);
  expect(made[3]! >> 80n).toBe(2_001n);
});

test('counting on from the largest fresh randomness does not carry into the time', () => {
  const next = idSource({ now: () => 5, random: () => (1n << 80n) - 1n });
  next();
  expect(next() >> 80n).toBe(5n);
});
