/**
 * Reads the tokens of a JSON request, strictly: names, flag names and decimals need no escapes and nothing outside ASCII, so a backslash
 * or a control character in a string is refused, and any other byte fails where the string is looked up. Nothing recurses, and nothing
 * is allocated on the way of a sound request.
 *
 * `from` and `to` delimit the last string, `words` holds the last number.
 */
import { DecimalDefect, readDecimal } from '../engine/uint128.ts';
import { Place } from './field-rules.ts';
import { setWords } from './row-scratch.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NONE = new Uint8Array(0);
const SAFE_DIGITS_MAX = 16;

const BOOLEANS: readonly (readonly [Uint8Array, boolean])[] = [
  [new TextEncoder().encode('true'), true],
  [new TextEncoder().encode('false'), false],
];

export class JsonReader {
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

  /** The next byte that is not white space, or 0 at the end. It is not taken. */
  // Hot path.
  peek(): number {
    const { bytes } = this;
    const end = this.#end;
    let at = this.#at;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) {
        this.#at = at;
        return byte;
      }
      at++;
    }
    this.#at = end;
    return 0;
  }

  /** Takes the byte that `peek` returned. */
  skip(): void {
    this.#at++;
  }

  /** Takes `byte`, or says what is missing. */
  take(byte: number, what: string): void {
    if (this.peek() !== byte) throw this.broken(what);
    this.#at++;
  }

  /** Between members: true for a comma, false for the closing bracket. Both are taken. */
  takeComma(close: number): boolean {
    const byte = this.peek();
    if (byte !== 0x2c && byte !== close) {
      throw this.broken(`a comma or ${String.fromCharCode(close)}`);
    }
    this.#at++;
    return byte === 0x2c;
  }

  /** Takes a string; its bytes are at `from` to `to`. */
  // Hot path.
  takeString(): void {
    if (this.peek() !== QUOTE) throw this.broken('a string');
    const { bytes } = this;
    const end = this.#end;
    let at = this.#at + 1;
    this.from = at;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.to = at;
        this.#at = at + 1;
        return;
      }
      if (byte === BACKSLASH) {
        throw this.place.refusal(
          'escape',
          `has a backslash at byte ${at}: no string here needs one`,
        );
      }
      if (byte < 0x20) break;
    }
    this.#at = at;
    throw this.broken('the end of the string');
  }

  /** Takes a string as a value; anything else is of the wrong type. */
  takeText(wanted: string): void {
    if (this.peek() !== QUOTE) throw this.#wrongType(wanted);
    this.takeString();
  }

  takeBoolean(): boolean {
    this.peek();
    for (const [word, value] of BOOLEANS) {
      if (!word.every((byte, i) => this.bytes[this.#at + i] === byte)) continue;
      if (this.#at + word.length > this.#end) continue;
      this.#at += word.length;
      return value;
    }
    throw this.#wrongType('true or false');
  }

  /** Takes a string of decimal digits, or an integer up to 2^53 - 1, into `words`. */
  // Hot path.
  takeLargeInteger(): void {
    if (this.peek() !== QUOTE) {
      this.takeInteger('a decimal string, or an integer up to 2^53 - 1');
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

  /** Takes an integer up to 2^53 - 1 into `words`. */
  // Hot path.
  takeInteger(wanted: string): void {
    const first = this.peek() - 0x30;
    if (!(first >= 0 && first <= 9)) throw this.#noInteger(wanted);
    const { bytes } = this;
    const start = this.#at;
    let at = start;
    let value = 0;
    for (; at < this.#end; at++) {
      const digit = bytes[at]! - 0x30;
      if (digit < 0 || digit > 9) break;
      if (at - start >= SAFE_DIGITS_MAX) break;
      value = value * 10 + digit;
    }
    if (first === 0 && at - start > 1) {
      throw this.place.refusal('number_form', 'must not have a leading zero');
    }
    const next = at < this.#end ? bytes[at]! : 0;
    if (next === 0x2e || next === 0x65 || next === 0x45) {
      throw this.place.refusal('number_form', 'must have neither fraction nor exponent');
    }
    if (value > Number.MAX_SAFE_INTEGER || (next >= 0x30 && next <= 0x39)) {
      throw this.place.refusal(
        'safe_integer',
        'is a number over 2^53 - 1: larger ones must be decimal strings',
      );
    }
    this.#at = at;
    setWords(this.words, value);
  }

  #noInteger(wanted: string): Error {
    const byte = this.peek();
    if (byte === 0x2d || byte === 0x2b || byte === 0x2e) {
      return this.place.refusal('number_form', 'must begin with a digit: no sign and no fraction');
    }
    return this.#wrongType(wanted);
  }

  #wrongType(wanted: string): Error {
    const byte = this.peek();
    if (byte === 0x7b || byte === 0x5b) {
      return this.place.refusal('nesting', `must be ${wanted}, not something nested`);
    }
    const isLetter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
    const isDigit = byte >= 0x30 && byte <= 0x39;
    return byte === QUOTE || isLetter || isDigit
      ? this.place.refusal('type', `must be ${wanted}`)
      : this.broken(wanted);
  }

  /** Nothing but white space may follow. */
  expectEnd(): void {
    if (this.peek() === 0 && this.#at >= this.#end) return;
    this.place.open('');
    throw this.place.refusal('trailing_bytes', `goes on at byte ${this.#at}, after its end`);
  }

  broken(wanted: string): Error {
    const where = this.#at >= this.#end ? 'ends too early' : `is broken at byte ${this.#at}`;
    return this.place.refusal('syntax', `${where}: expected ${wanted}`);
  }
}
