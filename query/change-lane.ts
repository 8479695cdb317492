/**
 * The changes of one shard in the order in which they stand among those of all shards, read ahead as little as possible. A transfer between shards
 * takes effect at home after it was decided elsewhere, so the journal is not in that order; the index says of each block the earliest place
 * in it, and so how far ahead an earlier change can lie.
 */
import { assert } from '../engine/assert.ts';
import { BatchKind, type Columns, ROW_WORDS } from '../engine/batch.ts';
import { Head } from '../engine/frame.ts';
import { bigintOfUint64, UINT64_MAX } from '../engine/uint128.ts';
import { FrameRows, RowKind } from './frame-rows.ts';
import { PAGED_BYTES_MIN, wordsOf } from './frame-store.ts';
import type { FrameView } from './frame-view.ts';
import type { Pause } from './pause.ts';
import { POSTING_COLUMNS, RunColumns, singlePhaseInputs } from './run-columns.ts';
import type { ShardReader } from './shard-reader.ts';

/** Where a change stands: its time, and for the rare equal times (imported ones) where it lies. */
export interface ChangePlace {
  readonly time: bigint;
  readonly shard: number;
  readonly sequence: number;
  readonly row: number;
}

export interface Change extends ChangePlace {
  readonly isExpiry: boolean;
  /** The record lies at word `at` of the records of its run. */
  readonly records: Uint32Array;
  readonly at: number;
}

/** Of a lane that is read for one page only: nothing before a time, and not more than the first so many changes are wanted. */
export interface LaneWindow {
  readonly from: bigint;
  readonly limit: number;
}

/** What is told of the frames that are taken whole. */
export interface FramePassing {
  /** A run of single-phase transfers. */
  run(columns: Columns): void;
  /** A frame was taken, and nothing of it stands behind this place. */
  frame(last: ChangePlace): void;
}

export type ChangeSource = Pick<ShardReader, 'journal' | 'frames' | 'index' | 'shard' | 'shards'>;

export class ChangeLane {
  readonly #source: ChangeSource;
  readonly #rows: FrameRows;
  readonly #onAccount: (row: Uint32Array) => void;
  readonly #window: LaneWindow | undefined;
  readonly #postings = new RunColumns(POSTING_COLUMNS);
  #next = 1;
  #last = 0;
  /** The blocks ahead: where each ends, and the earliest place from it on. */
  #ends: number[] = [];
  #earliest: bigint[] = [];
  #block = 0;
  #queue: Change[] = [];
  #at = 0;

  /** Accounts are handed over as they are read, which is before any change that names them. */
  constructor(
    source: ChangeSource,
    onAccount: (row: Uint32Array) => void = () => undefined,
    window?: LaneWindow,
  ) {
    this.#source = source;
    this.#onAccount = onAccount;
    this.#window = window;
    this.#rows = new FrameRows(source.shard, source.shards);
  }

  /** Sees what the journal has got since. */
  *refresh(): Generator<Pause, number> {
    const last = yield* this.#source.index.refresh();
    if (last !== this.#last) this.#lookAhead(last);
    return last;
  }

  /** Leaves out, at the beginning, frames of which every change stands before the window: the clock of a shard never goes back. */
  skip(): void {
    assert(this.#next === 1, 'nothing is read yet');
    const { journal } = this.#source;
    const { from } = this.#window!;
    let low = 1;
    let high = this.#last + 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (journal.timestamp(middle) < from) low = middle + 1;
      else high = middle;
    }
    this.#next = low;
    this.#lookAhead(this.#last);
  }

  #lookAhead(last: number): void {
    const { index } = this.#source;
    const ends: number[] = [];
    const earliest: bigint[] = [];
    for (let at = this.#next; at <= last;) {
      const span = index.span(at);
      ends.push(Math.min(span.last, last));
      earliest.push(span.changeMin);
      at = span.last + 1;
    }
    for (let i = earliest.length - 2; i >= 0; i--) {
      if (earliest[i + 1]! < earliest[i]!) earliest[i] = earliest[i + 1]!;
    }
    this.#last = last;
    this.#ends = ends;
    this.#earliest = earliest;
    this.#block = 0;
  }

  /** That were read, or passed. */
  get frames(): number {
    return this.#next - 1;
  }

  get front(): Change | undefined {
    return this.#queue[this.#at];
  }

  /** No change that is not read yet stands before it. */
  get unread(): bigint {
    return this.#earliest[this.#block] ?? UINT64_MAX;
  }

  take(): Change {
    const change = this.#queue[this.#at]!;
    assert(change !== undefined, 'there is a change in front');
    this.#at++;
    if (this.#at === this.#queue.length) {
      this.#queue = [];
      this.#at = 0;
    }
    return change;
  }

  /**
   * Takes whole frames whose changes all stand before a time, without making changes of them. For a lane that is alone, and of which nothing is read
   * and not taken. Stops at the first frame in which the order counts, or that goes on behind the time.
   */
  *pass(end: bigint, passed: FramePassing): Generator<Pause, void> {
    assert(this.front === undefined, 'what was read is taken');
    const { journal, frames } = this.#source;
    while (this.#next <= this.#last) {
      const view = frames.large(this.#next);
      if (view !== undefined && view.closed >= end) return;
      if (view !== undefined && this.#passColumns(view, passed)) {
        yield;
        continue;
      }
      for (const { sequence, frame } of journal.rows(this.#next, this.#last)) {
        const words = wordsOf(frame);
        const isPassed = bigintOfUint64(words, Head.closed) < end && this.#passRuns(words, passed);
        if (!isPassed) return;
        // Left here, everything agrees.
        yield;
        if (frame.byteLength >= PAGED_BYTES_MIN || sequence === this.#last) break;
      }
    }
  }

  /** Of a large frame only what counts is read, without its checksum, as pages by themselves do. False when anything may be in it. */
  #passColumns(view: FrameView, passed: FramePassing): boolean {
    const inputs = singlePhaseInputs(view);
    if (inputs === undefined) return false;
    for (const input of inputs) {
      this.#postings.open(view, input);
      passed.run(this.#postings.columns);
    }
    this.#passed(view.closed, view.rows - 1, passed);
    return true;
  }

  #passRuns(words: Uint32Array, passed: FramePassing): boolean {
    if (!this.#isPassable(words)) return false;
    const rows = this.#rows;
    let row = 0;
    rows.open(words);
    while (rows.next()) {
      if (rows.kind === BatchKind.transfers) passed.run(rows.columns);
      else this.#readRun(this.#next, []);
      row = rows.firstRow + rows.n - 1;
    }
    this.#passed(bigintOfUint64(words, Head.closed), row, passed);
    return true;
  }

  #passed(time: bigint, row: number, passed: FramePassing): void {
    const sequence = this.#next++;
    if (sequence === this.#ends[this.#block]) this.#block++;
    passed.frame({ time, shard: this.#source.shard, sequence, row });
  }

  /** Whether all that a frame does is to add accounts, and amounts to them. */
  #isPassable(words: Uint32Array): boolean {
    const rows = this.#rows;
    rows.open(words);
    while (rows.next()) {
      const isOfAccounts = rows.kind === BatchKind.accounts;
      if (!isOfAccounts && !rows.isSinglePhase) return false;
    }
    return true;
  }

  /** Reads the next block. What was read when it is left too early is read again. */
  *read(): Generator<Pause, void> {
    const end = this.#ends[this.#block]!;
    const block = this.#block;
    const read: Change[] = [];
    for (const { sequence, frame } of this.#source.journal.rows(this.#next, end)) {
      this.#readFrame(sequence, wordsOf(frame), read);
      if (sequence < end) yield;
    }
    assert(this.#block === block, 'one question at a time moves a lane');
    const queue = this.#at === 0 ? this.#queue : this.#queue.slice(this.#at);
    this.#queue = queue.length === 0 ? read : queue.concat(read);
    this.#at = 0;
    this.#next = end + 1;
    this.#block++;
    if (!isSorted(this.#queue)) this.#queue.sort((one, two) => (isBefore(one, two) ? -1 : 1));
  }

  #readFrame(sequence: number, words: Uint32Array, read: Change[]): void {
    const rows = this.#rows;
    rows.open(words);
    while (rows.next()) this.#readRun(sequence, read);
  }

  #readRun(sequence: number, read: Change[]): void {
    const { shard } = this.#source;
    const rows = this.#rows;
    const { from, limit } = this.#window ?? { from: 0n, limit: Infinity };
    // The changes of a plain run are in their order.
    const first = rows.isPlain ? rows.rowsBefore(from) : 0;
    const end = rows.isPlain ? Math.min(first + limit, rows.n) : rows.n;
    const records = new Uint32Array(Math.max(end - first, 0) * ROW_WORDS);
    for (let i = first, at = 0; i < end; i++, at += ROW_WORDS) {
      const kind = rows.rowKind(i);
      if (kind === RowKind.none || kind === RowKind.copy) continue;
      rows.columns.copyRow(i, records, at);
      rows.timestamp(i);
      records[at + 30] = rows.low;
      records[at + 31] = rows.high;
      if (kind === RowKind.account) {
        this.#onAccount(records.subarray(at, at + ROW_WORDS));
        continue;
      }
      rows.changeKey(i);
      const time = (BigInt(rows.high) << 32n) | BigInt(rows.low);
      if (time < from) continue;
      const isExpiry = kind === RowKind.expired;
      read.push({ time, shard, sequence, row: rows.firstRow + i, isExpiry, records, at });
    }
  }
}

/** Without the records of its whole run. */
export function placeOf({ time, shard, sequence, row }: ChangePlace): ChangePlace {
  return { time, shard, sequence, row };
}

/** Whether one change stands before another. */
export function isBefore(one: ChangePlace, two: ChangePlace): boolean {
  if (one.time !== two.time) return one.time < two.time;
  if (one.shard !== two.shard) return one.shard < two.shard;
  return one.sequence < two.sequence || (one.sequence === two.sequence && one.row < two.row);
}

function isSorted(changes: readonly Change[]): boolean {
  for (let i = 1; i < changes.length; i++) {
    if (changes[i]!.time <= changes[i - 1]!.time && !isBefore(changes[i - 1]!, changes[i]!)) {
      return false;
    }
  }
  return true;
}
