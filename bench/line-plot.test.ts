import { expect, test } from 'vitest';
import { linePlot, roundUp } from './line-plot.ts';

test('a plot has its title, axes, and lines, escaped', () => {
  const svg = linePlot({
    title: 'a < b',
    horizontal: 'stored',
    vertical: 'speed',
    lines: [
      {
        label: 'one & all',
        points: [
          [1, 10],
          [2, 20],
        ],
      },
    ],
  });
  for (const part of ['>a &lt; b<', '>stored<', '>speed<', '>one &amp; all<', '<polyline']) {
    expect(svg).toContain(part);
  }
  expect(svg).toMatch(/points="458,220 836,76"/);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

test('axes end at short numbers', () => {
  expect([0, 1, 7, 11, 240, 99_000].map(roundUp)).toEqual([1, 1, 8, 15, 250, 100_000]);
});
