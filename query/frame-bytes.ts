/** Where the bytes of a frame come from: memory, or a file of which only the parts that are asked for are read (frame-store.ts). */
import { assert } from '../engine/assert.ts';

export interface FrameBytes {
  readonly byteLength: number;
  /** Copies words from byte `from`, a multiple of 4, to target[at...]. */
  copy(from: number, target: Uint32Array, at: number, count: number): void;
  /** A section that every step along a chain needs, when it is in memory by itself: the same one for a frame each time it is asked for. */
  section(from: number, bytes: number): Uint8Array | undefined;
}

/** A whole frame in memory. */
export class WholeFrame implements FrameBytes {
  readonly words: Uint32Array;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  get byteLength(): number {
    return this.words.byteLength;
  }

  copy(from: number, target: Uint32Array, at: number, count: number): void {
    const word = from >> 2;
    assert(word + count <= this.words.length, 'the words are in the frame');
    for (let w = 0; w < count; w++) target[at + w] = this.words[word + w]!;
  }

  /** All of it is in memory. */
  section(): undefined {
    return undefined;
  }
}
