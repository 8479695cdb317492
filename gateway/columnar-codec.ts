/** Columnar requests and answers as a client needs them: a batch to msgpack, and msgpack to replies. `wire-codec.ts` has the forms. */
import { Packr, Unpackr } from 'msgpackr';
import { assert } from '../engine/assert.ts';
import { type Batch, BatchKind, COLUMN_BYTES, COLUMNS, ROW_WORDS } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import type { CreateReply, Position, RowsReply } from '../engine/reply.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { columnsOfBatch, writeColumnOfRows } from './batch-columns.ts';
import { rulesOf } from './field-rules.ts';

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

/** A batch as a columnar request. A constant column is a single value, an absent one is left out; the batch is not kept. */
export function encodeColumns(batch: Batch): Uint8Array {
  const names = rulesOf(batch.kind).fields.names;
  const request: Record<string, unknown> = { n: batch.n };
  for (const { column, constant, bytes } of columnsOfBatch(batch)) {
    request[names[column]!] = constant && bytes.length <= 8 ? integerOf(bytes) : bytes;
  }
  return packr.pack(request);
}

/** Ids as a columnar lookup request. */
export function encodeIds(ids: Batch): Uint8Array {
  assert(ids.kind === BatchKind.ids, 'ids are looked up');
  return encodeColumns(ids);
}

function integerOf(bytes: Uint8Array): number | bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 8) return view.getBigUint64(0, true);
  return bytes.length === 4 ? view.getUint32(0, true) : view.getUint16(0, true);
}

/** The columnar answer to a create request. An answer that is not one rejects with `unknown`. */
export function decodeCreate(bytes: Uint8Array): CreateReply {
  const answer = unpackAnswer(bytes);
  const n = rowCount(answer);
  const statuses = new Uint16Array(alignedColumn(answer, 'status', n * 2));
  const timestamps = new BigUint64Array(alignedColumn(answer, 'timestamp', n * 8));
  return { n, statuses, timestamps, positions: positionsOf(answer) };
}

/** The columnar answer to a lookup of accounts or of transfers. */
export function decodeRows(kind: BatchKind, bytes: Uint8Array): RowsReply {
  const answer = unpackAnswer(bytes);
  const n = rowCount(answer);
  const rows = new Uint32Array(n * ROW_WORDS);
  const names = rulesOf(kind).fields.names;
  for (let column = 0; column < COLUMNS; column++) {
    const length = n * COLUMN_BYTES[column]!;
    writeColumnOfRows(rows, column, new Uint8Array(alignedColumn(answer, names[column]!, length)));
  }
  return { n, rows, positions: positionsOf(answer) };
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

function unpackAnswer(bytes: Uint8Array): Fields {
  let answer: unknown;
  try {
    answer = unpackr.unpack(bytes);
  } catch (error: unknown) {
    throw unreadable('is no msgpack', error);
  }
  if (!isFields(answer)) throw unreadable('is no map');
  return answer;
}

function rowCount(answer: Fields): number {
  const n = answer['n'];
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 0 || n > BATCH_EVENTS_MAX) {
    throw unreadable('has no row count');
  }
  return n;
}

function alignedColumn(answer: Fields, name: string, length: number): ArrayBuffer {
  const bytes = answer[name];
  if (!(bytes instanceof Uint8Array) || bytes.length !== length) {
    throw unreadable(`has no column ${name}`);
  }
  return new Uint8Array(bytes).buffer;
}

function positionsOf(answer: Fields): readonly Position[] {
  const list = answer['positions'];
  if (!Array.isArray(list)) throw unreadable('has no positions');
  return list.map((one: unknown) => {
    if (!isFields(one)) throw unreadable('has a broken position');
    const { shard, sequence, timestamp } = one;
    const isTimestamp = typeof timestamp === 'bigint' || Number.isInteger(timestamp);
    if (!Number.isInteger(Number(shard)) || !Number.isInteger(Number(sequence)) || !isTimestamp) {
      throw unreadable('has a broken position');
    }
    return {
      shard: Number(shard),
      sequence: Number(sequence),
      timestamp: BigInt(timestamp as bigint | number),
    };
  });
}

function unreadable(why: string, cause?: unknown): SyceeError {
  return new SyceeError(
    'unknown',
    `the answer ${why}: the request may or may not have happened; ask again with the same ids`,
    { cause },
  );
}
