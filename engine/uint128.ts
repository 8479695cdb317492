/**
 * Unsigned 128-bit integers as four 32-bit words, least significant first, and their decimal text. 64-bit ones are two words.
 *
 * Reading decimals makes no objects: the gateway does it for every id and amount of a JSON request.
 */
import { assert } from './assert.ts';

export const DecimalDefect = { none: 0, form: 1, range: 2 } as const;
export type DecimalDefect = (typeof DecimalDefect)[keyof typeof DecimalDefect];

export const UINT64_MAX = (1n << 64n) - 1n;
export const UINT128_MAX = (1n << 128n) - 1n;

const WORD = 0x1_0000_0000;
const DIGITS_EXACT = 15;
/** A word times 10^6 and a carry stay below 2^53. */
const DIGITS_PER_STEP = 6;
const DECIMAL_DIGITS_MAX = 39;

const lanes = new BigUint64Array(2);
const laneWords = new Uint32Array(lanes.buffer);
const textBytes = new Uint8Array(DECIMAL_DIGITS_MAX + 1);

/**
 * Reads the digits at bytes `from` to `to` into words[0..3]: no sign, no blank, no leading zero. Stops at the first defect, and leaves
 * the words undefined then.
 */
// Hot path.
export function readDecimal(
  bytes: Uint8Array,
  from: number,
  to: number,
  words: Uint32Array,
): DecimalDefect {
  const length = to - from;
  if (length <= 0) return DecimalDefect.form;
  if (bytes[from] === 0x30 && length > 1) return DecimalDefect.form;
  const exactTo = length < DIGITS_EXACT ? to : from + DIGITS_EXACT;
  let value = 0;
  for (let at = from; at < exactTo; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return DecimalDefect.form;
    value = value * 10 + digit;
  }
  const high = Math.floor(value / WORD);
  words[0] = value - high * WORD;
  words[1] = high;
  words[2] = 0;
  words[3] = 0;
  return exactTo === to ? DecimalDefect.none : readDecimalRest(bytes, exactTo, to, words);
}

function readDecimalRest(
  bytes: Uint8Array,
  from: number,
  to: number,
  words: Uint32Array,
): DecimalDefect {
  let at = from;
  while (at < to) {
    const stepTo = Math.min(at + DIGITS_PER_STEP, to);
    let scale = 1;
    let carry = 0;
    for (; at < stepTo; at++) {
      const digit = bytes[at]! - 0x30;
      if (digit < 0 || digit > 9) return DecimalDefect.form;
      carry = carry * 10 + digit;
      scale *= 10;
    }
    for (let w = 0; w < 4; w++) {
      const product = words[w]! * scale + carry;
      carry = Math.floor(product / WORD);
      words[w] = product - carry * WORD;
    }
    if (carry !== 0) return DecimalDefect.range;
  }
  return DecimalDefect.none;
}

/** The same for text, as in the path of a URL. */
export function readDecimalText(text: string, words: Uint32Array): DecimalDefect {
  // One digit more than fits is enough to be out of range.
  const length = Math.min(text.length, textBytes.length);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    textBytes[i] = code < 0x80 ? code : 0;
  }
  return readDecimal(textBytes, 0, length, words);
}

/** Decimal text of the four words at `at`. */
export function formatUint128(words: Uint32Array, at: number): string {
  return (words[at + 2]! | words[at + 3]!) === 0
    ? formatUint64(words, at)
    : bigintOfUint128(words, at).toString();
}

/** Decimal text of the two words at `at`. */
export function formatUint64(words: Uint32Array, at: number): string {
  const high = words[at + 1]!;
  // Below 2^53 a number says it exactly, and is faster than a bigint.
  return high < 0x20_0000 ? String(high * WORD + words[at]!) : bigintOfUint64(words, at).toString();
}

export function bigintOfUint128(words: Uint32Array, at: number): bigint {
  assert(at + 4 <= words.length, 'four words are there');
  laneWords[0] = words[at]!;
  laneWords[1] = words[at + 1]!;
  laneWords[2] = words[at + 2]!;
  laneWords[3] = words[at + 3]!;
  return (lanes[1]! << 64n) | lanes[0]!;
}

export function bigintOfUint64(words: Uint32Array, at: number): bigint {
  assert(at + 2 <= words.length, 'two words are there');
  laneWords[0] = words[at]!;
  laneWords[1] = words[at + 1]!;
  return lanes[0]!;
}

/** Writes four words at `at`. The caller has checked the range: a bigint from outside is refused before, with a sentence. */
export function writeUint128(value: bigint, words: Uint32Array, at: number): void {
  assert(value >= 0n && value <= UINT128_MAX, 'an unsigned integer of 128 bits');
  assert(at + 4 <= words.length, 'four words are there');
  lanes[0] = value;
  lanes[1] = value >> 64n;
  words[at] = laneWords[0]!;
  words[at + 1] = laneWords[1]!;
  words[at + 2] = laneWords[2]!;
  words[at + 3] = laneWords[3]!;
}

/** Writes two words at `at`, as `writeUint128` does. */
export function writeUint64(value: bigint, words: Uint32Array, at: number): void {
  assert(value >= 0n && value <= UINT64_MAX, 'an unsigned integer of 64 bits');
  assert(at + 2 <= words.length, 'two words are there');
  lanes[0] = value;
  words[at] = laneWords[0]!;
  words[at + 1] = laneWords[1]!;
}
