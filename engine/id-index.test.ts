import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { BUCKET_SLOTS, SLAB_BUCKETS } from './bucket-directory.ts';
import { IdIndex, SLOT_WORDS } from './id-index.ts';
import { StateReader, StateWriter } from './state-words.ts';

const IDS = 200_000;

function fill(ids: Uint32Array, seed = 5): IdIndex {
  const index = new IdIndex(seed);
  for (let i = 0; i < ids.length / 4; i++) {
    const hash = index.hash(ids, i * 4);
    if (index.find(ids, i * 4, hash) === -1) index.insert(ids, i * 4, hash, i, i + 1);
  }
  return index;
}

function randomIds(count: number, seed = 1): Uint32Array {
  const prng = new Prng(seed);
  return Uint32Array.from({ length: count * 4 }, () => prng.uint32());
}

const textOf = (words: Uint32Array, at: number): string => words.subarray(at, at + 4).join();

/** How many of the ids are not found with the values that they were put in with. */
function countWrong(index: IdIndex, ids: Uint32Array): number {
  let wrong = 0;
  for (let i = 0; i < ids.length / 4; i++) {
    const slot = index.find(ids, i * 4, index.hash(ids, i * 4));
    if (slot === -1 || index.valueLow(slot) !== i || index.valueHigh(slot) !== i + 1) wrong++;
  }
  return wrong;
}

describe('an id index', () => {
  test('finds what a Map finds, and nothing else', () => {
    const prng = new Prng(2);
    const ids = Uint32Array.from({ length: IDS * 4 }, (_, w) =>
      w % 4 === 0 ? prng.below(150_000) : 0,
    );
    const index = new IdIndex(3);
    const map = new Map<string, number>();
    let wrong = 0;
    for (let i = 0; i < IDS; i++) {
      const at = i * 4;
      const hash = index.hash(ids, at);
      const slot = index.find(ids, at, hash);
      const known = map.get(textOf(ids, at));
      if ((slot === -1) !== (known === undefined)) wrong++;
      else if (known !== undefined && index.valueLow(slot) !== known) wrong++;
      if (known !== undefined) continue;
      map.set(textOf(ids, at), i);
      index.insert(ids, at, hash, i, 1);
    }
    expect(wrong).toBe(0);
    expect(index.count).toBe(map.size);
    const visited = new Map<string, number>();
    index.forEach((words, at) => visited.set(textOf(words, at), words[at + 4]!));
    expect(visited.size).toBe(map.size);
    expect([...map].every(([id, value]) => visited.get(id) === value)).toBe(true);
  });

  test('keeps ids apart that share three of their four words', () => {
    for (let word = 0; word < 4; word++) {
      const ids = new Uint32Array(40_000).fill(9);
      for (let i = 0; i < 10_000; i++) ids[i * 4 + word] = i;
      const index = fill(ids);
      expect(index.count).toBe(10_000);
      expect(countWrong(index, ids)).toBe(0);
    }
  });

  test('keeps values of all 32 bits, and the place that a search gave takes an insert', () => {
    const index = new IdIndex(0);
    const ids = randomIds(5000);
    for (let i = 0; i < 5000; i++) {
      const hash = index.hash(ids, i * 4);
      const place = index.search(ids, i * 4, hash);
      expect(place).toBeLessThan(0);
      index.insertAt(place, ids, i * 4, hash, 0xffffffff - i, 0xffffffff);
    }
    expect(index.count).toBe(5000);
    for (let i = 0; i < 5000; i++) {
      const slot = index.search(ids, i * 4, index.hash(ids, i * 4));
      expect([index.valueLow(slot), index.valueHigh(slot)]).toEqual([0xffffffff - i, 0xffffffff]);
    }
  });

  test.each([1, 2, 3])('what was sought ahead is what a search finds, seed %i', (seed) => {
    const prng = new Prng(seed);
    const ids = randomIds(20_000, seed);
    const index = new IdIndex(seed);
    const hashes = new Int32Array(64);
    const free = new Int32Array(64);
    let known = 0;
    for (let from = 0; from + 64 <= 20_000; from += 64) {
      // Some ids of the block were added earlier, and some are twice in it.
      for (let i = 0; i < 64; i++) {
        const copied = prng.below(8) === 0 ? prng.below(from + i + 1) : from + i;
        ids.copyWithin((from + i) * 4, copied * 4, copied * 4 + 4);
        hashes[i] = index.hash(ids, (from + i) * 4);
      }
      index.seekFree(ids, from * 4, 4, hashes, 0, 64, free);
      for (let i = 0; i < 64; i++) {
        const at = (from + i) * 4;
        const place = index.search(ids, at, hashes[i]!);
        expect(index.searchFrom(free[i]!, ids, at, hashes[i]!)).toBe(place);
        if (free[i]! >= 0 && place === -1 - free[i]!) known++;
        if (place < 0) index.insertAt(place, ids, at, hashes[i]!, from + i, 1);
        else if (prng.below(20) === 0) index.remove(place);
      }
    }
    expect(index.buckets).toBeGreaterThan(4);
    expect(known).toBeGreaterThan(10_000);
  });

  test.each([4, 5, 6])('and what was sought for a whole group, seed %i', (seed) => {
    const prng = new Prng(seed);
    const rows = 100_000;
    const ids = randomIds(rows, seed);
    const index = new IdIndex(seed);
    const hashes = new Int32Array(rows);
    const sought = new Int32Array(rows);
    const free = new Int32Array(64);
    let known = 0;
    let wrong = 0;
    for (let first = 0; first < rows;) {
      const end = Math.min(first + prng.between(1, 5000), rows);
      index.beginSeeks();
      for (let i = first; i < end; i++) {
        // Some were added earlier, and some are twice in the group.
        if (prng.below(8) === 0) {
          const copied = prng.below(i + 1);
          ids.copyWithin(i * 4, copied * 4, copied * 4 + 4);
        }
        hashes[i] = index.hash(ids, i * 4);
      }
      for (let from = first; from < end; from += 64) {
        index.seekAll(ids, from * 4, 4, hashes, from, Math.min(from + 64, end), sought);
      }
      for (let i = first; i < end; i++) {
        if ((i - first) % 64 === 0) index.touchSought(sought, i, Math.min(i + 64, end), free);
        const at = i * 4;
        const place = index.search(ids, at, hashes[i]!);
        if (index.searchFrom(free[(i - first) % 64]!, ids, at, hashes[i]!) !== place) wrong++;
        if (sought[i]! >= 0 && place === -1 - sought[i]!) known++;
        if (place < 0) index.insertAt(place, ids, at, hashes[i]!, i, 1);
        else if (prng.below(20) === 0) index.remove(place);
      }
      first = end;
    }
    expect(wrong).toBe(0);
    expect(index.buckets).toBeGreaterThan(40);
    expect(known).toBeGreaterThan(rows / 2);
  });

  test('what was sought is good for most ids, although buckets are split meanwhile', () => {
    const ids = randomIds(220_000, 8);
    const index = new IdIndex(8);
    for (let i = 0; i < 200_000; i++) index.insert(ids, i * 4, index.hash(ids, i * 4), i, 1);
    const hashes = Int32Array.from({ length: 20_000 }, (_, i) =>
      index.hash(ids, (200_000 + i) * 4),
    );
    const sought = new Int32Array(20_000);
    index.beginSeeks();
    for (let from = 0; from < 20_000; from += 50) {
      index.seekAll(ids, (200_000 + from) * 4, 4, hashes, from, from + 50, sought);
    }
    const { buckets } = index;
    // What is not relied on is searched for, which would go by the ids: these are others.
    const others = randomIds(20_000, 9);
    let relied = 0;
    for (let i = 0; i < 20_000; i++) {
      const at = (200_000 + i) * 4;
      if (index.searchFrom(sought[i]!, others, i * 4, ~hashes[i]!) === -1 - sought[i]!) relied++;
      index.insert(ids, at, hashes[i]!, i, 1);
    }
    expect(index.buckets).toBeGreaterThan(buckets + 5);
    expect(relied).toBeGreaterThan(14_000);
  });

  test('a search ends where one that looks at slot after slot does', () => {
    const ids = randomIds(60_000, 7);
    const index = new IdIndex(4);
    let wrong = 0;
    for (let i = 0; i < 60_000; i++) {
      const hash = index.hash(ids, i * 4);
      // Where an insert puts it is found slot by slot.
      const place = index.search(ids, i * 4, hash);
      const { buckets } = index;
      index.insert(ids, i * 4, hash, i, 1);
      if (index.buckets === buckets && index.find(ids, i * 4, hash) !== -1 - place) wrong++;
    }
    expect(wrong).toBe(0);
    expect(index.buckets).toBeGreaterThan(16);
  });

  test('is the same after it was loaded slab by slab, and can be added to', () => {
    const ids = randomIds(IDS);
    const index = fill(ids);
    const out = new StateWriter();
    index.save(out);
    const again = new IdIndex(5);
    again.load(new StateReader(out.words()));
    const slabs = Math.ceil(index.buckets / SLAB_BUCKETS);
    const slabWords = SLAB_BUCKETS * BUCKET_SLOTS * SLOT_WORDS;
    expect(slabs).toBeGreaterThan(1);
    for (let slab = 0; slab < slabs; slab++) {
      const from = slab * slabWords;
      again.words.set(index.words.subarray(from, from + slabWords), from);
      again.loaded(slab);
    }
    expect(countWrong(again, ids)).toBe(0);
    const more = randomIds(IDS, 9);
    const hashes = Int32Array.from({ length: IDS }, (_, i) => again.hash(more, i * 4));
    const sought = new Int32Array(IDS);
    let wrong = 0;
    again.beginSeeks();
    for (let i = 0; i < IDS; i++) {
      if (i % 100 === 0) again.seekAll(more, i * 4, 4, hashes, i, Math.min(i + 100, IDS), sought);
      const place = again.searchFrom(sought[i]!, more, i * 4, hashes[i]!);
      if (place !== again.search(more, i * 4, hashes[i]!)) wrong++;
      again.insertAt(place, more, i * 4, hashes[i]!, i, i + 1);
    }
    expect(wrong).toBe(0);
    expect(countWrong(again, ids)).toBe(0);
    expect(countWrong(again, more)).toBe(0);
  });

  test('takes 37 to 42 bytes for each id beyond 300,000', () => {
    const ids = randomIds(1_000_000);
    const index = new IdIndex(11);
    const sizes: number[] = [];
    for (let i = 0; i < 1_000_000; i++) {
      index.insert(ids, i * 4, index.hash(ids, i * 4), i, 1);
      if (i > 300_000 && i % 50_000 === 0) sizes.push(index.byteLength / i);
    }
    for (const size of sizes) {
      expect(size).toBeGreaterThan(37);
      expect(size).toBeLessThan(42);
    }
  });
});
