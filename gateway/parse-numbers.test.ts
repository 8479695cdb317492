import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { COLUMN_BYTES, COLUMNS } from '../engine/batch.ts';
import {
  columnsOf,
  concat,
  KINDS,
  maxOf,
  outcome,
  refused,
  rowsOf,
  utf8,
} from '../test/support/parsed-rows.ts';
import { parseCreate } from './parse-command.ts';

const packr = new Packr({ useRecords: false });

/** [JSON text, rule for u128 and u64, rule for u32 and u16]; `ok` where the value is taken. */
const JSON_FORMS: readonly (readonly [string, string, string])[] = [
  ['-0', 'number_form', 'number_form'],
  ['-1', 'number_form', 'number_form'],
  ['+1', 'number_form', 'number_form'],
  ['.5', 'number_form', 'number_form'],
  ['00', 'number_form', 'number_form'],
  ['01', 'number_form', 'number_form'],
  ['0.1', 'number_form', 'number_form'],
  ['1.0', 'number_form', 'number_form'],
  ['1e3', 'number_form', 'number_form'],
  ['1E3', 'number_form', 'number_form'],
  ['1e400', 'number_form', 'number_form'],
  ['0e0', 'number_form', 'number_form'],
  ['NaN', 'type', 'type'],
  ['Infinity', 'type', 'type'],
  ['-Infinity', 'number_form', 'number_form'],
  ['null', 'type', 'type'],
  ['true', 'type', 'type'],
  ['false', 'type', 'type'],
  ['{}', 'nesting', 'nesting'],
  ['１', 'syntax', 'syntax'],
  ['', 'syntax', 'syntax'],
  ['0 2', 'syntax', 'syntax'],
  ['0]', 'syntax', 'syntax'],
  ['0x10', 'syntax', 'syntax'],
  ['0n', 'syntax', 'syntax'],
  ['4294967296', 'ok', 'range'],
  ['9007199254740991', 'ok', 'range'],
  ['9007199254740992', 'safe_integer', 'safe_integer'],
  ['9007199254740993', 'safe_integer', 'safe_integer'],
  ['9223372036854775808', 'safe_integer', 'safe_integer'],
  ['18446744073709551615', 'safe_integer', 'safe_integer'],
  ['"0"', 'ok', 'type'],
  ['"9223372036854775808"', 'ok', 'type'],
  ['"18446744073709551615"', 'ok', 'type'],
  ['"340282366920938463463374607431768211456"', 'range', 'type'],
  ['""', 'number_form', 'type'],
  ['"-0"', 'number_form', 'type'],
  ['"-1"', 'number_form', 'type'],
  ['"+1"', 'number_form', 'type'],
  ['"01"', 'number_form', 'type'],
  ['"0.1"', 'number_form', 'type'],
  ['"1e3"', 'number_form', 'type'],
  ['"1e400"', 'number_form', 'type'],
  ['"NaN"', 'number_form', 'type'],
  ['"Infinity"', 'number_form', 'type'],
  ['" 1"', 'number_form', 'type'],
  ['"1 "', 'number_form', 'type'],
  ['"１"', 'number_form', 'type'],
  ['"0x10"', 'number_form', 'type'],
  ['"1n"', 'number_form', 'type'],
  ['"1,000"', 'number_form', 'type'],
  ['"\\u0031"', 'escape', 'type'],
  ['"1\\n"', 'escape', 'type'],
  ['"1\n"', 'syntax', 'type'],
  ['"1\0"', 'syntax', 'type'],
  ['"1', 'syntax', 'type'],
];

test.each(JSON_FORMS)('%j in JSON: large fields %s, small fields %s', (text, large, small) => {
  for (const kind of KINDS) {
    for (const [column, name] of columnsOf(kind)) {
      const body = `{"${name}":${text}}`;
      const rule = COLUMN_BYTES[column]! >= 8 ? large : small;
      const value = rule === 'ok' ? BigInt(text.replaceAll('"', '')) : rule;
      expect(outcome(kind, utf8(body), column)).toBe(value);
    }
  }
});

test('every field takes its whole range, in JSON and in msgpack, and not one more', () => {
  for (const kind of KINDS) {
    for (const [column, name] of columnsOf(kind)) {
      if (name === 'flags') continue;
      const [max, isLarge] = [maxOf(column), COLUMN_BYTES[column]! >= 8];
      const json = (value: bigint): string =>
        `{"${name}":${isLarge ? `"${value}"` : String(value)}}`;
      const packed = (value: bigint): Uint8Array =>
        packr.pack({ [name]: isLarge ? String(value) : Number(value) });
      const columnar = (value: bigint): Uint8Array =>
        packr.pack({ n: 3, [name]: isLarge ? String(value) : Number(value) });
      for (const value of [0n, 1n, max - 1n, max]) {
        for (const body of [utf8(json(value)), packed(value), columnar(value)]) {
          for (const row of rowsOf(parseCreate(kind, body).batch)) {
            const expected = Array.from({ length: COLUMNS }, () => 0n);
            expected[column] = value;
            expect(row).toEqual(expected);
          }
        }
      }
      for (const body of [json(max + 1n), ...(isLarge ? [packed(max + 1n)] : [])]) {
        expect(refused(body, kind)).toBe(`malformed_request ${name} range`);
      }
    }
  }
});

test.each<readonly [string, readonly number[], string, string]>([
  ['fixint', [5], 'ok', 'ok'],
  ['uint 8', [0xcc, 5], 'ok', 'ok'],
  ['uint 16', [0xcd, 0, 5], 'ok', 'ok'],
  ['uint 32', [0xce, 0, 0, 0, 5], 'ok', 'ok'],
  ['uint 64', [0xcf, 0, 0, 0, 0, 0, 0, 0, 5], 'ok', 'ok'],
  ['int 8', [0xd0, 5], 'ok', 'ok'],
  ['int 16', [0xd1, 0, 5], 'ok', 'ok'],
  ['int 32', [0xd2, 0, 0, 0, 5], 'ok', 'ok'],
  ['int 64', [0xd3, 0, 0, 0, 0, 0, 0, 0, 5], 'ok', 'ok'],
  ['fixstr 5', [0xa1, 0x35], 'ok', 'type'],
  ['str 8 5', [0xd9, 1, 0x35], 'ok', 'type'],
  ['str 16 5', [0xda, 0, 1, 0x35], 'ok', 'type'],
  ['str 32 5', [0xdb, 0, 0, 0, 1, 0x35], 'ok', 'type'],
  ['negative fixint', [0xff], 'number_form', 'number_form'],
  ['int 8 -1', [0xd0, 0xff], 'number_form', 'number_form'],
  ['int 16 -1', [0xd1, 0xff, 0xff], 'number_form', 'number_form'],
  ['int 32 -2^31', [0xd2, 0x80, 0, 0, 0], 'number_form', 'number_form'],
  ['int 64 -2^63', [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], 'number_form', 'number_form'],
  ['2^63', [0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0], 'ok', 'range'],
  ['2^64-1', [0xcf, 255, 255, 255, 255, 255, 255, 255, 255], 'ok', 'range'],
  ['2^32', [0xcf, 0, 0, 0, 1, 0, 0, 0, 0], 'ok', 'range'],
  ['float 32', [0xca, 0x3f, 0x80, 0, 0], 'float', 'float'],
  ['float 64 1', [0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0], 'float', 'float'],
  ['float 64 NaN', [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], 'float', 'float'],
  ['float 64 -0', [0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0], 'float', 'float'],
  ['nil', [0xc0], 'type', 'type'],
  ['true', [0xc3], 'type', 'type'],
  ['never used', [0xc1], 'syntax', 'syntax'],
  ['timestamp 32', [0xd6, 0xff, 0, 0, 0, 0], 'extension', 'extension'],
  ['fixext 1', [0xd4, 1, 0], 'extension', 'extension'],
  ['ext 8', [0xc7, 1, 0x42, 5], 'extension', 'extension'],
  ['map', [0x80], 'nesting', 'nesting'],
  ['empty str', [0xa0], 'number_form', 'type'],
  ['str -1', [0xa2, 0x2d, 0x31], 'number_form', 'type'],
  ['str 1e3', [0xa3, 0x31, 0x65, 0x33], 'number_form', 'type'],
  ['bin of 7', [0xc4, 7, 1, 2, 3, 4, 5, 6, 7], 'length', 'type'],
  ['bin of 0', [0xc4, 0], 'length', 'type'],
  ['cut uint 32', [0xce, 0, 0], 'length', 'length'],
])('msgpack %s', (_, value, large, small) => {
  for (const kind of KINDS) {
    for (const [column, name] of columnsOf(kind)) {
      const body = concat([0x81, 0xa0 | name.length], utf8(name), value);
      const rule = COLUMN_BYTES[column]! >= 8 ? large : small;
      const taken = outcome(kind, body, column);
      expect(typeof taken === 'bigint' ? 'ok' : taken).toBe(rule);
    }
  }
});
