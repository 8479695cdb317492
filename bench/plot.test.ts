import { expect, test } from 'vitest';
import { barPlot, logScale, shortNumber } from './plot.ts';

const BAR = { label: 'a < b & c', value: 10, least: 5, greatest: 20 };

test('a plot has its title, labels, and values, escaped', () => {
  const svg = barPlot({ title: 'Times', axis: 'ratio', groups: [{ label: 'one', bars: [BAR] }] });
  expect(svg).toMatch(/^<svg xmlns=/);
  expect(svg.trimEnd()).toMatch(/<\/svg>$/);
  for (const part of ['>Times<', '>ratio<', '>one<', 'a &lt; b &amp; c', '>10<', '>100<']) {
    expect(svg).toContain(part);
  }
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

test('the axis goes over whole powers of ten, and has 1 on it', () => {
  const scale = logScale([{ least: 3, greatest: 250 }], { from: 100, to: 400 });
  expect(scale.ticks).toEqual([1, 10, 100, 1000]);
  expect([1, 10, 1000].map(scale.at)).toEqual([100, 200, 400]);
  expect(logScale([{ least: 0.2, greatest: 0.5 }], { from: 0, to: 1 }).ticks).toEqual([0.1, 1]);
  expect(logScale([], { from: 0, to: 1 }).ticks).toEqual([1, 10]);
});

test('a bar below 1 goes to the left from there', () => {
  const bar = { label: 'slower', value: 0.1, least: 0.1, greatest: 0.1 };
  const svg = barPlot({ title: '', axis: '', groups: [{ label: '', bars: [bar] }] });
  expect(svg).toMatch(/<rect x="346" y="[0-9]+" width="408"/);
});

test.each([
  { value: 0, least: 0, greatest: 1 },
  { value: Number.NaN, least: 1, greatest: 1 },
  { value: 1, least: 2, greatest: 3 },
])('what has no place on the axis is refused: %o', (bar) => {
  const groups = [{ label: '', bars: [{ label: 'x', ...bar }] }];
  expect(() => barPlot({ title: '', axis: '', groups })).toThrow('"x" has no place');
});

test('numbers are shown with three digits', () => {
  expect([0.012345, 1.2345, 123.45, 123_456].map(shortNumber)).toEqual([
    '0.0123',
    '1.23',
    '123',
    '123,000',
  ]);
});
