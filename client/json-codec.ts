/**
 * JSON as a client writes and reads it: an array of objects to a ledger, results and found rows back. Wide numbers are decimal strings,
 * flags go out as an integer and come back as names.
 */
import { type Batch, BatchKind, COLUMN_BYTES, Columns, ROW_WORDS } from '../engine/batch.ts';
import { PENDING_STATUS_NAMES } from '../engine/query.ts';
import type { CreateReply, Position, RowsReply } from '../engine/reply.ts';
import { AccountStatus, TransferStatus } from '../engine/status.ts';
import { rulesOf } from '../gateway/field-rules.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { readField, type RecordKind, writeField } from './rows.ts';

/** The rows of a batch as an array of objects. Fields that are 0 are left out. */
export function encodeJson(batch: Batch): string {
  const { names } = rulesOf(batch.kind).fields;
  const view = rowsOf(batch);
  const objects: object[] = [];
  for (let i = 0; i < batch.n; i++) {
    const one: Record<string, number | string> = {};
    for (const [column, name] of names.entries()) {
      const value = readField(view, i, column);
      if (typeof value === 'bigint' ? value !== 0n : value !== 0) {
        one[name] = typeof value === 'bigint' ? String(value) : value;
      }
    }
    objects.push(one);
  }
  return JSON.stringify(objects);
}

export function encodeJsonIds(ids: Batch): string {
  const view = rowsOf(ids);
  const list: string[] = [];
  for (let i = 0; i < ids.n; i++) list.push(String(readField(view, i, 0)));
  return JSON.stringify({ ids: list });
}

function rowsOf(batch: Batch): DataView {
  // Four zero words behind the batch stand for absent columns.
  const words = new Uint32Array(batch.words.length + 4);
  words.set(batch.words);
  const columns = new Columns();
  columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
  const rows = new Uint32Array(batch.n * ROW_WORDS);
  for (let i = 0; i < batch.n; i++) columns.copyRow(i, rows, i * ROW_WORDS);
  return new DataView(rows.buffer);
}

export function decodeJsonCreate(kind: RecordKind, bytes: Uint8Array): CreateReply {
  const answer = parsed(bytes);
  const results = listOf(answer['results']);
  const numbers: Readonly<Record<string, number | undefined>> =
    kind === BatchKind.accounts ? AccountStatus : TransferStatus;
  const statuses = new Uint16Array(results.length);
  const timestamps = new BigUint64Array(results.length);
  for (const [i, one] of results.entries()) {
    const status = numbers[String(one['status'])];
    if (status === undefined) throw strangeAnswer(`status ${String(one['status'])} is not known`);
    statuses[i] = status;
    timestamps[i] = wide(one['timestamp']);
  }
  return { n: results.length, statuses, timestamps, positions: positionsOf(answer['positions']) };
}

export type JsonFields = Readonly<Record<string, unknown>>;

export function decodeJsonRows(kind: RecordKind, bytes: Uint8Array): RowsReply {
  const answer = parsed(bytes);
  const objects = listOf(answer[rulesOf(kind).plural]);
  const rows = rowsOfObjects(kind, objects);
  const found = { n: objects.length, rows, positions: positionsOf(answer['positions']) };
  if (kind !== BatchKind.transfers) return found;
  return { ...found, pendingStatuses: pendingStatusesOf(objects) };
}

/** Fields that are not there are 0, and what else the objects have is left alone. */
export function rowsOfObjects(kind: RecordKind, objects: readonly JsonFields[]): Uint32Array {
  const rules = rulesOf(kind);
  const rows = new Uint32Array(objects.length * ROW_WORDS);
  const view = new DataView(rows.buffer);
  for (const [i, one] of objects.entries()) {
    for (const [column, name] of rules.fields.names.entries()) {
      const value = one[name];
      if (value === undefined) continue;
      const number = name === 'flags' ? flagBits(rules.flags.names, value) : wide(value);
      if (BigInt.asUintN(COLUMN_BYTES[column]! * 8, number) !== number) {
        throw strangeAnswer(`${name} is out of range`);
      }
      writeField(view, i, column, number);
    }
  }
  return rows;
}

export function pendingStatusesOf(objects: readonly JsonFields[]): Uint8Array {
  return Uint8Array.from(objects, (one) => {
    const name = one['pending_status'];
    const status = (PENDING_STATUS_NAMES as readonly unknown[]).indexOf(name);
    if (status < 0) throw strangeAnswer(`pending_status ${String(name)} is not known`);
    return status;
  });
}

function flagBits(names: readonly string[], value: unknown): bigint {
  if (!Array.isArray(value)) return wide(value);
  let bits = 0;
  for (const name of value) {
    const bit = names.indexOf(String(name));
    if (bit === -1) throw strangeAnswer(`flag ${String(name)} is not known`);
    bits |= 1 << bit;
  }
  return BigInt(bits);
}

export function wide(value: unknown): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'string' && /^[0-9]{1,39}$/.test(value)) return BigInt(value);
  throw strangeAnswer('a number is not written as a number');
}

export function parsed(bytes: Uint8Array): JsonFields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error: unknown) {
    throw strangeAnswer('it is not JSON', error);
  }
  if (typeof value !== 'object' || value === null) throw strangeAnswer('it is not an object');
  return value as Record<string, unknown>;
}

export function listOf(value: unknown): readonly JsonFields[] {
  if (!Array.isArray(value)) throw strangeAnswer('a list is missing');
  for (const one of value as unknown[]) {
    if (typeof one !== 'object' || one === null) throw strangeAnswer('a list holds no objects');
  }
  return value as readonly JsonFields[];
}

export function positionsOf(value: unknown): readonly Position[] {
  if (!Array.isArray(value)) throw strangeAnswer('positions are missing');
  return value.map(
    (one: { shard: number; sequence: number | bigint; timestamp: bigint | string }) => ({
      shard: one.shard,
      sequence: Number(one.sequence),
      timestamp: BigInt(one.timestamp),
    }),
  );
}

/** The request was answered, and so may have happened, but what came back cannot be read. */
export function strangeAnswer(why: string, cause?: unknown): SyceeError {
  return new SyceeError('unknown', `the answer cannot be read: ${why}`, { cause });
}
