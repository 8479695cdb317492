/**
 * The words of one table: one range of addresses, reserved once, in which memory is added at the end and nothing ever moves. So a place in the table
 * is one number, a loop that only reads places has nothing but those reads to wait for, and the processor has a dozen of its cache misses under
 * way at once. With a buffer for each chunk of the table it had two or three (docs/benchmarks.md).
 *
 * The memory is shared: the thread that writes a snapshot reads it. It begins on a page, so rows of 64 or 128 bytes lie on cache lines.
 */
import { assert } from './assert.ts';

const PAGE_BYTES = 1 << 20;
const STEP_BYTES_MAX = 64 << 20;
/** Where so few addresses are not to be had, nothing else is. */
const RESERVED_BYTES_MIN = 64 << 20;

export class TableWords {
  readonly #buffer: SharedArrayBuffer;
  /** All there are so far. Growth puts another view of the same memory here: one that was kept still shows what it showed. */
  words: Uint32Array;
  /** The same memory, byte by byte. */
  bytes: Uint8Array;

  /** `bytesMax`: how large the table may ever be, in bytes. Only addresses are reserved. */
  constructor(bytesMax: number) {
    this.#buffer = reserve(bytesMax);
    this.words = new Uint32Array(this.#buffer, 0, PAGE_BYTES / 4);
    this.bytes = new Uint8Array(this.#buffer, 0, PAGE_BYTES);
  }

  /** Makes sure that there are so many words; new ones are 0. */
  // Hot path.
  reach(count: number): void {
    if (count > this.words.length) this.#grow(count * 4);
  }

  #grow(bytes: number): void {
    const { byteLength, maxByteLength } = this.#buffer;
    assert(bytes <= maxByteLength, 'a table within the addresses that were reserved for it');
    const step = Math.min(Math.max(byteLength, bytes - byteLength), STEP_BYTES_MAX);
    const wanted = Math.max(bytes, byteLength + step);
    const grown = Math.min(Math.ceil(wanted / PAGE_BYTES) * PAGE_BYTES, maxByteLength);
    this.#buffer.grow(grown);
    this.words = new Uint32Array(this.#buffer, 0, grown / 4);
    this.bytes = new Uint8Array(this.#buffer, 0, grown);
  }
}

/** As many addresses as wanted; fewer where the process may not have so many (`ulimit -v`). */
function reserve(bytesMax: number): SharedArrayBuffer {
  for (let bytes = bytesMax; ; bytes /= 2) {
    try {
      return new SharedArrayBuffer(PAGE_BYTES, { maxByteLength: bytes });
    } catch (error: unknown) {
      if (!(error instanceof RangeError) || bytes / 2 < RESERVED_BYTES_MIN) throw error;
    }
  }
}
