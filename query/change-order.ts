/**
 * The changes of all shards, in order: of the lanes, the one with the next change.
 *
 * I1 No change is taken before everything that stands before it was read (`ChangeLane.unread`) and is resolved (the caller's end).
 */
import type { ChangeLane } from './change-lane.ts';
import type { Pause } from './pause.ts';

/** Something that is not read yet may stand before the next change that is. */
export const UNREAD = 'unread';

export class ChangeOrder {
  readonly lanes: readonly ChangeLane[];
  #leastRead: ChangeLane;

  constructor(lanes: readonly ChangeLane[]) {
    this.lanes = lanes;
    this.#leastRead = lanes[0]!;
  }

  /** Sees what the journals have got since, and returns the last sequences of the shards. */
  *refresh(): Generator<Pause, number[]> {
    const lasts: number[] = [];
    for (const lane of this.lanes) lasts.push(yield* lane.refresh());
    return lasts;
  }

  /** The lane that is read least far: the one to read on when something is unread. */
  get leastRead(): ChangeLane {
    return this.#leastRead;
  }

  /** The lane in front of which the next change is; undefined when there is none before `end`. */
  // Hot path.
  next(end: bigint): ChangeLane | typeof UNREAD | undefined {
    let nearest: ChangeLane | undefined;
    let time = end;
    for (let i = 0; i < this.lanes.length; i++) {
      const lane = this.lanes[i]!;
      const { front } = lane;
      if (front !== undefined && front.time < time) {
        nearest = lane;
        ({ time } = front);
      }
      if (lane.unread < this.#leastRead.unread) this.#leastRead = lane;
    }
    const { unread } = this.#leastRead;
    return unread <= time && unread < end ? UNREAD : nearest;
  }
}
