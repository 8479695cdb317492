import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { inAllLanes, lanesFrom, lanesLike, lowestLane, zeroLanes } from './byte-lanes.ts';

const LANES = [0, 1, 2, 3] as const;
/** Bytes next to what a borrow, a carry, or a sign could mistake for 0 or for each other. */
const BYTES = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xfe, 0xff];

function* words(): Generator<number> {
  for (const a of BYTES) {
    for (const b of BYTES) {
      for (const c of BYTES) for (const d of BYTES) yield a | (b << 8) | (c << 16) | (d << 24);
    }
  }
  const prng = new Prng(1);
  for (let i = 0; i < 10_000; i++) yield prng.uint32() | 0;
}

const byteOf = (word: number, lane: number): number => (word >>> (8 * lane)) & 0xff;

/** The top bits of the lanes that are wanted. */
function lanesWhere(isWanted: (lane: number) => boolean): number {
  return LANES.reduce((mask: number, lane) => mask | (isWanted(lane) ? 0x80 << (8 * lane) : 0), 0);
}

describe('the four bytes of a word', () => {
  test('are each 0 or not, whatever the others are', () => {
    for (const word of words()) {
      expect(zeroLanes(word)).toBe(lanesWhere((lane) => byteOf(word, lane) === 0));
    }
  });

  test('are each like a byte or not', () => {
    for (const byte of BYTES) {
      const four = inAllLanes(byte);
      for (const word of words()) {
        expect(lanesLike(word, four)).toBe(lanesWhere((lane) => byteOf(word, lane) === byte));
      }
    }
  });

  test('the lowest of some, and those from one on', () => {
    for (let some = 1; some < 16; some++) {
      const lanes = lanesWhere((lane) => ((some >>> lane) & 1) === 1);
      expect(lowestLane(lanes)).toBe(LANES.find((lane) => ((some >>> lane) & 1) === 1));
    }
    for (const from of LANES) {
      expect(lanesWhere(() => true) & lanesFrom(from)).toBe(lanesWhere((lane) => lane >= from));
    }
  });
});
