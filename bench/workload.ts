/**
 * Seeded load: accounts with known ids, and a ring of transfer batches made before the clock runs. A batch is used again with fresh ids,
 * which is all that is written per use; so making load costs a few nanoseconds per transfer, and what each account must hold in the end
 * follows from how often each batch was acknowledged.
 *
 * Ids count up from a prefix of their own, as time-ordered ids do. Account ids are random in their middle words.
 */
import {
  Account,
  type Batch,
  BatchKind,
  batchOfColumns,
  HEADER_BYTES,
  Transfer,
} from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { shardOf } from '../engine/placement.ts';
import { Prng } from '../lib/prng.ts';

export const LEDGER = 1;
export const CODE = 1;
const AMOUNT_MAX = 1_000;
const PAIRS_DEFAULT = 1 << 19;
const RING_BATCHES_MIN = 64;
const ACCOUNT_ID_TOP = 0x0193_0000;

export interface WorkloadOptions {
  readonly accounts: number;
  readonly shards: number;
  readonly batch: number;
  readonly crossShard: number | undefined;
  readonly seed: number;
  readonly inFlight: number;
  /** Distinct pairs of accounts in the ring, at least. */
  readonly pairs?: number | undefined;
}

/** One batch of the ring, and how its transfers fared. */
export interface Slot {
  readonly batch: Batch;
  readonly debits: Uint32Array;
  readonly credits: Uint32Array;
  readonly amounts: Uint32Array;
  /** Uses in which every transfer was created. */
  created: number;
  /** Taken and not given back: its ids may still be sent again. */
  isUnderWay: boolean;
}

export class Workload {
  /** Four words for each account. */
  readonly accountIds: Uint32Array;
  readonly slots: readonly Slot[];
  readonly accounts: number;
  readonly #idPrefix: number;
  #idsUsed = 0;
  #next = 0;

  constructor(options: WorkloadOptions) {
    const random = new Prng(options.seed);
    this.accounts = options.accounts;
    this.accountIds = makeAccountIds(options.accounts, random);
    const pairs = new Pairs(this.accountIds, options, random);
    const count = Math.max(
      RING_BATCHES_MIN,
      options.inFlight * 2,
      Math.ceil((options.pairs ?? PAIRS_DEFAULT) / options.batch),
    );
    const slots: Slot[] = [];
    for (let i = 0; i < count; i++) slots.push(makeSlot(this.accountIds, options.batch, pairs));
    this.slots = slots;
    this.#idPrefix = random.uint32();
  }

  /** The next batch of the ring, with ids never used before. Give it back when it was answered. */
  take(): Slot {
    while (this.slots[this.#next]!.isUnderWay) this.#next = (this.#next + 1) % this.slots.length;
    const slot = this.slots[this.#next]!;
    this.#next = (this.#next + 1) % this.slots.length;
    slot.isUnderWay = true;
    const { words, n } = slot.batch;
    const first = HEADER_BYTES / 4;
    let count = this.#idsUsed;
    for (let at = first; at < first + n * 4; at += 4) {
      count++;
      words[at] = count >>> 0;
      words[at + 1] = Math.floor(count / 2 ** 32);
      words[at + 2] = this.#idPrefix;
      words[at + 3] = ACCOUNT_ID_TOP;
    }
    this.#idsUsed = count;
    return slot;
  }

  giveBack(slot: Slot): void {
    slot.isUnderWay = false;
  }

  accountId(account: number): bigint {
    let id = 0n;
    for (let word = 3; word >= 0; word--) {
      id = (id << 32n) | BigInt(this.accountIds[account * 4 + word]!);
    }
    return id;
  }

  /** Batches that create the accounts, as large as they may be. */
  *accountBatches(): Generator<Batch> {
    for (let from = 0; from < this.accounts; from += BATCH_EVENTS_MAX) {
      const n = Math.min(BATCH_EVENTS_MAX, this.accounts - from);
      yield batchOfColumns(BatchKind.accounts, n, [
        column(Account.id, this.accountIds.subarray(from * 4, (from + n) * 4)),
        constant(Account.ledger, Uint32Array.of(LEDGER)),
        constant(Account.code, Uint16Array.of(CODE)),
      ]);
    }
  }

  /** Batches that look up all accounts, in the order of their ids. */
  *lookupBatches(): Generator<Batch> {
    for (let from = 0; from < this.accounts; from += BATCH_EVENTS_MAX) {
      const n = Math.min(BATCH_EVENTS_MAX, this.accounts - from);
      const ids = this.accountIds.subarray(from * 4, (from + n) * 4);
      yield batchOfColumns(BatchKind.ids, n, [column(Account.id, ids)]);
    }
  }
}

type Cells = Uint32Array | Uint16Array;
const bytesOf = (cells: Cells): Uint8Array =>
  new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength);
const column = (number: number, cells: Cells) => ({
  column: number,
  constant: false,
  bytes: bytesOf(cells),
});
const constant = (number: number, cells: Cells) => ({
  column: number,
  constant: true,
  bytes: bytesOf(cells),
});

function makeAccountIds(accounts: number, random: Prng): Uint32Array {
  const ids = new Uint32Array(accounts * 4);
  for (let i = 0; i < accounts; i++) {
    ids[i * 4] = i + 1;
    ids[i * 4 + 1] = random.uint32();
    ids[i * 4 + 2] = random.uint32();
    ids[i * 4 + 3] = ACCOUNT_ID_TOP;
  }
  return ids;
}

function makeSlot(accountIds: Uint32Array, n: number, pairs: Pairs): Slot {
  const debits = new Uint32Array(n);
  const credits = new Uint32Array(n);
  const amounts = new Uint32Array(n);
  pairs.draw(debits, credits, amounts);
  const ids = new Uint32Array(n * 4);
  const wideAmounts = new Uint32Array(n * 4);
  const debitIds = new Uint32Array(n * 4);
  const creditIds = new Uint32Array(n * 4);
  for (let i = 0; i < n; i++) {
    wideAmounts[i * 4] = amounts[i]!;
    for (let word = 0; word < 4; word++) {
      debitIds[i * 4 + word] = accountIds[debits[i]! * 4 + word]!;
      creditIds[i * 4 + word] = accountIds[credits[i]! * 4 + word]!;
    }
  }
  const batch = batchOfColumns(BatchKind.transfers, n, [
    column(Transfer.id, ids),
    column(Transfer.debitAccountId, debitIds),
    column(Transfer.creditAccountId, creditIds),
    column(Transfer.amount, wideAmounts),
    constant(Transfer.ledger, Uint32Array.of(LEDGER)),
    constant(Transfer.code, Uint16Array.of(CODE)),
  ]);
  return { batch, debits, credits, amounts, created: 0, isUnderWay: false };
}

/** Draws pairs of accounts. With a share of crossing ones, it is kept exactly, carried over from batch to batch. */
class Pairs {
  readonly #random: Prng;
  readonly #accounts: number;
  readonly #share: number | undefined;
  readonly #shards: number;
  readonly #shardOfAccount: Uint8Array;
  readonly #byShard: readonly Uint32Array[];
  #owed = 0;

  constructor(accountIds: Uint32Array, options: WorkloadOptions, random: Prng) {
    const { accounts, shards, crossShard } = options;
    this.#random = random;
    this.#accounts = accounts;
    this.#shards = shards;
    this.#share = shards === 1 || crossShard === undefined ? undefined : crossShard / 100;
    this.#shardOfAccount = new Uint8Array(accounts);
    const lists: number[][] = Array.from({ length: shards }, () => []);
    for (let i = 0; i < accounts; i++) {
      const shard = shardOf(accountIds, i * 4, shards);
      this.#shardOfAccount[i] = shard;
      lists[shard]!.push(i);
    }
    this.#byShard = lists.map((list) => Uint32Array.from(list));
    if (this.#byShard.some((list) => list.length < 2)) {
      throw new Error('every shard needs two accounts: ask for more of them');
    }
  }

  draw(debits: Uint32Array, credits: Uint32Array, amounts: Uint32Array): void {
    const random = this.#random;
    for (let i = 0; i < debits.length; i++) {
      const debit = random.below(this.#accounts);
      debits[i] = debit;
      credits[i] = this.#creditFor(debit);
      amounts[i] = random.between(1, AMOUNT_MAX);
    }
    if (this.#share !== undefined) this.#shuffle(debits, credits);
  }

  #creditFor(debit: number): number {
    if (this.#share === undefined) return this.#other(debit, undefined);
    this.#owed += this.#share;
    const shard = this.#shardOfAccount[debit]!;
    // The sum of shares like 0.1 is not exact; a thousandth is far more than it is ever off.
    if (this.#owed < 0.999) return this.#other(debit, this.#byShard[shard]);
    this.#owed -= 1;
    const away = (shard + 1 + this.#random.below(this.#shards - 1)) % this.#shards;
    return this.#other(debit, this.#byShard[away]);
  }

  #other(debit: number, list: Uint32Array | undefined): number {
    for (;;) {
      const drawn = this.#random.below(list === undefined ? this.#accounts : list.length);
      const credit = list === undefined ? drawn : list[drawn]!;
      if (credit !== debit) return credit;
    }
  }

  /** Crossing pairs come at even distances; a shuffle hides that from the router. */
  #shuffle(debits: Uint32Array, credits: Uint32Array): void {
    for (let i = debits.length - 1; i > 0; i--) {
      const j = this.#random.below(i + 1);
      [debits[i], debits[j]] = [debits[j]!, debits[i]!];
      [credits[i], credits[j]] = [credits[j]!, credits[i]!];
    }
  }
}
