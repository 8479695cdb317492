import { expect, test } from 'vitest';
import { LatencyHistogram } from '../lib/histogram.ts';
import { Prng } from '../lib/prng.ts';
import { histogramOf, LatencyCounts } from './latency-counts.ts';

test('counts of two processes have the percentiles of one histogram of all', () => {
  const random = new Prng(1);
  const all = new LatencyHistogram();
  const processes = [new LatencyCounts(), new LatencyCounts()];
  for (let i = 0; i < 20_000; i++) {
    const ms = Math.exp(random.fraction() * 12) / 100;
    all.record(ms);
    processes[i % 2]!.record(ms);
  }
  const counts = processes.flatMap((one) => one.all());
  const { max, ...percentiles } = histogramOf(counts).summary();
  const { max: greatest, ...expected } = all.summary();
  expect(percentiles).toEqual(expected);
  expect(Math.abs(max / greatest - 1)).toBeLessThan(0.001);
  expect(counts.length).toBeLessThan(20_000);
});
