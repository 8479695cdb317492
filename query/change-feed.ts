/**
 * get_change_events: all changes of all shards in the order of their timestamps, with both accounts as they were after each. Sorted by timestamp
 * they are a valid serial history; below the caller's watermark nothing is under way any more, so a page is never added to later.
 *
 * An imported transfer's own timestamp is in the past; it stands where it was executed, and is given that time.
 *
 * Who asks for a page is given it by itself (change-page.ts), which costs little but anew for each page. Who goes on from there gets a follower, which
 * begins with the journals and then has each change for little. Keeps FOLLOWERS_MAX of them. Where both of them are of no use, the one that was used
 * longer ago begins anew.
 */
import { ROW_WORDS } from '../engine/batch.ts';
import type { ChangesFilter } from '../engine/query.ts';
import type { Position } from '../engine/reply.ts';
import { UINT64_MAX } from '../engine/uint128.ts';
import { ChangeFollower, type AppliedChange } from './change-follower.ts';
import { type ChangePlace, type ChangeSource, isBefore } from './change-lane.ts';
import { ChangePage } from './change-page.ts';
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
/** A follower takes about so much longer for a frame on its way to a page than the page by itself does for one before it (docs/benchmarks.md). */
const FOLLOWER_COST = 8;
const GIVEN_MAX = 16;
const CURSOR_NUMBERS = 5;
/** Before every row of a time. */
const NO_SHARD = -1;

/** What stands behind `start` and before `end`, the first `limit` of it. */
interface WantedChanges {
  readonly start: ChangePlace;
  readonly end: bigint;
  readonly limit: number;
}

/** With the last sequences of the shards that were looked at. */
interface GivenChanges {
  readonly changes: readonly AppliedChange[];
  readonly lasts: readonly number[];
}

export class ChangeFeed {
  readonly #sources: readonly ChangeSource[];
  /** The least recently used one first. */
  readonly #followers: ChangeFollower[] = [];
  /** What the newest pages by themselves have reached over. */
  readonly #given: { readonly start: ChangePlace; readonly until: bigint }[] = [];

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
    const wanted = { start, end, limit: filter.limit };
    const isGoneOn = cursor !== undefined || this.#isGoneOn(start);
    const given =
      (isGoneOn ? undefined : yield* this.#byItself(wanted)) ?? (yield* this.#followed(wanted));
    const { changes, lasts } = given;
    const last = changes.length < filter.limit ? undefined : changes.at(-1)!.place;
    const next =
      last === undefined ? null : encodeCursor(CursorKind.changes, question, numbersOf(last));
    const positions = lasts.map((sequence, shard) => {
      return { shard, sequence, timestamp: this.#sources[shard]!.journal.timestamp(sequence) };
    });
    return pageOf(changes, next, positions);
  }

  /** Whether somebody asks for what is in a page that was given, or comes right behind it. */
  #isGoneOn(place: ChangePlace): boolean {
    return this.#given.some(({ start, until }) => !isBefore(place, start) && place.time <= until);
  }

  /** Undefined when a follower is near enough. */
  *#byItself(wanted: WantedChanges): Generator<Pause, GivenChanges | undefined> {
    const { start, end, limit } = wanted;
    const page = new ChangePage(this.#sources, { from: start.time, end, limit });
    const lasts = yield* page.seek();
    const frames = page.framesBefore;
    const isNear = this.#followers.some(
      (one) => one.covers(start) && (frames - one.frames) * FOLLOWER_COST <= frames,
    );
    if (isNear && frames > 0) return undefined;
    const changes = yield* page.changes();
    const last = changes.at(-1)?.place;
    if (last === undefined) return { changes, lasts };
    this.#given.push({ start, until: changes.length < limit ? end : last.time + 1n });
    if (this.#given.length > GIVEN_MAX) this.#given.shift();
    return { changes, lasts };
  }

  *#followed({ start, end, limit }: WantedChanges): Generator<Pause, GivenChanges> {
    const follower = yield* this.#take(start);
    try {
      const lasts = yield* follower.refresh();
      const changes: AppliedChange[] = [];
      yield* follower.changes(start, end, (change) => {
        // The words are used again for later changes.
        changes.push({ ...change, words: change.words.slice() });
        return changes.length < limit;
      });
      return { changes, lasts };
    } catch (error: unknown) {
      // Where it stands is not known; the next question begins anew.
      this.#forget(follower);
      throw error;
    } finally {
      follower.isBusy = false;
    }
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
