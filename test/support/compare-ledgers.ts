/**
 * What must agree between a whole system and the model at rest: every account, every transfer with what became of it, the money in each ledger,
 * and where it is asked for, what each account took part in and its balances after it.
 */
import { BATCH_EVENTS_MAX } from '../../engine/limits.ts';
import { QUERY_LIMIT_MAX } from '../../engine/query.ts';
import type { LedgerClient, StoredTransfer } from './ledger-client.ts';
import type { StoredAccount, Transfer } from './ledger-records.ts';
import { balancesOf } from './model-client.ts';
import {
  CREDITS_MUST_NOT_EXCEED_DEBITS,
  DEBITS_MUST_NOT_EXCEED_CREDITS,
  type ModelLedger,
} from './model-ledger.ts';

const HISTORY = 8;

/** What differs, or null. Ids that the model does not have are looked up as well: they must be missing. */
export async function differenceOfLedgers(
  client: LedgerClient,
  model: ModelLedger,
  idsOfNothing: readonly bigint[] = [],
): Promise<string | null> {
  const due = model.accounts();
  const accountIds = [...due.map(({ id }) => id), ...idsOfNothing];
  const accounts = await lookup(accountIds, (ids) => client.lookupAccounts(ids));
  if (accounts.length !== due.length) return `${accounts.length} accounts, not ${due.length}`;
  for (const [i, account] of due.entries()) {
    const difference = differenceOfRows(account, accounts[i]!);
    if (difference !== null) return `account ${account.id}: ${difference}`;
  }
  const difference = await differenceOfTransfers(client, model, idsOfNothing);
  return difference ?? defectOfBalances(accounts);
}

/** An id that is used on several shards may be shown from any of them. */
async function differenceOfTransfers(
  client: LedgerClient,
  model: ModelLedger,
  idsOfNothing: readonly bigint[],
): Promise<string | null> {
  const due = Map.groupBy(model.transfers(), ({ id }) => id);
  const ids = [...due.keys(), ...idsOfNothing];
  const transfers = await lookup(ids, (some) => client.lookupTransfers(some));
  const order = [...new Set(transfers.map(({ id }) => id))];
  const missing = [...due.keys()].find((id, i) => order[i] !== id);
  if (missing !== undefined) return `transfer ${missing} is missing, or not in its place`;
  if (order.length !== due.size) return `transfer ${order[due.size]} should not be there`;
  for (const transfer of transfers) {
    const differences = due
      .get(transfer.id)!
      .map((one) => differenceOfRows(one, transfer) ?? differenceOfStatus(model, one, transfer));
    if (!differences.includes(null)) return `transfer ${transfer.id}: ${differences[0]}`;
  }
  return null;
}

/** Where a client does not tell, nothing may be pending. */
function differenceOfStatus(
  model: ModelLedger,
  due: Transfer,
  { pendingStatus = 'none' }: StoredTransfer,
): string | null {
  const status = model.pendingStatusOf(due);
  return pendingStatus === status ? null : `pendingStatus is ${pendingStatus}, not ${status}`;
}

async function lookup<Row>(
  ids: readonly bigint[],
  ask: (
    ids: readonly bigint[],
  ) => Promise<{ accounts: readonly Row[] } | { transfers: readonly Row[] }>,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (let i = 0; i < ids.length; i += BATCH_EVENTS_MAX) {
    const reply = await ask(ids.slice(i, i + BATCH_EVENTS_MAX));
    rows.push(...('accounts' in reply ? reply.accounts : reply.transfers));
  }
  return rows;
}

function differenceOfRows(due: object, actual: object): string | null {
  const fields = actual as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(due)) {
    if (name === 'reserved' || fields[name] === value) continue;
    return `${name} is ${String(fields[name])}, not ${String(value)}`;
  }
  return null;
}

/**
 * The statement of every account, page by page, and the balances of those that keep a history. On several shards the events of one batch may
 * take effect in another order: then balances are compared at the end only, and statements without their order.
 */
export async function differenceOfHistories(
  client: LedgerClient,
  model: ModelLedger,
  { hasOrder, limit = QUERY_LIMIT_MAX }: { readonly hasOrder: boolean; readonly limit?: number },
): Promise<string | null> {
  for (const { id, flags } of model.accounts()) {
    const due = model
      .changes()
      .filter(({ type, transfer: t }) => type !== 'two_phase_expired' && isSide(t, id));
    const ids = due.map(({ transfer }) => transfer.id);
    const shown = (await statementOf(client, id, limit)).map((one) => one.id);
    const inOrder = (some: readonly bigint[]): string =>
      (hasOrder ? some : some.toSorted((a, b) => (a < b ? -1 : 1))).join();
    if (inOrder(shown) !== inOrder(ids)) return `account ${id}: ${shown.length} transfers differ`;
    const after = due.map(({ debit, credit }) => balancesOf(debit.id === id ? debit : credit));
    const balances = await balancesShown(client, id, limit);
    const kept = (flags & HISTORY) === 0 ? [] : after;
    if (balances.length !== kept.length) return `account ${id}: ${balances.length} balances`;
    for (const [i, one] of kept.entries()) {
      if (!hasOrder) break;
      const difference = differenceOfRows(one, balances[i]!);
      if (difference !== null) return `account ${id}, balances ${i}: ${difference}`;
    }
  }
  return null;
}

function isSide(transfer: Transfer, id: bigint): boolean {
  return transfer.debitAccountId === id || transfer.creditAccountId === id;
}

async function statementOf(client: LedgerClient, accountId: bigint, limit: number) {
  const rows: StoredTransfer[] = [];
  const filter = { accountId, debits: true, credits: true, limit };
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await client.getAccountTransfers!({ ...filter, ...(cursor && { cursor }) });
    rows.push(...page.transfers);
    cursor = page.next;
  }
  return rows;
}

async function balancesShown(client: LedgerClient, accountId: bigint, limit: number) {
  const rows: object[] = [];
  const filter = { accountId, debits: true, credits: true, limit };
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await client.getAccountBalances!({ ...filter, ...(cursor && { cursor }) });
    rows.push(...page.balances);
    cursor = page.next;
  }
  return rows;
}

/** A broken limit, or a ledger whose debits are not its credits. */
export function defectOfBalances(accounts: readonly StoredAccount[]): string | null {
  const sums = new Map<string, bigint>();
  const add = (ledger: string, amount: bigint): void => {
    sums.set(ledger, (sums.get(ledger) ?? 0n) + amount);
  };
  for (const { id, ledger, flags, ...one } of accounts) {
    add(`ledger ${ledger}`, one.debitsPosted - one.creditsPosted);
    add(`what is pending in ledger ${ledger}`, one.debitsPending - one.creditsPending);
    const mayNotOwe = (flags & DEBITS_MUST_NOT_EXCEED_CREDITS) !== 0;
    const mayOnlyOwe = (flags & CREDITS_MUST_NOT_EXCEED_DEBITS) !== 0;
    const debits = one.debitsPending + one.debitsPosted;
    const credits = one.creditsPending + one.creditsPosted;
    if (mayNotOwe && debits > one.creditsPosted) return `account ${id} breaks its limit`;
    if (mayOnlyOwe && credits > one.debitsPosted) return `account ${id} breaks its limit`;
  }
  for (const [ledger, sum] of sums) if (sum !== 0n) return `${ledger} is off by ${sum}`;
  return null;
}
