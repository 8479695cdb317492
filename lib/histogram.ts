/** Latencies in a native HDR histogram: three significant figures from a microsecond to an hour. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

export interface LatencyMs {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

const HIGHEST_US = 3_600_000_000;

export class LatencyHistogram {
  readonly #histogram: RecordableHistogram = createHistogram({
    lowest: 1,
    highest: HIGHEST_US,
    figures: 3,
  });

  get count(): number {
    return this.#histogram.count;
  }

  record(ms: number): void {
    this.#histogram.record(Math.min(HIGHEST_US, Math.max(1, Math.round(ms * 1000))));
  }

  reset(): void {
    this.#histogram.reset();
  }

  summary(): LatencyMs {
    if (this.#histogram.count === 0) return { p50: 0, p99: 0, p999: 0, max: 0 };
    const at = (percentile: number): number => this.#histogram.percentile(percentile) / 1000;
    return { p50: at(50), p99: at(99), p999: at(99.9), max: this.#histogram.max / 1000 };
  }
}
