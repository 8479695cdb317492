/**
 * Answers to bytes. Answers have the form of their request:
 *
 *            create, one      {status, timestamp, positions}
 *            create, many     {results: [{status, timestamp}, …], positions}
 *            create, columns  {n, status: bin(2n), timestamp: bin(8n), positions}
 *            lookup, many     {accounts | transfers: [{…}, …], positions}
 *            lookup, columns  {n, <each of the 13 columns>: bin, positions}; with transfers also pending_status: bin(n), see PendingStatus
 *            lookup, one      the object itself
 *            positions        [{shard, sequence, timestamp}, …]
 * In JSON u128 and u64 are decimal strings and flags are an array of names. In msgpack u128 is bin(16) little-endian, u64 an integer, and
 * flags an integer. Status is a name, but for columns, which hold its number. Columns are msgpack only, and little-endian.
 *
 * What a stranger sent is never decoded here: see `parse-command.ts`. Clients have `columnar-codec.ts`.
 */
import { Packr } from 'msgpackr';
import { assert, unreachable } from '../engine/assert.ts';
import { BatchKind, COLUMN_BYTES, COLUMN_OFFSETS, COLUMNS, ROW_WORDS } from '../engine/batch.ts';
import type { CreateReply, Position, RowsReply } from '../engine/reply.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../engine/status.ts';
import { bigintOfUint64 } from '../engine/uint128.ts';
import { ERROR_HTTP_STATUS, type SyceeError } from '../lib/sycee-error.ts';
import { columnOfRows } from './batch-columns.ts';
import { rulesOf } from './field-rules.ts';
import {
  formatPositions,
  formatResult,
  formatRow,
  formatTransfer,
  pendingStatusName,
  smallField,
  statusName,
} from './format-rows.ts';

export type Encoding = 'json' | 'msgpack';
export type Shape = 'one' | 'many' | 'columns';

/** What an answer must look like. */
export interface Form {
  readonly shape: Shape;
  readonly encoding: Encoding;
}

const packr = new Packr({ useRecords: false, variableMapSize: true });

/** As the first byte says, or null when it begins neither. White space begins JSON. */
export function encodingOf(body: Uint8Array): Encoding | null {
  const first = body[0];
  if (first === undefined) return null;
  if (first === 0x7b || first === 0x5b) return 'json';
  if (first === 0x20 || first === 0x0a || first === 0x0d || first === 0x09) return 'json';
  const isMsgpack = (first >= 0x80 && first <= 0x9f) || (first >= 0xdc && first <= 0xdf);
  return isMsgpack ? 'msgpack' : null;
}

export function encodeCreate(kind: BatchKind, form: Form, reply: CreateReply): Uint8Array | string {
  assert(reply.statuses.length === reply.n, 'one status for each event');
  assert(reply.timestamps.length === reply.n, 'one timestamp for each event');
  if (form.encoding === 'json') return formatCreate(kind, form, reply);
  const positions = packedPositions(reply.positions);
  switch (form.shape) {
    case 'one':
      return packr.pack({ ...packedResult(kind, reply, 0), positions });
    case 'many': {
      const results = [];
      for (let i = 0; i < reply.n; i++) results.push(packedResult(kind, reply, i));
      return packr.pack({ results, positions });
    }
    case 'columns':
      return packr.pack({
        n: reply.n,
        status: bytesOf(reply.statuses),
        timestamp: bytesOf(reply.timestamps),
        positions,
      });
    default:
      return unreachable(form.shape);
  }
}

// Hot path.
function formatCreate(kind: BatchKind, form: Form, reply: CreateReply): string {
  const positions = formatPositions(reply.positions);
  if (form.shape === 'one') {
    assert(reply.n === 1, 'one event has one result');
    return `{${formatResult(kind, reply, 0)},"positions":${positions}}`;
  }
  assert(form.shape === 'many', 'JSON has no columns');
  let text = '{"results":[';
  for (let i = 0; i < reply.n; i++) {
    text += i === 0 ? '{' : ',{';
    text += formatResult(kind, reply, i);
    text += '}';
  }
  return `${text}],"positions":${positions}}`;
}

const packedResult = (kind: BatchKind, reply: CreateReply, i: number): object => ({
  status: statusName(kind, reply.statuses[i]!),
  timestamp: reply.timestamps[i]!,
});

/** msgpackr makes a float of a number over 2^32, and an integer of a bigint. */
export const packedPositions = (positions: readonly Position[]): object[] =>
  positions.map(({ shard, sequence, timestamp }) => ({
    shard,
    sequence: sequence < 0x1_0000_0000 ? sequence : BigInt(sequence),
    timestamp,
  }));

export const bytesOf = (array: Uint16Array | BigUint64Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

export function encodeRows(kind: BatchKind, form: Form, reply: RowsReply): Uint8Array | string {
  assert(reply.rows.length >= reply.n * ROW_WORDS, 'the rows are there');
  if (form.encoding === 'json') return formatRows(kind, form, reply);
  const { n, rows } = reply;
  const statuses = pendingStatusesOf(kind, reply);
  const positions = packedPositions(reply.positions);
  if (form.shape === 'columns') {
    const columns = columnsOfRows(kind, rows, n);
    if (statuses !== undefined) columns['pending_status'] = statuses;
    return packr.pack({ n, ...columns, positions });
  }
  const packed = (i: number): object =>
    statuses === undefined ? packedRow(kind, rows, i) : packedTransfer(rows, i, statuses[i]!);
  if (form.shape === 'one') return packr.pack(packed(0));
  const found = [];
  for (let i = 0; i < n; i++) found.push(packed(i));
  return packr.pack({ [rulesOf(kind).plural]: found, positions });
}

function formatRows(kind: BatchKind, form: Form, reply: RowsReply): string {
  const { n, rows } = reply;
  const statuses = pendingStatusesOf(kind, reply);
  const format = (i: number): string =>
    statuses === undefined ? formatRow(kind, rows, i) : formatTransfer(rows, i, statuses[i]!);
  if (form.shape === 'one') {
    assert(n === 1, 'one object was found');
    return format(0);
  }
  assert(form.shape === 'many', 'JSON has no columns');
  let text = `{"${rulesOf(kind).plural}":[`;
  for (let i = 0; i < n; i++) {
    if (i > 0) text += ',';
    text += format(i);
  }
  return `${text}],"positions":${formatPositions(reply.positions)}}`;
}

/** Of transfers; accounts have none. */
function pendingStatusesOf(kind: BatchKind, reply: RowsReply): Uint8Array | undefined {
  if (kind !== BatchKind.transfers) return undefined;
  const statuses = reply.pendingStatuses;
  assert(statuses?.length === reply.n, 'one pending status for each transfer');
  return statuses;
}

/** Every column of n rows, by the name of its field. */
export function columnsOfRows(
  kind: BatchKind,
  rows: Uint32Array,
  n: number,
): Record<string, unknown> {
  const columns: Record<string, unknown> = {};
  for (const [column, name] of rulesOf(kind).fields.names.entries()) {
    columns[name] = columnOfRows(rows, n, column);
  }
  return columns;
}

export function packedTransfer(rows: Uint32Array, i: number, pendingStatus: number): object {
  const row = packedRow(BatchKind.transfers, rows, i);
  row['pending_status'] = pendingStatusName(pendingStatus);
  return row;
}

export function packedRow(kind: BatchKind, rows: Uint32Array, i: number): Record<string, unknown> {
  const names = rulesOf(kind).fields.names;
  const row: Record<string, unknown> = {};
  for (let column = 0; column < COLUMNS; column++) {
    const width = COLUMN_BYTES[column]!;
    const word = i * ROW_WORDS + (COLUMN_OFFSETS[column]! >> 2);
    if (width === 16) {
      row[names[column]!] = new Uint8Array(rows.buffer, rows.byteOffset + word * 4, 16);
    } else {
      row[names[column]!] = width === 8 ? bigintOfUint64(rows, word) : smallField(rows, i, column);
    }
  }
  return row;
}

/** A problem document (RFC 9457), with the fields of the error beside those of the RFC. */
export function encodeProblem(encoding: Encoding, error: SyceeError): Uint8Array | string {
  const problem = {
    type: `urn:sycee:problem:${error.code}`,
    title: error.code.replaceAll('_', ' '),
    status: ERROR_HTTP_STATUS[error.code],
    detail: error.message,
    code: error.code,
    retryable: error.retryable,
    ...(error.field === undefined ? {} : { field: error.field }),
    ...(error.rule === undefined ? {} : { rule: error.rule }),
  };
  return encoding === 'json' ? JSON.stringify(problem) : packr.pack(problem);
}

/** What can be seen from the request alone. */
const SEEN_FROM_REQUEST = new RegExp(
  [
    '_must_(not_)?be_(zero|int_max)$',
    '^reserved_f',
    '^flags_are_',
    '^accounts_must_be_different$',
    '^pending_id_must_be_different$',
    '^timeout_reserved_',
    '^closing_transfer_must_be_pending$',
    '^imported_event_(not_)?expected$',
    '^imported_event_timestamp_out_of_range$',
  ].join('|'),
);
const IN_CONFLICT =
  /^exists_with_different_|^id_already_failed$|^linked_event_|^pending_transfer_(already_|expired)|_already_closed$/;

function httpOfName(name: string | undefined): number {
  if (name === undefined) return 0;
  if (name === 'created') return 201;
  if (name === 'exists') return 200;
  if (name.endsWith('_not_found')) return 404;
  if (IN_CONFLICT.test(name)) return 409;
  return SEEN_FROM_REQUEST.test(name) ? 400 : 422;
}

const ACCOUNT_HTTP = ACCOUNT_STATUS_NAMES.map(httpOfName);
const TRANSFER_HTTP = TRANSFER_STATUS_NAMES.map(httpOfName);

/** The HTTP status of the outcome of a request with one object. */
export function statusHttp(kind: BatchKind, status: number): number {
  const http = (kind === BatchKind.accounts ? ACCOUNT_HTTP : TRANSFER_HTTP)[status];
  assert(http !== undefined && http !== 0, 'a reply holds known statuses');
  return http;
}
