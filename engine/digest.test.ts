import { describe, expect, test } from 'vitest';
import { ROW_WORDS } from './batch.ts';
import { mixWords, StateDigest } from './digest.ts';
import { SLOT_WORDS } from './id-index.ts';
import { ImageSection } from './image.ts';

/** Words that look random, by their place. */
function randomWords(count: number, seed: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => mixWords(Uint32Array.of(i, seed), 0, 2));
}

const TAIL = randomWords(9, 1);
const NOTHING: readonly number[] = [...new StateDigest(TAIL).finish()];

describe('the digest of a state', () => {
  test('has every account, in order, whatever their number', () => {
    for (let count = 1; count <= 13; count++) {
      const rows = randomWords(count * ROW_WORDS, 2);
      const stamps = randomWords(count * 2, 3);
      let expected = NOTHING[0]!;
      for (let row = 0; row < count; row++) {
        const stamp = stamps[2 * row]! ^ Math.imul(stamps[2 * row + 1]!, 31);
        const hash = mixWords(rows, row * ROW_WORDS, ROW_WORDS);
        expected = (Math.imul(expected, 0x01000193) ^ hash ^ stamp) >>> 0;
      }
      const digest = new StateDigest(TAIL);
      digest.add(ImageSection.accounts, rows);
      digest.add(ImageSection.stamps, stamps);
      expect(digest.finish()).toEqual([expected, NOTHING[1]]);
    }
  });

  test('has every id that is there, in whatever slot, and nothing of empty ones', () => {
    const ids = randomWords(40 * SLOT_WORDS, 4);
    const digestOf = (slots: Uint32Array): readonly number[] => {
      const digest = new StateDigest(TAIL);
      digest.add(ImageSection.slots, slots);
      return digest.finish();
    };
    const whole = digestOf(ids);
    const spread = new Uint32Array(100 * SLOT_WORDS);
    for (let i = 0; i < 40; i++) {
      spread.set(ids.subarray(i * SLOT_WORDS, (i + 1) * SLOT_WORDS), (99 - 2 * i) * SLOT_WORDS);
    }
    expect(digestOf(spread)).toEqual(whole);
    // What an empty slot has but for its last word does not count; every word of a taken one does.
    spread[0] = 77;
    expect(digestOf(spread)).toEqual(whole);
    for (let w = 0; w < SLOT_WORDS; w++) {
      const other = ids.slice();
      other[7 * SLOT_WORDS + w]! ^= 0x80000000;
      expect(digestOf(other)).not.toEqual(whole);
    }
    let sum = 0;
    for (let i = 0; i < 40; i++) sum += mixWords(ids, i * SLOT_WORDS, SLOT_WORDS);
    const head = Uint32Array.of(sum, TAIL[2]!, TAIL[3]!, TAIL[4]!, ...TAIL.subarray(5, 9));
    expect(whole[1]).toBe(mixWords(head, 0, head.length));
  });
});
