import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { BatchKind, ROW_WORDS } from './batch.ts';
import { Parked, ParkedKind } from './parked.ts';

function itemsOf(parked: Parked): number[] {
  const items: number[] = [];
  for (let item = parked.first; item !== -1; item = parked.next(item)) items.push(item);
  return items;
}

describe('what is parked', () => {
  test('keeps the order of arrival, whoever leaves from the middle', () => {
    const prng = new Prng(1);
    const parked = new Parked();
    let doubled = 0;
    let list: { item: number; request: number; row: number }[] = [];
    for (let step = 0; step < 5000; step++) {
      if (list.length > 0 && prng.chance(45)) {
        const { item } = prng.pick(list);
        parked.remove(item);
        list = list.filter((one) => one.item !== item);
      } else {
        const request = prng.below(1000);
        const row = prng.below(8189);
        const item = parked.add(ParkedKind.event, BatchKind.transfers, { slot: request, row });
        if (list.some((one) => one.item === item)) doubled++;
        list.push({ item, request, row });
        parked.page(item).fill(step, parked.offset(item), parked.offset(item) + ROW_WORDS);
      }
      if (step % 50 !== 0) continue;
      expect(itemsOf(parked)).toEqual(list.map(({ item }) => item));
      expect(parked.count).toBe(list.length);
      for (const { item, request, row } of list) {
        expect([parked.request(item), parked.requestRow(item)]).toEqual([request, row]);
      }
    }
    expect(doubled).toBe(0);
  });

  test('units of a few events have bodies of their own, which are used again when they leave', () => {
    const prng = new Prng(2);
    const parked = new Parked();
    const bodies = new Set<object>();
    const list: { readonly item: number; readonly n: number; readonly step: number }[] = [];
    for (let step = 1; step <= 3000; step++) {
      if (list.length > 20 && prng.chance(55)) {
        const [one] = list.splice(prng.below(list.length), 1);
        parked.remove(one!.item);
        continue;
      }
      const n = prng.between(2, 12);
      const item = parked.add(ParkedKind.chain, BatchKind.transfers, { slot: step, row: 0 });
      const events = new Uint32Array((n + 2) * ROW_WORDS).fill(step);
      parked.setEvents(item, events, ROW_WORDS, new Uint8Array(n + 1).fill(step % 200), n);
      bodies.add(parked.body(item));
      list.push({ item, n, step });
      if (step % 100 !== 0) continue;
      for (const { item: other, n: count, step: made } of list) {
        const { events: found, marks } = parked.body(other);
        expect([found.length, marks.length]).toEqual([count * ROW_WORDS, count]);
        expect(found.every((word) => word === made)).toBe(true);
        expect(marks.every((mark) => mark === made % 200)).toBe(true);
      }
    }
    expect(bodies.size).toBeLessThan(1000);
  });

  test('rows of two items never share words, across pages', () => {
    const parked = new Parked();
    for (let i = 0; i < 3000; i++) {
      const item = parked.add(ParkedKind.event, BatchKind.accounts, { slot: i, row: 0 });
      parked.page(item).fill(i + 1, parked.offset(item), parked.offset(item) + ROW_WORDS);
    }
    let wrong = 0;
    for (const [i, item] of itemsOf(parked).entries()) {
      const row = parked.page(item).subarray(parked.offset(item), parked.offset(item) + ROW_WORDS);
      if (!row.every((word) => word === i + 1)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  test('a body stays with its item until it leaves', () => {
    const parked = new Parked();
    const body = { events: Uint32Array.of(1, 2, 3), marks: new Uint8Array(0) };
    const item = parked.add(ParkedKind.walk, BatchKind.transfers, { slot: 0, row: 0 });
    parked.setBody(item, body);
    expect(parked.kind(item)).toBe(ParkedKind.walk);
    expect(parked.body(item)).toBe(body);
    parked.remove(item);
    const next = parked.add(ParkedKind.event, BatchKind.transfers, { slot: 0, row: 0 });
    expect(next).toBe(item);
    expect(() => parked.body(next)).toThrow('has a body');
  });
});
