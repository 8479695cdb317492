import { expect, test } from 'vitest';
import { progressLine } from './progress.ts';
import { columnsOf, csvLine, writeTable } from './table.ts';

test('numbers stand to the right, so that their digits are below each other', () => {
  const lines: string[] = [];
  const rows = [
    ['1', 'cash', '340282366920938463463374607431768211455'],
    ['20', 'a', '7'],
  ];
  writeTable({ line: (text) => lines.push(text) }, columnsOf('id# name_of amount#'), () => rows);
  expect(lines).toEqual([
    'id  name of                                   amount',
    ' 1  cash     340282366920938463463374607431768211455',
    '20  a                                              7',
  ]);
});

test('a cell with a comma or a quote is quoted', () => {
  expect(csvLine(['a', 'b,c', 'say "no"'])).toBe('a,"b,c","say ""no"""');
});

test('a bar of progress says how long it still takes, and never that all is done', () => {
  expect(progressLine('replay', 0.5, 10)).toBe('replay [############............]  50 %');
  expect(progressLine('replay', 0.25, 60_000)).toContain(' 25 %  3 min 0 s left');
  expect(progressLine('replay', 1.2, 5000)).toContain(' 99 %');
});
