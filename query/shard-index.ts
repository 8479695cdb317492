/**
 * The index over the whole journal of one shard: an index for each segment, from its file where there is one, else made by reading the segment.
 * `refresh` brings it up to the last durable frame; it works in steps, keeps what it has done when it is left, and is what the reader
 * thread does when nobody asks. Files are written for sealed segments only, since these alone never change. They stay when their segment is
 * moved to the archive, so that what they rule out needs no archive.
 *
 * Frames of segments that were found sealed are read whole and checked against their checksums. Of large ones that were written or recovered
 * since the reader began, in the segment that was the last one then or in a later one, only the queried columns are read: a tenth of the bytes,
 * on a thread that takes its time from the actors.
 */
import { join } from 'node:path';
import { UINT64_MAX } from '../engine/uint128.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import type { FramePlace } from '../persistence/page-file.ts';
import { segmentName } from '../persistence/segment.ts';
import { FrameRows } from './frame-rows.ts';
import { type FrameStore, PAGED_BYTES_MIN, segmentWith, wordsOf } from './frame-store.ts';
import type { Pause } from './pause.ts';
import { plainInputs } from './run-columns.ts';
import { type BlockSpan, type FilterMemory, SegmentIndex } from './segment-index.ts';

export interface ShardIndexOptions {
  readonly journal: JournalReader;
  readonly frames: FrameStore;
  readonly memory: FilterMemory;
  readonly shard: number;
  readonly shards: number;
}

export class ShardIndex {
  readonly #options: ShardIndexOptions;
  readonly #rows: FrameRows;
  /** In order; together they cover the frames from 1 to `#last`. */
  readonly #segments: SegmentIndex[] = [];
  #last = 0;
  #adding: { readonly sequence: number; readonly steps: Generator<Pause, void> } | undefined;
  #isBusy = false;
  /** The first of the segments that are no older than this reader. */
  readonly #freshFrom: number;

  constructor(options: ShardIndexOptions) {
    this.#options = options;
    this.#freshFrom = options.journal.firsts.at(-1) ?? 1;
    this.#rows = new FrameRows(options.shard, options.shards);
  }

  /** Up to this frame the index goes. */
  get last(): number {
    return this.#last;
  }

  /** Goes on to the frame that is the last one now, and returns it. */
  *refresh(): Generator<Pause, number> {
    const last = this.#options.journal.lastSequence();
    while (this.#isBusy) yield 'waiting';
    this.#isBusy = true;
    try {
      while (this.#last < last) yield* this.#goOn(last);
      yield* this.#write();
      this.#options.frames.foresee(last);
    } finally {
      this.#isBusy = false;
    }
    return last;
  }

  span(sequence: number): BlockSpan {
    return this.#segmentOf(sequence).span(sequence);
  }

  /** No transfer from this frame on took effect before it, as far as the index goes. */
  effectMinFrom(sequence: number): bigint {
    let least = UINT64_MAX;
    for (let at = sequence; at <= this.#last;) {
      const span = this.span(at);
      if (span.effectMin < least) least = span.effectMin;
      at = span.last + 1;
    }
    return least;
  }

  *#goOn(last: number): Generator<Pause, void> {
    yield* this.#addRest();
    if (this.#last >= last) return;
    const { journal } = this.#options;
    const first = segmentWith(journal.firsts, this.#last + 1)!;
    const end = this.#endOf(first);
    if (this.#last + 1 === first) {
      const loaded = end === undefined ? undefined : this.#load(first, end);
      if (loaded !== undefined) {
        this.#segments.push(loaded);
        this.#options.frames.rememberedAll(first);
        this.#last = end!;
        yield;
        return;
      }
      this.#segments.push(new SegmentIndex(first, this.#rows, this.#options.memory));
    }
    const segment = this.#segments.at(-1)!;
    const isFresh = first >= this.#freshFrom;
    const until = Math.min(end ?? last, last);
    while (this.#last < until) {
      if (isFresh && this.#addPlain(segment)) {
        yield;
        continue;
      }
      for (const { sequence, frame } of journal.rows(this.#last + 1, until)) {
        this.#adding = { sequence, steps: segment.add(sequence, wordsOf(frame)) };
        yield* this.#addRest();
        yield;
        // The journal reads ahead: many large ones at once would keep a question waiting.
        if (frame.byteLength >= PAGED_BYTES_MIN) break;
      }
    }
    if (this.#last === end) segment.finish();
  }

  /** Goes on with the frame that is being looked at: a question that has begun with it may have ended since, because its time was over. */
  *#addRest(): Generator<Pause, void> {
    const adding = this.#adding;
    if (adding === undefined) return;
    for (;;) {
      this.#adding = undefined;
      if (adding.steps.next().done === true) break;
      this.#adding = adding;
      yield;
    }
    this.#last = adding.sequence;
  }

  /** Takes the next frame, if it is large and its columns can be read by themselves. */
  #addPlain(segment: SegmentIndex): boolean {
    const { frames, shards } = this.#options;
    const sequence = this.#last + 1;
    const view = frames.large(sequence);
    const inputs = view === undefined ? undefined : plainInputs(view);
    if (inputs === undefined) return false;
    segment.addPlain(sequence, view!, inputs, shards);
    this.#last = sequence;
    return true;
  }

  /** The last frame of a segment that is not the last one. */
  #endOf(first: number): number | undefined {
    const { firsts } = this.#options.journal;
    const next = firsts[firsts.indexOf(first) + 1];
    return next === undefined ? undefined : next - 1;
  }

  #load(first: number, end: number): SegmentIndex | undefined {
    const { journal, frames, memory } = this.#options;
    const lastChecksum = journal.checksum(end);
    return SegmentIndex.load(
      this.#path(first),
      { first, last: end, lastChecksum },
      {
        rows: this.#rows,
        memory,
        onPlace: (sequence, place) => frames.remember(sequence, place),
      },
    );
  }

  /** Writes the indexes of segments that have been sealed since they were made. */
  *#write(): Generator<Pause, void> {
    const { journal, frames } = this.#options;
    for (const segment of this.#segments) {
      if (segment.isWritten || !journal.isSealed(segment.first)) continue;
      const end = this.#endOf(segment.first)!;
      if (segment.last !== end) continue;
      const places = new Map<number, FramePlace>();
      for (const sequence of segment.largeFrames) {
        const place = frames.sealedPlace(sequence);
        if (place !== undefined) places.set(sequence, place);
        yield;
      }
      const identity = { first: segment.first, last: end, lastChecksum: journal.checksum(end) };
      segment.write(this.#path(segment.first), identity, places);
      frames.rememberedAll(segment.first);
      yield;
    }
  }

  #path(first: number): string {
    return join(this.#options.journal.directory, segmentName(first).replace(/\.sqlite$/, '.index'));
  }

  #segmentOf(sequence: number): SegmentIndex {
    let low = 0;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#segments[middle]!.first <= sequence) low = middle;
      else high = middle - 1;
    }
    return this.#segments[low]!;
  }
}
