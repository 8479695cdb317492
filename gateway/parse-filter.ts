/**
 * Filters from a body or from the query part of a URL, strictly: every field at most once, none that is unknown, numbers as everywhere.
 * What comes out is a well-formed filter or a `SyceeError`; whether it asks for something that can be is not looked at here.
 *
 * In msgpack `columns: true` asks for an answer in columns.
 */
import { DecimalDefect, readDecimalText } from '../engine/uint128.ts';
import { Place, printable, unknownField, withFlag } from './field-rules.ts';
import { checkedCursor, checkedNumber, filterOf, type FilterValues } from './filter-values.ts';
import { JsonReader } from './json-reader.ts';
import { MsgpackReader } from './msgpack-reader.ts';
import {
  FILTER_FIELD_BITS,
  FILTER_RULES,
  type FilterOf,
  type FilterRules,
  type QueryOperation,
} from './wire-codec-filters.ts';
import type { Encoding } from './wire-codec.ts';

const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const LARGE = 'an integer, a decimal string, or a bin';
const FLAGS = 'an integer, or an array of flag names';

const json = new JsonReader();
const msgpack = new MsgpackReader();
const words = new Uint32Array(4);

export interface ParsedFilter<Operation extends QueryOperation> {
  readonly filter: FilterOf<Operation>;
  readonly hasColumns: boolean;
}

export function parseFilter<O extends QueryOperation>(
  operation: O,
  encoding: Encoding,
  body: Uint8Array,
): ParsedFilter<O> {
  const rules = FILTER_RULES[operation];
  if (encoding === 'json') {
    const values = readJson(rules, body);
    return { filter: filterOf(operation, values, json.place), hasColumns: false };
  }
  const { values, hasColumns } = readMsgpack(rules, body);
  return { filter: filterOf(operation, values, msgpack.place), hasColumns };
}

/** `query` is what stands behind the `?`; `id` is the account that the path names. */
export function parseFilterOfUrl<O extends QueryOperation>(
  operation: O,
  query: string,
  id?: bigint,
): FilterOf<O> {
  const rules = FILTER_RULES[operation];
  const place = new Place();
  const values: FilterValues = new Map();
  if (id !== undefined) values.set('account_id', id);
  const names = rules.fields.names.filter((name) => name !== rules.required);
  for (const [name, text] of new URLSearchParams(query)) {
    if (!names.includes(name)) throw unknownField(place, names, printableText(name));
    place.field = name;
    if (values.has(name)) throw place.refusal('doubled_field', 'comes twice');
    values.set(name, valueOfText(rules, place, text));
  }
  return filterOf(operation, values, place);
}

function printableText(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return printable(bytes, 0, bytes.length);
}

function valueOfText(rules: FilterRules, place: Place, text: string): bigint | string {
  if (place.field === 'cursor') return checkedCursor(place, text);
  if (place.field === 'flags' && !/^[0-9]/.test(text)) {
    let flags = 0;
    for (const name of text === '' ? [] : text.split(',')) {
      flags = withFlag(place, rules.flags.names.indexOf(name), flags, () => printableText(name));
    }
    return BigInt(flags);
  }
  const defect = readDecimalText(text, words);
  if (defect === DecimalDefect.range) throw place.refusal('range', 'is over 2^128 - 1');
  if (defect !== DecimalDefect.none) {
    throw place.refusal(
      'number_form',
      'must consist of decimal digits, without sign, fraction, exponent, blank, or leading zero',
    );
  }
  return checkedNumber(place, rules, words);
}

function readJson(rules: FilterRules, body: Uint8Array): FilterValues {
  const { place } = json;
  const values: FilterValues = new Map();
  json.open(body, 'filter');
  try {
    if (json.peek() !== OPEN_OBJECT) throw place.refusal('type', 'must be one object: a filter');
    json.skip();
    if (json.peek() === CLOSE_OBJECT) {
      json.skip();
    } else {
      do {
        place.field = '';
        json.takeString();
        openField(rules.fields, json, values);
        json.take(COLON, 'a colon');
        values.set(place.field, jsonValue(rules));
      } while (json.takeComma(CLOSE_OBJECT));
    }
    place.field = '';
    json.expectEnd();
    return values;
  } finally {
    json.close();
  }
}

/** Names the field in the place, if it is a known one that has not come yet. */
function openField(
  fields: FilterRules['fields'],
  reader: JsonReader | MsgpackReader,
  values: FilterValues,
): void {
  const { place, bytes, from, to } = reader;
  const index = fields.find(bytes, from, to);
  if (index < 0) throw unknownField(place, fields.names, printable(bytes, from, to));
  place.field = fields.names[index]!;
  if (values.has(place.field)) throw place.refusal('doubled_field', 'comes twice');
}

function jsonValue(rules: FilterRules): bigint | string {
  const { place } = json;
  switch (place.field) {
    case 'cursor':
      json.takeText('a string: the next of an earlier answer');
      return checkedCursor(place, printableSpan(json));
    case 'reversed':
      return json.takeBoolean() ? 1n : 0n;
    case 'flags':
      if (json.peek() === OPEN_ARRAY) return BigInt(jsonFlagNames(rules));
      json.takeInteger(FLAGS);
      break;
    default:
      if (FILTER_FIELD_BITS.get(place.field)! >= 64) json.takeLargeInteger();
      else json.takeInteger('an integer');
  }
  return checkedNumber(place, rules, json.words);
}

function jsonFlagNames(rules: FilterRules): number {
  const { place } = json;
  let flags = 0;
  json.skip();
  if (json.peek() === CLOSE_ARRAY) {
    json.skip();
    return 0;
  }
  do {
    const byte = json.peek();
    if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      throw place.refusal('nesting', 'must hold flag names only');
    }
    json.takeText('an array of flag names');
    flags = takenFlag(rules, json, flags);
  } while (json.takeComma(CLOSE_ARRAY));
  return flags;
}

/** The last string that was read, as a flag beside `flags`. */
function takenFlag(rules: FilterRules, reader: JsonReader | MsgpackReader, flags: number): number {
  const { place, bytes, from, to } = reader;
  const bit = rules.flags.find(bytes, from, to);
  return withFlag(place, bit, flags, () => printable(bytes, from, to));
}

function readMsgpack(
  rules: FilterRules,
  body: Uint8Array,
): { readonly values: FilterValues; readonly hasColumns: boolean } {
  const { place } = msgpack;
  const values: FilterValues = new Map();
  let hasColumns: boolean | undefined;
  msgpack.open(body, 'filter');
  try {
    const count = msgpack.takeMap('a map with the fields of one filter');
    for (let i = 0; i < count; i++) {
      place.field = '';
      msgpack.takeString();
      if (isColumns()) {
        place.field = 'columns';
        if (hasColumns !== undefined) throw place.refusal('doubled_field', 'comes twice');
        hasColumns = msgpack.takeBoolean();
        continue;
      }
      openField(rules.fields, msgpack, values);
      values.set(place.field, msgpackValue(rules));
    }
    place.field = '';
    msgpack.expectEnd();
    return { values, hasColumns: hasColumns ?? false };
  } finally {
    msgpack.close();
  }
}

const COLUMNS = new TextEncoder().encode('columns');

function isColumns(): boolean {
  const { bytes, from, to } = msgpack;
  return to - from === COLUMNS.length && COLUMNS.every((byte, i) => byte === bytes[from + i]);
}

function msgpackValue(rules: FilterRules): bigint | string {
  const { place } = msgpack;
  const bits = FILTER_FIELD_BITS.get(place.field) ?? 0;
  if (place.field === 'cursor') {
    msgpack.takeString();
    return checkedCursor(place, printableSpan(msgpack));
  }
  if (place.field === 'reversed') return msgpack.takeBoolean() ? 1n : 0n;
  if (place.field === 'flags' && msgpack.isArray()) {
    let flags = 0;
    const count = msgpack.takeArray('an array');
    for (let i = 0; i < count; i++) {
      msgpack.takeString();
      flags = takenFlag(rules, msgpack, flags);
    }
    return BigInt(flags);
  }
  if (bits < 64) {
    msgpack.takeInteger(place.field === 'flags' ? FLAGS : 'an integer');
  } else if (msgpack.isBin()) {
    msgpack.takeBin();
    const length = msgpack.to - msgpack.from;
    if (length * 8 !== bits) {
      throw place.refusal('length', `must be a bin of ${bits / 8} bytes, not ${length}`);
    }
    msgpack.setWordsOfBin();
  } else {
    msgpack.takeLargeInteger(LARGE);
  }
  return checkedNumber(place, rules, msgpack.words);
}

function printableSpan(reader: JsonReader | MsgpackReader): string {
  const { bytes, from, to } = reader;
  // Longer ones are refused for their length, whatever they hold.
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
}
