import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ENTRY_WORDS, PendingAccounts, PendingMemory } from './pending-memory.ts';

type Entry = readonly [bigint, bigint, bigint];

function entryOf(ids: Entry): Uint32Array {
  const words = new Uint32Array(ENTRY_WORDS + 1);
  for (const [i, id] of ids.entries()) {
    for (let w = 0; w < 4; w++) {
      words[1 + i * 4 + w] = Number((id >> BigInt(32 * w)) & 0xffff_ffffn);
    }
  }
  return words;
}

const idAt = (words: Uint32Array, at: number): bigint =>
  [3, 2, 1, 0].reduce((id, w) => (id << 32n) | BigInt(words[at + w]!), 0n);

function completed(memory: PendingMemory, ids: Entry): Entry | null {
  const words = entryOf(ids);
  if (!memory.complete(words, 1)) return null;
  return [idAt(words, 1), idAt(words, 5), idAt(words, 9)];
}

describe('the memory of pending transfers', () => {
  const REMEMBERED = 8;
  const id = fc.oneof(fc.bigInt(1n, 12n), fc.constantFrom(2n ** 32n + 1n, 2n ** 96n + 1n));
  const account = fc.bigInt(1n, 3n);
  const named = fc.oneof(fc.constant(0n), account);
  const step = fc.record({
    entry: fc.tuple(id, account, account),
    asked: fc.tuple(id, named, named),
  });

  test('knows the last ones for certain, none that was not, and of those with one id one that fits', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new PendingMemory(7, REMEMBERED);
        const seen: Entry[] = [];
        const fits = ([i, dr, cr]: Entry, asked: Entry): boolean =>
          i === asked[0] &&
          (asked[1] === 0n || asked[1] === dr) &&
          (asked[2] === 0n || asked[2] === cr);
        for (const { entry, asked } of steps) {
          memory.remember(entryOf(entry), 1);
          seen.push(entry);
          const found = completed(memory, asked);
          const isIn = (entries: readonly Entry[], wanted: Entry): boolean =>
            entries.some((one) => fits(one, wanted));
          const isTrue = found !== null && fits(found, asked) && isIn(seen, found);
          const isForgotten = found === null && !isIn(seen.slice(-REMEMBERED), asked);
          expect(isTrue || isForgotten).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('forgets what is older than two fillings', () => {
    const memory = new PendingMemory(7, REMEMBERED);
    for (let n = 1n; n <= 30n; n++) memory.remember(entryOf([n, 1n, 2n]), 1);
    const known = Array.from({ length: 30 }, (_, i) =>
      completed(memory, [BigInt(i + 1), 0n, 0n]),
    ).filter((found) => found !== null);
    expect(known.map(([i]) => i)).toEqual(Array.from({ length: 14 }, (_, i) => BigInt(i + 17)));
  });

  test('an empty one knows nothing', () => {
    expect(completed(new PendingMemory(7), [1n, 0n, 0n])).toBeNull();
  });

  test('a table keeps no more entries of one id than an id has homes', () => {
    const table = new PendingAccounts(200, 7);
    for (let n = 1n; n <= 200n; n++) table.add(entryOf([5n, n, n]), 1);
    expect(table.count).toBe(64);
    table.add(entryOf([6n, 1n, 2n]), 1);
    expect(table.find(entryOf([6n, 0n, 2n]), 1)).toBe(64 * ENTRY_WORDS);
    expect(table.find(entryOf([6n, 2n, 0n]), 1)).toBe(-1);
  });
});
