/**
 * Latencies that go from a load process to the bench: how often each was seen, so that those of several processes add up before percentiles are
 * taken. Latencies are kept to 11 bits, as finely as the histogram that they end in has them.
 */
import { LatencyHistogram } from '../lib/histogram.ts';

/** Microseconds, and how often. */
export type LatencyCount = readonly [us: number, times: number];

const BITS = 11;
const HIGHEST_US = 2 ** 31;

export class LatencyCounts {
  readonly #times = new Map<number, number>();

  record(ms: number): void {
    const us = Math.min(HIGHEST_US, Math.max(1, Math.round(ms * 1000)));
    const shift = Math.max(0, 32 - Math.clz32(us) - BITS);
    const kept = ((us >>> shift) << shift) >>> 0;
    this.#times.set(kept, (this.#times.get(kept) ?? 0) + 1);
  }

  all(): readonly LatencyCount[] {
    return [...this.#times];
  }
}

export function histogramOf(counts: Iterable<LatencyCount>): LatencyHistogram {
  const histogram = new LatencyHistogram();
  addCounts(counts, [histogram]);
  return histogram;
}

export function addCounts(
  counts: Iterable<LatencyCount>,
  histograms: readonly (LatencyHistogram | undefined)[],
): void {
  for (const [us, times] of counts) {
    for (let time = 0; time < times; time++) {
      for (const histogram of histograms) histogram?.record(us / 1000);
    }
  }
}
