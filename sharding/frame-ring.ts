/**
 * Copies of the frames that were written last, one behind the other in one piece of memory: a new one takes the place of the eldest. Arrays of their
 * own for each, thousands in a second, counted towards the limit of V8's heap, which was marked as a whole every second or two for their sake, by
 * four threads, on the cores that the actors need.
 */
import { assert } from '../engine/assert.ts';

/** Frames begin on a word of 8 bytes. */
const ALIGNMENT = 8;

export class FrameRing {
  readonly #bytesMax: number;
  /** Made when the first frame comes. */
  #bytes = new Uint8Array(0);
  /** Of the frames that are kept, a circle each: sequence, where it begins, and how long it is. They ascend from the eldest. */
  readonly #sequences: Float64Array;
  readonly #starts: Int32Array;
  readonly #lengths: Int32Array;
  #eldest = 0;
  #count = 0;
  /** Where the next frame goes. */
  #end = 0;

  /** At most so many bytes and frames. */
  constructor(bytesMax: number, framesMax: number) {
    assert(bytesMax % ALIGNMENT === 0 && framesMax > 0, 'a ring has room');
    this.#bytesMax = bytesMax;
    this.#sequences = new Float64Array(framesMax);
    this.#starts = new Int32Array(framesMax);
    this.#lengths = new Int32Array(framesMax);
  }

  get count(): number {
    return this.#count;
  }

  /** Sequences ascend. A frame is not longer than the ring. */
  add(sequence: number, frame: Uint8Array): void {
    const taken = Math.ceil(frame.byteLength / ALIGNMENT) * ALIGNMENT;
    assert(taken <= this.#bytesMax, 'a frame fits into the ring');
    const framesMax = this.#sequences.length;
    if (this.#count > 0) {
      assert(sequence > this.#sequences[this.#slot(this.#count - 1)]!, 'sequences ascend');
    }
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.#bytesMax);
    let start = this.#end;
    if (start + taken > this.#bytesMax) {
      // What lies between here and the end of the memory is the eldest.
      while (this.#count > 0 && this.#starts[this.#eldest]! >= start) this.#dropEldest();
      start = 0;
    }
    while (this.#count > 0 && this.#isWithin(this.#starts[this.#eldest]!, start, start + taken)) {
      this.#dropEldest();
    }
    if (this.#count === framesMax) this.#dropEldest();
    this.#bytes.set(frame, start);
    const slot = this.#slot(this.#count++);
    this.#sequences[slot] = sequence;
    this.#starts[slot] = start;
    this.#lengths[slot] = frame.byteLength;
    this.#end = start + taken;
  }

  /** A copy of the frame. */
  get(sequence: number): Uint8Array<ArrayBuffer> | undefined {
    let low = 0;
    let high = this.#count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const slot = this.#slot(middle);
      const found = this.#sequences[slot]!;
      if (found === sequence) {
        const start = this.#starts[slot]!;
        return this.#bytes.slice(start, start + this.#lengths[slot]!);
      }
      if (found < sequence) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  #slot(nth: number): number {
    return (this.#eldest + nth) % this.#sequences.length;
  }

  #isWithin(at: number, from: number, to: number): boolean {
    return at >= from && at < to;
  }

  #dropEldest(): void {
    this.#eldest = this.#slot(1);
    this.#count--;
  }
}
