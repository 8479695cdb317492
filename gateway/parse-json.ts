/**
 * Reads JSON requests in one pass over their bytes into 128-byte rows. Throws a `SyceeError` at the first defect.
 *
 *   create   one object, or an array of 1 to 8189 of them; every field at most once, a left-out one is 0
 *   lookup   {"ids": [1 to 8189 ids]}
 * u128 and u64 are decimal strings or integers up to 2^53 - 1, smaller fields integers, `flags` an integer or an array of names.
 */
import {
  type Batch,
  BatchKind,
  batchOfColumns,
  batchOfRows,
  COLUMN_BYTES,
  Transfer,
} from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import {
  type KindRules,
  maxOfColumn,
  printable,
  rulesOf,
  tooLarge,
  unknownField,
  withFlag,
} from './field-rules.ts';
import { JsonReader } from './json-reader.ts';
import {
  clearRow,
  fitsColumn,
  putWords,
  scratchIds,
  scratchRows,
  setWords,
} from './row-scratch.ts';

const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const QUOTE = 0x22;

const reader = new JsonReader();
const idsBytes = new Uint8Array(scratchIds.buffer);

export interface ParsedJson {
  readonly batch: Batch;
  readonly shape: 'one' | 'many';
}

export function parseJsonCreate(kind: BatchKind, body: Uint8Array): ParsedJson {
  const rules = rulesOf(kind);
  reader.open(body, rules.plural);
  try {
    const first = reader.peek();
    const shape = first === OPEN_ARRAY ? 'many' : 'one';
    let n = 1;
    if (first === OPEN_ARRAY) n = readEvents(rules);
    else if (first === OPEN_OBJECT) readEvent(rules, 0);
    else throw reader.place.refusal('type', `must be an object or an array of objects`);
    reader.expectEnd();
    return { batch: batchOfRows(kind, scratchRows, n), shape };
  } finally {
    reader.close();
  }
}

function readEvents(rules: KindRules): number {
  const { place } = reader;
  reader.skip();
  if (reader.peek() === CLOSE_ARRAY) throw place.refusal('empty', 'must hold at least one event');
  let n = 0;
  do {
    if (n === BATCH_EVENTS_MAX) throw tooLarge('batch_events_max');
    place.row = n;
    if (reader.peek() !== OPEN_OBJECT) throw noEvent(rules);
    readEvent(rules, n);
    n++;
  } while (reader.takeComma(CLOSE_ARRAY));
  return n;
}

function noEvent(rules: KindRules): Error {
  const byte = reader.peek();
  if (byte === OPEN_ARRAY) return reader.place.refusal('nesting', 'must not be an array');
  return byte === 0 || byte === CLOSE_ARRAY || byte >= 0x7f
    ? reader.broken('an object')
    : reader.place.refusal('type', `must be an object with the fields of one ${rules.singular}`);
}

// Hot path.
function readEvent(rules: KindRules, row: number): void {
  const { place } = reader;
  clearRow(row);
  reader.skip();
  if (reader.peek() === CLOSE_OBJECT) {
    reader.skip();
    return;
  }
  let seen = 0;
  do {
    place.field = '';
    reader.takeString();
    const column = rules.fields.find(reader.bytes, reader.from, reader.to);
    if (column < 0) throw unknownField(place, rules.fields.names, stringText());
    place.field = rules.fields.names[column]!;
    if ((seen & (1 << column)) !== 0) throw place.refusal('doubled_field', 'comes twice');
    seen |= 1 << column;
    reader.take(COLON, 'a colon');
    readValue(rules, row, column);
  } while (reader.takeComma(CLOSE_OBJECT));
  place.field = '';
}

const stringText = (): string => printable(reader.bytes, reader.from, reader.to);

// Hot path.
function readValue(rules: KindRules, row: number, column: number): void {
  if (COLUMN_BYTES[column]! >= 8) {
    reader.takeLargeInteger();
  } else if (column === Transfer.flags) {
    if (reader.peek() === OPEN_ARRAY) readFlagNames(rules);
    else reader.takeInteger('an integer, or an array of flag names');
  } else {
    reader.takeInteger('an integer');
  }
  if (!fitsColumn(column, reader.words)) {
    const max = COLUMN_BYTES[column] === 8 ? '2^64 - 1' : maxOfColumn(column);
    throw reader.place.refusal('range', `is over ${max}`);
  }
  putWords(row, column, reader.words);
}

function readFlagNames(rules: KindRules): void {
  const { place } = reader;
  let flags = 0;
  reader.skip();
  if (reader.peek() === CLOSE_ARRAY) {
    reader.skip();
  } else {
    do {
      const byte = reader.peek();
      if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
        throw place.refusal('nesting', 'must hold flag names only');
      }
      if (byte !== QUOTE) throw place.refusal('type', 'must hold flag names only');
      reader.takeString();
      const bit = rules.flags.find(reader.bytes, reader.from, reader.to);
      flags = withFlag(place, bit, flags, stringText);
    } while (reader.takeComma(CLOSE_ARRAY));
  }
  setWords(reader.words, flags);
}

export function parseJsonLookup(body: Uint8Array): Batch {
  const { place } = reader;
  reader.open(body, 'ids');
  try {
    if (reader.peek() !== OPEN_OBJECT) throw place.refusal('type', 'must be {"ids": […]}');
    reader.skip();
    if (reader.peek() === CLOSE_OBJECT) throw place.refusal('missing_field', 'must have ids');
    reader.takeString();
    if (!isIds()) throw unknownField(place, ['ids'], stringText());
    reader.take(COLON, 'a colon');
    const n = readIds();
    if (reader.takeComma(CLOSE_OBJECT)) {
      reader.takeString();
      if (!isIds()) throw unknownField(place, ['ids'], stringText());
      place.field = 'ids';
      throw place.refusal('doubled_field', 'comes twice');
    }
    reader.expectEnd();
    const bytes = idsBytes.subarray(0, n * 16);
    return batchOfColumns(BatchKind.ids, n, [{ column: 0, constant: false, bytes }]);
  } finally {
    reader.close();
  }
}

function isIds(): boolean {
  const { bytes, from, to } = reader;
  return (
    to - from === 3 && bytes[from] === 0x69 && bytes[from + 1] === 0x64 && bytes[from + 2] === 0x73
  );
}

function readIds(): number {
  const { place } = reader;
  place.field = 'ids';
  if (reader.peek() !== OPEN_ARRAY) throw place.refusal('type', 'must be an array of ids');
  reader.skip();
  if (reader.peek() === CLOSE_ARRAY) throw place.refusal('empty', 'must hold at least one id');
  place.field = '';
  let n = 0;
  do {
    if (n === BATCH_EVENTS_MAX) throw tooLarge('batch_events_max');
    place.row = n;
    reader.takeLargeInteger();
    scratchIds.set(reader.words, n * 4);
    n++;
  } while (reader.takeComma(CLOSE_ARRAY));
  place.row = -1;
  return n;
}
