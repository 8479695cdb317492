import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { KeyTable } from './key-table.ts';

const CAPACITY = 64;

/** What a table holds, as text, in no order. */
function contentOf(table: KeyTable): string[] {
  const content: string[] = [];
  table.forEach((entry) => content.push(entry.subarray(0, 6).join()));
  return content.toSorted();
}

function entryOf(table: KeyTable, id: readonly number[], tag: number): number {
  return table.find(Uint32Array.from(id), 0, tag);
}

describe('a key table', () => {
  test('holds what a Map holds, through random additions and removals in a table that is full', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const prng = new Prng(seed);
      const table = new KeyTable(CAPACITY, 1);
      const map = new Map<string, number>();
      let stale = 0;
      for (let step = 0; step < 600; step++) {
        const id = [prng.below(40), 0, 0, prng.below(2)];
        const tag = prng.between(1, 2);
        const key = [...id, tag].join();
        const entry = entryOf(table, id, tag);
        expect(entry === -1).toBe(!map.has(key));
        const value = entry === -1 ? undefined : table.words[entry + 5];
        expect(value).toBe(map.get(key));
        if (map.has(key) && prng.chance(60)) {
          table.remove(entry);
          map.delete(key);
        } else if (map.has(key) || map.size < 57) {
          const made = table.obtain(Uint32Array.from(id), 0, tag);
          const values = table.words.subarray(made + 5, made + 8);
          if (!map.has(key) && !values.every((word) => word === 0)) stale++;
          table.words[made + 5] = step;
          map.set(key, step);
        }
      }
      expect(stale).toBe(0);
      expect(table.count).toBe(map.size);
      expect(contentOf(table)).toEqual(
        [...map].map(([key, value]) => `${key},${value}`).toSorted(),
      );
    }
  });

  test('of keys of one chain any one can go, and the others stay', () => {
    for (let gone = 0; gone < 5; gone++) {
      const table = new KeyTable(16, 1);
      const ids: number[][] = [];
      for (let n = 1; ids.length < 5; n++) {
        const id = Uint32Array.of(n, 0, 0, 0);
        if ((table.hash(id, 0, 1) & 0xff) === 7) ids.push([...id]);
      }
      const entries = ids.map((id) => table.obtain(Uint32Array.from(id), 0, 1));
      table.remove(entries[gone]!);
      for (const [i, id] of ids.entries()) {
        expect(entryOf(table, id, 1)).toBe(i === gone ? -1 : entries[i]);
      }
      expect(table.count).toBe(4);
      // The next key has the room of the one that went.
      expect(table.obtain(Uint32Array.of(9, 9, 9, 9), 0, 1)).toBe(entries[gone]);
    }
  });

  test('an entry stays where it is while others come and go', () => {
    const table = new KeyTable(16, 1);
    const key = Uint32Array.of(1, 2, 3, 4);
    const entry = table.obtain(key, 0, 5);
    for (let n = 0; n < 40; n++) table.obtain(Uint32Array.of(n, 0, 0, 0), 0, 1);
    for (let n = 0; n < 40; n += 3) table.remove(entryOf(table, [n, 0, 0, 0], 1));
    expect(table.isAt(entry, key, 0, 5)).toBe(true);
    expect(table.isAt(entry, key, 0, 6)).toBe(false);
    expect(table.isAt(entryOf(table, [1, 0, 0, 0], 1), key, 0, 5)).toBe(false);
    expect(table.find(key, 0, 5)).toBe(entry);
    table.remove(entry);
    expect(table.isAt(entry, key, 0, 5)).toBe(false);
  });

  test('an emptied table finds nothing, after a few keys and after many', () => {
    const table = new KeyTable(256, 1);
    for (const count of [1, 15, 16, 17, 200]) {
      for (let n = 0; n < count; n++) table.obtain(Uint32Array.of(n, 1, 2, 3), 0, 7);
      expect(table.count).toBe(count);
      table.clear();
      expect(table.count).toBe(0);
      expect(contentOf(table)).toEqual([]);
      for (let n = 0; n < count; n++) expect(entryOf(table, [n, 1, 2, 3], 7)).toBe(-1);
    }
  });

  test('grows when it is filled, and keeps what it holds with its values', () => {
    const table = new KeyTable(16, 1);
    for (const round of [1, 2]) {
      for (let n = 0; n < 1000; n++) {
        const entry = table.obtain(Uint32Array.of(n, round, 0, 0), 0, 3);
        table.words[entry + 7] = n + round;
      }
      expect(table.count).toBe(1000);
      let wrong = 0;
      for (let n = 0; n < 1000; n++) {
        if (table.words[entryOf(table, [n, round, 0, 0], 3) + 7] !== n + round) wrong++;
      }
      expect(wrong).toBe(0);
      table.clear();
      expect(contentOf(table)).toEqual([]);
    }
    for (let n = 0; n < 30; n++) table.obtain(Uint32Array.of(n, 0, 0, 0), 0, 3);
    for (let n = 0; n < 30; n += 2) table.remove(entryOf(table, [n, 0, 0, 0], 3));
    expect(contentOf(table)).toHaveLength(15);
    expect(() => new KeyTable(12, 1)).toThrow('power of two');
  });
});
