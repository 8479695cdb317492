/**
 * get_change_events: all changes of all shards in the order of their timestamps, with both accounts as they were after each. Sorted by timestamp
 * they are a valid serial history; below the caller's watermark nothing is under way any more, so a page is never added to later.
 *
 * An imported transfer's own timestamp is in the past; it stands where it was executed, and is given that time.
 *
 * Keeps FOLLOWERS_MAX followers. A page behind both of them starts the one that was used longer ago anew, from the beginning of the journals.
 */
import { ROW_WORDS } from '../engine/batch.ts';
import type { ChangesFilter } from '../engine/query.ts';
import type { Position } from '../engine/reply.ts';
import { UINT64_MAX } from '../engine/uint128.ts';
import { ChangeFollower, type AppliedChange } from './change-follower.ts';
import type { ChangePlace, ChangeSource } from './change-lane.ts';
import { CursorKind, decodeCursor, encodeCursor, questionOf } from './cursor.ts';
import type { Pause } from './pause.ts';
import { spanOf } from './row-filter.ts';

export interface FoundChanges {
  readonly n: number;
  readonly types: Uint8Array<ArrayBuffer>;
  readonly timestamps: BigUint64Array<ArrayBuffer>;
  readonly transfers: Uint32Array<ArrayBuffer>;
  readonly debitAccounts: Uint32Array<ArrayBuffer>;
  readonly creditAccounts: Uint32Array<ArrayBuffer>;
  readonly next: string | null;
  readonly positions: readonly Position[];
}

const FOLLOWERS_MAX = 2;
const CURSOR_NUMBERS = 5;
/** Before every row of a time. */
const NO_SHARD = -1;

export class ChangeFeed {
  readonly #sources: readonly ChangeSource[];
  /** The least recently used one first. */
  readonly #followers: ChangeFollower[] = [];

  constructor(sources: readonly ChangeSource[]) {
    this.#sources = sources;
  }

  get byteLength(): number {
    return this.#followers.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Changes of times before `watermark`: nothing before it is unresolved, and all of it was durable when the question was asked. */
  *page(filter: ChangesFilter, watermark: bigint): Generator<Pause, FoundChanges> {
    const span = spanOf(filter);
    const question = questionOf(filter);
    const cursor = filter.cursor === '' ? undefined : placeOf(filter.cursor, question);
    if (span === undefined || filter.limit < 1) return pageOf([], null, []);
    const start = cursor ?? { time: span.min, shard: NO_SHARD, sequence: 0, row: 0 };
    const end = span.max === UINT64_MAX || span.max >= watermark ? watermark : span.max + 1n;
    const follower = yield* this.#take(start);
    try {
      return yield* this.#read({ start, end, limit: filter.limit, question }, follower);
    } catch (error: unknown) {
      // Where it stands is not known; the next question begins anew.
      this.#forget(follower);
      throw error;
    } finally {
      follower.isBusy = false;
    }
  }

  *#read(
    wanted: {
      readonly start: ChangePlace;
      readonly end: bigint;
      readonly limit: number;
      readonly question: number;
    },
    follower: ChangeFollower,
  ): Generator<Pause, FoundChanges> {
    const lasts = yield* follower.refresh();
    const positions = lasts.map((sequence, shard) => {
      return { shard, sequence, timestamp: this.#sources[shard]!.journal.timestamp(sequence) };
    });
    const found: AppliedChange[] = [];
    const { start, end, limit, question } = wanted;
    yield* follower.changes(start, end, (change) => {
      // The words are used again for later changes.
      found.push({ ...change, words: change.words.slice() });
      return found.length < limit;
    });
    const next =
      found.length < limit
        ? null
        : encodeCursor(CursorKind.changes, question, numbersOf(found.at(-1)!.place));
    return pageOf(found, next, positions);
  }

  /** The follower that has least to pass, busy from here on. */
  *#take(start: ChangePlace): Generator<Pause, ChangeFollower> {
    for (;;) {
      const covering = this.#followers.filter((one) => one.covers(start));
      const best = covering.toSorted((one, two) => two.applied - one.applied)[0];
      const follower = best ?? this.#begin();
      if (follower !== undefined && !follower.isBusy) {
        follower.isBusy = true;
        this.#forget(follower);
        this.#followers.push(follower);
        return follower;
      }
      yield 'waiting';
    }
  }

  #begin(): ChangeFollower | undefined {
    if (this.#followers.length >= FOLLOWERS_MAX) {
      const idle = this.#followers.find(({ isBusy }) => !isBusy);
      if (idle === undefined) return undefined;
      this.#forget(idle);
    }
    return new ChangeFollower(this.#sources);
  }

  #forget(follower: ChangeFollower): void {
    const at = this.#followers.indexOf(follower);
    if (at >= 0) this.#followers.splice(at, 1);
  }
}

function numbersOf({ time, shard, sequence, row }: ChangePlace): number[] {
  return [Number(time >> 32n), Number(time & 0xffffffffn), shard, sequence, row];
}

function placeOf(cursor: string, question: number): ChangePlace {
  const expected = { question, count: CURSOR_NUMBERS };
  const numbers = decodeCursor(cursor, CursorKind.changes, expected);
  const [high, low, shard, sequence, row] = numbers as [number, number, number, number, number];
  return { time: (BigInt(high) << 32n) | BigInt(low), shard, sequence, row };
}

function pageOf(
  found: readonly AppliedChange[],
  next: string | null,
  positions: readonly Position[],
): FoundChanges {
  const n = found.length;
  const types = new Uint8Array(n);
  const timestamps = new BigUint64Array(n);
  const rows = [0, 1, 2].map(() => new Uint32Array(n * ROW_WORDS));
  for (const [i, { place, type, words }] of found.entries()) {
    types[i] = type;
    timestamps[i] = place.time;
    for (const [part, target] of rows.entries()) {
      target.set(words.subarray(part * ROW_WORDS, (part + 1) * ROW_WORDS), i * ROW_WORDS);
    }
  }
  const [transfers, debitAccounts, creditAccounts] = rows as [
    Uint32Array<ArrayBuffer>,
    Uint32Array<ArrayBuffer>,
    Uint32Array<ArrayBuffer>,
  ];
  return { n, types, timestamps, transfers, debitAccounts, creditAccounts, next, positions };
}
