import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addTo, copy, equals, isGreater, isMax, isZero } from './arithmetic.ts';
import { bigintOfUint128, UINT128_MAX, writeUint128 } from './uint128.ts';

const WORD = 1n << 32n;
const EDGES = [
  0n,
  1n,
  WORD - 1n,
  WORD,
  WORD + 1n,
  (1n << 64n) - 1n,
  1n << 64n,
  (1n << 96n) - 1n,
].concat([1n << 96n, 1n << 127n, UINT128_MAX - 1n, UINT128_MAX]);
const amounts = fc.oneof(fc.bigInt({ min: 0n, max: UINT128_MAX }), fc.constantFrom(...EDGES));

/** Two values with others around them. */
function pairOf(a: bigint, b: bigint): Uint32Array {
  const words = new Uint32Array(14).fill(0xdeadbeef);
  writeUint128(a, words, 1);
  writeUint128(b, words, 8);
  return words;
}

describe('128-bit arithmetic', () => {
  test('says of any two amounts what bigint says', () => {
    fc.assert(
      fc.property(amounts, amounts, (a, b) => {
        const words = pairOf(a, b);
        expect(equals(words, 1, words, 8)).toBe(a === b);
        expect(isGreater(words, 1, words, 8)).toBe(a > b);
        expect([isZero(words, 1), isMax(words, 1)]).toEqual([a === 0n, a === UINT128_MAX]);
        const carry = addTo(words, 1, words, 8);
        expect((BigInt(carry) << 128n) + bigintOfUint128(words, 1)).toBe(a + b);
        expect(bigintOfUint128(words, 8)).toBe(b);
        copy(words, 1, words, 8);
        expect(bigintOfUint128(words, 1)).toBe(b);
        for (const at of [0, 5, 6, 7, 12, 13]) expect(words[at]).toBe(0xdeadbeef);
      }),
      { seed: 1, numRuns: 1000 },
    );
  });

  test('every pair of edges', () => {
    for (const a of EDGES) {
      for (const b of EDGES) {
        const words = pairOf(a, b);
        expect([equals(words, 1, words, 8), isGreater(words, 1, words, 8)]).toEqual([
          a === b,
          a > b,
        ]);
        const carry = addTo(words, 1, words, 8);
        expect((BigInt(carry) << 128n) + bigintOfUint128(words, 1)).toBe(a + b);
      }
    }
  });
});
