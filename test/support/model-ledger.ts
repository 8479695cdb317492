/**
 * The naive ledger that the real one is judged by: one Map for each kind, bigint everywhere, one event after the other, written for
 * obviousness. The rules stand in model-rules.ts; here is what an event changes when it breaks none.
 *
 * Timestamps are not predicted: `learn` takes over what the system gave to each created event, so that a later `exists` can be held against
 * the original's. What needs a clock (expiry, imported timestamps) goes by the newest timestamp learnt and by what `advance` adds to it. A test
 * turns the system's clock and this one by the same whole seconds, and a bit more, between batches: then both agree on what has expired.
 *
 * A transfer id is unique per home shard: the shard of the debit account, for a post or void that of the pending transfer. One that names a
 * pending transfer that is nowhere has the shard of the debit account that it names.
 */
import { AccountFlags, TransferFlags } from '../../engine/flags.ts';
import type { ChangeType } from '../../engine/query.ts';
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
import { ALONE, accountRules, amountBalanced, amountMoved, firstBroken } from './model-rules.ts';
import { isPending, isResolving, isVoid, transferRules } from './model-rules.ts';
import type { Place, Rule, TransferView } from './model-rules.ts';

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

/** One entry of the list of all that ever changed a balance. */
export interface Change {
  readonly type: keyof typeof ChangeType;
  /** Of an expiry: the pending one. */
  readonly transfer: Transfer;
  /** As they were after it. */
  readonly debit: Account;
  readonly credit: Account;
}

interface Stored {
  readonly transfer: Mutable<Transfer>;
  status: PendingStatusName;
  /** What this clock said then. The timestamp is learnt later. */
  readonly madeAt: bigint;
}

type Side = 'debit' | 'credit';
/** What is added to the debits of one account and to the credits of the other. */
interface Movement {
  readonly pending: bigint;
  readonly posted: bigint;
  readonly closes: (side: Side) => boolean | null;
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
  readonly #shardOf: ShardOf;
  readonly #accounts = new Map<bigint, Mutable<Account>>();
  readonly #stored = new Map<string, Stored>();
  readonly #burnt = new Set<string>();
  /** The newest timestamp of each kind on each shard. */
  readonly #newest = new Map<string, bigint>();
  readonly #changes: Change[] = [];
  /** How to take back what was done since the chain began, the last first. */
  #undo: (() => void)[] = [];
  #now: bigint | null = null;

  constructor(shardOf: ShardOf) {
    this.#shardOf = shardOf;
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
        this.#undoAll();
        for (let j = chainFirst; j < i; j++) {
          const broken = ['linked_event_failed', ...expected[j]!.broken] as const;
          expected[j] = { status: 'linked_event_failed', broken };
        }
        // What was made in the chain and then found in it was never there: nothing is known of its timestamp.
        if (!this.#has(one.record)) expected[i] = { status: one.status, broken: one.broken };
        isChainBroken = true;
      }
      // Only the event that broke the chain has such a status. Its id stays burnt.
      if (one.burns !== undefined) this.#burnt.add(one.burns);
      if (isLinked) continue;
      this.#undo = [];
      chainFirst = i + 1;
      isChainBroken = false;
    }
    this.#undo = [];
    return expected;
  }

  #has(record: Account | Transfer | undefined): boolean {
    if (record === undefined) return false;
    if (!('amount' in record)) return this.#accounts.get(record.id) === record;
    const home = this.#shardOf(record.debitAccountId);
    return this.#stored.get(`${home}/${record.id}`)?.transfer === record;
  }

  #undoAll(): void {
    for (const takeBack of this.#undo.toReversed()) takeBack();
    this.#undo = [];
  }

  #createAccount(account: Mutable<Account>, place: Place): Expected<Account> {
    const { id, timestamp } = account;
    const kind = `accounts ${this.#shardOf(id)}`;
    const rules = this.accountRules(account, place);
    const status = firstBroken(rules);
    const broken = brokenOf(rules);
    if (status === 'exists') return { status, record: this.#accounts.get(id)!, broken };
    if (status !== 'created') return { status, broken };
    this.#accounts.set(id, account);
    this.#undo.push(() => this.#accounts.delete(id));
    if (timestamp !== 0n) this.#noteNewest(kind, timestamp);
    return { status, record: account, broken };
  }

  #createTransfer(t: Transfer, place: Place): Expected<Transfer> {
    const view = this.#viewOf(t, place);
    const rules = transferRules(t, view);
    const status = firstBroken(rules);
    const broken = brokenOf(rules);
    if (BURNING.has(status)) return { status, broken, burns: this.#keyOf(t) };
    if (status === 'exists') return { status, record: view.old!, broken };
    if (status !== 'created') return { status, broken };
    const record = isResolving(t) ? this.#resolve(t) : this.#move(t, view);
    return { status, record, broken };
  }

  /** Every rule for one account, in order of precedence. */
  accountRules(event: AccountInput, place = ALONE): readonly Rule<AccountStatusName>[] {
    const old = this.#accounts.get(event.id);
    const newest = this.#newest.get(`accounts ${this.#shardOf(event.id)}`) ?? 0n;
    return accountRules(fullAccount(event), { place, now: this.now, old, newest });
  }

  /** Every rule for one transfer, in order of precedence. */
  transferRules(event: TransferInput): readonly Rule<TransferStatusName>[] {
    const t = fullTransfer(event);
    return transferRules(t, this.#viewOf(t, ALONE));
  }

  #viewOf(t: Transfer, place: Place): TransferView {
    const key = this.#keyOf(t);
    const named = isResolving(t) ? this.#namedBy(t) : undefined;
    const { debitAccountId, creditAccountId } = named?.transfer ?? t;
    return {
      place,
      now: this.now,
      old: this.#stored.get(key)?.transfer,
      isBurnt: this.#burnt.has(key),
      named: named && { ...named, expiresAt: expiresAt(named) },
      debit: this.#accounts.get(debitAccountId),
      credit: this.#accounts.get(creditAccountId),
      newest: this.#newest.get(`transfers ${this.#homeOf(t)}`) ?? 0n,
    };
  }

  /** A plain or a pending transfer. */
  #move(t: Transfer, { debit, credit }: TransferView): Transfer {
    const amount = amountBalanced(t, debit!, credit!);
    const record = { ...t, amount };
    const waits = isPending(t);
    const closing = { debit: TransferFlags.closingDebit, credit: TransferFlags.closingCredit };
    const closes = (side: Side): true | null => ((t.flags & closing[side]) === 0 ? null : true);
    this.#store(record, waits ? 'pending' : 'none');
    const movement = { pending: waits ? amount : 0n, posted: waits ? 0n : amount, closes };
    this.#apply(waits ? 'two_phase_pending' : 'single_phase', record, movement);
    return record;
  }

  /** A post or void. All that was pending is pending no more; what is not posted goes back. */
  #resolve(t: Transfer): Transfer {
    const named = this.#namedBy(t)!;
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
    this.#store(record, 'none');
    if (isVoid(t)) {
      this.#setStatus(named, 'voided');
      const closes = (side: Side): false | null => reopens(p, side);
      this.#apply('two_phase_voided', record, { pending: -p.amount, posted: 0n, closes });
    } else {
      this.#setStatus(named, 'posted');
      const movement = { pending: -p.amount, posted: record.amount, closes: () => null };
      this.#apply('two_phase_posted', record, movement);
    }
    return record;
  }

  /** Lets so much time pass, and what is due expire, in order of (expires_at, timestamp). */
  advance(seconds: number): void {
    this.advanceTo(this.now + BigInt(Math.round(seconds * 1000)) * (SECOND / 1000n));
  }

  advanceTo(now: bigint): void {
    this.#now = now > this.now ? now : this.now;
    const isDue = (one: Stored): boolean =>
      one.status === 'pending' && (expiresAt(one) ?? now + 1n) <= now;
    const due = [...this.#stored.values()].filter(isDue);
    const order = (one: Stored): bigint => expiresAt(one)!;
    const inOrder = due.toSorted((a, b) =>
      Number(order(a) - order(b) || a.transfer.timestamp - b.transfer.timestamp),
    );
    for (const one of inOrder) {
      this.#setStatus(one, 'expired');
      const closes = (side: Side): false | null => reopens(one.transfer, side);
      const movement = { pending: -one.transfer.amount, posted: 0n, closes };
      this.#apply('two_phase_expired', one.transfer, movement);
    }
    this.#undo = [];
  }

  #store(transfer: Transfer, status: PendingStatusName): void {
    const home = this.#shardOf(transfer.debitAccountId);
    const key = `${home}/${transfer.id}`;
    this.#stored.set(key, { transfer, status, madeAt: this.now });
    this.#undo.push(() => this.#stored.delete(key));
    this.#noteNewest(`transfers ${home}`, transfer.timestamp);
  }

  #setStatus(stored: Stored, status: PendingStatusName): void {
    stored.status = status;
    this.#undo.push(() => {
      stored.status = 'pending';
    });
  }

  #apply(type: Change['type'], transfer: Transfer, movement: Movement): void {
    const { pending, posted, closes } = movement;
    const debit = this.#accounts.get(transfer.debitAccountId)!;
    const credit = this.#accounts.get(transfer.creditAccountId)!;
    const before = [{ ...debit }, { ...credit }];
    debit.debitsPending += pending;
    debit.debitsPosted += posted;
    credit.creditsPending += pending;
    credit.creditsPosted += posted;
    debit.flags = flagsAfter(debit, closes('debit'));
    credit.flags = flagsAfter(credit, closes('credit'));
    this.#changes.push({ type, transfer, debit: { ...debit }, credit: { ...credit } });
    this.#undo.push(() => {
      Object.assign(debit, before[0]);
      Object.assign(credit, before[1]);
      this.#changes.pop();
    });
  }

  #noteNewest(kind: string, timestamp: bigint): void {
    const before = this.#newest.get(kind) ?? 0n;
    if (timestamp > before) this.#newest.set(kind, timestamp);
    this.#undo.push(() => this.#newest.set(kind, before));
  }

  /** Takes over the timestamps that the system gave to the created events of a batch. Imported ones bring their own. */
  learn(expected: readonly Expected<Account | Transfer>[], results: readonly Result[]): void {
    for (const [i, { status, record }] of expected.entries()) {
      if (status !== 'created' || isImported(record!)) continue;
      const { timestamp } = results[i]!;
      (record as Mutable<Account>).timestamp = timestamp;
      const home = 'amount' in record! ? `transfers ${this.#homeOf(record)}` : null;
      this.#noteNewest(home ?? `accounts ${this.#shardOf(record!.id)}`, timestamp);
      if (this.#now === null || timestamp > this.#now) this.#now = timestamp;
    }
    this.#undo = [];
  }

  /** The accounts that are there, in the order of the ids. */
  lookupAccounts(ids: readonly bigint[]): readonly Account[] {
    return ids.flatMap((id) => this.#accounts.get(id) ?? []);
  }

  /** The transfers that are there, in the order of the ids. An id that was used on several shards brings one for each. */
  lookupTransfers(ids: readonly bigint[]): readonly Transfer[] {
    const wanted = new Map<bigint, Transfer[]>(ids.map((id) => [id, []]));
    for (const { transfer } of this.#stored.values()) wanted.get(transfer.id)?.push(transfer);
    return ids.flatMap((id) => wanted.get(id)!);
  }

  /** Of a stored transfer. */
  pendingStatusOf({ id, debitAccountId }: Transfer): PendingStatusName {
    return this.#stored.get(`${this.#shardOf(debitAccountId)}/${id}`)!.status;
  }

  accounts(): readonly Account[] {
    return [...this.#accounts.values()];
  }

  transfers(): readonly Transfer[] {
    return [...this.#stored.values()].map(({ transfer }) => transfer);
  }

  /** All that changed a balance, in order. */
  changes(): readonly Change[] {
    return this.#changes;
  }

  /** A ledger that goes its own way from here. Transfers are shared: once learnt they never change. */
  clone(): ModelLedger {
    const copy = new ModelLedger(this.#shardOf);
    for (const [id, account] of this.#accounts) copy.#accounts.set(id, { ...account });
    for (const [key, stored] of this.#stored) copy.#stored.set(key, { ...stored });
    for (const key of this.#burnt) copy.#burnt.add(key);
    for (const [kind, timestamp] of this.#newest) copy.#newest.set(kind, timestamp);
    for (const change of this.#changes) copy.#changes.push(change);
    copy.#now = this.#now;
    return copy;
  }

  /**
   * What two ledgers with the same balances, transfers and burnt ids have in common. What is pending, closed, or was pending once is added where
   * there is such a thing.
   */
  digest(): string {
    const accounts = this.accounts().map((a) => {
      const isOpen = (a.flags & AccountFlags.closed) === 0;
      const isPlain = isOpen && a.debitsPending === 0n && a.creditsPending === 0n;
      const posted = `${a.id} ${a.debitsPosted} ${a.creditsPosted}`;
      const rest = ` ${a.debitsPending} ${a.creditsPending} ${isOpen ? 'open' : 'closed'}`;
      return isPlain ? posted : posted + rest;
    });
    const transfers = [...this.#stored].map(([key, { status }]) =>
      status === 'none' ? key : `${key} ${status}`,
    );
    return [accounts, transfers, [...this.#burnt]].map((one) => one.toSorted().join()).join(';');
  }

  /** Where a transfer's id is unique. */
  #homeOf(t: Transfer): number {
    const named = isResolving(t) ? this.#namedBy(t) : undefined;
    return this.#shardOf((named?.transfer ?? t).debitAccountId);
  }

  #keyOf(t: Transfer): string {
    return `${this.#homeOf(t)}/${t.id}`;
  }

  /** What a post or void names: on the shard of the debit account that it names, else wherever it is. */
  #namedBy({ pendingId, debitAccountId }: Transfer): Stored | undefined {
    const near = this.#stored.get(`${this.#shardOf(debitAccountId)}/${pendingId}`);
    if (near !== undefined && debitAccountId !== 0n) return near;
    const shards = new Set([...this.#accounts.keys()].map((id) => this.#shardOf(id)));
    const keys = [...shards].toSorted((a, b) => a - b).map((shard) => `${shard}/${pendingId}`);
    return keys.map((key) => this.#stored.get(key)).find((one) => one !== undefined);
  }
}

function expiresAt({ transfer, madeAt }: Stored): bigint | null {
  if (transfer.timeout === 0) return null;
  const start = transfer.timestamp === 0n ? madeAt : transfer.timestamp;
  return start + BigInt(transfer.timeout) * SECOND;
}

/** What becomes of `closed` when a pending transfer ends without being posted. */
function reopens(pending: Transfer, side: Side): false | null {
  const closing = side === 'debit' ? TransferFlags.closingDebit : TransferFlags.closingCredit;
  return (pending.flags & closing) === 0 ? null : false;
}

function flagsAfter({ flags }: Account, closes: boolean | null): number {
  if (closes === null) return flags;
  return closes ? flags | AccountFlags.closed : flags & ~AccountFlags.closed;
}

function isImported(record: Account | Transfer): boolean {
  const bit = 'amount' in record ? TransferFlags.imported : AccountFlags.imported;
  return (record.flags & bit) !== 0;
}

function brokenOf<Name extends StatusName>(rules: readonly Rule<Name>[]): readonly Name[] {
  return rules.filter(([, isBroken]) => isBroken).map(([name]) => name);
}
