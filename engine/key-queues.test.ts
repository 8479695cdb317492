import { expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { KeyQueues, NONE } from './key-queues.ts';

const SEED = Number(process.env['SEED'] ?? 1);
const KEYS = 12;
const STEPS = 20_000;
/** More than there is room for at first. */
const ITEMS = 1500;

/**
 * Against lists: items come with keys, some of them twice, and leave from anywhere, as those do whose deadline has passed. `lasts` is what the
 * table of claims keeps of each queue.
 */
test(`queues are those of plain lists, whoever leaves (SEED=${SEED})`, () => {
  const prng = new Prng(SEED);
  const queues = new KeyQueues();
  const lasts = new Int32Array(KEYS).fill(NONE);
  const lists: number[][] = Array.from({ length: KEYS }, () => []);
  const keysOf = new Map<number, number[]>();
  const free = Array.from({ length: ITEMS }, (_, i) => ITEMS - 1 - i);
  let most = 0;
  for (let step = 0; step < STEPS; step++) {
    if (keysOf.size > 0 && (free.length === 0 || prng.chance(step < STEPS / 2 ? 30 : 70))) {
      const item = prng.pick([...keysOf.keys()].slice(0, 8));
      for (const key of keysOf.get(item)!.toReversed()) {
        lasts[key] = queues.remove(lasts[key]!, item);
        lists[key]!.splice(lists[key]!.lastIndexOf(item), 1);
      }
      keysOf.delete(item);
      free.push(item);
    } else {
      const item = free.pop()!;
      const keys = Array.from({ length: prng.between(1, 5) }, () => prng.below(KEYS));
      queues.open(item);
      for (const key of keys) {
        lasts[key] = queues.append(lasts[key]!, item);
        lists[key]!.push(item);
      }
      keysOf.set(item, keys);
    }
    most = Math.max(most, keysOf.size);
    const firsts = Array.from(lasts, (last) => (last === NONE ? NONE : queues.first(last)));
    expect({ step, firsts }).toEqual({ step, firsts: lists.map(([first = NONE]) => first) });
  }
  expect(most).toBe(ITEMS);
});

test('an item is due until its turn, and not any more when its place is taken by another one', () => {
  const queues = new KeyQueues();
  for (let item = 0; item < ITEMS; item++) queues.open(item);
  queues.setDue(ITEMS - 1);
  expect([queues.isDue(ITEMS - 1), queues.isDue(0)]).toEqual([true, false]);
  queues.clearDue(ITEMS - 1);
  expect(queues.isDue(ITEMS - 1)).toBe(false);
  queues.setDue(0);
  queues.open(0);
  expect(queues.isDue(0)).toBe(false);
});
