/**
 * Reads the elements of a msgpack request, strictly. The parser asks for what its form needs next, so nothing is skipped, nothing
 * recurses, and nothing deeper than the form is entered; lengths are compared with the bytes that are left before they are used. Floats,
 * nil, booleans, and every extension (dates, records, bigints of msgpackr) are refused by the type that a value should have had.
 *
 * `from` and `to` delimit the last string or bin, `words` holds the last number.
 */
import { DecimalDefect, readDecimal } from '../engine/uint128.ts';
import { Place } from './field-rules.ts';

const NONE = new Uint8Array(0);
/** The one byte that msgpack never uses; it stands for the end as well. */
const NEVER = 0xc1;

export class MsgpackReader {
  readonly place = new Place();
  readonly words = new Uint32Array(4);
  bytes: Uint8Array = NONE;
  from = 0;
  to = 0;
  #at = 0;
  #end = 0;

  open(bytes: Uint8Array, list: string): void {
    this.bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
    this.place.open(list);
  }

  /** Lets go of the body. */
  close(): void {
    this.bytes = NONE;
  }

  #head(): number {
    return this.#at < this.#end ? this.bytes[this.#at]! : NEVER;
  }

  isMap(): boolean {
    const head = this.#head();
    return (head & 0xf0) === 0x80 || head === 0xde || head === 0xdf;
  }

  isArray(): boolean {
    const head = this.#head();
    return (head & 0xf0) === 0x90 || head === 0xdc || head === 0xdd;
  }

  isString(): boolean {
    const head = this.#head();
    return (head & 0xe0) === 0xa0 || (head >= 0xd9 && head <= 0xdb);
  }

  isBin(): boolean {
    const head = this.#head();
    return head >= 0xc4 && head <= 0xc6;
  }

  /** Takes the head of a map; the count is at most what the bytes that are left can hold. */
  takeMap(wanted: string): number {
    if (!this.isMap()) throw this.refused(wanted);
    const count = this.#takeCount(0x0f, 0xde);
    if (count * 2 > this.#end - this.#at) throw this.#tooShort(`${count} pairs`);
    return count;
  }

  takeArray(wanted: string): number {
    if (!this.isArray()) throw this.refused(wanted);
    const count = this.#takeCount(0x0f, 0xdc);
    if (count > this.#end - this.#at) throw this.#tooShort(`${count} elements`);
    return count;
  }

  #takeCount(mask: number, head16: number): number {
    const head = this.bytes[this.#at++]!;
    if (head === head16) return this.#takeNumber(2);
    return head === head16 + 1 ? this.#takeNumber(4) : head & mask;
  }

  takeString(): void {
    if (!this.isString()) throw this.refused('a string');
    const head = this.bytes[this.#at++]!;
    const length = head >= 0xd9 ? this.#takeNumber(1 << (head - 0xd9)) : head & 0x1f;
    this.#takeSpan(length);
  }

  takeBin(): void {
    if (!this.isBin()) throw this.refused('a bin');
    const head = this.bytes[this.#at++]!;
    this.#takeSpan(this.#takeNumber(1 << (head - 0xc4)));
  }

  takeBoolean(): boolean {
    const head = this.#head();
    if (head !== 0xc2 && head !== 0xc3) throw this.refused('true or false');
    this.#at++;
    return head === 0xc3;
  }

  #takeSpan(length: number): void {
    if (length > this.#end - this.#at) throw this.#tooShort(`${length} bytes`);
    this.from = this.#at;
    this.#at += length;
    this.to = this.#at;
  }

  /** A big-endian number of up to 4 bytes. */
  #takeNumber(count: number): number {
    if (count > this.#end - this.#at) throw this.#tooShort('a number');
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 256 + this.bytes[this.#at++]!;
    return value;
  }

  /** Takes an integer in whichever of msgpack's forms, if it is not negative, into `words`. */
  // Hot path.
  takeInteger(wanted: string): void {
    const head = this.#head();
    const { words } = this;
    words.fill(0);
    if (head < 0x80) {
      this.#at++;
      words[0] = head;
      return;
    }
    if (head < 0xcc || head > 0xd3) throw this.refused(wanted);
    this.#at++;
    const count = 1 << (head & 3);
    const first = this.#at < this.#end ? this.bytes[this.#at]! : 0;
    if (head >= 0xd0 && first >= 0x80) throw this.#negative();
    if (count === 8) words[1] = this.#takeNumber(4);
    words[0] = this.#takeNumber(count === 8 ? 4 : count);
  }

  /** Takes an integer or a string of decimal digits into `words`. A bin is the caller's. */
  // Hot path.
  takeLargeInteger(wanted: string): void {
    if (!this.isString()) {
      this.takeInteger(wanted);
      return;
    }
    this.takeString();
    const defect = readDecimal(this.bytes, this.from, this.to, this.words);
    if (defect === DecimalDefect.none) return;
    if (defect === DecimalDefect.range) throw this.place.refusal('range', 'is over 2^128 - 1');
    throw this.place.refusal(
      'number_form',
      'must consist of decimal digits, without sign, fraction, exponent, blank, or leading zero',
    );
  }

  /** The last bin, of 8 or 16 little-endian bytes, as `words`. */
  setWordsOfBin(): void {
    const { bytes, words } = this;
    words.fill(0);
    let word = 0;
    for (let at = this.from; at < this.to; at += 4) {
      words[word++] =
        bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    }
  }

  expectEnd(): void {
    if (this.#at === this.#end) return;
    this.place.open('');
    throw this.place.refusal('trailing_bytes', `goes on at byte ${this.#at}, after its end`);
  }

  /** Why the next element is not what the form needs. */
  refused(wanted: string): Error {
    const { place } = this;
    const head = this.#head();
    if (head === NEVER) {
      const where = this.#at >= this.#end ? 'ends too early' : `is broken at byte ${this.#at}`;
      return place.refusal('syntax', `${where}: expected ${wanted}`);
    }
    if (head === 0xca || head === 0xcb) {
      return place.refusal(
        'float',
        `must be ${wanted}, not a float (msgpackr makes floats of numbers over 2^32: give it a bigint)`,
      );
    }
    if ((head >= 0xc7 && head <= 0xc9) || (head >= 0xd4 && head <= 0xd8)) {
      return place.refusal('extension', `must be ${wanted}, not a msgpack extension`);
    }
    if (head >= 0xe0) return this.#negative();
    const isNested = this.isMap() || this.isArray();
    return place.refusal(isNested ? 'nesting' : 'type', `must be ${wanted}`);
  }

  #negative(): Error {
    return this.place.refusal('number_form', 'must not be negative');
  }

  #tooShort(what: string): Error {
    return this.place.refusal('length', `says that ${what} follow, but the body ends before`);
  }
}
