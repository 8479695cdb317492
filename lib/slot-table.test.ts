import { expect, test } from 'vitest';
import { Prng } from './prng.ts';
import { SlotTable } from './slot-table.ts';

test('a number is free again when it was given back, and only then', () => {
  const table = new SlotTable<{ readonly name: string }>();
  const first = table.add({ name: 'first' });
  const second = table.add({ name: 'second' });
  expect(first).not.toBe(second);
  expect(table.remove(first)).toEqual({ name: 'first' });
  expect(table.get(first)).toBeUndefined();
  expect(table.remove(first)).toBeUndefined();
  expect(table.size).toBe(1);
  expect(table.add({ name: 'third' })).toBe(first);
  expect([...table].map(({ name }) => name)).toEqual(['third', 'second']);
});

test('it does what a Map by number would', () => {
  const prng = new Prng(5);
  const table = new SlotTable<{ readonly n: number }>();
  const model = new Map<number, { readonly n: number }>();
  const add = (n: number): boolean => {
    const one = { n };
    const slot = table.add(one);
    const isFree = !model.has(slot);
    model.set(slot, one);
    return isFree;
  };
  const remove = (slot: number): boolean => {
    const one = model.get(slot);
    model.delete(slot);
    return table.get(slot) === one && table.remove(slot) === one;
  };
  const takeAll = (): boolean => {
    const all = new Set(table.takeAll());
    const isSame = all.size === model.size && [...model.values()].every((one) => all.has(one));
    model.clear();
    return isSame;
  };
  for (let n = 0; n < 20_000; n++) {
    const kind = prng.between(0, 1000);
    const isSame = kind === 1000 ? takeAll() : kind < 520 ? add(n) : remove(prng.between(0, 400));
    expect(isSame && table.size === model.size, `step ${n}`).toBe(true);
  }
  expect(new Map(table.entries())).toEqual(model);
});

test('a crowd leaves its places behind when it is gone', () => {
  const table = new SlotTable<{ readonly n: number }>();
  const slots = Array.from({ length: 5000 }, (_, n) => table.add({ n }));
  for (const slot of slots) table.remove(slot);
  expect(table.size).toBe(0);
  expect(table.add({ n: 1 })).toBe(0);
});

test('who goes through it may take out what is there', () => {
  const table = new SlotTable<{ readonly n: number }>();
  for (let n = 0; n < 10; n++) table.add({ n });
  const seen: number[] = [];
  for (const [slot, { n }] of table.entries()) {
    seen.push(n);
    table.remove(slot);
    if (n === 3) table.remove(7);
  }
  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 9]);
  expect(table.size).toBe(0);
});
