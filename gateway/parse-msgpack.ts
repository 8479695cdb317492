/**
 * Reads msgpack requests in one pass. Throws a `SyceeError` at the first defect.
 *
 *   create   one map, an array of 1 to 8189 maps, or the columnar map {n, …}; every field at most once, a left-out one is 0
 *   lookup   {ids: [1 to 8189 ids]} or {n, id: bin(16n)}
 * In a map u128 is bin(16) little-endian, an integer, or a decimal string; u64 is bin(8), an integer, or a decimal string; smaller fields
 * are integers; `flags` is an integer or an array of names. In the columnar map a field is a bin of n little-endian values of its width,
 * or one value of the forms above for all rows. A columnar map is told by its `n`, wherever it stands, so the bins of a map are looked at
 * when all of it has been read.
 */
import {
  type Batch,
  BatchKind,
  batchOfColumns,
  batchOfRows,
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  Transfer,
  type WireColumn,
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
import { MsgpackReader } from './msgpack-reader.ts';
import {
  clearRow,
  fitsColumn,
  putWords,
  scratchBytes,
  scratchIds,
  scratchRows,
  setWords,
} from './row-scratch.ts';

const N_BIT = 1 << COLUMNS;
const LARGE = 'an integer, a decimal string, or a bin';

const reader = new MsgpackReader();
const idsBytes = new Uint8Array(scratchIds.buffer);

/** Of the map that is being read: the bins of its columns, and its `n`. */
const binFrom = new Int32Array(COLUMNS);
const binTo = new Int32Array(COLUMNS);
let binMask = 0;
let seenMask = 0;
let rowCount = 0;

export interface ParsedMsgpack {
  readonly batch: Batch;
  readonly shape: 'one' | 'many' | 'columns';
}

export function parseMsgpackCreate(kind: BatchKind, body: Uint8Array): ParsedMsgpack {
  const rules = rulesOf(kind);
  reader.open(body, rules.plural);
  try {
    if (reader.isArray()) {
      const n = readEvents(rules);
      reader.expectEnd();
      return { batch: batchOfRows(kind, scratchRows, n), shape: 'many' };
    }
    readMap(rules, 0, true);
    reader.expectEnd();
    if ((seenMask & N_BIT) !== 0) return { batch: columnarBatch(rules), shape: 'columns' };
    settleBins(rules, 0);
    return { batch: batchOfRows(kind, scratchRows, 1), shape: 'one' };
  } finally {
    reader.close();
  }
}

function readEvents(rules: KindRules): number {
  const n = reader.takeArray('an array');
  if (n === 0) throw reader.place.refusal('empty', 'must hold at least one event');
  if (n > BATCH_EVENTS_MAX) throw tooLarge('batch_events_max');
  for (let row = 0; row < n; row++) {
    reader.place.row = row;
    readMap(rules, row, false);
    settleBins(rules, row);
  }
  return n;
}

/** Reads a map into a row. Its bins are only noted, as is `n` where `mayHaveN`. */
// Hot path.
function readMap(rules: KindRules, row: number, mayHaveN: boolean): void {
  const { place } = reader;
  const count = reader.takeMap(`a map with the fields of one ${rules.singular}`);
  clearRow(row);
  binMask = 0;
  seenMask = 0;
  for (let i = 0; i < count; i++) {
    reader.takeString();
    if (mayHaveN && isN()) {
      place.field = 'n';
      if ((seenMask & N_BIT) !== 0) throw place.refusal('doubled_field', 'comes twice');
      seenMask |= N_BIT;
      readRowCount();
      place.field = '';
      continue;
    }
    const column = rules.fields.find(reader.bytes, reader.from, reader.to);
    if (column < 0) throw unknownField(place, rules.fields.names, stringText());
    place.field = rules.fields.names[column]!;
    if ((seenMask & (1 << column)) !== 0) throw place.refusal('doubled_field', 'comes twice');
    seenMask |= 1 << column;
    readValue(rules, row, column);
    place.field = '';
  }
}

const stringText = (): string => printable(reader.bytes, reader.from, reader.to);

const isN = (): boolean => reader.to - reader.from === 1 && reader.bytes[reader.from] === 0x6e;

function readRowCount(): void {
  reader.takeInteger('the number of rows');
  const { words } = reader;
  if (words[1] !== 0 || words[0]! > BATCH_EVENTS_MAX) throw tooLarge('batch_events_max');
  if (words[0] === 0) throw reader.place.refusal('empty', 'must be at least 1');
  rowCount = words[0]!;
}

// Hot path.
function readValue(rules: KindRules, row: number, column: number): void {
  if (reader.isBin()) {
    reader.takeBin();
    binFrom[column] = reader.from;
    binTo[column] = reader.to;
    binMask |= 1 << column;
    return;
  }
  if (COLUMN_BYTES[column]! >= 8) {
    reader.takeLargeInteger(LARGE);
  } else if (column === Transfer.flags && reader.isArray()) {
    readFlagNames(rules);
  } else {
    reader.takeInteger(
      column === Transfer.flags ? 'an integer, or an array of flag names' : 'an integer',
    );
  }
  if (!fitsColumn(column, reader.words)) {
    const max = COLUMN_BYTES[column] === 8 ? '2^64 - 1' : maxOfColumn(column);
    throw reader.place.refusal('range', `is over ${max}`);
  }
  putWords(row, column, reader.words);
}

function readFlagNames(rules: KindRules): void {
  let flags = 0;
  const count = reader.takeArray('an array');
  for (let i = 0; i < count; i++) {
    reader.takeString();
    const bit = rules.flags.find(reader.bytes, reader.from, reader.to);
    flags = withFlag(reader.place, bit, flags, stringText);
  }
  setWords(reader.words, flags);
}

/** Puts the bins of a map that is one event into its row. */
function settleBins(rules: KindRules, row: number): void {
  for (let mask = binMask; mask !== 0; mask &= mask - 1) {
    const column = 31 - Math.clz32(mask & -mask);
    const width = COLUMN_BYTES[column]!;
    const { place } = reader;
    place.field = rules.fields.names[column]!;
    if (width < 8) throw place.refusal('type', 'must be an integer');
    reader.from = binFrom[column]!;
    reader.to = binTo[column]!;
    const length = reader.to - reader.from;
    if (length !== width) {
      throw place.refusal('length', `must be a bin of ${width} bytes, not ${length}`);
    }
    reader.setWordsOfBin();
    putWords(row, column, reader.words);
    place.field = '';
  }
}

/** The batch of the columnar map that was read. A single value of 0 is left out, as an absent column is 0. */
function columnarBatch(rules: KindRules): Batch {
  const n = rowCount;
  const columns: WireColumn[] = [];
  for (let column = 0; column < COLUMNS; column++) {
    if ((seenMask & (1 << column)) === 0) continue;
    const width = COLUMN_BYTES[column]!;
    if ((binMask & (1 << column)) !== 0) {
      columns.push(columnOfBin(rules, column, n));
      continue;
    }
    const bytes = scratchBytes.subarray(COLUMN_OFFSETS[column], COLUMN_OFFSETS[column]! + width);
    if (bytes.some((byte) => byte !== 0)) columns.push({ column, constant: true, bytes });
  }
  return batchOfColumns(rules.kind, n, columns);
}

function columnOfBin(rules: KindRules, column: number, n: number): WireColumn {
  const width = COLUMN_BYTES[column]!;
  const bytes = reader.bytes.subarray(binFrom[column], binTo[column]);
  const isSingle = width >= 8 && bytes.length === width && n > 1;
  if (!isSingle && bytes.length !== width * n) {
    reader.place.field = rules.fields.names[column]!;
    throw reader.place.refusal(
      'length',
      `must be a bin of ${n} times ${width} bytes or a single value, not ${bytes.length} bytes`,
    );
  }
  return { column, constant: isSingle, bytes };
}

export function parseMsgpackLookup(body: Uint8Array): {
  readonly batch: Batch;
  readonly shape: 'many' | 'columns';
} {
  reader.open(body, 'ids');
  try {
    const { place } = reader;
    const count = reader.takeMap('a map with ids, or with n and id');
    if (count > 0) reader.takeString();
    if (count > 0 && isIds()) {
      const batch = readIds();
      if (count > 1) throw secondField();
      reader.expectEnd();
      return { batch, shape: 'many' };
    }
    reader.open(body, 'ids');
    readMap(rulesOf(BatchKind.ids), 0, true);
    reader.expectEnd();
    if ((seenMask & N_BIT) === 0) throw place.refusal('missing_field', 'must have n, or ids');
    return { batch: columnarBatch(rulesOf(BatchKind.ids)), shape: 'columns' };
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

function readIds(): Batch {
  const { place } = reader;
  place.field = 'ids';
  const n = reader.takeArray('an array of ids');
  if (n === 0) throw place.refusal('empty', 'must hold at least one id');
  if (n > BATCH_EVENTS_MAX) throw tooLarge('batch_events_max');
  place.field = '';
  for (let i = 0; i < n; i++) {
    place.row = i;
    if (reader.isBin()) {
      reader.takeBin();
      const length = reader.to - reader.from;
      if (length !== 16) throw place.refusal('length', `must be a bin of 16 bytes, not ${length}`);
      reader.setWordsOfBin();
    } else {
      reader.takeLargeInteger(LARGE);
    }
    scratchIds.set(reader.words, i * 4);
  }
  place.row = -1;
  const bytes = idsBytes.subarray(0, n * 16);
  return batchOfColumns(BatchKind.ids, n, [{ column: 0, constant: false, bytes }]);
}

function secondField(): Error {
  const { place } = reader;
  reader.takeString();
  if (!isIds()) return unknownField(place, ['ids'], stringText());
  place.field = 'ids';
  return place.refusal('doubled_field', 'comes twice');
}
