/**
 * What must agree between a whole system and the model at rest: every account, every transfer, and the money in each ledger.
 */
import { BATCH_EVENTS_MAX } from '../../engine/limits.ts';
import type { LedgerClient } from './ledger-table.ts';
import { DEBITS_MUST_NOT_EXCEED_CREDITS, CREDITS_MUST_NOT_EXCEED_DEBITS } from './model-ledger.ts';
import type { ModelLedger, StoredAccount, Transfer } from './model-ledger.ts';

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
    const differences = due.get(transfer.id)!.map((one) => differenceOfRows(one, transfer));
    if (!differences.includes(null)) return `transfer ${transfer.id}: ${differences[0]}`;
  }
  return null;
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

function differenceOfRows(due: StoredAccount | Transfer, actual: object): string | null {
  const fields = actual as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(due)) {
    if (name === 'reserved' || fields[name] === value) continue;
    return `${name} is ${String(fields[name])}, not ${String(value)}`;
  }
  return null;
}

/** A broken limit, or a ledger whose debits are not its credits. */
export function defectOfBalances(accounts: readonly StoredAccount[]): string | null {
  const sums = new Map<number, bigint>();
  for (const { id, ledger, flags, ...one } of accounts) {
    sums.set(ledger, (sums.get(ledger) ?? 0n) + one.debitsPosted - one.creditsPosted);
    const mayNotOwe = (flags & DEBITS_MUST_NOT_EXCEED_CREDITS) !== 0;
    const mayOnlyOwe = (flags & CREDITS_MUST_NOT_EXCEED_DEBITS) !== 0;
    if (mayNotOwe && one.debitsPosted > one.creditsPosted) return `account ${id} breaks its limit`;
    if (mayOnlyOwe && one.creditsPosted > one.debitsPosted) return `account ${id} breaks its limit`;
    if (one.debitsPending + one.creditsPending !== 0n) return `account ${id} has pending amounts`;
  }
  for (const [ledger, sum] of sums) if (sum !== 0n) return `ledger ${ledger} is off by ${sum}`;
  return null;
}
