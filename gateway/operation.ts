/**
 * The operations that both transports serve: bytes to a batch, the batch to the router, the reply to bytes.
 *
 * `startOperation` throws what can be seen from the bytes alone; its promise rejects with what the router said. Both are `SyceeError`s,
 * anything else is a bug, which `asSyceeError` turns into `unknown` so that no stack trace leaves the process.
 */
import { unreachable } from '../engine/assert.ts';
import { type Batch, BatchKind, batchOfColumns } from '../engine/batch.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../engine/status.ts';
import { UINT128_MAX } from '../engine/uint128.ts';
import { ERROR_CODES, SyceeError } from '../lib/sycee-error.ts';
import { type Parsed, parseCreate, parseLookup } from './parse-command.ts';
import { refuseOtherEncoding, startQuery } from './query-operation.ts';
import type { RequestRouter } from './request-router.ts';
import { QUERY_OPERATIONS } from './wire-codec-filters.ts';
import { type Encoding, encodeCreate, encodeRows, statusHttp } from './wire-codec.ts';

const BATCH_OPERATIONS = [
  'create_accounts',
  'create_transfers',
  'lookup_accounts',
  'lookup_transfers',
] as const;
type BatchOperation = (typeof BATCH_OPERATIONS)[number];

export const OPERATIONS = [...BATCH_OPERATIONS, ...QUERY_OPERATIONS] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface Answer {
  readonly payload: string | Uint8Array;
  readonly encoding: Encoding;
  /** As HTTP says it: 200, but for one created object, whose outcome decides. */
  readonly httpStatus: number;
}

export interface StartOptions {
  /** Refuse what is in another encoding than the transport said. */
  readonly encoding?: Encoding | undefined;
  /** Bytes that an answer may have: a create whose answer could be longer is refused before it happens. */
  readonly answerBytesMax?: number | undefined;
  readonly deadlineMs: number;
}

/** Bytes of one result at most, in JSON. */
const RESULT_BYTES_MAX =
  '{"status":"","timestamp":"18446744073709551615"},'.length +
  Math.max(...[...ACCOUNT_STATUS_NAMES, ...TRANSFER_STATUS_NAMES].map((name) => name?.length ?? 0));
const RESULT_COLUMNAR_BYTES = 10;
/** Field names and the positions of 64 shards. */
const ANSWER_FRAME_BYTES = 8192;

export function startOperation(
  router: RequestRouter,
  operation: Operation,
  body: Uint8Array,
  options: StartOptions,
): Promise<Answer> {
  return isBatchOperation(operation)
    ? startBatch(router, operation, body, options)
    : startQuery(router, operation, body, options);
}

const isBatchOperation = (operation: Operation): operation is BatchOperation =>
  operation === 'create_transfers' ||
  operation === 'create_accounts' ||
  operation === 'lookup_accounts' ||
  operation === 'lookup_transfers';

// Hot path.
function startBatch(
  router: RequestRouter,
  operation: BatchOperation,
  body: Uint8Array,
  options: StartOptions,
): Promise<Answer> {
  const parsed = parse(operation, body);
  refuseOtherEncoding(parsed.encoding, options.encoding);
  const { deadlineMs } = options;
  switch (operation) {
    case 'create_accounts':
      refuseLongAnswer(parsed, options.answerBytesMax);
      return router
        .createAccounts(parsed.batch, deadlineMs)
        .then((reply) => created(BatchKind.accounts, parsed, reply));
    case 'create_transfers':
      refuseLongAnswer(parsed, options.answerBytesMax);
      return router
        .createTransfers(parsed.batch, deadlineMs)
        .then((reply) => created(BatchKind.transfers, parsed, reply));
    case 'lookup_accounts':
      return router
        .lookupAccounts(parsed.batch, deadlineMs)
        .then((reply) => found(BatchKind.accounts, parsed, reply));
    case 'lookup_transfers':
      return router
        .lookupTransfers(parsed.batch, deadlineMs)
        .then((reply) => found(BatchKind.transfers, parsed, reply));
    default:
      return unreachable(operation);
  }
}

function parse(operation: BatchOperation, body: Uint8Array): Parsed {
  switch (operation) {
    case 'create_accounts':
      return parseCreate(BatchKind.accounts, body);
    case 'create_transfers':
      return parseCreate(BatchKind.transfers, body);
    case 'lookup_accounts':
    case 'lookup_transfers':
      return parseLookup(body);
    default:
      return unreachable(operation);
  }
}

function refuseLongAnswer(parsed: Parsed, bytesMax: number | undefined): void {
  if (bytesMax === undefined || parsed.batch.n === 1) return;
  const each = parsed.shape === 'columns' ? RESULT_COLUMNAR_BYTES : RESULT_BYTES_MAX;
  if (parsed.batch.n * each + ANSWER_FRAME_BYTES <= bytesMax) return;
  throw new SyceeError(
    'too_large',
    `the answer to ${parsed.batch.n} events may exceed the ${bytesMax} bytes that the NATS server allows; send fewer, or columns`,
  );
}

function created(kind: BatchKind, parsed: Parsed, reply: CreateReply): Answer {
  return {
    payload: encodeCreate(kind, parsed, reply),
    encoding: parsed.encoding,
    httpStatus: parsed.shape === 'one' ? statusHttp(kind, reply.statuses[0]!) : 200,
  };
}

function found(kind: BatchKind, parsed: Parsed, reply: RowsReply): Answer {
  return { payload: encodeRows(kind, parsed, reply), encoding: parsed.encoding, httpStatus: 200 };
}

/** An id as a path names it. */
export function idOfPath(text: string): bigint {
  const id = /^[0-9]{1,39}$/.test(text) ? BigInt(text) : -1n;
  if (id >= 0n && id <= UINT128_MAX) return id;
  throw new SyceeError('malformed_request', 'id must be a decimal number from 0 to 2^128 - 1', {
    field: 'id',
    rule: 'u128',
  });
}

/** The batch of one id. */
export function batchOfOneId(id: bigint): Batch {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, id & 0xffff_ffff_ffff_ffffn, true);
  view.setBigUint64(8, id >> 64n, true);
  return batchOfColumns(BatchKind.ids, 1, [{ column: 0, constant: false, bytes }]);
}

const CODES: ReadonlySet<string> = new Set(ERROR_CODES);

/** The error itself when it is one of ours. Anything else is a bug: it is logged, and the caller learns only that he cannot know. */
export function asSyceeError(error: unknown, log: (line: string) => void): SyceeError {
  if (error instanceof SyceeError) return error;
  if (error instanceof Error && 'code' in error && CODES.has(String(error.code))) {
    return new SyceeError(error.code as SyceeError['code'], error.message, { cause: error });
  }
  log(
    `gateway: unexpected ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  );
  return new SyceeError(
    'unknown',
    'an unexpected error: the request may or may not have happened; ask again with the same ids',
    { cause: error },
  );
}
