/**
 * The books that a load keeps while the ledger under it is killed: every transfer that was sent, what is known of it, and what the accounts
 * must hold because of that. An answer that contradicts an earlier one, or a ledger that contradicts the answers, is thrown as a sentence.
 *
 * A transfer is open until an answer settles it. `settle` asks again for the open ones with the same ids, `audit` then holds the whole
 * ledger against the books: fields and timestamps, balances, limits, conservation.
 */
import type { Client } from '../../client/client.ts';
import { assert } from '../../engine/assert.ts';
import { BATCH_EVENTS_MAX } from '../../engine/limits.ts';
import type { Prng } from '../../lib/prng.ts';
import { DEBITS_MUST_NOT_EXCEED_CREDITS } from './model-ledger.ts';
import type { AccountInput, Result, ShardOf, TransferInput } from './model-ledger.ts';

type Outcome =
  | { readonly type: 'open' }
  | { readonly type: 'created'; readonly timestamp: bigint }
  | { readonly type: 'refused' };

export interface Entry {
  readonly transfer: TransferInput;
  outcome: Outcome;
}

export interface BooksOptions {
  readonly prng: Prng;
  readonly shards: number;
  readonly shardOf: ShardOf;
  readonly accountCount: number;
}

const CODE = 7;
const LEDGER = 1;
const CALL = { deadlineMs: 20_000 };
/** How often balances are read again while walks that were under way at a kill come to their end. */
const READS_MAX = 200;
const BURNT = new Set(['exceeds_credits', 'id_already_failed']);

export class TransferBooks {
  /** The first of each shard has no limit and pays the others, which never spend more than they got. */
  readonly accounts: readonly AccountInput[];
  readonly entries: Entry[] = [];
  readonly #prng: Prng;
  readonly #banks: readonly bigint[];
  readonly #customers: readonly bigint[];
  /** By the account that is debited: whom it may pay. */
  readonly #others: ReadonlyMap<bigint, Record<'all' | 'customers', readonly bigint[]>>;
  readonly #open = new Set<Entry>();
  /** What all transfers that are known to be created come to. */
  readonly #balances = new Map<bigint, { debits: bigint; credits: bigint }>();
  #createdCount = 0;
  /** Settled since the last audit. */
  #fresh: Entry[] = [];
  /** Where books and ledger differed at first, because a walk was still under way. */
  lateBalances = 0;

  constructor({ prng, shards, shardOf, accountCount }: BooksOptions) {
    this.#prng = prng;
    const ids: bigint[] = [];
    for (let id = 1n; ids.length < accountCount; id++) {
      if (shardOf(id) === ids.length % shards) ids.push(id);
    }
    this.#banks = ids.slice(0, shards);
    this.#customers = ids.slice(shards);
    for (const id of ids) this.#balances.set(id, { debits: 0n, credits: 0n });
    this.#others = new Map(
      ids.map((own) => {
        const all = ids.filter((id) => id !== own);
        return [own, { all, customers: this.#customers.filter((id) => id !== own) }];
      }),
    );
    this.accounts = ids.map((id, i) => ({
      id,
      ledger: LEDGER,
      code: CODE,
      flags: i < shards ? 0 : DEBITS_MUST_NOT_EXCEED_CREDITS,
    }));
  }

  /** Ids of the transfers that nobody has answered for. */
  get openIds(): readonly bigint[] {
    return [...this.#open].map(({ transfer }) => transfer.id);
  }

  get createdCount(): number {
    return this.#createdCount;
  }

  async createAccounts(client: Client): Promise<void> {
    const { results } = await client.createAccounts(this.accounts, CALL);
    assert(
      results.every(({ status }) => status === 'created' || status === 'exists'),
      'accounts are there or made',
    );
  }

  /** New transfers, with some of them twice, and some that were settled long ago. */
  next(count: number): readonly Entry[] {
    const batch: Entry[] = [];
    for (let i = 0; i < count; i++) {
      const old = this.#prng.chance(5) ? this.#settledOne() : undefined;
      if (old !== undefined) batch.push(old);
      else if (batch.length > 0 && this.#prng.chance(4)) batch.push(this.#prng.pick(batch));
      else batch.push(this.#enter());
    }
    return batch;
  }

  #settledOne(): Entry | undefined {
    if (this.entries.length === 0) return undefined;
    const entry = this.#prng.pick(this.entries);
    return entry.outcome.type === 'open' ? undefined : entry;
  }

  #enter(): Entry {
    const prng = this.#prng;
    const isFunding = prng.chance(35);
    const debitAccountId = prng.pick(isFunding ? this.#banks : this.#customers);
    const { all, customers } = this.#others.get(debitAccountId)!;
    const transfer = {
      id: BigInt(this.entries.length + 1),
      debitAccountId,
      creditAccountId: prng.pick(prng.chance(15) ? all : customers),
      amount: BigInt(prng.between(1, isFunding ? 60 : 40)),
      ledger: LEDGER,
      code: CODE,
      userData64: prng.bits(64),
    };
    const entry: Entry = { transfer, outcome: { type: 'open' } };
    this.entries.push(entry);
    this.#open.add(entry);
    return entry;
  }

  /** Sends a batch and writes down what was answered. A rejection leaves the batch open. True when it was answered. */
  async send(client: Client, batch: readonly Entry[], deadlineMs = 5000): Promise<boolean> {
    let results: readonly Result[];
    try {
      ({ results } = await client.createTransfers(
        batch.map(({ transfer }) => transfer),
        { deadlineMs, retries: 0 },
      ));
    } catch {
      return false;
    }
    for (const [i, entry] of batch.entries()) this.learn(entry, results[i]!);
    return true;
  }

  learn(entry: Entry, { status, timestamp }: Result): void {
    const known = entry.outcome;
    const name = `transfer ${entry.transfer.id}`;
    if (known.type === 'created') {
      const isSame = status === 'exists' && timestamp === known.timestamp;
      if (!isSame)
        throw new Error(
          `${name} was created at ${known.timestamp}; now it is ${status} at ${timestamp}`,
        );
      return;
    }
    if (known.type === 'refused') {
      if (status !== 'id_already_failed')
        throw new Error(`${name} was refused; now it is ${status}`);
      return;
    }
    if (status === 'created' || status === 'exists') {
      entry.outcome = { type: 'created', timestamp };
      this.#createdCount++;
      this.#balances.get(entry.transfer.debitAccountId)!.debits += entry.transfer.amount;
      this.#balances.get(entry.transfer.creditAccountId)!.credits += entry.transfer.amount;
    } else if (BURNT.has(status)) entry.outcome = { type: 'refused' };
    else throw new Error(`${name} is ${status}, which no order of events gives`);
    this.#open.delete(entry);
    this.#fresh.push(entry);
  }

  /** Asks again for what is open, with the same ids: each is there or not, and from then on that is what it stays. */
  async settle(client: Client): Promise<void> {
    const open = [...this.#open];
    for (let from = 0; from < open.length; from += BATCH_EVENTS_MAX) {
      const part = open.slice(from, from + BATCH_EVENTS_MAX);
      const before = await this.#stored(client, part);
      const { results } = await client.createTransfers(
        part.map(({ transfer }) => transfer),
        CALL,
      );
      for (const [i, entry] of part.entries()) {
        const result = results[i]!;
        const stored = before.get(entry.transfer.id);
        if (stored !== undefined && (result.status !== 'exists' || result.timestamp !== stored)) {
          throw new Error(
            `transfer ${entry.transfer.id} was found at ${stored}, and asked again it is ${result.status} at ${result.timestamp}`,
          );
        }
        this.learn(entry, result);
      }
    }
    assert(this.#open.size === 0, 'every transfer is settled');
  }

  async #stored(client: Client, entries: readonly Entry[]): Promise<ReadonlyMap<bigint, bigint>> {
    const { transfers } = await client.lookupTransfers(
      entries.map(({ transfer }) => transfer.id),
      CALL,
    );
    return new Map(transfers.map(({ id, timestamp }) => [id, timestamp]));
  }

  /** The ledger against the books: what was settled since the last audit, or everything. */
  async audit(client: Client, scope: 'fresh' | 'all' = 'fresh'): Promise<void> {
    const entries = scope === 'all' ? this.entries : this.#fresh;
    this.#fresh = [];
    for (let from = 0; from < entries.length; from += BATCH_EVENTS_MAX) {
      await this.#auditTransfers(client, entries.slice(from, from + BATCH_EVENTS_MAX));
    }
    await this.#auditAccounts(client);
  }

  async #auditTransfers(client: Client, entries: readonly Entry[]): Promise<void> {
    const { transfers } = await client.lookupTransfers(
      entries.map(({ transfer }) => transfer.id),
      CALL,
    );
    const found = new Map(transfers.map((one) => [one.id, one]));
    for (const { transfer, outcome } of entries) {
      const name = `transfer ${transfer.id}`;
      const stored = found.get(transfer.id);
      if (outcome.type === 'created' && stored === undefined)
        throw new Error(`${name} was acknowledged and is lost`);
      if (outcome.type === 'refused' && stored !== undefined)
        throw new Error(`${name} was refused and is there`);
      if (outcome.type !== 'created' || stored === undefined) continue;
      const wanted = { ...transfer, timestamp: outcome.timestamp };
      for (const [field, value] of Object.entries(wanted)) {
        const is = stored[field as keyof typeof stored];
        if (is !== value) throw new Error(`${name} has ${field} ${is} instead of ${value}`);
      }
    }
  }

  async #auditAccounts(client: Client): Promise<void> {
    assert(this.#open.size === 0, 'balances are known when nothing is open');
    let difference: string | null = null;
    for (let reads = 0; reads < READS_MAX; reads++) {
      difference = await this.#balanceDifference(client);
      if (difference === null) return;
      this.lateBalances++;
    }
    throw new Error(`at rest, ${difference}`);
  }

  /** Every transfer has one debit and one credit, so equal balances are conserved money as well. */
  async #balanceDifference(client: Client): Promise<string | null> {
    const { accounts } = await client.lookupAccounts(
      this.accounts.map(({ id }) => id),
      CALL,
    );
    if (accounts.length !== this.accounts.length) throw new Error('an account is lost');
    for (const {
      id,
      flags,
      debitsPosted,
      creditsPosted,
      debitsPending,
      creditsPending,
    } of accounts) {
      if (flags === DEBITS_MUST_NOT_EXCEED_CREDITS && debitsPosted > creditsPosted) {
        throw new Error(
          `account ${id} has broken its limit: debits ${debitsPosted}, credits ${creditsPosted}`,
        );
      }
      if (debitsPending + creditsPending !== 0n)
        throw new Error(`account ${id} has pending amounts`);
      const { debits, credits } = this.#balances.get(id)!;
      if (debits !== debitsPosted || credits !== creditsPosted) {
        return `account ${id} has debits ${debitsPosted} and credits ${creditsPosted} instead of ${debits} and ${credits}`;
      }
    }
    return null;
  }
}
