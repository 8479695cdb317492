/** Figures that one scenario alone has, and how they are made fit to be read. */
import type { LatencyHistogram } from '../lib/histogram.ts';

/** By name; a report shows them as they are. */
export type Figures = Readonly<
  Record<string, number | null | Readonly<Record<string, number | null>>>
>;

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** In milliseconds, and of how many. */
export function percentiles(histogram: LatencyHistogram): {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
} {
  const { p50, p99 } = histogram.summary();
  return { p50: rounded(p50, 3), p99: rounded(p99, 3), count: histogram.count };
}

/** Growth divided by a count; null where it is not known. */
export function growthOfEach(
  from: number | undefined,
  to: number | undefined,
  count: number,
): number | null {
  if (from === undefined || to === undefined || count === 0) return null;
  return rounded((to - from) / count, 1);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

export function spreadOf(values: readonly number[], digits: number): Spread {
  if (values.length === 0) return { median: 0, least: 0, greatest: 0 };
  return {
    median: rounded(median(values), digits),
    least: rounded(Math.min(...values), digits),
    greatest: rounded(Math.max(...values), digits),
  };
}
