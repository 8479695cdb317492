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
  type WireColumn,
} from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { Prng } from '../lib/prng.ts';
import { type PairRules, Pairs } from './pairs.ts';
import {
  CODE,
  column,
  constant,
  LEDGER,
  makeSlot,
  type Slot,
  type TransferKind,
  writeMark,
} from './slots.ts';

const PAIRS_DEFAULT = 1 << 19;
/** More pairs of few accounts make nothing more random. */
const PAIRS_EACH_MAX = 64;
const RING_BATCHES_MIN = 64;
/** Small batches take about a kilobyte each: so many of them have more accounts than caches do. */
const RING_BATCHES_MAX = 1 << 16;
const ACCOUNT_ID_TOP = 0x0193_0000;

export interface RingOptions extends PairRules {
  readonly batch: number;
  readonly inFlight: number;
  /** Distinct pairs of accounts in the ring, at least. */
  readonly pairs?: number | undefined;
  readonly transfers?: Omit<TransferKind, 'chain'> | undefined;
}

export interface WorkloadOptions extends RingOptions {
  readonly seed: number;
  /** Each account has a mark of its own as its user_data_64. */
  readonly areAccountsMarked?: boolean | undefined;
}

/** What a load takes its batches from. */
export interface SlotSource {
  readonly slots: readonly Slot[];
  /** The next batch, with ids never used before. Give it back when it was answered. */
  take(): Slot;
  giveBack(slot: Slot): void;
}

class Ring implements SlotSource {
  readonly slots: readonly Slot[];
  readonly #writeIds: (batch: Batch) => void;
  #next = 0;

  constructor(slots: readonly Slot[], writeIds: (batch: Batch) => void) {
    this.slots = slots;
    this.#writeIds = writeIds;
  }

  take(): Slot {
    while (this.slots[this.#next]!.isUnderWay) this.#next = (this.#next + 1) % this.slots.length;
    const slot = this.slots[this.#next]!;
    this.#next = (this.#next + 1) % this.slots.length;
    slot.isUnderWay = true;
    this.#writeIds(slot.batch);
    return slot;
  }

  giveBack(slot: Slot): void {
    slot.isUnderWay = false;
  }
}

/** Is its own first ring; `addRing` makes others, of other batches between the same accounts. */
export class Workload implements SlotSource {
  /** Four words for each account. */
  readonly accountIds: Uint32Array;
  readonly accounts: number;
  /** All that were ever made: what was acknowledged of any of them is in the balances. */
  readonly rings: SlotSource[] = [];
  readonly #options: WorkloadOptions;
  readonly #random: Prng;
  readonly #idPrefix: number;
  #idsUsed = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#random = new Prng(options.seed);
    this.accounts = options.accounts;
    this.accountIds = makeAccountIds(options.accounts, this.#random);
    this.addRing({});
    this.#idPrefix = this.#random.uint32();
  }

  /** A ring whose batches differ from the workload's own in these options. */
  addRing(others: Partial<RingOptions>): SlotSource {
    const options = { ...this.#options, ...others };
    const pairs = new Pairs(this.accountIds, options, this.#random);
    const count = Math.max(
      RING_BATCHES_MIN,
      options.inFlight * 2,
      Math.min(RING_BATCHES_MAX, Math.ceil((options.pairs ?? pairsOf(options)) / options.batch)),
    );
    const slots: Slot[] = [];
    const parts = { accountIds: this.accountIds, pairs, random: this.#random };
    const kind = { ...options.transfers, chain: options.chain };
    for (let i = 0; i < count; i++) slots.push(makeSlot(parts, options.batch, kind));
    const ring = new Ring(slots, (batch) => this.writeIds(batch));
    this.rings.push(ring);
    return ring;
  }

  /** Of the first ring. */
  get slots(): readonly Slot[] {
    return this.rings[0]!.slots;
  }

  take(): Slot {
    return this.rings[0]!.take();
  }

  giveBack(slot: Slot): void {
    slot.isUnderWay = false;
  }

  /** Gives each transfer of a batch an id that was never used before. */
  writeIds({ words, n }: Batch): void {
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
  }

  accountId(account: number): bigint {
    return bigintOfUint128(this.accountIds, account * 4);
  }

  /** Batches that create the accounts, as large as they may be. */
  *accountBatches(): Generator<Batch> {
    for (let from = 0; from < this.accounts; from += BATCH_EVENTS_MAX) {
      const n = Math.min(BATCH_EVENTS_MAX, this.accounts - from);
      yield batchOfColumns(BatchKind.accounts, n, [
        column(Account.id, this.accountIds.subarray(from * 4, (from + n) * 4)),
        constant(Account.ledger, Uint32Array.of(LEDGER)),
        constant(Account.code, Uint16Array.of(CODE)),
        ...(this.#options.areAccountsMarked === true ? [accountMarks(from, n)] : []),
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

const pairsOf = ({ accounts }: RingOptions): number =>
  Math.min(PAIRS_DEFAULT, accounts * PAIRS_EACH_MAX);

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

function accountMarks(from: number, n: number): WireColumn {
  const marks = new Uint32Array(n * 2);
  for (let i = 0; i < n; i++) writeMark(marks, i * 2, from + i);
  return column(Account.userData64, marks);
}
