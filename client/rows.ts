/**
 * Objects to rows and back: the one place of client/ where a field name meets a column. A value that is not a whole number within its
 * column, and an unknown field, are refused here, before anything is sent.
 */
import {
  Account,
  type Batch,
  BatchKind,
  batchOfRows,
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  ROW_BYTES,
  ROW_WORDS,
  Transfer,
} from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { SyceeError } from '../lib/sycee-error.ts';

export type RecordKind = typeof BatchKind.accounts | typeof BatchKind.transfers;
type FieldValue = bigint | number;

const COLUMN_OF: Readonly<Record<RecordKind, ReadonlyMap<string, number>>> = {
  [BatchKind.accounts]: new Map(Object.entries(Account)),
  [BatchKind.transfers]: new Map(Object.entries(Transfer)),
};

/** Encodes objects as one batch. Throws SyceeError malformed_request with field and rule. */
export function batchOfObjects(kind: RecordKind, objects: readonly object[]): Batch {
  assertCount(objects.length);
  const rows = new Uint32Array(objects.length * ROW_WORDS);
  const view = new DataView(rows.buffer);
  for (let i = 0; i < objects.length; i++) writeObject(kind, objects[i]!, view, i, i);
  return batchOfRows(kind, rows, objects.length);
}

/**
 * Writes an object into a row that is all zero. Throws SyceeError malformed_request, which says that it is event number `event`; the row may be half
 * written then.
 */
// oxlint-disable-next-line max-params -- An object, where it goes, and what it is called.
export function writeObject(
  kind: RecordKind,
  object: object,
  view: DataView,
  row: number,
  event: number,
): void {
  if (!isRecord(object)) throw refusal(event, '', 'an object with its fields');
  const columnOf = COLUMN_OF[kind];
  const fields = object as Readonly<Record<string, unknown>>;
  for (const field of Object.keys(object)) {
    const value = fields[field];
    if (value === undefined) continue;
    const column = columnOf.get(field);
    if (column === undefined) throw refusal(event, field, 'unknown field');
    writeField(view, row, column, checkedValue(event, field, column, value));
  }
}

/** Encodes the ids of a lookup. */
export function batchOfIds(ids: readonly bigint[]): Batch {
  assertCount(ids.length);
  const rows = new Uint32Array(ids.length * ROW_WORDS);
  const view = new DataView(rows.buffer);
  for (let i = 0; i < ids.length; i++) {
    writeField(view, i, Account.id, checkedValue(i, 'id', Account.id, ids[i]));
  }
  return batchOfRows(BatchKind.ids, rows, ids.length);
}

/** One plain object for each row, with every field. */
export function objectsOfRows(kind: RecordKind, rows: Uint32Array, n: number): readonly object[] {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  const fields = [...COLUMN_OF[kind]];
  const objects: object[] = [];
  for (let i = 0; i < n; i++) {
    const one: Record<string, FieldValue> = {};
    for (const [field, column] of fields) {
      const value = readField(view, i, column);
      // Reserved is always 0 and says nothing.
      if (field !== 'reserved') one[field] = value;
    }
    objects.push(one);
  }
  return objects;
}

/** Of what a program without types may give. */
export function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

/** Refuses what is no array. `what`: of which things. */
export function assertList(value: unknown, what: string): void {
  if (Array.isArray(value)) return;
  const rule = `an array of ${what}`;
  throw new SyceeError('malformed_request', `this call takes ${rule}`, { field: what, rule });
}

function assertCount(n: number): void {
  if (n > BATCH_EVENTS_MAX) {
    throw new SyceeError(
      'too_large',
      `${n} events in one call; at most ${BATCH_EVENTS_MAX} fit, so split them into several calls`,
      { field: 'length', rule: `at most ${BATCH_EVENTS_MAX}` },
    );
  }
}

/** By column: the greatest value, in the type that the field has. */
const GREATEST = COLUMN_BYTES.map((bytes) =>
  bytes >= 8 ? (1n << BigInt(bytes * 8)) - 1n : 2 ** (bytes * 8) - 1,
);

// Hot path.
function checkedValue(row: number, field: string, column: number, value: unknown): FieldValue {
  const greatest = GREATEST[column]!;
  if (typeof greatest === 'bigint') {
    if (typeof value !== 'bigint') throw refusal(row, field, `a bigint below ${boundOf(column)}`);
    if (value >= 0n && value <= greatest) return value;
  } else {
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      throw refusal(row, field, `a whole number below ${boundOf(column)}`);
    }
    if (value >= 0 && value <= greatest) return value;
  }
  throw refusal(row, field, `between 0 and ${boundOf(column)} - 1`);
}

function boundOf(column: number): string {
  return `2^${COLUMN_BYTES[column]! * 8}`;
}

function refusal(row: number, field: string, rule: string): SyceeError {
  const place = field === '' ? `event ${row}` : `event ${row}, ${field}`;
  return new SyceeError('malformed_request', `${place}: ${rule}`, { field, rule });
}

/** The value is within its column. */
export function writeField(view: DataView, row: number, column: number, value: FieldValue): void {
  const at = row * ROW_BYTES + COLUMN_OFFSETS[column]!;
  switch (COLUMN_BYTES[column]!) {
    case 16: {
      const wide = value as bigint;
      view.setBigUint64(at, wide, true);
      if (wide > 0xffff_ffff_ffff_ffffn) view.setBigUint64(at + 8, wide >> 64n, true);
      break;
    }
    case 8:
      view.setBigUint64(at, value as bigint, true);
      break;
    case 4:
      view.setUint32(at, Number(value), true);
      break;
    default:
      view.setUint16(at, Number(value), true);
  }
}

export function readField(view: DataView, row: number, column: number): FieldValue {
  const at = row * ROW_BYTES + COLUMN_OFFSETS[column]!;
  switch (COLUMN_BYTES[column]!) {
    case 16:
      return view.getBigUint64(at, true) | (view.getBigUint64(at + 8, true) << 64n);
    case 8:
      return view.getBigUint64(at, true);
    case 4:
      return view.getUint32(at, true);
    default:
      return view.getUint16(at, true);
  }
}
