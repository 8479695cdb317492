import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { DeferredIds } from './deferred-ids.ts';
import { hashId } from './placement.ts';

const SEED = 9;
/** Some 240 a part: less than the first table holds. */
const FEW = 60_000;
/** Some 19,500 a part: three chunks, and a larger table. */
const MANY = 5_000_000;

function randomIds(count: number, seed = 1): Uint32Array {
  const prng = new Prng(seed);
  return Uint32Array.from({ length: count * 4 }, () => prng.uint32());
}

function add(deferred: DeferredIds, ids: Uint32Array, from = 0, to = ids.length / 4): void {
  for (let i = from; i < to; i++) {
    deferred.add(ids, 4 * i, hashId(ids, 4 * i, SEED), i, i + 1);
  }
}

function filled(ids: Uint32Array): DeferredIds {
  const deferred = new DeferredIds(SEED);
  add(deferred, ids);
  return deferred;
}

/** The numbers of the ids in the order of `runs`; -1 for one with another id or value. */
function numbersOf(deferred: DeferredIds, ids: Uint32Array): number[] {
  const numbers: number[] = [];
  for (const { words, end } of deferred.runs()) {
    for (let at = 0; at < end; at += 6) {
      const i = words[at + 4]!;
      const isSame = [0, 1, 2, 3].every((w) => words[at + w] === ids[4 * i + w]);
      numbers.push(isSame && words[at + 5] === i + 1 ? i : -1);
    }
  }
  return numbers;
}

/** Two of many ids with the same hash. */
function likeHashes(): Uint32Array {
  const ids = randomIds(400_000, 7);
  const seen = new Map<number, number>();
  for (let i = 0; i < ids.length / 4; i++) {
    const hash = hashId(ids, 4 * i, SEED);
    const other = seen.get(hash);
    if (other !== undefined) {
      const both = new Uint32Array(8);
      both.set(ids.subarray(4 * other, 4 * other + 4));
      both.set(ids.subarray(4 * i, 4 * i + 4), 4);
      return both;
    }
    seen.set(hash, i);
  }
  throw new Error('no two of these ids have the same hash');
}

describe('deferred ids', () => {
  test.each([0, 1, FEW, MANY])('of %i each is there once, with its values', (count) => {
    const ids = randomIds(count);
    const deferred = filled(ids);
    expect(deferred.count).toBe(count);
    const numbers = numbersOf(deferred, ids);
    numbers.sort((a, b) => a - b);
    expect(numbers.length).toBe(count);
    expect(numbers.every((i, at) => i === at)).toBe(true);
    expect(deferred.hasRepeats()).toBe(false);
  });

  test('lie together by the upper bits of their hashes, in the order in which they came', () => {
    const ids = randomIds(FEW);
    const places = numbersOf(filled(ids), ids).map((i) => ({
      part: hashId(ids, 4 * i, SEED) >>> 24,
      i,
    }));
    const sorted = places.toSorted((a, b) => a.part - b.part || a.i - b.i);
    expect(places).toEqual(sorted);
  });

  test('one that is there twice is found, wherever the two are', () => {
    const prng = new Prng(3);
    for (const count of [2, 3, 100, FEW, MANY]) {
      for (let round = 0; round < (count === MANY ? 1 : 4); round++) {
        const ids = randomIds(count, round + 20);
        const [one, other] = [prng.below(count), prng.below(count)];
        ids.copyWithin(4 * other, 4 * one, 4 * one + 4);
        expect(filled(ids).hasRepeats(), `${count}: ${one}, ${other}`).toBe(one !== other);
      }
    }
  });

  test('two with the same hash are no repeat; the same one again is', () => {
    const ids = likeHashes();
    const deferred = filled(ids);
    expect(hashId(ids, 0, SEED)).toBe(hashId(ids, 4, SEED));
    expect(deferred.hasRepeats()).toBe(false);
    add(deferred, ids, 1);
    expect(deferred.hasRepeats()).toBe(true);
  });

  test('each word of an id counts', () => {
    for (let w = 0; w < 4; w++) {
      const ids = new Uint32Array(8).fill(0x0102_0304);
      ids[4 + w]!++;
      const deferred = new DeferredIds(SEED);
      // Whatever the hashes are: these two meet.
      for (const at of [0, 4]) deferred.add(ids, at, 0, 1, 1);
      expect(deferred.hasRepeats()).toBe(false);
    }
  });

  test('are drained: each once, and then nothing is left, and others may come', () => {
    const ids = randomIds(FEW);
    const deferred = filled(ids);
    const before = numbersOf(deferred, ids);
    const drained: number[] = [];
    const taken: Uint32Array[] = [];
    for (const { words, end } of deferred.drain()) {
      // The one before was let go.
      expect(taken.at(-1)?.length ?? 0).toBe(0);
      taken.push(words);
      for (let at = 0; at < end; at += 6) drained.push(words[at + 4]!);
    }
    expect(drained).toEqual(before);
    expect(taken.at(-1)!.length).toBe(0);
    expect(deferred.count).toBe(0);
    expect([...deferred.runs()]).toEqual([]);
    expect(deferred.hasRepeats()).toBe(false);
    const others = randomIds(FEW, 2);
    add(deferred, others);
    expect(deferred.count).toBe(FEW);
    expect(numbersOf(deferred, others)).not.toContain(-1);
    expect(deferred.hasRepeats()).toBe(false);
    add(deferred, others, 17, 18);
    expect(deferred.hasRepeats()).toBe(true);
  });
});
