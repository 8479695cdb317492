/**
 * Finds records of transfers by position: journal sequence and row. Keeps the frames that were used last, within a bound of bytes. Used by the
 * actor on its own journal (an id that is sent again is compared with its record), and by the reader thread (look-ups).
 */
import { Columns, ROW_WORDS } from '../engine/batch.ts';
import { copyFrameRow, Head } from '../engine/frame.ts';
import type { RecordShelf } from '../engine/record-shelf.ts';
import { FrameRing } from './frame-ring.ts';

/** Bytes of frames kept at most that were read; at least the last one is. */
const READ_BYTES_MAX = 32 << 20;
/** What such a frame takes besides its bytes, about: objects, views, and the allocator's share. */
const FRAME_OVERHEAD_BYTES = 900;
/** The same of frames that were handed in when they were new, and how many there are at most. */
const NEW_BYTES_MAX = 4 << 20;
const NEW_FRAMES_MAX = 4096;
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
  readonly #read = new FrameCache(READ_BYTES_MAX);
  readonly #new = new FrameRing(NEW_BYTES_MAX, NEW_FRAMES_MAX);
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
    if (frame.byteLength <= KEEP_BYTES_MAX) this.#new.add(sequence, frame);
  }

  #frame(sequence: number): OpenFrame {
    const known = this.#read.get(sequence);
    if (known !== undefined) return known;
    const bytes = this.#new.get(sequence) ?? copyOf(this.#source.read(sequence));
    const frame = this.#open(bytes.buffer);
    this.#read.add(sequence, frame);
    return frame;
  }

  #open(frame: ArrayBuffer): OpenFrame {
    const words = new Uint32Array(frame);
    const halves = new Uint16Array(frame);
    return { words, halves, inputs: words[Head.inputs]!, shards: this.#shards };
  }
}

/** So that it lies on a word boundary and is the reader's own. */
function copyOf(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(frame.byteLength);
  copy.set(frame);
  return copy;
}

class FrameCache {
  readonly #bytesMax: number;
  /** Least recently used first. */
  readonly #frames = new Map<number, OpenFrame>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(sequence: number): OpenFrame | undefined {
    const known = this.#frames.get(sequence);
    if (known === undefined) return undefined;
    this.#frames.delete(sequence);
    this.#frames.set(sequence, known);
    return known;
  }

  add(sequence: number, frame: OpenFrame): void {
    this.#frames.set(sequence, frame);
    this.#bytes += frame.words.byteLength + FRAME_OVERHEAD_BYTES;
    for (const [eldest, { words }] of this.#frames) {
      if (this.#bytes <= this.#bytesMax || eldest === sequence) break;
      this.#frames.delete(eldest);
      this.#bytes -= words.byteLength + FRAME_OVERHEAD_BYTES;
    }
  }
}
