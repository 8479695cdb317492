/** Counters of one edge: plain numbers that the hot path adds to, and that `/metrics` and ADR-32 statistics read. */
import { ERROR_CODES, type ErrorCode } from '../lib/sycee-error.ts';
import { OPERATIONS } from './operation.ts';

/** Upper bounds of the latency buckets, in seconds. */
export const LATENCY_SECONDS_BOUNDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** What is counted by operation; `status` has its own line, what names no operation is `other`. */
export const METERED: readonly string[] = [...OPERATIONS, 'status', 'other'];
export const STATUS_INDEX = METERED.indexOf('status');
export const OTHER_INDEX = METERED.indexOf('other');

const CODE_INDEX = new Map<string, number>(ERROR_CODES.map((code, i) => [code, i]));
const BUCKETS = LATENCY_SECONDS_BOUNDS.length + 1;

/** One operation of one edge. `buckets` are not cumulative; the last one is what exceeds every bound. */
export interface OperationReading {
  readonly operation: string;
  readonly requests: number;
  readonly errors: ReadonlyMap<ErrorCode, number>;
  /** Of this operation; empty when there was none. */
  readonly lastError: string;
  readonly seconds: number;
  readonly buckets: Float64Array;
}

export class EdgeMeter {
  readonly edge: string;
  /** Messages that could not be answered: without a reply subject, or with one that is not allowed. */
  ignored = 0;
  #inFlight = 0;
  readonly #requests = new Float64Array(METERED.length);
  readonly #seconds = new Float64Array(METERED.length);
  readonly #buckets = new Float64Array(METERED.length * BUCKETS);
  readonly #errors = new Float64Array(METERED.length * ERROR_CODES.length);
  readonly #lastErrors: string[] = METERED.map(() => '');

  constructor(edge: string) {
    this.edge = edge;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Hot path. The answer is handed to `end`. */
  begin(): number {
    this.#inFlight++;
    return performance.now();
  }

  /** Hot path. */
  end(operation: number, startedMs: number): void {
    this.#inFlight--;
    const seconds = (performance.now() - startedMs) / 1000;
    this.#requests[operation]! += 1;
    this.#seconds[operation]! += seconds;
    let bucket = 0;
    while (bucket < BUCKETS - 1 && seconds > LATENCY_SECONDS_BOUNDS[bucket]!) bucket++;
    this.#buckets[operation * BUCKETS + bucket]! += 1;
  }

  /** A request that ended with a problem; `end` counts it as a request as well. */
  fail(operation: number, error: { readonly code: ErrorCode; readonly message: string }): void {
    this.#errors[operation * ERROR_CODES.length + CODE_INDEX.get(error.code)!]! += 1;
    this.#lastErrors[operation] = `${error.code}: ${error.message}`;
  }

  read(): readonly OperationReading[] {
    return METERED.map((operation, i) => ({
      operation,
      requests: this.#requests[i]!,
      lastError: this.#lastErrors[i]!,
      errors: new Map(
        ERROR_CODES.map((code, j) => [code, this.#errors[i * ERROR_CODES.length + j]!] as const),
      ),
      seconds: this.#seconds[i]!,
      buckets: this.#buckets.slice(i * BUCKETS, (i + 1) * BUCKETS),
    }));
  }
}
