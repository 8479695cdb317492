/**
 * Pages of the past to bytes. Rows are as a lookup answers them, beside `next` and `positions`:
 *
 *            get_account_transfers  {transfers: [{…, pending_status, effect_timestamp}, …], next, positions}
 *            get_account_balances   {balances: [{debits_pending, …, timestamp, effect_timestamp}, …], next, positions}
 *            query_accounts         {accounts: [{…}, …], next, positions}
 *            query_transfers        {transfers: [{…, pending_status}, …], next, positions}
 *            get_change_events      {changes: [{type, timestamp, transfer, debit_account, credit_account}, …], next, positions}
 *            any of them, columns   {n, <each field>: bin, next, positions}; in changes the three objects are maps of columns
 * `next` is text, or null (nil) at the end. In columns `pending_status` and `type` are bins of u8, see PendingStatus and ChangeType.
 */
import { Packr } from 'msgpackr';
import { assert } from '../engine/assert.ts';
import { BatchKind, ROW_WORDS } from '../engine/batch.ts';
import { type BalancesPage, ChangeType, type ChangesPage, PendingStatus } from '../engine/query.ts';
import { formatUint128 } from '../engine/uint128.ts';
import {
  formatFields,
  formatPositions,
  formatRow,
  formatTransfer,
  pendingStatusName,
} from './format-rows.ts';
import { emptyPage, type PageOf, type QueryOperation } from './wire-codec-filters.ts';
import {
  bytesOf,
  columnsOfRows,
  type Encoding,
  packedPositions,
  packedRow,
  packedTransfer,
} from './wire-codec.ts';

const { accounts, transfers } = BatchKind;

/** The name of the list of rows. */
export const LIST_NAMES = {
  get_account_transfers: 'transfers',
  get_account_balances: 'balances',
  query_accounts: 'accounts',
  query_transfers: 'transfers',
  get_change_events: 'changes',
} as const satisfies Readonly<Record<QueryOperation, string>>;

export const BALANCE_NAMES = [
  'debits_pending',
  'debits_posted',
  'credits_pending',
  'credits_posted',
] as const;
export const BALANCES_WORDS = 16;

export type ChangeTypeName = keyof typeof ChangeType;
/** By number. */
export const CHANGE_TYPE_NAMES = Object.keys(ChangeType) as readonly ChangeTypeName[];

export interface PageForm {
  readonly encoding: Encoding;
  readonly hasColumns: boolean;
}

const packr = new Packr({ useRecords: false, variableMapSize: true });

type Rows<Result> = { readonly [O in QueryOperation]: (page: PageOf<O>, i: number) => Result };

const TEXTS: Rows<string> = {
  get_account_transfers: (page, i) =>
    `{${formatFields(transfers, page.rows, i)},"pending_status":"${pendingStatusName(page.pendingStatuses[i]!)}",` +
    `"effect_timestamp":"${page.effectTimestamps[i]!}"}`,
  get_account_balances: formatBalances,
  query_accounts: (page, i) => formatRow(accounts, page.rows, i),
  query_transfers: (page, i) => formatTransfer(page.rows, i, page.pendingStatuses[i]!),
  get_change_events: (page, i) =>
    `{"type":"${changeName(page, i)}","timestamp":"${page.timestamps[i]!}",` +
    `"transfer":${formatRow(transfers, page.transfers, i)},` +
    `"debit_account":${formatRow(accounts, page.debitAccounts, i)},` +
    `"credit_account":${formatRow(accounts, page.creditAccounts, i)}}`,
};

const MAPS: Rows<object> = {
  get_account_transfers: (page, i) => ({
    ...packedTransfer(page.rows, i, page.pendingStatuses[i]!),
    effect_timestamp: page.effectTimestamps[i]!,
  }),
  get_account_balances: packedBalances,
  query_accounts: (page, i) => packedRow(accounts, page.rows, i),
  query_transfers: (page, i) => packedTransfer(page.rows, i, page.pendingStatuses[i]!),
  get_change_events: (page, i) => ({
    type: changeName(page, i),
    timestamp: page.timestamps[i]!,
    transfer: packedRow(transfers, page.transfers, i),
    debit_account: packedRow(accounts, page.debitAccounts, i),
    credit_account: packedRow(accounts, page.creditAccounts, i),
  }),
};

const COLUMNS_OF: { readonly [O in QueryOperation]: (page: PageOf<O>) => object } = {
  get_account_transfers: (page) => ({
    ...columnsOfRows(transfers, page.rows, page.n),
    pending_status: page.pendingStatuses,
    effect_timestamp: bytesOf(page.effectTimestamps),
  }),
  get_account_balances: columnsOfBalances,
  query_accounts: (page) => columnsOfRows(accounts, page.rows, page.n),
  query_transfers: (page) => ({
    ...columnsOfRows(transfers, page.rows, page.n),
    pending_status: page.pendingStatuses,
  }),
  get_change_events: (page) => ({
    type: page.types,
    timestamp: bytesOf(page.timestamps),
    transfer: columnsOfRows(transfers, page.transfers, page.n),
    debit_account: columnsOfRows(accounts, page.debitAccounts, page.n),
    credit_account: columnsOfRows(accounts, page.creditAccounts, page.n),
  }),
};

export function encodePage<O extends QueryOperation>(
  operation: O,
  form: PageForm,
  page: PageOf<O>,
): string | Uint8Array {
  const { n, next, positions } = page;
  if (form.encoding === 'json') return formatPage(operation, page);
  if (form.hasColumns) {
    const columns = COLUMNS_OF[operation](page);
    return packr.pack({ n, ...columns, next, positions: packedPositions(positions) });
  }
  const rows: object[] = [];
  for (let i = 0; i < n; i++) rows.push(MAPS[operation](page, i));
  return packr.pack({ [LIST_NAMES[operation]]: rows, next, positions: packedPositions(positions) });
}

function formatPage<O extends QueryOperation>(operation: O, page: PageOf<O>): string {
  let text = `{"${LIST_NAMES[operation]}":[`;
  for (let i = 0; i < page.n; i++) {
    if (i > 0) text += ',';
    text += TEXTS[operation](page, i);
  }
  const next = JSON.stringify(page.next);
  return `${text}],"next":${next},"positions":${formatPositions(page.positions)}}`;
}

function changeName(page: ChangesPage, i: number): ChangeTypeName {
  const name = CHANGE_TYPE_NAMES[page.types[i]!];
  assert(name !== undefined, 'a page holds known types of changes');
  return name;
}

function formatBalances(page: BalancesPage, i: number): string {
  let text = '{';
  for (const [each, name] of BALANCE_NAMES.entries()) {
    text += `"${name}":"${formatUint128(page.balances, i * BALANCES_WORDS + each * 4)}",`;
  }
  return `${text}"timestamp":"${page.timestamps[i]!}","effect_timestamp":"${page.effectTimestamps[i]!}"}`;
}

function packedBalances(page: BalancesPage, i: number): object {
  const { balances } = page;
  const row: Record<string, unknown> = {};
  for (const [each, name] of BALANCE_NAMES.entries()) {
    const at = balances.byteOffset + (i * BALANCES_WORDS + each * 4) * 4;
    row[name] = new Uint8Array(balances.buffer, at, 16);
  }
  row['timestamp'] = page.timestamps[i]!;
  row['effect_timestamp'] = page.effectTimestamps[i]!;
  return row;
}

function columnsOfBalances(page: BalancesPage): object {
  const columns: Record<string, unknown> = {};
  for (const [each, name] of BALANCE_NAMES.entries()) {
    const column = new Uint32Array(page.n * 4);
    for (let i = 0; i < page.n; i++) {
      const at = i * BALANCES_WORDS + each * 4;
      column.set(page.balances.subarray(at, at + 4), i * 4);
    }
    columns[name] = new Uint8Array(column.buffer);
  }
  columns['timestamp'] = bytesOf(page.timestamps);
  columns['effect_timestamp'] = bytesOf(page.effectTimestamps);
  return columns;
}

/** The widest row of each operation. */
const WIDE = new Uint32Array(ROW_WORDS).fill(0xffff_ffff);
const LATE = BigUint64Array.of(2n ** 64n - 1n);
const WIDEST: { readonly [O in QueryOperation]: PageOf<O> } = {
  get_account_transfers: {
    ...emptyPage('get_account_transfers'),
    n: 1,
    rows: WIDE,
    pendingStatuses: Uint8Array.of(PendingStatus.expired),
    effectTimestamps: LATE,
  },
  get_account_balances: {
    ...emptyPage('get_account_balances'),
    n: 1,
    balances: WIDE.subarray(0, BALANCES_WORDS),
    timestamps: LATE,
    effectTimestamps: LATE,
  },
  query_accounts: { ...emptyPage('query_accounts'), n: 1, rows: WIDE },
  query_transfers: {
    ...emptyPage('query_transfers'),
    n: 1,
    rows: WIDE,
    pendingStatuses: Uint8Array.of(PendingStatus.expired),
  },
  get_change_events: {
    ...emptyPage('get_change_events'),
    n: 1,
    types: Uint8Array.of(ChangeType.two_phase_expired),
    timestamps: LATE,
    transfers: WIDE,
    debitAccounts: WIDE,
    creditAccounts: WIDE,
  },
};

/** Bytes that one more row adds to a page at most. */
export function rowBytesMax(operation: QueryOperation, form: PageForm): number {
  const one = encodePage(operation, form, WIDEST[operation]).length;
  return one - encodePage(operation, form, emptyPage(operation)).length + 1;
}
