/**
 * Some changes from any time on, without all that was before: their accounts are known as soon as they are read, and the balances of these few
 * accounts are added up from the journals alone (account-sums.ts). That takes a seventh of what a follower takes to the same place
 * (docs/benchmarks.md), but each time anew. Nothing is kept.
 *
 * I1 A frame whose clock is before the page has changes of before only, and one that the lanes have not read has none: none of what is decided
 *    later is earlier (`ChangeOrder`). What lies between is taken change by change.
 *
 * The changes themselves come from whole frames with their checksums; of large frames before the page only parts are read, as histories do.
 */
import { ROW_WORDS } from '../engine/batch.ts';
import { UINT64_MAX } from '../engine/uint128.ts';
import { AccountSums } from './account-sums.ts';
import type { AppliedChange } from './change-follower.ts';
import { type Change, ChangeLane, type ChangeSource, placeOf } from './change-lane.ts';
import { ChangeOrder, UNREAD } from './change-order.ts';
import { CREDIT_ACCOUNT, DEBIT_ACCOUNT } from './change-rules.ts';
import { FrameRows } from './frame-rows.ts';
import { PAGED_BYTES_MIN, wordsOf } from './frame-store.ts';
import type { FrameView } from './frame-view.ts';
import type { Pause } from './pause.ts';
import { POSTING_COLUMNS, RunColumns, singlePhaseInputs } from './run-columns.ts';

/** The first `limit` changes from a time on, and before another. */
export interface WantedChanges {
  readonly from: bigint;
  readonly end: bigint;
  readonly limit: number;
}

export class ChangePage {
  readonly #wanted: WantedChanges;
  readonly #sources: readonly ChangeSource[];
  readonly #order: ChangeOrder;
  readonly #found: Change[] = [];
  /** Frames of each shard of which every change stands before the page. */
  #before: readonly number[] = [];

  constructor(sources: readonly ChangeSource[], wanted: WantedChanges) {
    this.#wanted = wanted;
    this.#sources = sources;
    this.#order = new ChangeOrder(
      sources.map((source) => new ChangeLane(source, undefined, wanted)),
    );
  }

  /** Finds where the page begins. Returns the last sequences of the shards. */
  *seek(): Generator<Pause, number[]> {
    const lasts = yield* this.#order.refresh();
    for (const lane of this.#order.lanes) lane.skip();
    this.#before = this.#order.lanes.map(({ frames }) => frames);
    return lasts;
  }

  /** So many frames lie before the page. */
  get framesBefore(): number {
    return this.#before.reduce((sum, frames) => sum + frames, 0);
  }

  *changes(): Generator<Pause, AppliedChange[]> {
    yield* this.#find();
    if (this.#found.length === 0) return [];
    const sums = new AccountSums(2 * this.#found.length);
    for (const { records, at } of this.#found) {
      sums.add(records, at + DEBIT_ACCOUNT);
      sums.add(records, at + CREDIT_ACCOUNT);
    }
    for (let shard = 0; shard < this.#sources.length; shard++) {
      yield* this.#addBefore(shard, sums);
      yield* this.#addBeside(shard, sums);
    }
    return this.#found.map((change) => applied(change, sums));
  }

  *#find(): Generator<Pause, void> {
    const { end, limit } = this.#wanted;
    while (this.#found.length < limit) {
      const lane = this.#order.next(end);
      if (lane === undefined) return;
      if (lane === UNREAD) {
        yield* this.#order.leastRead.read();
        yield;
      } else this.#found.push(lane.take());
    }
  }

  /** All of it (I1). Large frames are read as far as they are needed, small ones by the journal, several at once. */
  *#addBefore(shard: number, sums: AccountSums): Generator<Pause, void> {
    const { frames, journal, shards } = this.#sources[shard]!;
    const rows = new FrameRows(shard, shards);
    const large = new LargeFrames(rows, sums);
    const last = this.#before[shard]!;
    for (let sequence = 1; sequence <= last; sequence++) {
      const view = frames.large(sequence);
      if (view !== undefined) {
        large.add(view);
        yield;
        continue;
      }
      for (const { sequence: at, frame } of journal.rows(sequence, last)) {
        sums.addFrame(rows, wordsOf(frame), UINT64_MAX);
        sequence = at;
        yield;
        if (frame.byteLength >= PAGED_BYTES_MIN) break;
      }
    }
  }

  /** The frames in which the page lies: what of them is before it (I1). */
  *#addBeside(shard: number, sums: AccountSums): Generator<Pause, void> {
    const { journal, shards } = this.#sources[shard]!;
    const rows = new FrameRows(shard, shards);
    const first = this.#before[shard]! + 1;
    const last = this.#order.lanes[shard]!.frames;
    if (last < first) return;
    for (const { frame } of journal.rows(first, last)) {
      sums.addFrame(rows, wordsOf(frame), this.#wanted.from);
      yield;
    }
  }
}

class LargeFrames {
  readonly #rows: FrameRows;
  readonly #sums: AccountSums;
  readonly #postings = new RunColumns(POSTING_COLUMNS);
  #words = new Uint32Array(0);

  constructor(rows: FrameRows, sums: AccountSums) {
    this.#rows = rows;
    this.#sums = sums;
  }

  add(view: FrameView): void {
    const inputs = singlePhaseInputs(view);
    if (inputs === undefined) {
      this.#sums.addFrame(this.#rows, this.#wordsOf(view), UINT64_MAX);
      return;
    }
    for (const input of inputs) {
      this.#postings.open(view, input);
      this.#sums.addPostings(this.#postings.columns);
    }
  }

  #wordsOf(view: FrameView): Uint32Array {
    const length = view.bytes.byteLength >> 2;
    if (this.#words.length < length) this.#words = new Uint32Array(length);
    view.copy(0, this.#words, 0, length);
    return this.#words.subarray(0, length);
  }
}

function applied(change: Change, sums: AccountSums): AppliedChange {
  const { records, at, isExpiry } = change;
  const words = new Uint32Array(3 * ROW_WORDS);
  words.set(records.subarray(at, at + ROW_WORDS));
  const type = sums.apply(records, at, isExpiry);
  sums.copyAccounts(words, ROW_WORDS);
  return { place: placeOf(change), type, words };
}
