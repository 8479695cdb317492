/** Pages of the past as HTTP answers them, from JSON. `json-codec.ts` reads the rows. */
import { BatchKind, ROW_WORDS } from '../engine/batch.ts';
import type { PageOf, QueryOperation } from '../gateway/wire-codec-filters.ts';
import {
  BALANCE_NAMES,
  BALANCES_WORDS,
  CHANGE_TYPE_NAMES,
  LIST_NAMES,
} from '../gateway/wire-codec-pages.ts';
import {
  type JsonFields,
  listOf,
  parsed,
  pendingStatusesOf,
  positionsOf,
  rowsOfObjects,
  strangeAnswer,
  wide,
} from './json-codec.ts';

const { accounts, transfers } = BatchKind;

/** What each page has beside n, next, and positions. */
const PAGES: {
  readonly [O in QueryOperation]: (
    list: readonly JsonFields[],
  ) => Omit<PageOf<O>, 'n' | 'next' | 'positions'>;
} = {
  get_account_transfers: (list) => ({
    rows: rowsOfObjects(transfers, list),
    pendingStatuses: pendingStatusesOf(list),
    effectTimestamps: stampsOf(list, 'effect_timestamp'),
  }),
  get_account_balances: (list) => ({
    balances: balancesOf(list),
    timestamps: stampsOf(list, 'timestamp'),
    effectTimestamps: stampsOf(list, 'effect_timestamp'),
  }),
  query_accounts: (list) => ({ rows: rowsOfObjects(accounts, list) }),
  query_transfers: (list) => ({
    rows: rowsOfObjects(transfers, list),
    pendingStatuses: pendingStatusesOf(list),
  }),
  get_change_events: (list) => ({
    types: Uint8Array.from(list, typeOf),
    timestamps: stampsOf(list, 'timestamp'),
    transfers: rowsOfObjects(transfers, nested(list, 'transfer')),
    debitAccounts: rowsOfObjects(accounts, nested(list, 'debit_account')),
    creditAccounts: rowsOfObjects(accounts, nested(list, 'credit_account')),
  }),
};

export function decodeJsonPage<O extends QueryOperation>(
  operation: O,
  bytes: Uint8Array,
): PageOf<O> {
  const answer = parsed(bytes);
  const list = listOf(answer[LIST_NAMES[operation]]);
  const next = answer['next'];
  if (next !== null && typeof next !== 'string') throw strangeAnswer('next is missing');
  const positions = positionsOf(answer['positions']);
  const page = { n: list.length, next, positions, ...PAGES[operation](list) };
  return page as unknown as PageOf<O>;
}

const nested = (list: readonly JsonFields[], name: string): readonly JsonFields[] =>
  listOf(list.map((one) => one[name]));

const stampsOf = (list: readonly JsonFields[], name: string): BigUint64Array =>
  BigUint64Array.from(list, (one) => wide(one[name]));

function typeOf(change: JsonFields): number {
  const type = (CHANGE_TYPE_NAMES as readonly unknown[]).indexOf(change['type']);
  if (type < 0) throw strangeAnswer(`type ${String(change['type'])} is not known`);
  return type;
}

/** The four balances lie in a row as they lie in an account's. */
function balancesOf(list: readonly JsonFields[]): Uint32Array {
  const objects = list.map((one) =>
    Object.fromEntries(BALANCE_NAMES.map((name) => [name, one[name]])),
  );
  const rows = rowsOfObjects(accounts, objects);
  const balances = new Uint32Array(list.length * BALANCES_WORDS);
  for (let i = 0; i < list.length; i++) {
    const from = i * ROW_WORDS + 4;
    balances.set(rows.subarray(from, from + BALANCES_WORDS), i * BALANCES_WORDS);
  }
  return balances;
}
