import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { FrameRing } from './frame-ring.ts';

const BYTES_MAX = 4096;
const FRAMES_MAX = 24;
const FRAME_BYTES_MAX = 1000;

interface Kept {
  readonly sequence: number;
  readonly frame: Uint8Array;
}

const isSame = (one: Uint8Array | undefined, two: Uint8Array): boolean =>
  one !== undefined && Buffer.compare(one, two) === 0;

/** Adds frames of random lengths, and says after each of them how many of the newest are there, and what is wrong. */
function addAll(
  seed: number,
  adds: number,
  bytesMax: number,
): { counts: number[]; wrong: string[] } {
  const prng = new Prng(seed);
  const ring = new FrameRing(BYTES_MAX, FRAMES_MAX);
  const all: Kept[] = [];
  const counts: number[] = [];
  const wrong: string[] = [];
  let sequence = 0;
  for (let i = 0; i < adds; i++) {
    sequence += 1 + prng.below(3);
    const frame = Uint8Array.from({ length: prng.below(bytesMax + 1) }, () => prng.below(256));
    ring.add(sequence, frame);
    all.push({ sequence, frame: frame.slice() });
    frame.fill(255);
    counts.push(ring.count);
    for (const [nth, kept] of all.toReversed().entries()) {
      const found = ring.get(kept.sequence);
      if (nth < ring.count ? !isSame(found, kept.frame) : found !== undefined) {
        wrong.push(`add ${i}: the frame of ${kept.sequence}, ${nth} before the last`);
      }
      if (nth > FRAMES_MAX + 2) break;
    }
    if (ring.get(sequence + 1) !== undefined) wrong.push(`add ${i}: a frame that never was`);
  }
  return { counts, wrong };
}

describe('a ring of frames', () => {
  test.each([1, 2, 3, 4])('has copies of the newest frames, and of no others: seed %i', (seed) => {
    const { counts, wrong } = addAll(seed, 600, FRAME_BYTES_MAX);
    expect(wrong).toEqual([]);
    // All but what is lost at the end of the memory, and one frame that makes room for the next: at the least (4096 - 2 * 1000) / 1000.
    expect(Math.min(...counts.slice(10))).toBeGreaterThanOrEqual(2);
    expect(Math.max(...counts)).toBeGreaterThan(8);
  });

  test('has no more frames than it may, however small they are', () => {
    const { counts, wrong } = addAll(5, 200, 40);
    expect(wrong).toEqual([]);
    expect(counts.slice(FRAMES_MAX)).toEqual(
      Array.from({ length: 200 - FRAMES_MAX }, () => FRAMES_MAX),
    );
  });

  test('takes a frame as long as itself, which is alone then', () => {
    const ring = new FrameRing(BYTES_MAX, FRAMES_MAX);
    ring.add(1, new Uint8Array(100).fill(1));
    ring.add(2, new Uint8Array(BYTES_MAX).fill(2));
    expect([ring.count, ring.get(1), ring.get(2)]).toEqual([
      1,
      undefined,
      new Uint8Array(BYTES_MAX).fill(2),
    ]);
    ring.add(3, new Uint8Array(8).fill(3));
    expect([ring.count, ring.get(2), ring.get(3)]).toEqual([
      1,
      undefined,
      new Uint8Array(8).fill(3),
    ]);
  });

  test('what it gives is not changed by what comes later', () => {
    const ring = new FrameRing(64, FRAMES_MAX);
    ring.add(1, new Uint8Array(48).fill(1));
    const first = ring.get(1);
    ring.add(2, new Uint8Array(48).fill(2));
    expect(first).toEqual(new Uint8Array(48).fill(1));
  });
});
