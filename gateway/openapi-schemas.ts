/** The schemas of `/openapi.json`: fields, statuses, and flags come from the tables that the code itself goes by. */
import { BatchKind } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import {
  ChangeType,
  PENDING_STATUS_NAMES,
  QUERY_LIMIT_DEFAULT,
  QUERY_LIMIT_MAX,
} from '../engine/query.ts';
import { ACCOUNT_STATUS_PRECEDENCE, TRANSFER_STATUS_PRECEDENCE } from '../engine/status.ts';
import { ERROR_CODES } from '../lib/sycee-error.ts';
import { rulesOf } from './field-rules.ts';
import { CURSOR_CHARS_MAX } from './wire-codec-filters.ts';

export type Schema = Readonly<Record<string, unknown>>;

export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

const object = (
  properties: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
): Schema => ({
  type: 'object',
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  properties,
  additionalProperties: false,
});

const list = (items: Schema): Schema => ({ type: 'array', items });
const many = (items: Schema): Schema => ({
  ...list(items),
  minItems: 1,
  maxItems: BATCH_EVENTS_MAX,
});

const unsigned = (bits: number): Schema => ({
  type: 'integer',
  minimum: 0,
  maximum: 2 ** bits - 1,
});

/** Flags as an answer has them, and as a request may. */
const flagsOf = (kind: BatchKind): { readonly answer: Schema; readonly request: Schema } => {
  const answer = {
    ...list({ type: 'string', enum: rulesOf(kind).flags.names }),
    uniqueItems: true,
  };
  return { answer, request: { oneOf: [answer, unsigned(16)] } };
};

const ACCOUNT_ANSWER: Readonly<Record<string, Schema>> = {
  id: ref('U128'),
  debits_pending: ref('U128'),
  debits_posted: ref('U128'),
  credits_pending: ref('U128'),
  credits_posted: ref('U128'),
  user_data_128: ref('U128'),
  user_data_64: ref('U64'),
  user_data_32: unsigned(32),
  reserved: unsigned(32),
  ledger: unsigned(32),
  code: unsigned(16),
  flags: flagsOf(BatchKind.accounts).answer,
  timestamp: ref('U64'),
};

const TRANSFER_ANSWER: Readonly<Record<string, Schema>> = {
  id: ref('U128'),
  debit_account_id: ref('U128'),
  credit_account_id: ref('U128'),
  amount: ref('U128'),
  pending_id: ref('U128'),
  user_data_128: ref('U128'),
  user_data_64: ref('U64'),
  user_data_32: unsigned(32),
  timeout: unsigned(32),
  ledger: unsigned(32),
  code: unsigned(16),
  flags: flagsOf(BatchKind.transfers).answer,
  timestamp: ref('U64'),
};

/** A transfer as it was made, and as it is told by itself: with what became of it. */
const TRANSFER_TOLD: Readonly<Record<string, Schema>> = {
  ...TRANSFER_ANSWER,
  pending_status: { type: 'string', enum: PENDING_STATUS_NAMES },
};

/** A request has the fields of the answer, all of them optional: what is left out is 0. */
function requestOf(answer: Readonly<Record<string, Schema>>, flags: Schema): Schema {
  const properties: Record<string, Schema> = {};
  for (const [name, schema] of Object.entries(answer)) {
    const isWide = schema['$ref'] !== undefined;
    properties[name] = isWide ? ref(`${String(schema['$ref']).split('/').at(-1)}Input`) : schema;
  }
  properties['flags'] = flags;
  return object(properties, Object.keys(properties));
}

const page = (rows: string, items: string): Schema =>
  object({
    [rows]: list(ref(items)),
    next: { type: ['string', 'null'], description: 'the cursor of what follows; null at the end' },
    positions: ref('Positions'),
  });

/** Of query_accounts and query_transfers; the filters of the others are query parameters. */
const QUERY_FILTER: Readonly<Record<string, Schema>> = {
  user_data_128: ref('U128Input'),
  user_data_64: ref('U64Input'),
  user_data_32: unsigned(32),
  ledger: unsigned(32),
  code: unsigned(16),
  timestamp_min: ref('U64Input'),
  timestamp_max: ref('U64Input'),
  limit: ref('Limit'),
  flags: {
    oneOf: [{ ...list({ type: 'string', enum: ['reversed'] }), uniqueItems: true }, unsigned(1)],
  },
  reversed: { type: 'boolean', description: 'the newest first, as the flag of that name' },
  cursor: ref('Cursor'),
};

const wideInput = (name: string): Schema => ({
  oneOf: [ref(name), { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }],
});

const result = (status: string): Readonly<Record<string, Schema>> => ({
  status: ref(status),
  timestamp: ref('U64'),
});

export const SCHEMAS: Readonly<Record<string, Schema>> = {
  U128: {
    type: 'string',
    pattern: '^(0|[1-9][0-9]{0,38})$',
    description: 'a decimal number up to 2^128 - 1',
  },
  U64: {
    type: 'string',
    pattern: '^(0|[1-9][0-9]{0,19})$',
    description: 'a decimal number up to 2^64 - 1',
  },
  U128Input: wideInput('U128'),
  U64Input: wideInput('U64'),
  Account: object(ACCOUNT_ANSWER),
  Transfer: object(TRANSFER_TOLD),
  AccountInput: requestOf(ACCOUNT_ANSWER, flagsOf(BatchKind.accounts).request),
  TransferInput: requestOf(TRANSFER_ANSWER, flagsOf(BatchKind.transfers).request),
  AccountInputs: many(ref('AccountInput')),
  TransferInputs: many(ref('TransferInput')),
  Ids: object({ ids: many(ref('U128Input')) }),
  Position: object({ shard: unsigned(6), sequence: unsigned(40), timestamp: ref('U64') }),
  Positions: list(ref('Position')),
  AccountStatus: { type: 'string', enum: ACCOUNT_STATUS_PRECEDENCE },
  TransferStatus: { type: 'string', enum: TRANSFER_STATUS_PRECEDENCE },
  AccountResult: object({ ...result('AccountStatus'), positions: ref('Positions') }),
  TransferResult: object({ ...result('TransferStatus'), positions: ref('Positions') }),
  AccountResults: object({
    results: list(object(result('AccountStatus'))),
    positions: ref('Positions'),
  }),
  TransferResults: object({
    results: list(object(result('TransferStatus'))),
    positions: ref('Positions'),
  }),
  Accounts: object({ accounts: list(ref('Account')), positions: ref('Positions') }),
  Transfers: object({ transfers: list(ref('Transfer')), positions: ref('Positions') }),
  Limit: {
    type: 'integer',
    minimum: 0,
    maximum: QUERY_LIMIT_MAX,
    default: QUERY_LIMIT_DEFAULT,
    description: 'rows of a page; with 0 it is empty',
  },
  Cursor: { type: 'string', maxLength: CURSOR_CHARS_MAX, pattern: '^[!-~]*$' },
  QueryFilter: object(QUERY_FILTER, Object.keys(QUERY_FILTER)),
  AccountTransfer: object({ ...TRANSFER_TOLD, effect_timestamp: ref('U64') }),
  AccountBalance: object({
    debits_pending: ref('U128'),
    debits_posted: ref('U128'),
    credits_pending: ref('U128'),
    credits_posted: ref('U128'),
    timestamp: ref('U64'),
    effect_timestamp: ref('U64'),
  }),
  Change: object({
    type: { type: 'string', enum: Object.keys(ChangeType) },
    timestamp: ref('U64'),
    transfer: object(TRANSFER_ANSWER),
    debit_account: ref('Account'),
    credit_account: ref('Account'),
  }),
  AccountTransferPage: page('transfers', 'AccountTransfer'),
  AccountBalancePage: page('balances', 'AccountBalance'),
  AccountPage: page('accounts', 'Account'),
  TransferPage: page('transfers', 'Transfer'),
  ChangePage: page('changes', 'Change'),
  Problem: object(
    {
      type: { type: 'string', format: 'uri-reference' },
      title: { type: 'string' },
      status: { type: 'integer', minimum: 400, maximum: 599 },
      detail: { type: 'string' },
      code: { type: 'string', enum: [...ERROR_CODES, 'not_found', 'method_not_allowed'] },
      retryable: {
        type: 'boolean',
        description: 'the same request with the same ids may be sent again',
      },
      field: { type: 'string', description: 'of malformed_request: the field' },
      rule: { type: 'string', description: 'of malformed_request: the rule that it breaks' },
      shards: {
        ...list(
          object({
            shard: unsigned(6),
            phase: { type: 'string' },
            storage_full: { type: 'boolean' },
            sequence: { type: 'integer', minimum: 0 },
            of: { type: 'integer', minimum: 0 },
            fraction: { type: 'number', minimum: 0, maximum: 1 },
          }),
        ),
        description: 'of not_ready: what each shard is at, and how much of that is done',
      },
    },
    ['field', 'rule', 'shards'],
  ),
  Live: object({
    status: { type: 'string', enum: ['live', 'ready'] },
    version: { type: 'string' },
  }),
  Status: object({
    name: { const: 'sycee' },
    version: { type: 'string' },
    node: { type: 'string' },
    ready: { type: 'boolean' },
    shards: list(
      object({
        shard: unsigned(6),
        state: { type: 'string' },
        sequence: unsigned(40),
        timestamp: ref('U64'),
        queue_depth: unsigned(40),
        in_flight: unsigned(40),
        storage_full: { type: 'boolean' },
      }),
    ),
    admission: object({
      requests: unsigned(40),
      requests_max: unsigned(40),
      bytes: unsigned(48),
      bytes_max: unsigned(48),
      refused: unsigned(48),
    }),
    limits: object({ batch_events_max: { const: BATCH_EVENTS_MAX } }),
    statuses: object({
      create_accounts: ref('StatusNumbers'),
      create_transfers: ref('StatusNumbers'),
    }),
  }),
  StatusNumbers: { type: 'object', additionalProperties: unsigned(16) },
};
