/** The paths of `/openapi.json` that ask about the past: filters as query parameters or as a body, and pages. */
import { type PAGES, QUERY } from './openapi-examples.ts';
import { ref, type Schema } from './openapi-schemas.ts';
import { FilterFlag } from './wire-codec-filters.ts';

export interface QueryPath {
  readonly method: 'get' | 'post';
  readonly operationId: string;
  readonly summary: string;
  readonly page: keyof typeof PAGES;
  /** Beside those of every path. */
  readonly parameters: readonly Schema[];
  readonly body?: Schema;
}

const parameter = (name: string, description: string, schema: Schema): Schema => ({
  name,
  in: 'query',
  required: false,
  description,
  schema,
});

const PAGE_PARAMETERS: readonly Schema[] = [
  parameter('timestamp_min', 'nanoseconds, inclusive', ref('U64')),
  parameter('timestamp_max', 'nanoseconds, inclusive', ref('U64')),
  parameter('limit', 'rows of a page; it may have fewer and go on', ref('Limit')),
  parameter('cursor', 'the next of an earlier answer to the same filter', ref('Cursor')),
];

const ACCOUNT_PARAMETERS: readonly Schema[] = [
  parameter('user_data_128', 'of the transfer', ref('U128')),
  parameter('user_data_64', 'of the transfer', ref('U64')),
  parameter('user_data_32', 'of the transfer', { type: 'integer', minimum: 0 }),
  parameter('code', 'of the transfer', { type: 'integer', minimum: 0, maximum: 0xffff }),
  ...PAGE_PARAMETERS,
  {
    ...parameter('flags', 'which sides, both unless given; and the newest first', {
      oneOf: [
        { type: 'array', items: { type: 'string', enum: Object.keys(FilterFlag) } },
        { type: 'integer', minimum: 0, maximum: 7 },
      ],
    }),
    style: 'form',
    explode: false,
  },
];

const QUERY_BODY: Schema = {
  'application/json': { schema: ref('QueryFilter'), example: QUERY },
  'application/msgpack': {},
  'application/vnd.msgpack': {},
};

export const QUERY_PATHS: Readonly<Record<string, QueryPath>> = {
  '/v1/accounts/{id}/transfers': {
    method: 'get',
    operationId: 'get_account_transfers',
    summary: 'The transfers of an account, in the order of their effect on it',
    page: 'AccountTransferPage',
    parameters: [{ $ref: '#/components/parameters/id' }, ...ACCOUNT_PARAMETERS],
  },
  '/v1/accounts/{id}/balances': {
    method: 'get',
    operationId: 'get_account_balances',
    summary: 'The balances of an account with the flag history after each of its transfers',
    page: 'AccountBalancePage',
    parameters: [{ $ref: '#/components/parameters/id' }, ...ACCOUNT_PARAMETERS],
  },
  '/v1/accounts/query': {
    method: 'post',
    operationId: 'query_accounts',
    summary: 'Accounts by their fields, as they are now',
    page: 'AccountPage',
    parameters: [],
    body: QUERY_BODY,
  },
  '/v1/transfers/query': {
    method: 'post',
    operationId: 'query_transfers',
    summary: 'Transfers by their fields',
    page: 'TransferPage',
    parameters: [],
    body: QUERY_BODY,
  },
  '/v1/changes': {
    method: 'get',
    operationId: 'get_change_events',
    summary: 'Each change, in the order of timestamps',
    page: 'ChangePage',
    parameters: PAGE_PARAMETERS,
  },
};
