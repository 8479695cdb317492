/**
 * Follows the journals of all shards and knows all balances as they were at its place. It moves forward only; a question about what lies behind
 * needs another one, but for the changes just passed, which it keeps. Costs: the shadow (see there), CHANGES_KEPT times 424 bytes, and
 * the frames of about one block a shard. Changes are applied in their order (change-order.ts).
 */
import { ROW_WORDS } from '../engine/batch.ts';
import type { ChangeType } from '../engine/query.ts';
import { BalanceShadow } from './balance-shadow.ts';
import {
  ChangeLane,
  type ChangePlace,
  type ChangeSource,
  type FramePassing,
  isBefore,
  placeOf,
} from './change-lane.ts';
import { ChangeOrder, UNREAD } from './change-order.ts';
import type { Pause } from './pause.ts';

/** A change that was applied: the transfer's record, then both accounts after it. */
export interface AppliedChange {
  readonly place: ChangePlace;
  readonly type: ChangeType;
  readonly words: Uint32Array;
}

const CHANGES_KEPT = 8192;
const CHANGES_AT_ONCE = 256;

export class ChangeFollower {
  isBusy = false;
  readonly #shadow = new BalanceShadow();
  readonly #order: ChangeOrder;
  /** The newest ones, in a ring. */
  readonly #kept: (AppliedChange | undefined)[] = Array.from({ length: CHANGES_KEPT });
  #applied = 0;
  /** What was applied before the changes of this number is not kept: it was passed on the way to a place. */
  #keptFrom = 0;
  /** The newest change that is not kept any more. */
  #forgotten: ChangePlace | undefined;
  readonly #record = new Uint32Array(ROW_WORDS);
  readonly #passing: FramePassing = {
    run: (columns) => {
      this.#shadow.applyRun(columns);
      this.#applied += columns.n;
    },
    frame: (last) => {
      this.#forgotten = last;
      this.#keptFrom = this.#applied;
    },
  };

  constructor(sources: readonly ChangeSource[]) {
    this.#order = new ChangeOrder(
      sources.map((source) => new ChangeLane(source, (row) => this.#shadow.addAccount(row))),
    );
  }

  get byteLength(): number {
    return this.#shadow.byteLength;
  }

  /** Changes applied so far. */
  get applied(): number {
    return this.#applied;
  }

  /** Frames of all shards that it has read. */
  get frames(): number {
    return this.#order.lanes.reduce((sum, { frames }) => sum + frames, 0);
  }

  /** Whether it can give everything behind a place. */
  covers(start: ChangePlace): boolean {
    return this.#forgotten === undefined || !isBefore(start, this.#forgotten);
  }

  /** Returns the last sequences of the shards. */
  refresh(): Generator<Pause, number[]> {
    return this.#order.refresh();
  }

  /** Gives what stands behind a place and before an end, in order, until `take` has enough. */
  *changes(
    start: ChangePlace,
    end: bigint,
    take: (change: AppliedChange) => boolean,
  ): Generator<Pause, void> {
    for (let i = this.#firstBehind(start); i < this.#applied; i++) {
      const change = this.#kept[i % CHANGES_KEPT]!;
      if (change.place.time >= end || !take(change)) return;
    }
    const passed = start.time < end ? start.time : end;
    for (let steps = 0; ;) {
      const lane = this.#order.next(end);
      if (lane === UNREAD) {
        yield* this.#read(this.#order.leastRead, passed);
        yield;
        continue;
      }
      if (lane === undefined) return;
      if (++steps % CHANGES_AT_ONCE === 0) yield;
      if (!isBefore(start, lane.front!)) this.#pass(lane);
      else if (!take(this.#apply(lane))) return;
    }
  }

  /** Reads on, until nothing unread can stand before the next change (I1). A lane that is alone first takes whole frames before a time. */
  *#read(lane: ChangeLane, before: bigint): Generator<Pause, void> {
    if (this.#order.lanes.length === 1 && lane.front === undefined) {
      const next = lane.unread;
      yield* lane.pass(before, this.#passing);
      if (lane.unread !== next) return;
    }
    yield* lane.read();
  }

  /** The kept changes are in order. */
  #firstBehind(start: ChangePlace): number {
    let low = Math.max(this.#keptFrom, this.#applied - CHANGES_KEPT);
    let high = this.#applied;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(start, this.#kept[middle % CHANGES_KEPT]!.place)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Applies a change that nobody asks for. */
  #pass(lane: ChangeLane): void {
    this.#forgotten = this.#change(lane).place;
    this.#applied++;
    this.#keptFrom = this.#applied;
  }

  #apply(lane: ChangeLane): AppliedChange {
    const { place, type } = this.#change(lane);
    const slot = this.#applied % CHANGES_KEPT;
    const old = this.#kept[slot];
    if (old !== undefined && this.#applied - CHANGES_KEPT >= this.#keptFrom) {
      this.#forgotten = old.place;
    }
    const words = old?.words ?? new Uint32Array(3 * ROW_WORDS);
    words.set(this.#record);
    this.#shadow.copyAccounts(words, ROW_WORDS);
    const change = { place, type, words };
    this.#kept[slot] = change;
    this.#applied++;
    return change;
  }

  #change(lane: ChangeLane): { readonly place: ChangePlace; readonly type: ChangeType } {
    const place = lane.take();
    const { isExpiry, records, at } = place;
    const record = this.#record;
    for (let w = 0; w < ROW_WORDS; w++) record[w] = records[at + w]!;
    return { place: placeOf(place), type: this.#shadow.apply(record, isExpiry) };
  }
}
