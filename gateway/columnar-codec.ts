/** Columnar requests and answers as a client needs them: a batch to msgpack, and msgpack to replies. `wire-codec.ts` has the forms. */
import { Packr, Unpackr } from 'msgpackr';
import { assert } from '../engine/assert.ts';
import { type Batch, BatchKind, COLUMN_BYTES, COLUMNS, ROW_WORDS } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import type { CreateReply, Position, RowsReply } from '../engine/reply.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { columnsOfBatch, writeColumnOfRows } from './batch-columns.ts';
import { rulesOf } from './field-rules.ts';
import {
  fieldsOfFilter,
  type FilterOf,
  type PageOf,
  type QueryOperation,
} from './wire-codec-filters.ts';
import { BALANCE_NAMES, BALANCES_WORDS } from './wire-codec-pages.ts';

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

/** A filter whose answer shall come in columns. */
export function encodeFilter<O extends QueryOperation>(
  operation: O,
  filter: FilterOf<O>,
): Uint8Array {
  return packr.pack({ ...fieldsOfFilter(operation, filter), columns: true });
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
  // One piece of memory for both: each lies outside V8's heap.
  const both = new Uint8Array(n * 10);
  both.set(columnOf(answer, 'timestamp', n * 8));
  both.set(columnOf(answer, 'status', n * 2), n * 8);
  return {
    n,
    statuses: new Uint16Array(both.buffer, n * 8, n),
    timestamps: new BigUint64Array(both.buffer, 0, n),
    positions: positionsOf(answer),
  };
}

/** The columnar answer to a lookup of accounts or of transfers. */
export function decodeRows(kind: BatchKind, bytes: Uint8Array): RowsReply {
  const answer = unpackAnswer(bytes);
  const n = rowCount(answer);
  const found = { n, rows: rowsOf(kind, answer, n), positions: positionsOf(answer) };
  if (kind !== BatchKind.transfers) return found;
  return { ...found, pendingStatuses: numbersOf(answer, 'pending_status', n) };
}

function rowsOf(kind: BatchKind, columns: Fields, n: number): Uint32Array {
  const rows = new Uint32Array(n * ROW_WORDS);
  const names = rulesOf(kind).fields.names;
  for (let column = 0; column < COLUMNS; column++) {
    const length = n * COLUMN_BYTES[column]!;
    writeColumnOfRows(rows, column, new Uint8Array(alignedColumn(columns, names[column]!, length)));
  }
  return rows;
}

const numbersOf = (columns: Fields, name: string, n: number): Uint8Array =>
  new Uint8Array(alignedColumn(columns, name, n));

const stampsOf = (columns: Fields, name: string, n: number): BigUint64Array =>
  new BigUint64Array(alignedColumn(columns, name, n * 8));

const { accounts, transfers } = BatchKind;

interface Counted {
  readonly n: number;
  readonly next: string | null;
  readonly positions: readonly Position[];
}

/** The columns of a page, beside what every page has. */
const PAGES: {
  readonly [O in QueryOperation]: (answer: Fields, n: number) => Omit<PageOf<O>, keyof Counted>;
} = {
  get_account_transfers: (answer, n) => ({
    rows: rowsOf(transfers, answer, n),
    pendingStatuses: numbersOf(answer, 'pending_status', n),
    effectTimestamps: stampsOf(answer, 'effect_timestamp', n),
  }),
  get_account_balances: (answer, n) => ({
    balances: balancesOf(answer, n),
    timestamps: stampsOf(answer, 'timestamp', n),
    effectTimestamps: stampsOf(answer, 'effect_timestamp', n),
  }),
  query_accounts: (answer, n) => ({ rows: rowsOf(accounts, answer, n) }),
  query_transfers: (answer, n) => ({
    rows: rowsOf(transfers, answer, n),
    pendingStatuses: numbersOf(answer, 'pending_status', n),
  }),
  get_change_events: (answer, n) => ({
    types: numbersOf(answer, 'type', n),
    timestamps: stampsOf(answer, 'timestamp', n),
    transfers: rowsOf(transfers, nested(answer, 'transfer'), n),
    debitAccounts: rowsOf(accounts, nested(answer, 'debit_account'), n),
    creditAccounts: rowsOf(accounts, nested(answer, 'credit_account'), n),
  }),
};

/** The columnar answer to a question about the past. */
export function decodePage<O extends QueryOperation>(operation: O, bytes: Uint8Array): PageOf<O> {
  const answer = unpackAnswer(bytes);
  const n = rowCount(answer);
  const { next } = answer;
  if (next !== null && typeof next !== 'string') throw unreadable('has no next');
  const counted: Counted = { n, next, positions: positionsOf(answer) };
  return { ...counted, ...PAGES[operation](answer, n) } as unknown as PageOf<O>;
}

function balancesOf(answer: Fields, n: number): Uint32Array {
  const balances = new Uint32Array(n * BALANCES_WORDS);
  for (const [each, name] of BALANCE_NAMES.entries()) {
    const column = new Uint32Array(alignedColumn(answer, name, n * 16));
    for (let i = 0; i < n; i++) {
      balances.set(column.subarray(i * 4, i * 4 + 4), i * BALANCES_WORDS + each * 4);
    }
  }
  return balances;
}

function nested(answer: Fields, name: string): Fields {
  const columns = answer[name];
  if (!isFields(columns)) throw unreadable(`has no columns ${name}`);
  return columns;
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
  return new Uint8Array(columnOf(answer, name, length)).buffer;
}

/** As it lies in the answer, at any place. */
function columnOf(answer: Fields, name: string, length: number): Uint8Array {
  const bytes = answer[name];
  if (bytes instanceof Uint8Array && bytes.length === length) return bytes;
  throw unreadable(`has no column ${name}`);
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
