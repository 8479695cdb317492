import { describe, expect, test } from 'vitest';
import { Columns, Transfer } from '../engine/batch.ts';
import { Prng } from '../lib/prng.ts';
import { GrowingWords, hashValue, mayHold, SUMMARY_WORDS, ValueCollector } from './value-set.ts';

function collect(
  values: readonly Uint32Array[],
  filters = new GrowingWords(),
): (value: Uint32Array) => boolean {
  const collector = new ValueCollector();
  const heads = new Uint32Array(SUMMARY_WORDS * 2);
  filters.extend(3);
  collector.addRows(columnOf(values), Transfer.userData128, 0, values.length);
  collector.finish(heads, SUMMARY_WORDS, filters);
  return (value) => mayHold(heads, SUMMARY_WORDS, filters.words, hashValue(value));
}

/** A column of 16 bytes with these values. */
function columnOf(values: readonly Uint32Array[]): Columns {
  const columns = new Columns();
  columns.n = values.length;
  columns.words = Uint32Array.from(values.flatMap((value) => [...value]));
  columns.at[Transfer.userData128] = 0;
  columns.step[Transfer.userData128] = 4;
  return columns;
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

  test('small ones, many of which share their upper parts, are all found', () => {
    const prng = new Prng(6);
    for (let round = 0; round < 300; round++) {
      const values = Array.from({ length: prng.between(1, 40) }, () =>
        Uint32Array.from([1, 2, 3, 4], () => prng.below(3)),
      );
      const holds = collect(values);
      expect(values.filter((value) => !holds(value))).toEqual([]);
    }
  });

  test.for([17, 40, 300, 2000])('%i that come again and again take no more room', (count) => {
    const prng = new Prng(count);
    const values = randomValues(prng, count);
    const often = Array.from({ length: 8192 }, () => values[prng.below(count)]!);
    const filters = new GrowingWords();
    const holds = collect([...values, ...often], filters);
    expect(filters.length - 3).toBeLessThanOrEqual(Math.max(count, 128));
    expect(values.filter((value) => !holds(value))).toEqual([]);
    const wrong = randomValues(prng, 20_000).filter((value) => holds(value)).length;
    expect(wrong).toBeLessThan(60);
  });

  test.for([0, 1, 2, 3])('those that differ in word %i only are told apart', (word) => {
    const count = 8000;
    const values = Array.from({ length: 2 * count }, (_, i) => {
      const value = new Uint32Array(4);
      value[word] = i;
      return value;
    });
    const holds = collect(values.filter((_, i) => i % 2 === 0));
    const wrong = values.filter((value, i) => i % 2 === 1 && holds(value)).length;
    expect(wrong).toBeLessThan(30);
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
