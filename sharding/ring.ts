/**
 * A byte ring over a SharedArrayBuffer with one writer and one reader, each on its own thread. It owns the bytes and the two indices; who
 * is woken when is the doorbell's business.
 *
 * A frame is a head of two words {length, length ^ start} and a payload that begins on 8 bytes and is always contiguous: where a frame
 * does not fit before the end, a wrap marker takes the head's place and the frame begins at the front. So a batch is written and read in
 * place, through views over the whole area. Behind the area lie 64 bytes that are always zero, which absent columns are read from.
 *
 * - I1 Frames arrive in the order in which they were committed, each exactly once.
 * - I2 The reader sees a frame only once it is complete: the index is published last, with Atomics.
 * - I3 The writer never touches bytes between the read and the written index.
 * - I4 Indices count bytes modulo 2^32, which the capacity divides; written - read, modulo 2^32, is never above the capacity.
 *
 * A full ring refuses and waits for nobody. A head that cannot be right is an assertion: shared memory was overwritten.
 */
import { assert } from '../engine/assert.ts';

/** The indices, each on cache lines of its own (two, since processors fetch lines in pairs). In words from the start of the buffer. */
export const RING_WRITTEN_WORD = 0;
export const RING_READ_WORD = 32;
const AREA_OFFSET = 256;
const ZERO_BYTES = 64;
const HEAD_BYTES = 8;
const WRAP = 0xffff_ffff;
export const RING_CAPACITY_MIN = 64;
export const RING_CAPACITY_MAX = 2 ** 30;

/** A new ring with room for `capacityBytes`, a power of two. */
export function ringBuffer(capacityBytes: number): SharedArrayBuffer {
  assertCapacity(capacityBytes);
  return new SharedArrayBuffer(AREA_OFFSET + capacityBytes + ZERO_BYTES);
}

function assertCapacity(bytes: number): void {
  assert(bytes >= RING_CAPACITY_MIN && bytes <= RING_CAPACITY_MAX, 'a ring within its bounds');
  assert(2 ** Math.floor(Math.log2(bytes)) === bytes, 'the capacity is a power of two');
}

const frameBytes = (length: number): number => HEAD_BYTES + ((length + 7) & ~7);

/** What both ends see of the buffer. */
class RingViews {
  readonly capacity: number;
  /** The longest payload: with its head at most half the capacity, so that an empty ring takes it wherever the indices stand. */
  readonly payloadMax: number;
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  /** Word offset of the zero bytes in `words`. */
  readonly zero: number;
  protected readonly indices: Uint32Array;

  constructor(buffer: SharedArrayBuffer) {
    const length = buffer.byteLength - AREA_OFFSET;
    this.capacity = length - ZERO_BYTES;
    assertCapacity(this.capacity);
    this.payloadMax = this.capacity / 2 - HEAD_BYTES;
    this.words = new Uint32Array(buffer, AREA_OFFSET, length / 4);
    this.halves = new Uint16Array(buffer, AREA_OFFSET, length / 2);
    this.bytes = new Uint8Array(buffer, AREA_OFFSET, length);
    this.zero = this.capacity / 4;
    this.indices = new Uint32Array(buffer, 0, AREA_OFFSET / 4);
  }
}

export class RingWriter extends RingViews {
  /** Byte offset of the payload of the reserved frame. */
  at = 0;
  #written: number;
  /** The read index as last seen: loaded again only when the room known of does not suffice. */
  #read: number;
  /** Bytes that the next commit publishes; 0: nothing is reserved. */
  #reserved = 0;

  constructor(buffer: SharedArrayBuffer) {
    super(buffer);
    this.#written = Atomics.load(this.indices, RING_WRITTEN_WORD);
    this.#read = Atomics.load(this.indices, RING_READ_WORD);
  }

  /** Makes room for a payload; false: the ring is too full now. A reserved frame that is not committed is forgotten by the next one. */
  reserve(bytes: number): boolean {
    assert(bytes >= 0 && bytes <= this.payloadMax, 'a payload within its bound');
    const place = this.#written & (this.capacity - 1);
    const size = frameBytes(bytes);
    const skip = place + size <= this.capacity ? 0 : this.capacity - place;
    this.#reserved = 0;
    if (skip + size > this.capacity - ((this.#written - this.#read) >>> 0)) {
      if (skip + size > this.free()) return false;
    }
    if (skip > 0) this.words[place >> 2] = WRAP;
    const head = skip > 0 ? 0 : place;
    this.words[head >> 2] = bytes;
    this.words[(head >> 2) + 1] = bytes ^ (this.#written + skip);
    this.at = head + HEAD_BYTES;
    this.#reserved = skip + size;
    return true;
  }

  /** Publishes the reserved frame. */
  commit(): void {
    assert(this.#reserved > 0, 'a frame is reserved before it is committed');
    this.#written = (this.#written + this.#reserved) >>> 0;
    this.#reserved = 0;
    Atomics.store(this.indices, RING_WRITTEN_WORD, this.#written);
  }

  /** Bytes not in use now. Gotcha: a frame takes 8 more than its padded payload, and the rest up to the end if it wraps. */
  free(): number {
    this.#read = Atomics.load(this.indices, RING_READ_WORD);
    const used = (this.#written - this.#read) >>> 0;
    assert(used <= this.capacity, 'a ring holds no more than its capacity');
    return this.capacity - used;
  }
}

export class RingReader extends RingViews {
  /** Byte offset and length of the payload of the frame in front, set by `peek`. */
  at = 0;
  length = 0;
  #read: number;
  /** The written index as last seen: loaded again only when all up to there is read. */
  #written: number;
  /** Where the frame in front ends; equal to #read when none was looked at. */
  #end: number;

  constructor(buffer: SharedArrayBuffer) {
    super(buffer);
    this.#read = Atomics.load(this.indices, RING_READ_WORD);
    this.#written = Atomics.load(this.indices, RING_WRITTEN_WORD);
    this.#end = this.#read;
  }

  /** Looks at the frame in front; false: the ring is empty now. The payload stays put until `release`. */
  peek(): boolean {
    if (this.#read === this.#written) {
      this.#written = Atomics.load(this.indices, RING_WRITTEN_WORD);
      if (this.#read === this.#written) return false;
    }
    let start = this.#read;
    let place = start & (this.capacity - 1);
    let length = this.words[place >> 2]!;
    if (length === WRAP) {
      start += this.capacity - place;
      place = 0;
      length = this.words[0]!;
    }
    const unread = (this.#written - start) >>> 0;
    assert(unread > 0 && unread <= this.capacity, 'a wrap marker has a frame behind it');
    assert(length <= this.payloadMax, 'a frame has a possible length');
    const size = frameBytes(length);
    assert(size <= unread, 'a frame is published as a whole');
    assert(place + size <= this.capacity, 'a frame is contiguous');
    assert(this.words[(place >> 2) + 1] === (length ^ start) >>> 0, 'a frame lies where it began');
    this.at = place + HEAD_BYTES;
    this.length = length;
    this.#end = (start + size) >>> 0;
    return true;
  }

  /** Frees the frame that `peek` showed: its bytes may be overwritten at once. */
  release(): void {
    assert(this.#end !== this.#read, 'a frame is looked at before it is released');
    this.#read = this.#end;
    Atomics.store(this.indices, RING_READ_WORD, this.#read);
  }
}
