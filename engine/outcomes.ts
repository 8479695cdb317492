/** Takes note of every outcome: in a hash over those of the group, which its frame keeps, and in counters for metrics. */
import { BatchKind } from './batch.ts';
import { EventState } from './status.ts';

const STATUS_COUNTERS = 72;

export class Outcomes {
  /** Over the outcomes of the group under way, in order. */
  decisions = 0;
  /** By status number since the start. */
  readonly accounts = new Float64Array(STATUS_COUNTERS);
  readonly transfers = new Float64Array(STATUS_COUNTERS);

  /** What an event has become, with the timestamp of its outcome. */
  // Hot path.
  note(status: number, low: number, high: number): void {
    let hash = Math.imul(this.decisions ^ status, 0x01000193);
    hash = Math.imul(hash ^ low, 0x01000193);
    this.decisions = Math.imul(hash ^ high, 0x01000193) ^ (hash >>> 15);
  }

  /** Counts what somebody asked for and what was started. */
  count(kind: BatchKind, status: number): void {
    if (kind === BatchKind.ids || status >= EventState.waiting) return;
    const counters = kind === BatchKind.accounts ? this.accounts : this.transfers;
    counters[status] = counters[status]! + 1;
  }
}
