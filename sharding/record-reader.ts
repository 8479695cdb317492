/**
 * Finds records of transfers by position: journal sequence and row. Keeps the frames that were used last, within a bound of bytes. Used by the
 * actor on its own journal (an id that is sent again is compared with its record), and by the reader thread (look-ups).
 */
import { Columns, ROW_WORDS } from '../engine/batch.ts';
import { copyFrameRow, Head } from '../engine/group.ts';
import type { RecordShelf } from '../engine/record-shelf.ts';

/** Bytes of frames kept at most; at least the newest one is. */
const CACHE_BYTES_MAX = 32 << 20;
/** A copy of each new frame this size and below is kept: a retry usually comes soon. Larger ones are read again when needed. */
const KEEP_BYTES_MAX = 64 << 10;

/** Records between two heartbeats. A record may cost the read of a frame: about a millisecond. */
const BEAT_RECORDS = 16;

interface OpenFrame {
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  readonly inputs: number;
  readonly shards: number;
}

export class RecordReader {
  readonly #source: { read(sequence: number): Uint8Array };
  readonly #shards: number;
  /** Least recently used first. */
  readonly #frames = new Map<number, OpenFrame>();
  #bytes = 0;
  readonly #columns = new Columns();
  readonly #record = new Uint32Array(ROW_WORDS);

  constructor(source: { read(sequence: number): Uint8Array }, shards: number) {
    this.#source = source;
    this.#shards = shards;
  }

  /** The record's 32 words; valid until the next call. */
  record(sequence: number, row: number): Uint32Array {
    copyFrameRow(this.#frame(sequence), this.#columns, row, this.#record);
    return this.#record;
  }

  /** Hands in what the shelf wants: in order of position, so that each frame is read once. Calls `beat` now and then: it may take long. */
  load(shelf: RecordShelf, beat?: () => void): void {
    if (shelf.count === 0) return;
    const { sequences, rowNumbers } = shelf;
    const order = Array.from({ length: shelf.count }, (_, i) => i);
    if (order.length > 1) order.sort((a, b) => sequences[a]! - sequences[b]!);
    for (let i = 0; i < order.length; i++) {
      const wanted = order[i]!;
      if (i % BEAT_RECORDS === 0) beat?.();
      shelf.put(wanted, this.record(sequences[wanted]!, rowNumbers[wanted]!));
    }
  }

  /** Remembers a frame that was just written. */
  keep(sequence: number, frame: Uint8Array): void {
    if (frame.byteLength <= KEEP_BYTES_MAX) this.#add(sequence, frame);
  }

  #frame(sequence: number): OpenFrame {
    const known = this.#frames.get(sequence);
    if (known === undefined) return this.#add(sequence, this.#source.read(sequence));
    this.#frames.delete(sequence);
    this.#frames.set(sequence, known);
    return known;
  }

  /** Copies the frame, so that it lies on a word boundary and is this reader's own. */
  #add(sequence: number, frame: Uint8Array): OpenFrame {
    const buffer = new ArrayBuffer(frame.byteLength);
    new Uint8Array(buffer).set(frame);
    const words = new Uint32Array(buffer);
    const halves = new Uint16Array(buffer);
    const open = { words, halves, inputs: words[Head.inputs]!, shards: this.#shards };
    this.#frames.set(sequence, open);
    this.#bytes += buffer.byteLength;
    for (const [eldest, { words: old }] of this.#frames) {
      if (this.#bytes <= CACHE_BYTES_MAX || eldest === sequence) break;
      this.#frames.delete(eldest);
      this.#bytes -= old.byteLength;
    }
    return open;
  }
}
