import { expect, test } from 'vitest';
import { LatencyHistogram } from './histogram.ts';

test('a histogram gives percentiles in milliseconds to three figures', () => {
  const histogram = new LatencyHistogram();
  for (let i = 1; i <= 1000; i++) histogram.record(i / 10);
  const { p50, p99, max } = histogram.summary();
  expect(p50).toBeCloseTo(50, 0);
  expect(p99).toBeCloseTo(99, 0);
  expect(max).toBeCloseTo(100, 0);
  expect(histogram.count).toBe(1000);
});

test('an empty histogram is all zero, and a reset one is empty', () => {
  const histogram = new LatencyHistogram();
  histogram.record(5);
  histogram.reset();
  expect(histogram.summary()).toEqual({ p50: 0, p99: 0, p999: 0, max: 0 });
});
