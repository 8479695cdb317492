/**
 * The naive ledger that the real one is judged by: one Map for each kind, bigint everywhere, one event after the other, written for
 * obviousness. The rules stand in model-rules.ts, what is stored in model-books.ts; here is what an event changes when it breaks none.
 *
 * Timestamps are not predicted: `learn` takes over what the system gave to each created event, so that a later `exists` can be held against
 * the original's. What needs a clock (expiry, imported timestamps) goes by the newest timestamp learnt and by what `advance` adds to it. A test
 * turns the system's clock and this one by the same whole seconds, and a bit more, between batches: then both agree on what has expired.
 *
 * A transfer id is unique per home shard: the shard of the debit account, for a post or void that of the pending transfer. One that names a
 * pending transfer that is nowhere has the shard of the debit account that it names.
 */
import { AccountFlags, TransferFlags } from '../../engine/flags.ts';
import { SECOND, fullAccount, fullTransfer } from './ledger-records.ts';
import type {
  Account,
  AccountInput,
  AccountStatusName,
  Mutable,
  PendingStatusName,
  Result,
  ShardOf,
  StatusName,
  Transfer,
  TransferInput,
  TransferStatusName,
} from './ledger-records.ts';
import { ModelBooks, expiresAt, type Change, type Side, type Stored } from './model-books.ts';
import { ALONE, accountRules, amountBalanced, amountMoved, firstBroken } from './model-rules.ts';
import { isPending, isResolving, isVoid, transferRules } from './model-rules.ts';
import type { Place, Rule, TransferView } from './model-rules.ts';

export type { Change } from './model-books.ts';
export { ModelClient, differenceOfResults } from './model-client.ts';
export { U128_MAX } from './ledger-records.ts';
export type {
  Account,
  AccountInput,
  AccountStatusName,
  Result,
  ShardOf,
  StatusName,
  StoredAccount,
  Transfer,
  TransferInput,
  TransferStatusName,
} from './ledger-records.ts';

/** What the model answers. `record` is what the event made, or the original that it repeats. */
export interface Expected<Row> {
  readonly status: StatusName;
  readonly record?: Row;
  /** Every rule that the event breaks, the first of them being its status. */
  readonly broken: readonly StatusName[];
  /** Where its id is burnt. */
  readonly burns?: string;
}

export const DEBITS_MUST_NOT_EXCEED_CREDITS = AccountFlags.debitsMustNotExceedCredits;
export const CREDITS_MUST_NOT_EXCEED_DEBITS = AccountFlags.creditsMustNotExceedDebits;
/** Transient failures: the id is never to be used again. */
export const BURNING: ReadonlySet<StatusName> = new Set([
  'debit_account_not_found',
  'credit_account_not_found',
  'pending_transfer_not_found',
  'debit_account_already_closed',
  'credit_account_already_closed',
  'exceeds_credits',
  'exceeds_debits',
]);
/** The clock before anything is learnt. */
const EPOCH = 1_700_000_000n * SECOND;

export class ModelLedger {
  #books: ModelBooks;
  #now: bigint | null = null;

  constructor(shardOf: ShardOf) {
    this.#books = new ModelBooks(shardOf);
  }

  /** In nanoseconds. */
  get now(): bigint {
    return this.#now ?? EPOCH;
  }

  createAccounts(events: readonly AccountInput[]): Expected<Account>[] {
    const imported = AccountFlags.imported;
    const accounts = events.map((event) => fullAccount(event));
    return this.#batch(accounts, imported, (one, place) => this.#createAccount(one, place));
  }

  createTransfers(events: readonly TransferInput[]): Expected<Transfer>[] {
    const { imported } = TransferFlags;
    const transfers = events.map((event) => fullTransfer(event));
    return this.#batch(transfers, imported, (one, place) => this.#createTransfer(one, place));
  }

  /** A batch of one. */
  createAccount(event: AccountInput): Expected<Account> {
    return this.createAccounts([event])[0]!;
  }

  createTransfer(event: TransferInput): Expected<Transfer> {
    return this.createTransfers([event])[0]!;
  }

  /** One event after the other. A chain happens as a whole, or its first failure undoes it. */
  #batch<Row extends Account | Transfer>(
    events: readonly Row[],
    imported: number,
    create: (event: Row, place: Place) => Expected<Row>,
  ): Expected<Row>[] {
    const expected: Expected<Row>[] = [];
    const isBatchImported = events.length > 0 && (events[0]!.flags & imported) !== 0;
    let chainFirst = 0;
    let isChainBroken = false;
    for (const [i, event] of events.entries()) {
      const isLinked = (event.flags & TransferFlags.linked) !== 0;
      const isChainOpen = isLinked && i === events.length - 1;
      const one = create(event, { isChainBroken, isChainOpen, isBatchImported });
      expected.push(one);
      if (one.status !== 'created' && !isChainBroken) {
        this.#books.undoAll();
        for (let j = chainFirst; j < i; j++) {
          const broken = ['linked_event_failed', ...expected[j]!.broken] as const;
          expected[j] = { status: 'linked_event_failed', broken };
        }
        // What was made in the chain and then found in it was never there: nothing is known of its timestamp.
        if (!this.#books.has(one.record)) expected[i] = { status: one.status, broken: one.broken };
        isChainBroken = true;
      }
      // Only the event that broke the chain has such a status. Its id stays burnt.
      if (one.burns !== undefined) this.#books.burn(one.burns);
      if (isLinked) continue;
      this.#books.keep();
      chainFirst = i + 1;
      isChainBroken = false;
    }
    this.#books.keep();
    return expected;
  }

  #createAccount(account: Mutable<Account>, place: Place): Expected<Account> {
    const rules = this.accountRules(account, place);
    const status = firstBroken(rules);
    const broken = brokenOf(rules);
    if (status === 'exists') return { status, record: this.#books.account(account.id)!, broken };
    if (status !== 'created') return { status, broken };
    this.#books.putAccount(account);
    return { status, record: account, broken };
  }

  #createTransfer(t: Transfer, place: Place): Expected<Transfer> {
    const view = this.#viewOf(t, place);
    const rules = transferRules(t, view);
    const status = firstBroken(rules);
    const broken = brokenOf(rules);
    if (BURNING.has(status)) return { status, broken, burns: this.#books.keyOf(t) };
    if (status === 'exists') return { status, record: view.old!, broken };
    if (status !== 'created') return { status, broken };
    const record = isResolving(t) ? this.#resolve(t) : this.#move(t, view);
    return { status, record, broken };
  }

  /** Every rule for one account, in order of precedence. */
  accountRules(event: AccountInput, place = ALONE): readonly Rule<AccountStatusName>[] {
    const account = fullAccount(event);
    const old = this.#books.account(account.id);
    const newest = this.#books.newest(this.#books.kindOf(account));
    return accountRules(account, { place, now: this.now, old, newest });
  }

  /** Every rule for one transfer, in order of precedence. */
  transferRules(event: TransferInput): readonly Rule<TransferStatusName>[] {
    const t = fullTransfer(event);
    return transferRules(t, this.#viewOf(t, ALONE));
  }

  #viewOf(t: Transfer, place: Place): TransferView {
    const books = this.#books;
    const key = books.keyOf(t);
    const named = isResolving(t) ? books.namedBy(t) : undefined;
    const { debitAccountId, creditAccountId } = named?.transfer ?? t;
    return {
      place,
      now: this.now,
      old: books.stored(key)?.transfer,
      isBurnt: books.isBurnt(key),
      named: named && { ...named, expiresAt: expiresAt(named) },
      debit: books.account(debitAccountId),
      credit: books.account(creditAccountId),
      newest: books.newest(books.kindOf(t)),
    };
  }

  /** A plain or a pending transfer. */
  #move(t: Transfer, { debit, credit }: TransferView): Transfer {
    const amount = amountBalanced(t, debit!, credit!);
    const record = { ...t, amount };
    const waits = isPending(t);
    const closing = { debit: TransferFlags.closingDebit, credit: TransferFlags.closingCredit };
    const closes = (side: Side): true | null => ((t.flags & closing[side]) === 0 ? null : true);
    this.#books.store(record, waits ? 'pending' : 'none', this.now);
    const movement = { pending: waits ? amount : 0n, posted: waits ? 0n : amount, closes };
    this.#books.apply(waits ? 'two_phase_pending' : 'single_phase', record, movement);
    return record;
  }

  /** A post or void. All that was pending is pending no more; what is not posted goes back. */
  #resolve(t: Transfer): Transfer {
    const named = this.#books.namedBy(t)!;
    const p = named.transfer;
    const record = {
      ...t,
      debitAccountId: p.debitAccountId,
      creditAccountId: p.creditAccountId,
      amount: amountMoved(t, p),
      userData128: t.userData128 === 0n ? p.userData128 : t.userData128,
      userData64: t.userData64 === 0n ? p.userData64 : t.userData64,
      userData32: t.userData32 === 0 ? p.userData32 : t.userData32,
      ledger: p.ledger,
      code: p.code,
    };
    this.#books.store(record, 'none', this.now);
    if (isVoid(t)) {
      this.#books.setStatus(named, 'voided');
      const closes = (side: Side): false | null => reopens(p, side);
      this.#books.apply('two_phase_voided', record, { pending: -p.amount, posted: 0n, closes });
    } else {
      this.#books.setStatus(named, 'posted');
      const movement = { pending: -p.amount, posted: record.amount, closes: () => null };
      this.#books.apply('two_phase_posted', record, movement);
    }
    return record;
  }

  /** Lets so much time pass, and what is due expire, in order of (expires_at, timestamp). */
  advance(seconds: number): void {
    this.advanceTo(this.now + BigInt(Math.round(seconds * 1000)) * (SECOND / 1000n));
  }

  advanceTo(now: bigint): void {
    this.#now = now > this.now ? now : this.now;
    const due = this.#books.open().filter((one) => (expiresAt(one) ?? now + 1n) <= now);
    const order = (one: Stored): bigint => expiresAt(one)!;
    const inOrder = due.toSorted((a, b) =>
      Number(order(a) - order(b) || a.transfer.timestamp - b.transfer.timestamp),
    );
    for (const one of inOrder) {
      this.#books.setStatus(one, 'expired');
      const closes = (side: Side): false | null => reopens(one.transfer, side);
      const movement = { pending: -one.transfer.amount, posted: 0n, closes };
      this.#books.apply('two_phase_expired', one.transfer, movement);
    }
    this.#books.keep();
  }

  /** Takes over the timestamps that the system gave to the created events of a batch. Imported ones bring their own. */
  learn(expected: readonly Expected<Account | Transfer>[], results: readonly Result[]): void {
    for (const [i, { status, record }] of expected.entries()) {
      if (status !== 'created' || isImported(record!)) continue;
      const { timestamp } = results[i]!;
      (record as Mutable<Account>).timestamp = timestamp;
      this.#books.noteNewest(this.#books.kindOf(record!), timestamp);
      if (this.#now === null || timestamp > this.#now) this.#now = timestamp;
    }
    this.#books.keep();
  }

  /** The accounts that are there, in the order of the ids. */
  lookupAccounts(ids: readonly bigint[]): readonly Account[] {
    return this.#books.lookupAccounts(ids);
  }

  /** The transfers that are there, in the order of the ids. An id that was used on several shards brings one for each. */
  lookupTransfers(ids: readonly bigint[]): readonly Transfer[] {
    return this.#books.lookupTransfers(ids);
  }

  /** Of a stored transfer. */
  pendingStatusOf(transfer: Transfer): PendingStatusName {
    return this.#books.pendingStatusOf(transfer);
  }

  accounts(): readonly Account[] {
    return this.#books.accounts();
  }

  transfers(): readonly Transfer[] {
    return this.#books.transfers();
  }

  /** All that changed a balance, in order. */
  changes(): readonly Change[] {
    return this.#books.changes();
  }

  /** A ledger that goes its own way from here. */
  clone(): ModelLedger {
    const copy = new ModelLedger(() => 0);
    copy.#books = this.#books.clone();
    copy.#now = this.#now;
    return copy;
  }

  /** What two ledgers with the same balances, transfers and burnt ids have in common. */
  digest(): string {
    return this.#books.digest();
  }
}

/** What becomes of `closed` when a pending transfer ends without being posted. */
function reopens(pending: Transfer, side: Side): false | null {
  const closing = side === 'debit' ? TransferFlags.closingDebit : TransferFlags.closingCredit;
  return (pending.flags & closing) === 0 ? null : false;
}

function isImported(record: Account | Transfer): boolean {
  const bit = 'amount' in record ? TransferFlags.imported : AccountFlags.imported;
  return (record.flags & bit) !== 0;
}

function brokenOf<Name extends StatusName>(rules: readonly Rule<Name>[]): readonly Name[] {
  return rules.filter(([, isBroken]) => isBroken).map(([name]) => name);
}
