import { expect, test } from 'vitest';
import { formatTime, parseMoment, parseTime } from './moment.ts';

const BILLION = 1_000_000_000n;

test.each([
  ['8143', { type: 'sequence', sequence: 8143 }],
  ['0', { type: 'sequence', sequence: 0 }],
  ['1099511627775', { type: 'sequence', sequence: 2 ** 40 - 1 }],
  ['100000000000000000', { type: 'time', time: 10n ** 17n }],
  ['1795636454187401750', { type: 'time', time: 1795636454187401750n }],
  ['1970-01-02', { type: 'time', time: 86_400n * BILLION }],
  ['1970-01-01T00:01', { type: 'time', time: 60n * BILLION }],
  ['1970-01-01T00:00:01.5Z', { type: 'time', time: 1_500_000_000n }],
  ['1970-01-01 01:00:00.000000001+01:00', { type: 'time', time: 1n }],
  ['1970-01-01T00:00:00-0130', { type: 'time', time: 5400n * BILLION }],
] as const)('%s is a moment', (text, moment) => {
  expect(parseMoment(text, '--to')).toEqual(moment);
});

test.each([
  '',
  'noon',
  '-1',
  '1.5',
  '2026-13-01',
  '2026-02-30',
  '2026-01-01T25:00',
  '2026-01-01T00:00:00.1234567890Z',
  '1969-12-31T23:59:59Z',
  '18446744073709551616',
])('"%s" is none', (text) => {
  expect(() => parseMoment(text, '--to')).toThrow(`--to "${text}" is neither`);
});

test.each(['1099511627776', '1795636454187', '1795636454187401', '99999999999999999'])(
  '%s is more than a sequence, and less than the nanoseconds of a ledger',
  (text) => {
    for (const parse of [parseMoment, parseTime]) {
      expect(() => parse(text, '--to')).toThrow(`--to ${text} is no time: as a number`);
    }
  },
);

test('where only a time will do, a sequence and seconds are refused', () => {
  for (const text of ['0', '8143', '1795871905']) {
    expect(() => parseTime(text, '--to')).toThrow(`--to ${text} is no time: as a number`);
  }
  expect(parseTime('1970-01-02', '--to')).toBe(86_400n * BILLION);
});

test('a time is written with all its digits, and read back as it was', () => {
  for (const time of [0n, 1n, 1795636454187401750n, 1795636454000000000n, (1n << 64n) - 1n]) {
    const text = formatTime(time);
    expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    expect(parseMoment(text, '--to')).toEqual({ type: 'time', time });
  }
});
