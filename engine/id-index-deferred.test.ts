/** An id index that defers searches, against a Map: it finds the same, and knows whether something was there twice. */
import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { assert } from './assert.ts';
import { IdIndex, SLOT_WORDS } from './id-index.ts';

/** Above which the index goes on deferring after it had to enter what was deferred. */
const WORTHWHILE = 1 << 18;
const GROUPS_UNDEFERRED = 256;

/** The id of a number. */
function write(id: Uint32Array, number: number): Uint32Array {
  id.fill(0);
  id[0] = number;
  id[2] = Math.imul(number, 0x9e3779b1) >>> 0;
  return id;
}

const ID = new Uint32Array(4);

/** As an event that the journal says was created. */
function enter(index: IdIndex, number: number, value: number): void {
  const id = write(ID, number);
  const hash = index.hash(id, 0);
  const place = index.searchFrom(-1, id, 0, hash);
  assert(place < 0, 'the id is new, or is not looked for');
  index.insertAt(place, id, 0, hash, value, value + 1);
}

function enterAll(index: IdIndex, from: number, to: number): void {
  for (let number = from; number < to; number++) enter(index, number, number);
}

function valueOf(index: IdIndex, number: number): number | undefined {
  const id = write(ID, number);
  const slot = index.find(id, 0, index.hash(id, 0));
  if (slot === -1) return undefined;
  assert(index.valueHigh(slot) === index.valueLow(slot) + 1, 'both values are those of the id');
  return index.valueLow(slot);
}

/** Whether `forEach` calls back once for each of the map. */
function hasContent(index: IdIndex, map: ReadonlyMap<number, number>): boolean {
  let visits = 0;
  let wrong = 0;
  index.forEach((words, at) => {
    visits++;
    if (map.get(words[at]!) !== words[at + 4] || words[at + 5] !== words[at + 4]! + 1) wrong++;
  });
  return visits === map.size && wrong === 0;
}

describe('an index that defers', () => {
  test('finds what a Map finds, whenever it is asked', () => {
    const prng = new Prng(4);
    for (let round = 0; round < 20; round++) {
      const index = new IdIndex(prng.uint32());
      const map = new Map<number, number>();
      for (let step = 0; step < 60; step++) {
        if (prng.chance(60)) index.beginDeferring();
        for (let n = prng.below(2000); n > 0; n--) {
          const number = map.size * 3 + 1;
          enter(index, number, step);
          map.set(number, step);
        }
        expect(index.count).toBe(map.size);
        const isLookedAt = prng.chance(20);
        expect(isLookedAt && !hasContent(index, map)).toBe(false);
        expect(isLookedAt && index.hasRepeats()).toBe(false);
        if (prng.chance(70)) continue;
        let wrong = 0;
        for (let n = 0; n < 500; n++) {
          const number = prng.below(map.size * 3 + 9);
          if (valueOf(index, number) !== map.get(number)) wrong++;
        }
        expect(wrong).toBe(0);
        expect(index.isDeferring).toBe(false);
      }
      expect(hasContent(index, map)).toBe(true);
    }
  });

  test('enters what it has before it looks for one', () => {
    const index = new IdIndex(1);
    index.beginDeferring();
    enterAll(index, 0, 3000);
    expect(index.isDeferring).toBe(true);
    expect(valueOf(index, 2999)).toBe(2999);
    expect(index.isDeferring).toBe(false);
    enterAll(index, 3000, 3500);
    const wrong = Array.from({ length: 3500 }, (_, number) => valueOf(index, number) !== number);
    expect(wrong).not.toContain(true);
    expect(index.hasRepeats()).toBe(false);
  });

  test('and before it says which id has some values', () => {
    const index = new IdIndex(1);
    index.beginDeferring();
    enterAll(index, 0, 3000);
    const id = write(new Uint32Array(4), 77);
    index.copyIdOf(index.hash(id, 0), 77, 78, ID);
    expect([...ID]).toEqual([...id]);
    expect(index.isDeferring).toBe(false);
  });

  test('does not defer for a while when it had to look after little was deferred, and goes on when it was much', () => {
    const index = new IdIndex(1);
    index.beginDeferring();
    enterAll(index, 0, 10);
    index.enterDeferred();
    for (let group = 0; group < GROUPS_UNDEFERRED; group++) {
      index.beginDeferring();
      expect(index.isDeferring).toBe(false);
    }
    index.beginDeferring();
    expect(index.isDeferring).toBe(true);
    enterAll(index, 10, 10 + WORTHWHILE);
    index.enterDeferred();
    expect(index.isDeferring).toBe(false);
    index.beginDeferring();
    expect(index.isDeferring).toBe(true);
  });

  test('enters them when they have become many, and goes on deferring', () => {
    const index = new IdIndex(1, undefined, 300_000);
    for (let group = 0; group < 7; group++) {
      index.beginDeferring();
      expect(index.isDeferring).toBe(true);
      enterAll(index, group * 100_000, (group + 1) * 100_000);
      expect(index.count).toBe((group + 1) * 100_000);
    }
    let deferred = 0;
    for (const { end } of index.deferredRuns()) deferred += end / SLOT_WORDS;
    expect(deferred).toBe(100_000);
    expect(index.hasRepeats()).toBe(false);
    expect(valueOf(index, 5)).toBe(5);
    expect(index.count).toBe(700_000);
  });

  test.each([
    ['when both are deferred', 500, 500],
    ['when one was entered before', 0, 500],
  ])('knows of an id that was there twice, %s', (_, entered, deferred) => {
    for (const first of [0, 1, 250, 499]) {
      for (const isLookedFor of [false, true]) {
        const index = new IdIndex(first);
        if (entered > 0) enterAll(index, 1000, 1000 + entered);
        else enterAll(index, 0, 500);
        index.beginDeferring();
        enterAll(index, 2000, 2000 + deferred);
        if (entered > 0) enterAll(index, 0, 500);
        expect(index.hasRepeats()).toBe(false);
        enter(index, first, 9999);
        if (isLookedFor) index.enterDeferred();
        expect(index.hasRepeats(), `${first}, ${isLookedFor}`).toBe(true);
        // For good.
        index.beginDeferring();
        expect(index.hasRepeats()).toBe(true);
      }
    }
  });
});
