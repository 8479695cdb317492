import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { GrowingWords, hashValue, mayHold, SUMMARY_WORDS, ValueCollector } from './value-set.ts';

function collect(values: readonly Uint32Array[]): (value: Uint32Array) => boolean {
  const collector = new ValueCollector();
  const heads = new Uint32Array(SUMMARY_WORDS * 2);
  const filters = new GrowingWords();
  filters.extend(3);
  for (const [a, b, c, d] of values) collector.add(a!, b!, c!, d!);
  collector.finish(heads, SUMMARY_WORDS, filters);
  return (value) => mayHold(heads, SUMMARY_WORDS, filters.words, hashValue(value));
}

function randomValues(prng: Prng, count: number): Uint32Array[] {
  return Array.from({ length: count }, () => Uint32Array.from([1, 2, 3, 4], () => prng.uint32()));
}

describe('the values of a column', () => {
  test.for([1, 2, 16, 17, 500, 8192, 65_535])('%i of them are all found', (count) => {
    const values = randomValues(new Prng(count), count);
    const holds = collect([...values, ...values]);
    expect(values.filter((value) => !holds(value))).toEqual([]);
  });

  test('of others nearly none is found', () => {
    const prng = new Prng(5);
    const holds = collect(randomValues(prng, 8192));
    const wrong = randomValues(prng, 50_000).filter((value) => holds(value)).length;
    expect(wrong).toBeLessThan(150);
  });

  test('few are told apart exactly, and what is below or above is never found', () => {
    const holds = collect([5, 9, 7].map((low) => Uint32Array.of(low, 0, 0, 1)));
    const found = Array.from({ length: 20 }, (_, low) => low).filter((low) =>
      holds(Uint32Array.of(low, 0, 0, 1)),
    );
    expect(found).toEqual([5, 7, 9]);
    expect(holds(Uint32Array.of(5, 0, 0, 2))).toBe(false);
  });

  test('without rows nothing is found', () => {
    expect(collect([])(Uint32Array.of(0, 0, 0, 0))).toBe(false);
  });
});
