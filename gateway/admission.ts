/**
 * What both transports share in front of the router: bounds on the requests and on the bytes in flight, and deadlines.
 *
 * A full bound answers `overloaded` at once; nothing waits here. Bytes are counted as they arrive, so that a client who announces a large
 * body and sends it slowly holds no more than he has sent. Every `takeBytes` is followed by one `giveBytes`, every `enter` by one `leave`.
 */
import { assert } from '../engine/assert.ts';
import { SyceeError } from '../lib/sycee-error.ts';

export const REQUESTS_MAX_DEFAULT = 8192;
export const BYTES_MAX_DEFAULT = 128 << 20;
/** The longest wait that a caller may ask for. */
export const DEADLINE_MS_MAX = 600_000;
export const DEADLINE_HEADER = 'Sycee-Deadline-Ms';
/** What `Retry-After` says with `overloaded`. */
export const RETRY_AFTER_SECONDS = 1;

export interface AdmissionLimits {
  readonly requestsMax?: number;
  readonly bytesMax?: number;
}

export class Admission {
  readonly requestsMax: number;
  readonly bytesMax: number;
  #requests = 0;
  #bytes = 0;
  #refused = 0;
  #isClosed = false;
  #whenIdle: (() => void)[] = [];

  constructor(limits: AdmissionLimits = {}) {
    this.requestsMax = limits.requestsMax ?? REQUESTS_MAX_DEFAULT;
    this.bytesMax = limits.bytesMax ?? BYTES_MAX_DEFAULT;
    assert(this.requestsMax > 0, 'at least one request is let in');
    assert(this.bytesMax > 0, 'at least one byte is let in');
  }

  get requests(): number {
    return this.#requests;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Requests that were turned away since the start. */
  get refused(): number {
    return this.#refused;
  }

  takeBytes(bytes: number): void {
    if (this.#bytes + bytes > this.bytesMax) {
      this.#refused++;
      throw new SyceeError(
        'overloaded',
        `the requests in flight already hold ${this.#bytes} of ${this.bytesMax} bytes; ask again later`,
      );
    }
    this.#bytes += bytes;
  }

  giveBytes(bytes: number): void {
    this.#bytes -= bytes;
    assert(this.#bytes >= 0, 'no more bytes are given back than were taken');
  }

  enter(): void {
    if (this.#isClosed) {
      throw new SyceeError('not_ready', 'this server is closing and takes no more requests');
    }
    if (this.#requests >= this.requestsMax) {
      this.#refused++;
      throw new SyceeError(
        'overloaded',
        `${this.requestsMax} requests are in flight already; ask again later`,
      );
    }
    this.#requests++;
  }

  leave(): void {
    this.#requests--;
    assert(this.#requests >= 0, 'a request leaves once');
    if (this.#requests > 0) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }

  /** From now on `enter` refuses with `not_ready`. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when no request is in flight. */
  idle(): Promise<void> {
    if (this.#requests === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }
}

/** The absolute deadline that a `Sycee-Deadline-Ms` header asks for, or 0 when there is none. */
export function deadlineOf(header: string | undefined, nowMs: number): number {
  if (header === undefined || header === '') return 0;
  const wait = /^[0-9]{1,6}$/.test(header) ? Number(header) : 0;
  if (wait < 1 || wait > DEADLINE_MS_MAX) {
    throw new SyceeError(
      'malformed_request',
      `${DEADLINE_HEADER} must be a whole number of milliseconds from 1 to ${DEADLINE_MS_MAX}`,
      { field: DEADLINE_HEADER, rule: `1..${DEADLINE_MS_MAX}` },
    );
  }
  return nowMs + wait;
}
