import { expect, test } from 'vitest';
import { OldestWalked } from './oldest-walked.ts';

/** The nth transfer of the chain, counted from 1, lies in frame n. */
function walk(walked: OldestWalked, from: number, to: number): void {
  for (let n = from; n >= to; n--) {
    walked.pass({ low: n, high: 1 }, n === 1 ? { low: 0, high: 0 } : { low: n - 1, high: 1 });
  }
}

test('the oldest transfers of a walk are known when it has come to the end', () => {
  for (const length of [1, 9, 20, 21, 1000]) {
    const walked = new OldestWalked(10);
    if (length > 1) walk(walked, length, 2);
    expect(walked.at(0)).toBeUndefined();
    walk(walked, 1, 1);
    const known = Math.min(length, 10);
    for (let ordinal = 0; ordinal < known; ordinal++) {
      expect(walked.at(ordinal)).toEqual({ low: ordinal + 1, high: 1 });
    }
    expect(walked.at(length)).toBeUndefined();
    expect(walked.at(20)?.low ?? 21).toBe(21);
  }
});

test('a walk after that to a newer head changes nothing', () => {
  const walked = new OldestWalked(10);
  walk(walked, 5, 1);
  walk(walked, 9, 6);
  expect(walked.at(0)).toEqual({ low: 1, high: 1 });
  expect(walked.at(4)).toEqual({ low: 5, high: 1 });
  expect(walked.at(5)).toBeUndefined();
});
