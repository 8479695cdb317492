/**
 * Blocks: some frames in a row, and what is known of the rows in them: how many, their least and greatest timestamps, and the values of the
 * queried columns (value-set.ts). A query reads only the frames of blocks that may hold what it asks for. Transfers count on the shard
 * where they are at home, accounts where they live.
 */
import type { Columns } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { bigintOfUint64, UINT64_MAX } from '../engine/uint128.ts';
import type { FrameInput } from './frame-input.ts';
import { type FrameRows, RowKind } from './frame-rows.ts';
import type { FrameView } from './frame-view.ts';
import type { Pause } from './pause.ts';
import { QUERIED_COLUMNS, type RowFilter } from './row-filter.ts';
import { RunColumns } from './run-columns.ts';
import {
  type GrowingWords,
  type HashedValue,
  hashValue,
  mayHold,
  SUMMARY_WORDS,
  ValueCollector,
} from './value-set.ts';

/** Words of a block. Times are two words each, with their least above their greatest when there is none. */
export const BlockWord = {
  first: 0,
  last: 2,
  /** Rows, then least and greatest timestamp. */
  transfers: 4,
  transferTimes: 6,
  accounts: 5,
  accountTimes: 10,
  /** The least effect timestamp of a transfer, also of one that is at home elsewhere. */
  effectMin: 14,
  /** The least place of a change (or of a new account) among those of all shards, see `FrameRows.changeKey`. */
  changeMin: 16,
  summaries: 18,
} as const;
export const BLOCK_WORDS = BlockWord.summaries + 2 * QUERIED_COLUMNS.length * SUMMARY_WORDS;

/** A full batch is a block of its own: a query that has found one reads no other frame with it. */
const BLOCK_ROWS = BATCH_EVENTS_MAX;
const BLOCK_FRAMES = 512;
const BLOCK_BYTES = 1 << 20;
/** Rows between two looks at the clock: before V8 has compiled what looks at them, 64 of them take half a millisecond. */
const ROWS_AT_ONCE = 128;

export type QueriedKind = typeof RowKind.transfer | typeof RowKind.account;

/** The least and the greatest of some 64-bit times. */
class TimeSpan {
  readonly words = new Uint32Array(4);

  constructor() {
    this.clear();
  }

  clear(): void {
    this.words.fill(0xffffffff, 0, 2);
    this.words.fill(0, 2, 4);
  }

  // Hot path.
  add(low: number, high: number): void {
    const words = this.words;
    if (high < words[1]! || (high === words[1]! && low < words[0]!)) {
      words[0] = low;
      words[1] = high;
    }
    if (high > words[3]! || (high === words[3]! && low > words[2]!)) {
      words[2] = low;
      words[3] = high;
    }
  }
}

/** Sums up one frame after the other; `finish` makes a block of them. */
export class BlockBuilder {
  first = 0;
  last = 0;
  #rowCount = 0;
  #bytes = 0;
  #transfers = 0;
  #accounts = 0;
  readonly #transferTimes = new TimeSpan();
  readonly #accountTimes = new TimeSpan();
  readonly #effects = new TimeSpan();
  readonly #changes = new TimeSpan();
  readonly #ofTransfers = QUERIED_COLUMNS.map(() => new ValueCollector());
  readonly #ofAccounts = QUERIED_COLUMNS.map(() => new ValueCollector());
  readonly #rows: FrameRows;
  readonly #runColumns = new RunColumns(QUERIED_COLUMNS);
  readonly #time = new Uint32Array(2);

  constructor(rows: FrameRows) {
    this.#rows = rows;
  }

  get isEmpty(): boolean {
    return this.first === 0;
  }

  get isFull(): boolean {
    if (this.isEmpty) return false;
    const frames = this.last - this.first + 1;
    return this.#rowCount >= BLOCK_ROWS || frames >= BLOCK_FRAMES || this.#bytes >= BLOCK_BYTES;
  }

  /** The least place of a change in what is not a block yet. */
  get changeMin(): bigint {
    return bigintOfUint64(this.#changes.words, 0);
  }

  get effectMin(): bigint {
    return bigintOfUint64(this.#effects.words, 0);
  }

  /** In steps, which must all be taken before anything else is added. The frame counts after the last one. */
  *add(sequence: number, words: Uint32Array): Generator<Pause, void> {
    const rows = this.#rows;
    this.#bytes += words.byteLength;
    rows.open(words);
    while (rows.next()) {
      if (!rows.isPlain) {
        for (let from = 0; from < rows.n; from += ROWS_AT_ONCE) {
          this.#addRows(from, Math.min(from + ROWS_AT_ONCE, rows.n));
          yield;
        }
        this.#rowCount += rows.n;
      } else {
        for (const i of [0, rows.n - 1]) {
          rows.timestamp(i);
          this.#addTime(rows.low, rows.high);
        }
        this.#addPlainRun(rows.columns);
      }
    }
    if (this.isEmpty) this.first = sequence;
    this.last = sequence;
  }

  /** The same of a frame that has plain runs only (`plainInputs`), of which the queried columns are read and nothing else. */
  addPlain(sequence: number, view: FrameView, inputs: readonly FrameInput[], shards: number): void {
    if (this.isEmpty) this.first = sequence;
    this.last = sequence;
    this.#bytes += view.bytes.byteLength;
    const time = this.#time;
    for (const input of inputs) {
      for (const i of [0, input.n - 1]) {
        input.stamp(i, shards, time, 0);
        this.#addTime(time[0]!, time[1]!);
      }
      this.#runColumns.open(view, input);
      this.#addPlainRun(this.#runColumns.columns);
    }
  }

  #addTime(low: number, high: number): void {
    this.#effects.add(low, high);
    this.#changes.add(low, high);
    this.#transferTimes.add(low, high);
  }

  /** As #addRows does, a column after the other: it takes half of the time. */
  #addPlainRun(columns: Columns): void {
    this.#rowCount += columns.n;
    this.#transfers += columns.n;
    for (let c = 0; c < QUERIED_COLUMNS.length; c++) {
      this.#ofTransfers[c]!.addRows(columns, QUERIED_COLUMNS[c]!, 0, columns.n);
    }
  }

  // Hot path.
  #addRows(from: number, end: number): void {
    const rows = this.#rows;
    for (let i = from; i < end; i++) {
      const kind = rows.rowKind(i);
      if (kind === RowKind.none) continue;
      if (kind === RowKind.transfer || kind === RowKind.copy) {
        rows.effect(i);
        this.#effects.add(rows.low, rows.high);
      }
      if (kind === RowKind.copy) continue;
      rows.changeKey(i);
      this.#changes.add(rows.low, rows.high);
      if (kind === RowKind.expired) continue;
      rows.timestamp(i);
      if (kind === RowKind.transfer) {
        this.#transfers++;
        this.#transferTimes.add(rows.low, rows.high);
        this.#addValues(i, this.#ofTransfers);
      } else {
        this.#accounts++;
        this.#accountTimes.add(rows.low, rows.high);
        this.#addValues(i, this.#ofAccounts);
      }
    }
  }

  // Hot path.
  #addValues(i: number, collectors: readonly ValueCollector[]): void {
    for (let c = 0; c < QUERIED_COLUMNS.length; c++) {
      collectors[c]!.addRows(this.#rows.columns, QUERIED_COLUMNS[c]!, i, i + 1);
    }
  }

  finish(heads: GrowingWords, filters: GrowingWords): void {
    const at = heads.extend(BLOCK_WORDS);
    const { words } = heads;
    writeNumber(words, at + BlockWord.first, this.first);
    writeNumber(words, at + BlockWord.last, this.last);
    words[at + BlockWord.transfers] = this.#transfers;
    words[at + BlockWord.accounts] = this.#accounts;
    words.set(this.#transferTimes.words, at + BlockWord.transferTimes);
    words.set(this.#accountTimes.words, at + BlockWord.accountTimes);
    words.set(this.#effects.words.subarray(0, 2), at + BlockWord.effectMin);
    words.set(this.#changes.words.subarray(0, 2), at + BlockWord.changeMin);
    let to = at + BlockWord.summaries;
    for (const collectors of [this.#ofTransfers, this.#ofAccounts]) {
      for (const collector of collectors) {
        collector.finish(words, to, filters);
        to += SUMMARY_WORDS;
      }
    }
    this.first = 0;
    this.#rowCount = 0;
    this.#bytes = 0;
    this.#transfers = 0;
    this.#accounts = 0;
    for (const times of [this.#transferTimes, this.#accountTimes, this.#effects, this.#changes]) {
      times.clear();
    }
  }
}

/** A filter with the hashes of what it asks for. */
export interface BlockFilter {
  readonly kind: QueriedKind;
  readonly filter: RowFilter;
  readonly asked: readonly { readonly index: number; readonly hashed: HashedValue }[];
}

export function blockFilter(kind: QueriedKind, filter: RowFilter): BlockFilter {
  const asked = filter.asked.map(({ index, value }) => ({ index, hashed: hashValue(value) }));
  return { kind, filter, asked };
}

/** Whether a row of the block at a word of `heads` may pass the filter. */
export function blockMayHold(
  heads: Uint32Array,
  at: number,
  filters: () => Uint32Array | undefined,
  { kind, filter, asked }: BlockFilter,
): boolean {
  const isOfTransfers = kind === RowKind.transfer;
  if (heads[at + (isOfTransfers ? BlockWord.transfers : BlockWord.accounts)] === 0) return false;
  const times = at + (isOfTransfers ? BlockWord.transferTimes : BlockWord.accountTimes);
  if (bigintOfUint64(heads, times) > filter.span.max) return false;
  if (bigintOfUint64(heads, times + 2) < filter.span.min) return false;
  if (asked.length === 0) return true;
  const summaries =
    at + BlockWord.summaries + (isOfTransfers ? 0 : QUERIED_COLUMNS.length * SUMMARY_WORDS);
  const words = filters();
  return asked.every(({ index, hashed }) =>
    mayHold(heads, summaries + index * SUMMARY_WORDS, words, hashed),
  );
}

export function readNumber(words: Uint32Array, at: number): number {
  return words[at]! + words[at + 1]! * 4294967296;
}

export function writeNumber(words: Uint32Array, at: number, value: number): void {
  words[at] = value % 4294967296;
  words[at + 1] = Math.floor(value / 4294967296);
}

/** Later than any time: there is none. */
export const NO_TIME = UINT64_MAX;
