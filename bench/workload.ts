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
const RING_BATCHES_MIN = 64;
const ACCOUNT_ID_TOP = 0x0193_0000;

export interface WorkloadOptions extends PairRules {
  readonly batch: number;
  readonly seed: number;
  readonly inFlight: number;
  /** Distinct pairs of accounts in the ring, at least. */
  readonly pairs?: number | undefined;
  readonly transfers?: Omit<TransferKind, 'chain'> | undefined;
  /** Each account has a mark of its own as its user_data_64. */
  readonly areAccountsMarked?: boolean | undefined;
}

export class Workload {
  /** Four words for each account. */
  readonly accountIds: Uint32Array;
  readonly slots: readonly Slot[];
  readonly accounts: number;
  readonly #idPrefix: number;
  readonly #areAccountsMarked: boolean;
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
    const parts = { accountIds: this.accountIds, pairs, random };
    const kind = { ...options.transfers, chain: options.chain };
    for (let i = 0; i < count; i++) slots.push(makeSlot(parts, options.batch, kind));
    this.slots = slots;
    this.#areAccountsMarked = options.areAccountsMarked ?? false;
    this.#idPrefix = random.uint32();
  }

  /** The next batch of the ring, with ids never used before. Give it back when it was answered. */
  take(): Slot {
    while (this.slots[this.#next]!.isUnderWay) this.#next = (this.#next + 1) % this.slots.length;
    const slot = this.slots[this.#next]!;
    this.#next = (this.#next + 1) % this.slots.length;
    slot.isUnderWay = true;
    this.writeIds(slot.batch);
    return slot;
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
        ...(this.#areAccountsMarked ? [accountMarks(from, n)] : []),
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
