import { describe, expect, test } from 'vitest';
import { SHARDS_MAX } from './limits.ts';
import { hashId, shardOf } from './placement.ts';

const wordsOf = (id: bigint): Uint32Array =>
  new Uint32Array(new BigUint64Array([BigInt.asUintN(64, id), id >> 64n]).buffer);

/** id, shard of 2, of 5, of 64, hash with seed 0, hash with seed 0x9747b28c: from another implementation, in another language. */
const golden: readonly (readonly [bigint, number, number, number, number, number])[] = [
  [0n, 1, 2, 32, 0x8e022b3a, 0x5286ceea],
  [1n, 1, 2, 36, 0xb675d3c5, 0xb98a21ab],
  [2n, 1, 3, 43, 0x51bb7f1c, 0xdc8badcb],
  [3n, 1, 4, 59, 0x7d65d9d7, 0x0d4cfb0a],
  [1000n, 0, 0, 10, 0x4f37a0d9, 0x441e52aa],
  [2n ** 32n, 0, 0, 2, 0xc5e4d480, 0xe5be1a94],
  [2n ** 64n - 1n, 0, 1, 15, 0x6355012e, 0xe30064b7],
  [2n ** 64n, 0, 0, 3, 0x565a9300, 0x9a2096c1],
  [2n ** 96n, 0, 0, 0, 0x19931248, 0x8c9193ec],
  [2n ** 127n, 1, 2, 37, 0x9b42fec6, 0xf264be10],
  [2n ** 128n - 2n, 0, 1, 21, 0x716f3ce7, 0xa7c64cff],
  [2n ** 128n - 1n, 1, 4, 57, 0xd85160aa, 0x84bb7be1],
  [0x0123456789abcdef_fedcba9876543210n, 1, 4, 62, 0x27b0af7c, 0x0d493d08],
  [0x0199c1f3a5b7_4d2e8f60a1b2c3d4e5f6n, 0, 0, 1, 0x1e12ba44, 0xebb43c4d],
];

describe('placement', () => {
  test('an account never moves: the placement of known ids', () => {
    for (const [id, two, five, most] of golden) {
      const words = wordsOf(id);
      expect([id, shardOf(words, 0, 2), shardOf(words, 0, 5), shardOf(words, 0, 64)]).toEqual([
        id,
        two,
        five,
        most,
      ]);
      expect(shardOf(words, 0, 1)).toBe(0);
    }
  });

  test('the index hash of known ids never changes', () => {
    for (const [id, , , , plain, seeded] of golden) {
      const words = new Uint32Array(7);
      words.set(wordsOf(id), 3);
      expect([id, hashId(words, 3, 0) >>> 0, hashId(words, 3, 0x9747b28c) >>> 0]).toEqual([
        id,
        plain,
        seeded,
      ]);
    }
  });

  test('a shard count beyond the bound is refused', () => {
    expect(() => shardOf(wordsOf(1n), 0, SHARDS_MAX + 1)).toThrow('shard count');
    expect(() => shardOf(wordsOf(1n), 0, 0)).toThrow('shard count');
  });
});

const IDS = 64_000;
/** Words of a small deterministic generator (mulberry32). */
let state = 1;
const random = (): number => {
  state = (state + 0x6d2b79f5) | 0;
  let z = Math.imul(state ^ (state >>> 15), state | 1);
  z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
  return (z ^ (z >>> 14)) >>> 0;
};
const kinds: readonly (readonly [string, (i: number, ids: Uint32Array) => void])[] = [
  ['sequential ids', (i, ids) => void (ids[i * 4] = i + 1)],
  [
    'time-ordered ids with 80 random bits',
    (i, ids) => {
      const ms = 1_764_000_000_000 + (i >> 3);
      ids[i * 4] = random();
      ids[i * 4 + 1] = random();
      ids[i * 4 + 2] = (random() & 0xffff) | ((ms & 0xffff) << 16);
      ids[i * 4 + 3] = Math.floor(ms / 65_536);
    },
  ],
  ['ids that differ in the high word', (i, ids) => void (ids[i * 4 + 3] = i)],
  ['ids that differ in the top bits', (i, ids) => void (ids[i * 4 + 3] = i << 16)],
  ['ids that differ in the third word', (i, ids) => void (ids[i * 4 + 2] = i)],
  ['ids that differ in the bits of 256', (i, ids) => void (ids[i * 4 + 1] = i << 8)],
];

/** Chi squared over its degrees of freedom: about 1 for a random spread. */
function spread(counts: Uint32Array): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const expected = total / counts.length;
  let sum = 0;
  for (const count of counts) sum += (count - expected) ** 2 / expected;
  return sum / (counts.length - 1);
}

describe.each(kinds)('%s', (_, fill) => {
  const ids = new Uint32Array(IDS * 4);
  for (let i = 0; i < IDS; i++) fill(i, ids);

  test.each([2, 3, 5, 7, 16, 64])('spread evenly over %i shards', (shards) => {
    const counts = new Uint32Array(shards);
    for (let i = 0; i < IDS; i++) counts[shardOf(ids, i * 4, shards)]!++;
    for (const count of counts) expect(Math.abs(count / (IDS / shards) - 1)).toBeLessThan(0.15);
    expect(spread(counts)).toBeLessThan(8);
  });

  test('spread evenly over the low and the high bits of the index hash, on one shard too', () => {
    const low = new Uint32Array(1024);
    const high = new Uint32Array(1024);
    for (let i = 0; i < IDS; i++) {
      if (shardOf(ids, i * 4, 4) !== 2) continue;
      const hash = hashId(ids, i * 4, 7) >>> 0;
      low[hash & 1023]!++;
      high[hash >>> 22]!++;
    }
    expect(spread(low)).toBeLessThan(1.3);
    expect(spread(high)).toBeLessThan(1.3);
  });
});
