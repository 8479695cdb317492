/**
 * Questions about the past on the wire: the operations, the fields that a filter may have, and a filter as a client sends it. What a filter
 * asks for that no ledger can have (an invalid filter) is told here, so that nobody has to be asked.
 *
 *   get_account_transfers, get_account_balances   account_id, user_data_*, code, timestamp_*, limit, flags: debits 1, credits 2, reversed 4
 *   query_accounts, query_transfers               user_data_*, ledger, code, timestamp_*, limit, flags: reversed 1 (or reversed: true)
 *   get_change_events                             timestamp_*, limit
 * and `cursor` for each of them.
 */
import type {
  AccountFilter,
  AccountTransfersPage,
  BalancesPage,
  ChangesFilter,
  ChangesPage,
  Page,
  PageOptions,
  QueryFilter,
  TransfersPage,
  UserFilter,
} from '../engine/query.ts';
import { UINT128_MAX } from '../engine/uint128.ts';
import { NameTable } from './field-rules.ts';

export const QUERY_OPERATIONS = [
  'get_account_transfers',
  'get_account_balances',
  'query_accounts',
  'query_transfers',
  'get_change_events',
] as const;
export type QueryOperation = (typeof QUERY_OPERATIONS)[number];

interface Queries {
  readonly get_account_transfers: {
    readonly filter: AccountFilter;
    readonly page: AccountTransfersPage;
  };
  readonly get_account_balances: { readonly filter: AccountFilter; readonly page: BalancesPage };
  readonly query_accounts: { readonly filter: QueryFilter; readonly page: Page };
  readonly query_transfers: { readonly filter: QueryFilter; readonly page: TransfersPage };
  readonly get_change_events: { readonly filter: ChangesFilter; readonly page: ChangesPage };
}
export type FilterOf<Operation extends QueryOperation> = Queries[Operation]['filter'];
export type PageOf<Operation extends QueryOperation> = Queries[Operation]['page'];

/** Longer ones than this server makes are refused unread. */
export const CURSOR_CHARS_MAX = 4096;

/** Bits of each number; `flags` is a number or a list of names, `cursor` is text. */
export const FILTER_FIELD_BITS: ReadonlyMap<string, 16 | 32 | 64 | 128> = new Map([
  ['account_id', 128],
  ['user_data_128', 128],
  ['user_data_64', 64],
  ['user_data_32', 32],
  ['ledger', 32],
  ['code', 16],
  ['timestamp_min', 64],
  ['timestamp_max', 64],
  ['limit', 32],
  ['flags', 32],
]);

export interface FilterRules {
  readonly fields: NameTable;
  /** By bit. */
  readonly flags: NameTable;
  /** Without it nothing is asked. */
  readonly required: string | undefined;
}

const USER_FIELDS = ['user_data_128', 'user_data_64', 'user_data_32', 'code'];
const PAGE_FIELDS = ['timestamp_min', 'timestamp_max', 'limit', 'cursor'];

const accountRules: FilterRules = {
  fields: new NameTable(['account_id', ...USER_FIELDS, ...PAGE_FIELDS, 'flags']),
  flags: new NameTable(['debits', 'credits', 'reversed']),
  required: 'account_id',
};
const queryRules: FilterRules = {
  fields: new NameTable([...USER_FIELDS, 'ledger', ...PAGE_FIELDS, 'flags', 'reversed']),
  flags: new NameTable(['reversed']),
  required: undefined,
};
const changesRules: FilterRules = {
  fields: new NameTable(PAGE_FIELDS),
  flags: new NameTable([]),
  required: undefined,
};

export const FILTER_RULES: Readonly<Record<QueryOperation, FilterRules>> = {
  get_account_transfers: accountRules,
  get_account_balances: accountRules,
  query_accounts: queryRules,
  query_transfers: queryRules,
  get_change_events: changesRules,
};

export const FilterFlag = { debits: 1, credits: 2, reversed: 4 } as const;
export const QUERY_REVERSED = 1;

const TIMESTAMP_MAX = (1n << 63n) - 1n;

/** Whether a filter is invalid: its answer is an empty page. */
export function isVoidFilter(filter: ChangesFilter | QueryFilter | AccountFilter): boolean {
  const { timestampMin, timestampMax, limit } = filter;
  if (limit === 0 || timestampMin > TIMESTAMP_MAX || timestampMax > TIMESTAMP_MAX) return true;
  if (timestampMax !== 0n && timestampMax < timestampMin) return true;
  if (!('accountId' in filter)) return false;
  const { accountId, debits, credits } = filter;
  return accountId === 0n || accountId === UINT128_MAX || !(debits || credits);
}

/** A filter as a map of its given fields; u64 and u128 are decimal strings. */
export type FilterFields = Readonly<Record<string, string | number>>;

const FIELDS_OF: { readonly [O in QueryOperation]: (filter: FilterOf<O>) => FilterFields } = {
  get_account_transfers: accountFields,
  get_account_balances: accountFields,
  query_accounts: queryFields,
  query_transfers: queryFields,
  get_change_events: pageFields,
};

export function fieldsOfFilter<O extends QueryOperation>(
  operation: O,
  filter: FilterOf<O>,
): FilterFields {
  return FIELDS_OF[operation](filter);
}

function accountFields(filter: AccountFilter): FilterFields {
  const { accountId, debits, credits, reversed } = filter;
  const flags =
    (debits ? FilterFlag.debits : 0) |
    (credits ? FilterFlag.credits : 0) |
    (reversed ? FilterFlag.reversed : 0);
  return { account_id: String(accountId), ...userFields(filter), ...pageFields(filter), flags };
}

function queryFields(filter: QueryFilter): FilterFields {
  const { ledger, reversed } = filter;
  return {
    ...userFields(filter),
    ...(ledger === 0 ? {} : { ledger }),
    ...pageFields(filter),
    ...(reversed ? { flags: QUERY_REVERSED } : {}),
  };
}

function userFields(filter: UserFilter): FilterFields {
  const { userData128, userData64, userData32, code } = filter;
  return {
    ...(userData128 === 0n ? {} : { user_data_128: String(userData128) }),
    ...(userData64 === 0n ? {} : { user_data_64: String(userData64) }),
    ...(userData32 === 0 ? {} : { user_data_32: userData32 }),
    ...(code === 0 ? {} : { code }),
  };
}

function pageFields(filter: Omit<PageOptions, 'reversed'>): FilterFields {
  const { timestampMin, timestampMax, limit, cursor } = filter;
  return {
    ...(timestampMin === 0n ? {} : { timestamp_min: String(timestampMin) }),
    ...(timestampMax === 0n ? {} : { timestamp_max: String(timestampMax) }),
    limit,
    ...(cursor === '' ? {} : { cursor }),
  };
}

const NOTHING = { n: 0, next: null, positions: [] };
const rows = new Uint32Array(0);
const pendingStatuses = new Uint8Array(0);
const stamps = new BigUint64Array(0);

const EMPTY: { readonly [O in QueryOperation]: PageOf<O> } = {
  get_account_transfers: { ...NOTHING, rows, pendingStatuses, effectTimestamps: stamps },
  get_account_balances: {
    ...NOTHING,
    balances: rows,
    timestamps: stamps,
    effectTimestamps: stamps,
  },
  query_accounts: { ...NOTHING, rows },
  query_transfers: { ...NOTHING, rows, pendingStatuses },
  get_change_events: {
    ...NOTHING,
    types: pendingStatuses,
    timestamps: stamps,
    transfers: rows,
    debitAccounts: rows,
    creditAccounts: rows,
  },
};

/** The answer to an invalid filter. */
export function emptyPage<O extends QueryOperation>(operation: O): PageOf<O> {
  return EMPTY[operation];
}
