import { expect, test } from 'vitest';
import { consistentCut, type RowLinks, type ShardLook } from './capture.ts';

interface Row {
  readonly timestamp: number;
  readonly taken?: readonly {
    readonly from: number;
    readonly number: number;
    readonly sent: number;
  }[];
  readonly acknowledged?: RowLinks['acknowledged'];
}

/** Nothing was taken before the rows. */
function rows(first: number, ...list: readonly Row[]): ShardLook {
  const all = list.map(({ timestamp, taken = [], acknowledged = [] }, i) => ({
    sequence: first + i,
    timestamp: BigInt(timestamp),
    taken: taken.map((one) => ({ ...one, sent: BigInt(one.sent) })),
    acknowledged,
  }));
  return { rows: all, takenBefore: () => 0 };
}

const at = (timestamp: number): Row => ({ timestamp });
const takes = (timestamp: number, from: number, sent: number): Row => ({
  timestamp,
  taken: [{ from, number: 1, sent }],
});

test('what follows from nothing that is missing is kept', () => {
  const cut = consistentCut([rows(4, at(100), at(110)), rows(9, at(90), takes(120, 0, 110))]);
  expect(cut).toEqual([5, 10]);
});

test('a row that took a message which was sent later than the sender was looked at is left out, with all behind it', () => {
  const cut = consistentCut([
    rows(4, at(100), at(110)),
    rows(9, at(90), takes(120, 0, 115), at(130)),
  ]);
  expect(cut).toEqual([5, 9]);
});

test('what follows from a row that is left out is left out as well', () => {
  const cut = consistentCut([
    rows(1, at(100), takes(120, 2, 115), at(140)),
    rows(1, at(100), takes(130, 0, 120), at(150)),
    rows(1, at(100)),
  ]);
  expect(cut).toEqual([1, 1, 1]);
});

test('an acknowledgement is left out with the row that took what it acknowledges', () => {
  const acknowledges: Row = { timestamp: 105, acknowledged: [{ by: 1, number: 1 }] };
  const cut = consistentCut([
    rows(4, at(100), acknowledges),
    rows(9, at(90), takes(115, 2, 114), takes(120, 0, 99)),
    rows(7, at(100)),
  ]);
  expect(cut).toEqual([4, 9, 7]);
});

test('an acknowledgement of what was taken after the taker was looked at is left out, and one of what was taken long before is not', () => {
  const acknowledges = (number: number): Row => ({
    timestamp: 105,
    acknowledged: [{ by: 1, number }],
  });
  const taker = { ...rows(9, at(90)), takenBefore: () => 6 };
  expect(consistentCut([rows(4, at(100), acknowledges(6)), taker])).toEqual([5, 9]);
  expect(consistentCut([rows(4, at(100), acknowledges(7)), taker])).toEqual([4, 9]);
});
