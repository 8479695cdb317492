/**
 * The links of one shard as its journal says them, for `findCut`. Reads the journal backwards, block by block, and only as far as it is asked:
 * a cut is usually found within the last rows. What lies before the first row that may be read is given as `origin`.
 */
import { assert } from '../engine/assert.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import { type LinkInput, linkInputsOf, type LinkMarks } from '../persistence/link-marks.ts';
import type { CutShard } from './cut.ts';

const BLOCK_ROWS_MIN = 256;
const BLOCK_ROWS_MAX = 16_384;
/** What was sent by all rows that there are. */
const EVERYTHING = (1n << 64n) - 1n;

export interface LinksOrigin {
  /** The state of the links after this row. */
  readonly sequence: number;
  readonly marks: LinkMarks;
}

type LinkJournal = Pick<JournalReader, 'rows' | 'timestamp'>;

export interface LinksRange {
  /** No cut lies behind it. */
  readonly top: number;
  /** The last row that there is: everything that anybody has received was sent by the rows up to it. */
  readonly last: number;
}

interface Note extends LinkInput {
  readonly sequence: number;
}

export class ShardLinks implements CutShard {
  readonly #journal: LinkJournal;
  readonly #origin: LinksOrigin;
  readonly #last: number;
  /** By peer, the newest first; of the rows behind `#floor`. */
  readonly #received: readonly Note[][];
  readonly #acknowledged: readonly Note[][];
  #floor: number;
  #blockRows = BLOCK_ROWS_MIN;

  constructor(journal: LinkJournal, origin: LinksOrigin, { top, last }: LinksRange) {
    assert(origin.sequence <= top && top <= last, 'the origin lies before the rows that are read');
    this.#journal = journal;
    this.#origin = origin;
    this.#last = last;
    this.#floor = top;
    const lists = (): Note[][] => Array.from(origin.marks.received, (): Note[] => []);
    this.#received = lists();
    this.#acknowledged = lists();
  }

  sentUpTo(sequence: number): bigint {
    if (sequence === this.#last) return EVERYTHING;
    const next = this.#journal.timestamp(sequence + 1);
    return next === 0n ? 0n : next - 1n;
  }

  received(peer: number, sequence: number): number {
    return (
      this.#newest(this.#received[peer]!, sequence)?.number ?? this.#origin.marks.received[peer]!
    );
  }

  lastReceiving(peer: number, sequence: number, stampMax: bigint): number {
    const isWithin = ({ stamp }: Note): boolean => stamp <= stampMax;
    if (this.#origin.marks.stamps[peer]! > stampMax) throw this.#beforeOrigin();
    return this.#lastWithin(this.#received[peer]!, sequence, isWithin);
  }

  lastAcknowledging(peer: number, sequence: number, numberMax: number): number {
    const isWithin = ({ number }: Note): boolean => number <= numberMax;
    if (this.#origin.marks.acknowledged[peer]! > numberMax) throw this.#beforeOrigin();
    return this.#lastWithin(this.#acknowledged[peer]!, sequence, isWithin);
  }

  /** The state of the links after a row. */
  marksAt(sequence: number): LinkMarks {
    const marks = this.#origin.marks.copy();
    for (let peer = 0; peer < marks.received.length; peer++) {
      const received = this.#newest(this.#received[peer]!, sequence);
      if (received !== undefined) {
        marks.received[peer] = received.number;
        marks.stamps[peer] = received.stamp;
      }
      const acknowledged = this.#newest(this.#acknowledged[peer]!, sequence);
      if (acknowledged !== undefined) marks.acknowledged[peer] = acknowledged.number;
    }
    return marks;
  }

  /** The newest note at or before a row, reading on backwards until there is one. */
  #newest(notes: readonly Note[], sequence: number): Note | undefined {
    for (;;) {
      const found = notes.find((note) => note.sequence <= sequence);
      if (found !== undefined || !this.#readBlock()) return found;
    }
  }

  /** Numbers and stamps never go down, so what is looked for ends right before the oldest note that is not within its bound. */
  #lastWithin(notes: readonly Note[], sequence: number, isWithin: (note: Note) => boolean): number {
    let last = sequence;
    for (;;) {
      const newest = this.#newest(notes, last);
      if (newest === undefined || isWithin(newest)) return last;
      last = newest.sequence - 1;
    }
  }

  /** False when everything is read. */
  #readBlock(): boolean {
    const end = this.#floor;
    if (end === this.#origin.sequence) return false;
    const begin = Math.max(this.#origin.sequence, end - this.#blockRows);
    this.#blockRows = Math.min(this.#blockRows * 2, BLOCK_ROWS_MAX);
    const notes: Note[] = [];
    for (const { sequence, frame } of this.#journal.rows(begin + 1)) {
      for (const input of linkInputsOf(frame)) notes.push({ ...input, sequence });
      if (sequence === end) break;
    }
    for (const note of notes.toReversed()) {
      const lists = note.type === 'received' ? this.#received : this.#acknowledged;
      lists[note.peer]!.push(note);
    }
    this.#floor = begin;
    return true;
  }

  #beforeOrigin(): Error {
    return new Error(
      `the journals fit together only before row ${this.#origin.sequence}, and what lies there is in an archive or not in the backup`,
    );
  }
}
