/**
 * Pages of rows by what is in them, over the journals of all shards. On each shard rows come in the order in which they were executed; the shards are
 * merged by effect timestamp. A cursor holds a place on each shard, so pages neither skip nor repeat a row while others are written:
 * forward, new rows come behind the last place; backward, the first page sets where each journal ended.
 *
 * Frames that cannot hold what is asked for are left out by the index. Every frame that is read is read whole, with its checksum.
 */
import { Derived, DERIVED_WORDS } from '../engine/frame.ts';
import { GROUP_ROWS_MAX } from '../engine/limits.ts';
import type { QueryFilter } from '../engine/query.ts';
import type { Position } from '../engine/reply.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import { type BlockFilter, blockFilter, type QueriedKind } from './block.ts';
import { CursorKind, decodeCursor, encodeCursor, questionOf, unusableCursor } from './cursor.ts';
import { WholeFrame } from './frame-bytes.ts';
import { FrameRows, RowKind } from './frame-rows.ts';
import { wordsOf } from './frame-store.ts';
import { FrameView } from './frame-view.ts';
import type { Pause } from './pause.ts';
import { RowFilter, spanOf } from './row-filter.ts';
import type { BlockSpan } from './segment-index.ts';
import type { ShardIndex } from './shard-index.ts';

/** The journal of one shard, to be searched. */
export interface SearchSource {
  readonly journal: Pick<JournalReader, 'rows' | 'timestamp'>;
  readonly index: Pick<ShardIndex, 'refresh' | 'span'>;
  readonly shard: number;
  readonly shards: number;
}

export interface FoundRows {
  /** DERIVED_WORDS each, see `Derived` in engine/group.ts. */
  readonly entries: readonly Uint32Array[];
  readonly next: string | null;
  /** Up to where each journal was searched. */
  readonly positions: readonly Position[];
}

/**
 * A place between two rows of a journal, before the one that it names: of those of the frame that pass the filter, in the order in which they were
 * executed, counted from 0.
 */
interface Place {
  readonly sequence: number;
  readonly nth: number;
}

interface Match extends Place {
  readonly entry: Uint32Array;
}

/** Blocks that are left out between two looks at the clock. */
const BLOCKS_AT_ONCE = 64;
/** Frames of one block that are read before the last of them is looked at, going backward. */
const FRAMES_AT_ONCE = 16;

export function* queryJournals(
  kind: QueriedKind,
  filter: QueryFilter,
  sources: readonly SearchSource[],
): Generator<Pause, FoundRows> {
  const lasts: number[] = [];
  for (const { index } of sources) lasts.push(yield* index.refresh());
  const positions = lasts.map((sequence, shard) => {
    return { shard, sequence, timestamp: sources[shard]!.journal.timestamp(sequence) };
  });
  const places = placesOf(kind, filter, lasts);
  const span = spanOf(filter);
  if (span === undefined || filter.limit < 1) return { entries: [], next: null, positions };
  const wanted = blockFilter(kind, new RowFilter(filter, span));
  const searches = sources.map((source, shard) => {
    const bounds = { place: places[shard]!, last: lasts[shard]!, isBackward: filter.reversed };
    return new ShardSearch(source, wanted, bounds);
  });
  const entries: Uint32Array[] = [];
  while (entries.length < filter.limit) {
    const next = yield* nearest(searches, filter.reversed);
    if (next === undefined) return { entries, next: null, positions };
    entries.push(next.take());
  }
  const numbers = searches.flatMap(({ place }) => [place.sequence, place.nth]);
  const next = encodeCursor(cursorKind(kind), questionOf(filter), numbers);
  return { entries, next, positions };
}

function cursorKind(kind: QueriedKind): CursorKind {
  return kind === RowKind.transfer ? CursorKind.transfers : CursorKind.accounts;
}

function placesOf(
  kind: QueriedKind,
  filter: QueryFilter,
  lasts: readonly number[],
): readonly Place[] {
  if (filter.cursor === '') {
    return lasts.map((last) => ({ sequence: filter.reversed ? last + 1 : 1, nth: 0 }));
  }
  const expected = { question: questionOf(filter), count: lasts.length * 2 };
  const numbers = decodeCursor(filter.cursor, cursorKind(kind), expected);
  return lasts.map((last, shard) => {
    const place = { sequence: numbers[shard * 2]!, nth: numbers[shard * 2 + 1]! };
    // A directory that was put back from a copy may lack what a cursor saw.
    if (place.sequence > last + 1 || place.nth > GROUP_ROWS_MAX + 1) throw unusableCursor();
    return place;
  });
}

/** The search with the next row: that of the earliest effect, or going backward of the latest. */
function* nearest(
  searches: readonly ShardSearch[],
  isBackward: boolean,
): Generator<Pause, ShardSearch | undefined> {
  let best: ShardSearch | undefined;
  for (const search of searches) {
    yield* search.advance();
    if (search.match === undefined) continue;
    if (best === undefined) best = search;
    else if (isBackward ? search.isAfter(best) : best.isAfter(search)) best = search;
  }
  return best;
}

class ShardSearch {
  /** The next row, once `advance` has found it. */
  match: Match | undefined;
  readonly #source: SearchSource;
  readonly #wanted: BlockFilter;
  readonly #isBackward: boolean;
  readonly #last: number;
  readonly #from: Place;
  readonly #matches: Generator<Match | undefined, void>;
  readonly #rows: FrameRows;
  /** Right behind the row that was taken last. */
  #taken: Place;
  #isDone = false;

  constructor(
    source: SearchSource,
    wanted: BlockFilter,
    bounds: { readonly place: Place; readonly last: number; readonly isBackward: boolean },
  ) {
    this.#source = source;
    this.#wanted = wanted;
    this.#isBackward = bounds.isBackward;
    this.#last = bounds.last;
    this.#from = bounds.place;
    this.#taken = bounds.place;
    this.#rows = new FrameRows(source.shard, source.shards);
    this.#matches = bounds.isBackward ? this.#backward() : this.#forward();
  }

  /** Where the search stands: nothing that it looks for lies between the last row taken and there. */
  get place(): Place {
    if (this.match !== undefined) {
      const { sequence, nth } = this.match;
      return { sequence, nth: this.#isBackward ? nth + 1 : nth };
    }
    if (!this.#isDone) return this.#taken;
    return { sequence: this.#isBackward ? 1 : this.#last + 1, nth: 0 };
  }

  *advance(): Generator<Pause, void> {
    while (this.match === undefined && !this.#isDone) {
      const step = this.#matches.next();
      if (step.done === true) this.#isDone = true;
      else if (step.value === undefined) yield;
      else this.match = step.value;
    }
  }

  take(): Uint32Array {
    const { entry, sequence, nth } = this.match!;
    this.#taken = { sequence, nth: this.#isBackward ? nth : nth + 1 };
    this.match = undefined;
    return entry;
  }

  isAfter(other: ShardSearch): boolean {
    const one = this.match!.entry;
    const two = other.match!.entry;
    const high = one[Derived.effect + 1]! - two[Derived.effect + 1]!;
    return high > 0 || (high === 0 && one[Derived.effect]! > two[Derived.effect]!);
  }

  *#forward(): Generator<Match | undefined, void> {
    let left = 0;
    for (let at = this.#from.sequence; at <= this.#last;) {
      const span = this.#source.index.span(at);
      if (!span.mayHold(this.#wanted)) {
        if (++left % BLOCKS_AT_ONCE === 0) yield undefined;
      } else {
        for (const { sequence, words } of this.#frames(at, span.last)) {
          const view = this.#view(sequence, words);
          for (const [nth, row] of this.#rowsOf(words).entries()) {
            if (sequence === this.#from.sequence && nth < this.#from.nth) continue;
            yield matchOf({ sequence, nth }, row, view);
          }
          yield undefined;
        }
      }
      at = span.last + 1;
    }
  }

  *#backward(): Generator<Match | undefined, void> {
    let left = 0;
    for (let at = Math.min(this.#from.sequence, this.#last); at >= 1;) {
      const span: BlockSpan = this.#source.index.span(at);
      if (!span.mayHold(this.#wanted)) {
        if (++left % BLOCKS_AT_ONCE === 0) yield undefined;
      } else {
        const frames: { readonly sequence: number; readonly words: Uint32Array }[] = [];
        const first = Math.max(span.first, at + 1 - FRAMES_AT_ONCE);
        for (const frame of this.#frames(first, at)) {
          // A megabyte at most, or one frame that is larger.
          frames.push({ sequence: frame.sequence, words: frame.words.slice() });
          yield undefined;
        }
        for (const { sequence, words } of frames.toReversed()) {
          const view = this.#view(sequence, words);
          const rows = this.#rowsOf(words);
          const isFirst = sequence === this.#from.sequence;
          const end = isFirst ? Math.min(this.#from.nth, rows.length) : rows.length;
          for (let nth = end - 1; nth >= 0; nth--) {
            yield matchOf({ sequence, nth }, rows[nth]!, view);
          }
          yield undefined;
        }
        at = first - 1;
        continue;
      }
      at = span.first - 1;
    }
  }

  *#frames(
    first: number,
    last: number,
  ): Generator<{ readonly sequence: number; readonly words: Uint32Array }, void> {
    for (const { sequence, frame } of this.#source.journal.rows(
      first,
      Math.min(last, this.#last),
    )) {
      yield { sequence, words: wordsOf(frame) };
    }
  }

  /** Numbers of the rows that pass, in the order in which they were executed: posts and voids lie behind all others of their frame. */
  #rowsOf(words: Uint32Array): readonly number[] {
    const found: number[] = [];
    const times: number[] = [];
    let isInOrder = true;
    const rows = this.#rows;
    const { kind, filter } = this.#wanted;
    rows.open(words);
    while (rows.next()) {
      for (let i = 0; i < rows.n; i++) {
        if (!filter.matches(rows.columns, i) || rows.rowKind(i) !== kind) continue;
        rows.timestamp(i);
        if (!filter.spans(rows.low, rows.high)) continue;
        rows.executed(i);
        const last = times.length - 2;
        if (last >= 0) isInOrder &&= !isBefore(rows.low, rows.high, times[last]!, times[last + 1]!);
        times.push(rows.low, rows.high);
        found.push(rows.firstRow + i);
      }
    }
    return isInOrder ? found : sortedByTime(found, times);
  }

  #view(sequence: number, words: Uint32Array): FrameView {
    const { shard, shards } = this.#source;
    return new FrameView(new WholeFrame(words), sequence, shards, shard);
  }
}

// Hot path.
// oxlint-disable-next-line max-params -- Two times in words: an object for each would cost more than the comparison.
function isBefore(low: number, high: number, otherLow: number, otherHigh: number): boolean {
  return high < otherHigh || (high === otherHigh && low < otherLow);
}

/** `times`: of each row its low and its high word. */
function sortedByTime(rows: readonly number[], times: readonly number[]): readonly number[] {
  const order = rows.map((_, i) => i);
  order.sort((one, two) => {
    const high = times[2 * one + 1]! - times[2 * two + 1]!;
    return high !== 0 ? high : times[2 * one]! - times[2 * two]!;
  });
  return order.map((i) => rows[i]!);
}

function matchOf(place: Place, row: number, view: FrameView): Match {
  const entry = new Uint32Array(DERIVED_WORDS);
  view.record(row, entry);
  return { ...place, entry };
}
