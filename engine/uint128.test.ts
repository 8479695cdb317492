import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bigintOfUint128,
  bigintOfUint64,
  DecimalDefect,
  formatUint128,
  formatUint64,
  readDecimal,
  readDecimalText,
  UINT128_MAX,
  UINT64_MAX,
  writeUint128,
  writeUint64,
} from './uint128.ts';

const edges = [0n, 1n, 9n, 10n];
for (const power of [15n, 16n, 21n, 38n]) edges.push(10n ** power - 1n, 10n ** power);
for (const bits of [32n, 53n, 63n, 64n, 96n, 127n]) {
  edges.push((1n << bits) - 1n, 1n << bits, (1n << bits) + 1n);
}
edges.push(UINT128_MAX - 1n, UINT128_MAX);

const anyUint128 = fc.oneof(fc.bigInt(0n, UINT128_MAX), fc.constantFrom(...edges));

describe('readDecimal', () => {
  test('every 128-bit integer is read from its text and written back to it', () => {
    fc.assert(
      fc.property(anyUint128, fc.nat(3), (value, before) => {
        const words = new Uint32Array(4).fill(0xffff_ffff);
        const text = `${'x'.repeat(before)}${value}x`;
        const bytes = new TextEncoder().encode(text);
        const defect = readDecimal(bytes, before, bytes.length - 1, words);
        expect(defect).toBe(DecimalDefect.none);
        expect(bigintOfUint128(words, 0)).toBe(value);
        expect(formatUint128(words, 0)).toBe(String(value));
        expect(readDecimalText(String(value), words)).toBe(DecimalDefect.none);
        expect(bigintOfUint128(words, 0)).toBe(value);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['', DecimalDefect.form],
    ['00', DecimalDefect.form],
    ['01', DecimalDefect.form],
    ['-1', DecimalDefect.form],
    ['+1', DecimalDefect.form],
    ['1e3', DecimalDefect.form],
    ['0.1', DecimalDefect.form],
    ['1 ', DecimalDefect.form],
    [' 1', DecimalDefect.form],
    ['１', DecimalDefect.form],
    ['1\0', DecimalDefect.form],
    ['12345678901234567890x', DecimalDefect.form],
    ['NaN', DecimalDefect.form],
    ['0x10', DecimalDefect.form],
    [String(UINT128_MAX + 1n), DecimalDefect.range],
    ['9'.repeat(39), DecimalDefect.range],
    ['1'.repeat(40), DecimalDefect.range],
    ['1'.repeat(100_000), DecimalDefect.range],
  ])('%j is no 128-bit decimal', (text, defect) => {
    const words = new Uint32Array(4);
    const bytes = new TextEncoder().encode(text);
    expect(readDecimal(bytes, 0, bytes.length, words)).toBe(defect);
    expect(readDecimalText(text, words)).toBe(defect);
  });
});

describe('words', () => {
  test('a bigint comes back from its words, and its neighbors stay as they were', () => {
    for (const value of edges) {
      const words = new Uint32Array(6).fill(7);
      writeUint128(value, words, 1);
      expect(bigintOfUint128(words, 1)).toBe(value);
      expect([words[0], words[5]]).toEqual([7, 7]);
      if (value > UINT64_MAX) continue;
      words.fill(7);
      writeUint64(value, words, 1);
      expect(bigintOfUint64(words, 1)).toBe(value);
      expect(formatUint64(words, 1)).toBe(String(value));
      expect([words[0], words[3]]).toEqual([7, 7]);
    }
  });

  test('a bigint out of range is a bug', () => {
    const words = new Uint32Array(4);
    expect(() => writeUint128(-1n, words, 0)).toThrow('128 bits');
    expect(() => writeUint128(UINT128_MAX + 1n, words, 0)).toThrow('128 bits');
    expect(() => writeUint64(UINT64_MAX + 1n, words, 0)).toThrow('64 bits');
    expect(() => writeUint128(0n, words, 1)).toThrow('four words');
  });
});
