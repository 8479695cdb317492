import { expect, test } from 'vitest';
import { combined, type Run } from './runs.ts';

const run = (transfers: number, p99: number): Run => ({
  transfers,
  seconds: 2,
  latency: { p50: 1, p99, p999: p99 * 2, max: p99 * 3 },
});

test('of several runs the median speaks, and of the greatest latency the greatest', () => {
  const all = combined([run(100, 5), run(400, 1), run(200, 3)]);
  expect(all).toMatchObject({
    transfers: 700,
    seconds: 6,
    transfersPerSecond: 100,
    latency: { p50: 1, p99: 3, p999: 6, max: 15 },
    repeats: {
      runs: 3,
      transfers_per_second: { median: 100, least: 50, greatest: 200 },
      latency_ms: { p99: { median: 3, least: 1, greatest: 5 } },
    },
  });
});

test('one run has no spread', () => {
  const one = combined([run(100, 5)]);
  expect(one.repeats).toBeUndefined();
  expect(one).toMatchObject({ transfersPerSecond: 50, latency: { p99: 5, max: 15 } });
});
