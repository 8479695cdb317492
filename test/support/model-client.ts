/**
 * The model behind the calls of a client, with a clock that counts and that a test can turn. What judges the system is itself judged through
 * it.
 */
import type { AccountFilter, ChangesFilter, PageOptions, QueryFilter } from '../../engine/query.ts';
import type { ChangeEvent } from './ledger-client.ts';
import { SECOND, TIMESTAMP_MAX, U128_MAX } from './ledger-records.ts';
import type {
  Account,
  AccountInput,
  Balances,
  PendingStatusName,
  Result,
  Transfer,
  TransferInput,
} from './ledger-records.ts';
import type { Change, Expected, ModelLedger } from './model-ledger.ts';

type StoredTransfer = Transfer & { readonly pendingStatus: PendingStatusName };

export class ModelClient {
  readonly model: ModelLedger;
  /** All answers so far. */
  readonly answered: Expected<Account | Transfer>[] = [];
  #clock: bigint;

  constructor(model: ModelLedger) {
    this.model = model;
    this.#clock = model.now;
  }

  /** Lets time pass. */
  readonly advance = async (seconds: number): Promise<void> => {
    this.#clock += BigInt(Math.round(seconds * 1000)) * (SECOND / 1000n);
    this.model.advanceTo(this.#clock);
  };

  async createAccounts(events: readonly AccountInput[]): Promise<{ results: Result[] }> {
    return this.#answer(this.model.createAccounts(events));
  }

  async createTransfers(events: readonly TransferInput[]): Promise<{ results: Result[] }> {
    return this.#answer(this.model.createTransfers(events));
  }

  async lookupAccounts(ids: readonly bigint[]): Promise<{ accounts: readonly Account[] }> {
    return { accounts: this.model.lookupAccounts(ids) };
  }

  async lookupTransfers(ids: readonly bigint[]): Promise<{ transfers: readonly StoredTransfer[] }> {
    return { transfers: this.#withStatus(this.model.lookupTransfers(ids)) };
  }

  async getAccountTransfers(filter: Partial<AccountFilter>) {
    const transfers = this.#entriesOf(filter).map(({ transfer }) => transfer);
    const { rows, next } = page(transfers, filter);
    return { transfers: this.#withStatus(rows), next };
  }

  /** Of an account that keeps its history. */
  async getAccountBalances(filter: Partial<AccountFilter>) {
    const own = this.#entriesOf(filter).map(({ transfer, debit, credit }) => {
      const account = debit.id === filter.accountId ? debit : credit;
      return { ...balancesOf(account), timestamp: transfer.timestamp, flags: account.flags };
    });
    const { rows, next } = page(own, filter);
    return { balances: rows.filter(({ flags }) => (flags & HISTORY) !== 0), next };
  }

  async queryAccounts(filter: Partial<QueryFilter>) {
    const fits = this.model.accounts().filter((one) => matches(one, filter));
    const { rows, next } = page(fits, filter);
    return { accounts: rows, next };
  }

  async queryTransfers(filter: Partial<QueryFilter>) {
    const fits = this.model.transfers().filter((one) => matches(one, filter));
    const { rows, next } = page(fits, filter);
    return { transfers: this.#withStatus(rows), next };
  }

  async *changeEvents(filter: Partial<ChangesFilter> = {}): AsyncGenerator<ChangeEvent> {
    const { timestampMin = 0n, timestampMax = 0n } = filter;
    for (const { type, transfer, debit, credit } of this.model.changes()) {
      const { timestamp } = transfer;
      if (timestamp < timestampMin || timestamp > (timestampMax || TIMESTAMP_MAX)) continue;
      yield { type, timestamp, transfer, debitAccount: debit, creditAccount: credit };
    }
  }

  /** What an account took part in. */
  #entriesOf(filter: Partial<AccountFilter>): readonly Change[] {
    const { accountId = 0n, debits = true, credits = true } = filter;
    if (accountId === 0n || accountId === U128_MAX) return [];
    return this.model.changes().filter(({ type, transfer }) => {
      const isOwn =
        (debits && transfer.debitAccountId === accountId) ||
        (credits && transfer.creditAccountId === accountId);
      return isOwn && type !== 'two_phase_expired' && matches(transfer, filter);
    });
  }

  #withStatus(transfers: readonly Transfer[]): readonly StoredTransfer[] {
    return transfers.map((one) => ({ ...one, pendingStatus: this.model.pendingStatusOf(one) }));
  }

  #answer(expected: readonly Expected<Account | Transfer>[]): { results: Result[] } {
    this.answered.push(...expected);
    const first = this.#clock + 1n;
    this.#clock += BigInt(expected.length);
    const stamps = expected.map(({ status }, i) => ({ status, timestamp: first + BigInt(i) }));
    this.model.learn(expected, stamps);
    const results = expected.map(({ status, record }, i) =>
      record === undefined ? stamps[i]! : { status, timestamp: record.timestamp },
    );
    return { results };
  }
}

const HISTORY = 8;
const FIELDS = ['userData128', 'userData64', 'userData32', 'ledger', 'code'] as const;

function matches(row: Account | Transfer, filter: Partial<QueryFilter>): boolean {
  const { timestampMin = 0n, timestampMax = 0n } = filter;
  const isInTime =
    row.timestamp >= timestampMin && row.timestamp <= (timestampMax || TIMESTAMP_MAX);
  return isInTime && FIELDS.every((field) => !filter[field] || filter[field] === row[field]);
}

/** A cursor is how many rows came before it. */
function page<Row>(
  rows: readonly Row[],
  { limit = 100, reversed = false, cursor = '' }: Partial<PageOptions>,
): { readonly rows: readonly Row[]; readonly next: string | null } {
  const first = Number(cursor);
  const inOrder = reversed ? rows.toReversed() : rows;
  const next = first + limit < rows.length ? String(first + limit) : null;
  return { rows: inOrder.slice(first, first + limit), next };
}

export function balancesOf(account: Account): Balances {
  const { debitsPending, debitsPosted, creditsPending, creditsPosted } = account;
  return { debitsPending, debitsPosted, creditsPending, creditsPosted };
}

/** What is wrong with the system's answer to a batch, or null. Call it after `learn`: `exists` has the original's timestamp. */
export function differenceOfResults(
  expected: readonly Expected<Account | Transfer>[],
  results: readonly Result[],
): string | null {
  if (results.length !== expected.length) {
    return `${results.length} results for ${expected.length} events`;
  }
  for (const [i, { status, record }] of expected.entries()) {
    const result = results[i]!;
    if (result.status !== status) return `event ${i}: ${result.status}, but ${status} was due`;
    if (record !== undefined && record.timestamp !== result.timestamp) {
      return `event ${i}: ${status} with timestamp ${result.timestamp}, not ${record.timestamp}`;
    }
  }
  return null;
}
