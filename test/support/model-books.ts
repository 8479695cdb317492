/**
 * The books of the naive ledger: what is stored, and how to take it back. They know no rules; model-ledger.ts decides what is booked. All that
 * was done since the last `keep` can be undone, so that a chain that fails leaves nothing.
 */
import { AccountFlags } from '../../engine/flags.ts';
import type { ChangeType } from '../../engine/query.ts';
import { SECOND } from './ledger-records.ts';
import type { Account, Mutable, PendingStatusName, ShardOf, Transfer } from './ledger-records.ts';
import { isResolving } from './model-rules.ts';

/** One entry of the list of all that ever changed a balance. */
export interface Change {
  readonly type: keyof typeof ChangeType;
  /** Of an expiry: the pending one. */
  readonly transfer: Transfer;
  /** As they were after it. */
  readonly debit: Account;
  readonly credit: Account;
}

export interface Stored {
  readonly transfer: Mutable<Transfer>;
  status: PendingStatusName;
  /** What this clock said then. The timestamp is learnt later. */
  readonly madeAt: bigint;
}

export type Side = 'debit' | 'credit';
/** What is added to the debits of one account and to the credits of the other. */
export interface Movement {
  readonly pending: bigint;
  readonly posted: bigint;
  readonly closes: (side: Side) => boolean | null;
}

export class ModelBooks {
  readonly #shardOf: ShardOf;
  readonly #accounts = new Map<bigint, Mutable<Account>>();
  readonly #stored = new Map<string, Stored>();
  readonly #burnt = new Set<string>();
  /** The newest timestamp of each kind on each shard. */
  readonly #newest = new Map<string, bigint>();
  readonly #changes: Change[] = [];
  /** How to take back what was done since the last `keep`, the first first. */
  #undo: (() => void)[] = [];

  constructor(shardOf: ShardOf) {
    this.#shardOf = shardOf;
  }

  account(id: bigint): Account | undefined {
    return this.#accounts.get(id);
  }

  /** By its home shard and its id. */
  stored(key: string): Stored | undefined {
    return this.#stored.get(key);
  }

  isBurnt(key: string): boolean {
    return this.#burnt.has(key);
  }

  /** Never undone. */
  burn(key: string): void {
    this.#burnt.add(key);
  }

  newest(kind: string): bigint {
    return this.#newest.get(kind) ?? 0n;
  }

  /** What was done is never taken back. */
  keep(): void {
    this.#undo = [];
  }

  has(record: Account | Transfer | undefined): boolean {
    if (record === undefined) return false;
    if (!('amount' in record)) return this.#accounts.get(record.id) === record;
    const home = this.#shardOf(record.debitAccountId);
    return this.#stored.get(`${home}/${record.id}`)?.transfer === record;
  }

  /** Takes back all since `keep`. */
  undoAll(): void {
    for (const takeBack of this.#undo.toReversed()) takeBack();
    this.#undo = [];
  }

  putAccount(account: Mutable<Account>): void {
    this.#accounts.set(account.id, account);
    this.#undo.push(() => this.#accounts.delete(account.id));
    this.noteNewest(this.kindOf(account), account.timestamp);
  }

  store(transfer: Transfer, status: PendingStatusName, madeAt: bigint): void {
    const home = this.#shardOf(transfer.debitAccountId);
    const key = `${home}/${transfer.id}`;
    this.#stored.set(key, { transfer, status, madeAt });
    this.#undo.push(() => this.#stored.delete(key));
    this.noteNewest(this.kindOf(transfer), transfer.timestamp);
  }

  setStatus(stored: Stored, status: PendingStatusName): void {
    stored.status = status;
    this.#undo.push(() => {
      stored.status = 'pending';
    });
  }

  apply(type: Change['type'], transfer: Transfer, movement: Movement): void {
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

  /** A timestamp of a kind on a shard: the newest one is kept. */
  noteNewest(kind: string, timestamp: bigint): void {
    const before = this.#newest.get(kind) ?? 0n;
    if (timestamp > before) this.#newest.set(kind, timestamp);
    this.#undo.push(() => this.#newest.set(kind, before));
  }

  /** Whose timestamps go up together: accounts, or transfers, of one shard. */
  kindOf(record: Account | Transfer): string {
    return 'amount' in record
      ? `transfers ${this.homeOf(record)}`
      : `accounts ${this.#shardOf(record.id)}`;
  }

  /** Where a transfer's id is unique. */
  homeOf(t: Transfer): number {
    const named = isResolving(t) ? this.namedBy(t) : undefined;
    return this.#shardOf((named?.transfer ?? t).debitAccountId);
  }

  keyOf(t: Transfer): string {
    return `${this.homeOf(t)}/${t.id}`;
  }

  /** What a post or void names: on the shard of the debit account that it names, else wherever it is. */
  namedBy({ pendingId, debitAccountId }: Transfer): Stored | undefined {
    const near = this.#stored.get(`${this.#shardOf(debitAccountId)}/${pendingId}`);
    if (near !== undefined && debitAccountId !== 0n) return near;
    const shards = new Set([...this.#accounts.keys()].map((id) => this.#shardOf(id)));
    const keys = [...shards].toSorted((a, b) => a - b).map((shard) => `${shard}/${pendingId}`);
    return keys.map((key) => this.#stored.get(key)).find((one) => one !== undefined);
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

  /** Pending transfers that are still open. */
  open(): readonly Stored[] {
    return [...this.#stored.values()].filter(({ status }) => status === 'pending');
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

  /** Transfers are shared: once learnt they never change. */
  clone(): ModelBooks {
    const copy = new ModelBooks(this.#shardOf);
    for (const [id, account] of this.#accounts) copy.#accounts.set(id, { ...account });
    for (const [key, stored] of this.#stored) copy.#stored.set(key, { ...stored });
    for (const key of this.#burnt) copy.#burnt.add(key);
    for (const [kind, timestamp] of this.#newest) copy.#newest.set(kind, timestamp);
    for (const change of this.#changes) copy.#changes.push(change);
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
}

export function expiresAt({ transfer, madeAt }: Stored): bigint | null {
  if (transfer.timeout === 0) return null;
  const start = transfer.timestamp === 0n ? madeAt : transfer.timestamp;
  return start + BigInt(transfer.timeout) * SECOND;
}

function flagsAfter({ flags }: Account, closes: boolean | null): number {
  if (closes === null) return flags;
  return closes ? flags | AccountFlags.closed : flags & ~AccountFlags.closed;
}
