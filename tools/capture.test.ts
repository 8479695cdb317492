import { expect, test } from 'vitest';
import { consistentCut, type RowLinks } from './capture.ts';

/** Rows from a sequence on: each a timestamp, and the messages that it took as [from, sent]. */
function rows(
  first: number,
  ...list: readonly (readonly [number, ...(readonly (readonly [number, number])[])])[]
): RowLinks[] {
  return list.map(([timestamp, ...messages], i) => ({
    sequence: first + i,
    timestamp: BigInt(timestamp),
    messages: messages.map(([from, sent]) => ({ from, sent: BigInt(sent) })),
  }));
}

test('what follows from nothing that is missing is kept', () => {
  const cut = consistentCut([rows(4, [100], [110]), rows(9, [90], [120, [0, 110]])]);
  expect(cut).toEqual([5, 10]);
});

test('a row that took a message which was sent later than the sender was looked at is left out, with all behind it', () => {
  const cut = consistentCut([rows(4, [100], [110]), rows(9, [90], [120, [0, 115]], [130])]);
  expect(cut).toEqual([5, 9]);
});

test('what follows from a row that is left out is left out as well', () => {
  const cut = consistentCut([
    rows(1, [100], [120, [2, 115]], [140]),
    rows(1, [100], [130, [0, 120]], [150]),
    rows(1, [100]),
  ]);
  expect(cut).toEqual([1, 1, 1]);
});
