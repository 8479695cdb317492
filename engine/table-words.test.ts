import { expect, test } from 'vitest';
import { TableWords } from './table-words.ts';

test('words that are there stay where they are when a table grows, and new ones are 0', () => {
  const table = new TableWords(2 ** 30);
  const before = table.words;
  before[7] = 11;
  table.reach(before.length + 1);
  expect(table.words.length).toBeGreaterThan(before.length);
  expect(table.words[7]).toBe(11);
  expect(table.words[before.length]).toBe(0);
  table.words[8] = 12;
  expect(before[8]).toBe(12);
});

test('grows to what is asked for, however much more that is than there was', () => {
  const table = new TableWords(2 ** 30);
  table.reach(50_000_000);
  expect(table.words.length).toBeGreaterThanOrEqual(50_000_000);
  const { words } = table;
  table.reach(50_000_000);
  expect(table.words).toBe(words);
});

test('a table never grows over what was reserved for it', () => {
  const table = new TableWords(2 ** 26);
  table.reach(2 ** 24);
  expect(() => table.reach(2 ** 24 + 1)).toThrow('addresses that were reserved');
});

test('where so many addresses are not to be had, there are fewer', () => {
  const table = new TableWords(2 ** 52);
  table.reach(1 << 20);
  expect(table.words.length).toBeGreaterThanOrEqual(1 << 20);
});
