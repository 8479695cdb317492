/** What a table says of a ledger after its batches: balances, look-ups, and what reads of the past show. */
import type { AskedOfAccount, ChangeEvent, LedgerClient } from './ledger-client.ts';
import type { Balances } from './ledger-records.ts';
import {
  bigintOf,
  fail,
  smallOf,
  transferFlagsOf,
  type Cells,
  type Names,
  type TableRow,
} from './table-cells.ts';

export interface Checked {
  readonly rows: readonly TableRow[];
  readonly client: LedgerClient;
  readonly names: Names;
}

const CLOSED = 32;

export async function checkBalances({ rows, client, names }: Checked): Promise<void> {
  for (const row of rows) {
    const { accounts } = await client.lookupAccounts([names.account(row.cells['account']!)]);
    const account = accounts[0];
    if (account === undefined) fail(row, 'no such account');
    checkAmounts(row, account);
    const state = (account.flags & CLOSED) === 0 ? 'open' : 'closed';
    if (row.cells['state'] && row.cells['state'] !== state) fail(row, state);
  }
}

/** `debits` and `credits` are posted ones; a pending column that is left out says 0. */
function checkAmounts(row: TableRow, actual: Balances): void {
  const { debits, credits, debits_pending: debitsWait, credits_pending: creditsWait } = row.cells;
  const isEqual =
    actual.debitsPosted === bigintOf(debits) &&
    actual.creditsPosted === bigintOf(credits) &&
    actual.debitsPending === bigintOf(debitsWait) &&
    actual.creditsPending === bigintOf(creditsWait);
  if (isEqual) return;
  const posted = `debits ${actual.debitsPosted}, credits ${actual.creditsPosted}`;
  fail(row, `${posted}, pending ${actual.debitsPending}, ${actual.creditsPending}`);
}

export async function checkLookups({ rows, client, names }: Checked): Promise<void> {
  for (const row of rows) {
    const id = names.transfer(row.cells['transfer']);
    const { transfers } = await client.lookupTransfers([id]);
    const found = transfers[0];
    const isMissing = row.cells['lookup'] === 'missing';
    if ((found === undefined) !== isMissing) fail(row, found ? 'found' : 'missing');
    if (found === undefined) continue;
    if (found.id !== id) fail(row, `transfer ${found.id}`);
    const due: Record<string, unknown> = dueOf(row.cells, names);
    const fields: Readonly<Record<string, unknown>> = { ...found };
    for (const [field, value] of Object.entries(due)) {
      if (fields[field] !== value) fail(row, `${field} ${String(fields[field])}`);
    }
  }
}

/** The fields of a transfer that a row names. */
function dueOf(cells: Cells, names: Names): Record<string, unknown> {
  const due: Record<string, unknown> = {};
  const says = (cell: string): boolean => Boolean(cells[cell]);
  if (says('debit')) due['debitAccountId'] = names.account(cells['debit']!);
  if (says('credit')) due['creditAccountId'] = names.account(cells['credit']!);
  if (says('amount')) due['amount'] = bigintOf(cells['amount']);
  if (says('pending_id')) due['pendingId'] = names.transfer(cells['pending_id']);
  if (says('timeout')) due['timeout'] = smallOf(cells['timeout']);
  if (says('flags')) due['flags'] = transferFlagsOf(cells['flags']);
  if (says('ledger')) due['ledger'] = smallOf(cells['ledger']);
  if (says('code')) due['code'] = smallOf(cells['code']);
  if (says('user_data_128')) due['userData128'] = names.tag(cells['user_data_128']);
  if (says('user_data_64')) due['userData64'] = bigintOf(cells['user_data_64']);
  if (says('user_data_32')) due['userData32'] = smallOf(cells['user_data_32']);
  if (says('timestamp')) due['timestamp'] = names.instant(cells['timestamp']);
  if (says('pending_status')) due['pendingStatus'] = cells['pending_status'];
  return due;
}

/** The balances of an account after each of its transfers. */
export async function checkHistory({ rows, client, names }: Checked): Promise<void> {
  for (const group of groupsOf(rows)) {
    if (client.getAccountBalances === undefined) fail(group[0]!, 'nothing of balances');
    const { balances } = await client.getAccountBalances(askedBy(group[0]!, names));
    const due = group.filter(({ cells }) => cells['debits'] || cells['credits']);
    if (balances.length !== due.length) fail(group[0]!, `${balances.length} balances`);
    for (const [i, row] of due.entries()) checkAmounts(row, balances[i]!);
  }
}

/** The transfers of an account. */
export async function checkStatement({ rows, client, names }: Checked): Promise<void> {
  for (const group of groupsOf(rows)) {
    if (client.getAccountTransfers === undefined) fail(group[0]!, 'nothing of transfers');
    const { transfers } = await client.getAccountTransfers(askedBy(group[0]!, names));
    const due = group.filter(({ cells }) => cells['transfer']);
    const actual = transfers.map(({ id }) => names.nameOf(id)).join(' ');
    if (transfers.length !== due.length) fail(group[0]!, actual || 'nothing');
    for (const [i, row] of due.entries()) {
      const { id, amount, pendingStatus } = transfers[i]!;
      if (id !== names.transfer(row.cells['transfer'])) fail(row, actual);
      if (row.cells['amount'] && amount !== bigintOf(row.cells['amount'])) fail(row, `${amount}`);
      const status = row.cells['pending_status'];
      if (status && status !== pendingStatus) fail(row, String(pendingStatus));
    }
  }
}

/** Rows of one answer: the first names the account, the others leave it out. */
function groupsOf(rows: readonly TableRow[]): readonly (readonly TableRow[])[] {
  const groups: TableRow[][] = [];
  for (const row of rows) {
    if (row.cells['account']) groups.push([]);
    if (groups.length === 0) fail(row, 'that the first row names an account');
    groups.at(-1)!.push(row);
  }
  return groups;
}

function askedBy({ cells }: TableRow, names: Names): AskedOfAccount {
  return {
    ...pageOf(cells, names),
    accountId: names.account(cells['account']!),
    debits: cells['side'] !== 'credits',
    credits: cells['side'] !== 'debits',
  };
}

/** What is asked for, without what the row leaves out. */
function pageOf(cells: Cells, names: Names) {
  return {
    ...(cells['limit'] && { limit: smallOf(cells['limit']) }),
    ...(cells['order'] === 'newest first' && { reversed: true }),
    ...(cells['from'] && { timestampMin: names.instant(cells['from']) }),
    ...(cells['to'] && { timestampMax: names.instant(cells['to']) }),
    ...(cells['code'] && { code: smallOf(cells['code']) }),
    ...(cells['user_data_128'] && { userData128: names.tag(cells['user_data_128']) }),
    ...(cells['user_data_64'] && { userData64: bigintOf(cells['user_data_64']) }),
    ...(cells['user_data_32'] && { userData32: smallOf(cells['user_data_32']) }),
  };
}

/**
 * `found` names what is found, in order. Events of one batch on several shards have no order that is known before: there only their number is
 * held against a limit, and without one, that the same are found.
 */
export async function checkQueries(
  { rows, client, names }: Checked,
  isOrdered: boolean,
): Promise<void> {
  for (const row of rows) {
    const { cells } = row;
    const ledger = cells['ledger'] && { ledger: smallOf(cells['ledger']) };
    const filter = { ...pageOf(cells, names), ...ledger };
    const due = cells['found']!.split(' ').filter(Boolean);
    const isOfAccounts = cells['of'] === 'accounts';
    const found = await (isOfAccounts ? foundAccounts : foundTransfers)(row, client, filter);
    const ids = due.map((one) => (isOfAccounts ? names.account(one) : names.transfer(one)));
    const isSame = isOrdered
      ? found.join() === ids.join()
      : cells['limit']
        ? found.length === ids.length
        : sorted(found).join() === sorted(ids).join();
    if (!isSame) fail(row, found.map((id) => names.nameOf(id)).join(' '));
  }
}

const sorted = (ids: readonly bigint[]): readonly bigint[] =>
  ids.toSorted((a, b) => (a < b ? -1 : 1));

async function foundAccounts(row: TableRow, client: LedgerClient, filter: object) {
  if (client.queryAccounts === undefined) fail(row, 'nothing of queries');
  return (await client.queryAccounts(filter)).accounts.map(({ id }) => id);
}

async function foundTransfers(row: TableRow, client: LedgerClient, filter: object) {
  if (client.queryTransfers === undefined) fail(row, 'nothing of queries');
  return (await client.queryTransfers(filter)).transfers.map(({ id }) => id);
}

/** All changes of this table's transfers, in order. */
export async function checkChanges({ rows, client, names }: Checked): Promise<void> {
  if (client.changeEvents === undefined) fail(rows[0]!, 'nothing of changes');
  const seen: ChangeEvent[] = [];
  for await (const event of client.changeEvents({ timestampMin: names.start ?? 0n })) {
    if (names.has(event.transfer.id)) seen.push(event);
  }
  const actual = seen.map(({ type, transfer }) => `${type} ${names.nameOf(transfer.id)}`).join();
  if (seen.length !== rows.length) fail(rows[0]!, actual);
  for (const [i, row] of rows.entries()) checkChange(row, seen[i]!, names, actual);
}

function checkChange(row: TableRow, event: ChangeEvent, names: Names, actual: string): void {
  const { cells } = row;
  const { type, transfer, debitAccount: debit, creditAccount: credit } = event;
  const isIt = type === cells['type'] && names.nameOf(transfer.id) === cells['transfer'];
  if (!isIt) fail(row, actual);
  if (debit.id !== transfer.debitAccountId) fail(row, `debit account ${debit.id}`);
  if (credit.id !== transfer.creditAccountId) fail(row, `credit account ${credit.id}`);
  const due = {
    debits_pending: debit.debitsPending,
    debits: debit.debitsPosted,
    credits_pending: credit.creditsPending,
    credits: credit.creditsPosted,
  };
  for (const [column, value] of Object.entries(due)) {
    const cell = cells[column];
    if (cell && bigintOf(cell) !== value) fail(row, `${column} ${value}`);
  }
}
