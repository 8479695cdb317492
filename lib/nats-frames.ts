/**
 * Bytes from a NATS server, read where they stay: each read goes behind what is there, and what is complete is handed out as a view.
 *
 * There are two blocks of memory. A read into the one goes on while what was handed out of the other is being looked at, so a view is good until the
 * second read after it; `room` is told when somebody still has one, and then takes new memory.
 *
 * Of the protocol it knows where a message ends. What is not a frame is handed out as it comes, and so is all that follows; the reader says what is
 * wrong with it.
 */

/** What one read may bring. */
const READ_BYTES = 256 * 1024;
/** What there has to be room for, unless the end of the frame is known. */
const ROOM_MIN = 4 * 1024;
/** A rest of a frame that is rather moved than read behind. */
const SMALL_REST = 8 * 1024;
/** What the library takes for a payload. */
const PAYLOAD_BYTES_MAX = 64 * 1024 * 1024;
/** An INFO of a large cluster has some kilobytes. */
const LINE_BYTES_MAX = 1024 * 1024;

const LF = 10;
const CR = 13;
const SPACE = 32;
const DIGIT_0 = 48;
const UPPER = 0xdf;
const LETTER_H = 72;
const LETTER_M = 77;
/** Of a frame: its end cannot be told yet, or it is none. */
const UNKNOWN = -1;
const BROKEN = -2;

export class NatsFrames {
  #block = Buffer.allocUnsafeSlow(READ_BYTES);
  #other = Buffer.allocUnsafeSlow(READ_BYTES);
  /** Up to here is handed out, and up to here there are bytes. */
  #from = 0;
  #to = 0;
  /** Bytes from `#from` on that the frame there has, as far as is known. */
  #wanted = 0;
  #isBroken = false;

  /** Where the next read goes. With `isOtherFree`, nobody looks at what was handed out before the last read any more. */
  room(isOtherFree: boolean): Uint8Array {
    const rest = this.#to - this.#from;
    const end = this.#from + (this.#wanted > 0 ? this.#wanted : rest + ROOM_MIN);
    if (end > this.#block.length || (this.#from > 0 && rest <= SMALL_REST)) {
      this.#turn(isOtherFree);
    }
    return this.#block.subarray(this.#to, Math.min(this.#block.length, this.#to + READ_BYTES));
  }

  /** Goes on in the other block, with what is not handed out. */
  #turn(isOtherFree: boolean): void {
    const rest = this.#to - this.#from;
    const bytes = Math.max(READ_BYTES, 2 * rest, this.#wanted + SMALL_REST);
    const next =
      isOtherFree && this.#other.length >= bytes ? this.#other : Buffer.allocUnsafeSlow(bytes);
    this.#block.copy(next, 0, this.#from, this.#to);
    this.#other = this.#block;
    this.#block = next;
    this.#from = 0;
    this.#to = rest;
  }

  /** After a read: all frames that are complete, one behind the other, or undefined. */
  // Hot path.
  took(bytes: number): Uint8Array | undefined {
    this.#to += bytes;
    const first = this.#from;
    this.#wanted = 0;
    while (this.#from < this.#to && !this.#isBroken) {
      const length = this.#frameBytes();
      if (length === BROKEN) {
        this.#isBroken = true;
      } else if (length === UNKNOWN || this.#from + length > this.#to) {
        this.#wanted = Math.max(0, length);
        break;
      } else {
        this.#from += length;
      }
    }
    if (this.#isBroken) this.#from = this.#to;
    return this.#from === first ? undefined : this.#block.subarray(first, this.#from);
  }

  /** Of the frame at `#from`. */
  #frameBytes(): number {
    const block = this.#block;
    const from = this.#from;
    const limit = Math.min(this.#to, from + LINE_BYTES_MAX);
    let at = from;
    while (at < limit && block[at] !== LF) at++;
    if (at === limit) return limit === this.#to ? UNKNOWN : BROKEN;
    const letter = block[from]! & UPPER;
    if (letter !== LETTER_M && letter !== LETTER_H) return at + 1 - from;
    const payload = lastNumber(block, from, at);
    // Of hundreds of digits the number may be none.
    if (!(payload >= 0 && payload <= PAYLOAD_BYTES_MAX)) return BROKEN;
    return at + 1 - from + payload + 2;
  }
}

/** The decimal number at the end of a line, -1 for none. */
function lastNumber(bytes: Uint8Array, from: number, to: number): number {
  let at = to - 1;
  while (at > from && (bytes[at] === CR || bytes[at] === SPACE)) at--;
  let value = 0;
  let scale = 1;
  const end = at;
  for (; at > from; at--) {
    const digit = bytes[at]! - DIGIT_0;
    if (digit < 0 || digit > 9) break;
    value += digit * scale;
    scale *= 10;
  }
  return at === end ? -1 : value;
}
