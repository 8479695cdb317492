import { expect, test } from 'vitest';
import { consistentCut, type RowLinks } from './capture.ts';

interface Row {
  readonly timestamp: number;
  readonly taken?: readonly {
    readonly from: number;
    readonly number: number;
    readonly sent: number;
  }[];
  readonly acknowledged?: RowLinks['acknowledged'];
}

function rows(first: number, ...list: readonly Row[]): RowLinks[] {
  return list.map(({ timestamp, taken = [], acknowledged = [] }, i) => ({
    sequence: first + i,
    timestamp: BigInt(timestamp),
    taken: taken.map((one) => ({ ...one, sent: BigInt(one.sent) })),
    acknowledged,
  }));
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
