/**
 * Seeded batches of all that a ledger can do, mixed: chains, pending transfers and what ends them (in the same batch, later, too late, naming
 * the right accounts, the wrong ones, or none), balancing, closing, imported batches, accounts with a history, ids that come again, and
 * fields that no rule lets through. Between them time passes.
 *
 * What two shards could do in either order is left out: an id is used on one shard only, and amounts near 2^128 are for one shard.
 */
import { AccountFlags, RESOLVING, TransferFlags } from '../../engine/flags.ts';
import { Prng } from '../../lib/prng.ts';
import { SECOND, U128_MAX } from './ledger-records.ts';
import type { AccountInput, ShardOf, TransferInput } from './ledger-records.ts';
import { changeOfAccount, changeOfTransfer } from './random-changes.ts';

export type WholeBatch =
  | { readonly type: 'accounts'; readonly events: readonly AccountInput[] }
  | { readonly type: 'transfers'; readonly events: readonly TransferInput[] }
  | { readonly type: 'wait'; readonly seconds: number };

export interface WholeBatchesOptions {
  readonly seed: number;
  readonly placement: { readonly shards: number; readonly shardOf: ShardOf };
  /** The clock of the ledger, in nanoseconds: what is imported lies before it. */
  readonly now: () => bigint;
  /** Amounts near 2^128. Only for one shard: commuting events of a batch may change places over several. */
  readonly hasOverflows?: boolean;
  readonly accountCount?: number;
}

const RECENT_MAX = 200;
const OPEN_MAX = 40;
const SMALL_BATCH_MAX = 60;
const LARGE_BATCH_MIN = 1000;
const LARGE_BATCH_MAX = 1500;
const ACCOUNT_FLAGS = [0, 0, 8, 8, 10, 2, 4, 12];
const TIMEOUTS = [0, 0, 0, 1, 1, 2, 3, 7, 4_000_000_000];
const WAITS = [1, 1, 1, 2, 3, 10];
const { linked, pending, postPendingTransfer: post, voidPendingTransfer } = TransferFlags;
const BALANCING = [16, 16, 32, 32, 48];
const CLOSING = [64, 128, 192];

export class WholeBatches {
  readonly accountIds: readonly bigint[];
  readonly #prng: Prng;
  readonly #options: WholeBatchesOptions;
  readonly #accounts: readonly AccountInput[];
  /** Events that were sent, the newest ones: an id that comes again is taken from here. */
  readonly #recent: TransferInput[] = [];
  /** Pending transfers that were sent, the newest ones. */
  readonly #open: TransferInput[] = [];
  /** Those that close: ended sooner than others, so that accounts are mostly open. */
  readonly #closing: TransferInput[] = [];
  #nextTransferId = 1n;
  #nextAccountId = 1_000_000n;
  #isFirst = true;
  /** When the clock stood where the imported batch that comes next begins; null where none comes. */
  #importFrom: bigint | null = null;

  constructor(options: WholeBatchesOptions) {
    this.#options = options;
    this.#prng = new Prng(options.seed);
    const count = options.accountCount ?? this.#prng.between(5, 14);
    this.#accounts = Array.from({ length: count }, (_, i) => this.#firstAccount(i));
    this.accountIds = this.#accounts.map(({ id }) => id);
  }

  /** The first batch creates the accounts; then mostly transfers. */
  next(size: number = this.#batchSize()): WholeBatch {
    const prng = this.#prng;
    if (this.#isFirst) {
      this.#isFirst = false;
      return { type: 'accounts', events: this.#accounts };
    }
    const from = this.#importFrom;
    this.#importFrom = null;
    if (from !== null) return this.#importedBatch(Math.min(size, SMALL_BATCH_MAX), from);
    if (prng.chance(5)) return this.#waitForImport();
    if (prng.chance(14)) return { type: 'wait', seconds: prng.pick(WAITS) };
    if (prng.chance(6)) {
      const events = this.#accountEvents(Math.min(size, SMALL_BATCH_MAX));
      return { type: 'accounts', events: this.#withStray(events, AccountFlags.imported) };
    }
    const events = this.#withChains(Array.from({ length: size }, () => this.#unitEvent()));
    return { type: 'transfers', events: this.#withStray(events, TransferFlags.imported) };
  }

  #waitForImport(): WholeBatch {
    this.#importFrom = this.#options.now();
    return { type: 'wait', seconds: this.#prng.pick(WAITS) };
  }

  #batchSize(): number {
    if (this.#prng.chance(1)) return this.#prng.between(LARGE_BATCH_MIN, LARGE_BATCH_MAX);
    return this.#prng.chance(25) ? 1 : this.#prng.between(2, SMALL_BATCH_MAX);
  }

  #firstAccount(i: number): AccountInput {
    const prng = this.#prng;
    const { shards, shardOf } = this.#options.placement;
    let id = prng.chance(50) ? BigInt(i + 1) : (prng.bits(96) << 32n) + BigInt(i + 1);
    while (shardOf(id) !== i % shards) id += 100n;
    const ledger = prng.chance(96) ? 1 : 2;
    return { id, ledger, code: prng.between(1, 3), flags: prng.pick(ACCOUNT_FLAGS) };
  }

  /** New accounts that no transfer names, and the known ones again. */
  #accountEvents(count: number): AccountInput[] {
    const prng = this.#prng;
    const events = Array.from({ length: count }, (): AccountInput => {
      const known = prng.pick(this.#accounts);
      const account = prng.chance(60) ? { ...known, id: this.#nextAccountId++ } : known;
      return prng.chance(25) ? { ...account, ...changeOfAccount(prng) } : account;
    });
    return this.#withChains(events);
  }

  /** A linked flag on some runs of events. Ids of events that come again keep their flags mostly, so that they can exist. */
  #withChains<Event extends { readonly flags?: number }>(events: readonly Event[]): Event[] {
    const prng = this.#prng;
    let left = 0;
    return events.map((event, i) => {
      if (left === 0 && prng.chance(7)) {
        left = prng.chance(2) ? events.length : prng.between(1, prng.chance(10) ? 12 : 2);
      }
      const isLast = i === events.length - 1;
      if (left === 0 || (isLast && prng.chance(80))) return event;
      left--;
      return { ...event, flags: (event.flags ?? 0) | linked };
    });
  }

  /** Sometimes one event that does not belong into its batch. */
  #withStray<Event extends { readonly flags?: number; readonly timestamp?: bigint }>(
    events: readonly Event[],
    imported: number,
  ): Event[] {
    if (!this.#prng.chance(4)) return [...events];
    const at = this.#prng.below(events.length);
    const flags = (events[at]!.flags ?? 0) ^ imported;
    // At the first place it decides for all of them.
    return events.map((event, i) => (i === at ? { ...event, flags } : event));
  }

  #unitEvent(): TransferInput {
    const prng = this.#prng;
    const event = this.#freshEvent();
    const isAgain = this.#recent.length > 0 && prng.chance(10);
    const one = isAgain ? this.#again(prng.pick(this.#recent)) : event;
    if (isAgain) return one;
    this.#note(one);
    return one;
  }

  #freshEvent(): TransferInput {
    const prng = this.#prng;
    if (this.#closing.length > 0 && prng.chance(8)) return this.#endOf(this.#closing);
    if (this.#open.length > 0 && prng.chance(22)) return this.#endOf(this.#open);
    const event = this.#plain();
    const kind = prng.below(100);
    if (kind < 22) return { ...event, flags: pending, timeout: prng.pick(TIMEOUTS) };
    if (kind < 30) return { ...event, flags: prng.pick(BALANCING) };
    if (kind < 33) return { ...event, flags: prng.pick(BALANCING) | pending };
    if (kind < 35) {
      const flags = prng.pick(CLOSING) | (prng.chance(95) ? pending : 0);
      return { ...event, flags, timeout: prng.pick([1, 1, 2]) };
    }
    return prng.chance(8) ? { ...event, ...this.#change(event, true) } : event;
  }

  #plain(): TransferInput {
    const prng = this.#prng;
    const debitAccountId = prng.pick(this.accountIds);
    // Mostly two different accounts, sometimes the same one twice.
    const others = this.accountIds.filter((id) => id !== debitAccountId || prng.chance(3));
    return {
      id: this.#nextTransferId++,
      debitAccountId,
      creditAccountId: prng.pick(others),
      amount: this.#amount(),
      ledger: prng.chance(95) ? 1 : 2,
      code: prng.between(1, 3),
      userData128: prng.chance(10) ? prng.bits(128) : 0n,
      userData64: prng.chance(10) ? prng.bits(64) : 0n,
      userData32: prng.chance(10) ? prng.uint32() : 0,
    };
  }

  /** A post or void of a pending transfer: mostly of one that is there. */
  #endOf(list: readonly TransferInput[]): TransferInput {
    const prng = this.#prng;
    const p = prng.pick(list);
    const isVoid = list === this.#closing ? prng.chance(85) : prng.chance(35);
    const isPart = prng.chance(40);
    const whole = prng.pick([U128_MAX, U128_MAX, p.amount]);
    const more = p.amount < U128_MAX ? p.amount + 1n : p.amount;
    const part = prng.pick([p.amount / 2n, 1n, 0n, more]);
    const postAmount = isPart ? part : whole;
    const voidAmount = prng.pick([0n, 0n, p.amount, more, p.amount / 2n]);
    const names = prng.below(100);
    const wrong = prng.pick([...this.accountIds, 999_999n, U128_MAX]);
    const isNameless = names < 25;
    return {
      id: this.#nextTransferId++,
      pendingId: prng.chance(97)
        ? p.id
        : prng.pick([0n, U128_MAX, this.#nextTransferId, p.id + 1n]),
      debitAccountId: isNameless ? 0n : names < 30 ? wrong : p.debitAccountId,
      creditAccountId: isNameless || names > 90 ? 0n : names > 86 ? wrong : p.creditAccountId,
      amount: isVoid ? voidAmount : postAmount,
      flags:
        (isVoid ? voidPendingTransfer : post) | (prng.chance(1) ? prng.pick([2, 12, 16, 64]) : 0),
      ledger: prng.pick([0, 0, p.ledger, prng.chance(10) ? 3 : 0]),
      code: prng.pick([0, 0, p.code, prng.chance(10) ? 9 : 0]),
      userData64: prng.chance(10) ? prng.bits(64) : 0n,
      timeout: prng.chance(1) ? 1 : 0,
    };
  }

  #note(event: TransferInput): void {
    const flags = event.flags ?? 0;
    const isEnd = (flags & RESOLVING) !== 0;
    const owner = this.#open.find(({ id }) => id === event.pendingId);
    // A post that may be looked for elsewhere when it comes again stays out.
    const isHere = isEnd
      ? owner?.debitAccountId === event.debitAccountId
      : this.accountIds.includes(event.debitAccountId);
    if (isHere) this.#keep(this.#recent, event, RECENT_MAX);
    if ((flags & pending) === 0 || isEnd) return;
    this.#keep(this.#open, event, OPEN_MAX);
    if ((flags & 192) !== 0) this.#keep(this.#closing, event, 4);
  }

  #keep(list: TransferInput[], event: TransferInput, max: number): void {
    if (list.length < max) list.push(event);
    else list[this.#prng.below(max)] = event;
  }

  /** A known id: as it was, or with one field changed. */
  #again(event: TransferInput): TransferInput {
    const prng = this.#prng;
    if (prng.chance(50)) return event;
    const changed = { ...event, ...this.#change(event) };
    return prng.chance(20) ? { ...changed, ...this.#change(event) } : changed;
  }

  /** One field. The debit account of a known id changes to one of the same shard, as it is unique there; a post keeps what it names. */
  #change(event: TransferInput, isNew = false): Partial<TransferInput> {
    const prng = this.#prng;
    const change = changeOfTransfer(prng, this.accountIds, () => this.#amount());
    if (((event.flags ?? 0) & RESOLVING) !== 0) {
      const { debitAccountId: _, pendingId: __, flags: ___, ...rest } = change;
      return rest;
    }
    if (change.debitAccountId === undefined) return change;
    if (isNew) return { debitAccountId: prng.pick([0n, U128_MAX, 999_999n, ...this.accountIds]) };
    const { shardOf } = this.#options.placement;
    const home = shardOf(event.debitAccountId);
    const near = this.accountIds.filter((id) => shardOf(id) === home);
    return { debitAccountId: prng.pick(near.length > 0 ? near : [event.debitAccountId]) };
  }

  #amount(): bigint {
    const prng = this.#prng;
    if (this.#options.hasOverflows === true && prng.chance(5)) {
      return prng.pick([U128_MAX, U128_MAX - 1n, 1n << 127n, U128_MAX - BigInt(prng.below(200))]);
    }
    if (prng.chance(4)) return prng.bits(64) << 8n;
    return BigInt(prng.chance(10) ? 0 : prng.between(1, 100));
  }

  /** Events of the time between the wait before it and now. */
  #importedBatch(size: number, from: bigint): WholeBatch {
    const prng = this.#prng;
    let at = from + SECOND / 2n;
    const stamp = (): bigint => {
      if (prng.chance(4)) return prng.pick([0n, 1n, 2n ** 63n, 2n ** 63n - 1n, at, from - SECOND]);
      at += BigInt(prng.between(1, 1000));
      return at;
    };
    if (prng.chance(20)) {
      const { imported } = AccountFlags;
      const events = this.#accountEvents(size).map((event) => {
        const flags = (event.flags ?? 0) | (prng.chance(95) ? imported : 0);
        return { ...event, flags, timestamp: stamp() };
      });
      return { type: 'accounts', events };
    }
    const imports = Array.from({ length: size }, () => this.#importedTransfer(stamp()));
    const events = this.#withChains(imports);
    for (const event of events) this.#note(event);
    return { type: 'transfers', events };
  }

  #importedTransfer(timestamp: bigint): TransferInput {
    const prng = this.#prng;
    const { imported } = TransferFlags;
    const isEnd = this.#open.length > 0 && prng.chance(20);
    const event = isEnd
      ? this.#endOf(this.#open)
      : { ...this.#plain(), timeout: prng.chance(6) ? 1 : 0 };
    const isPending = !('pendingId' in event) && prng.chance(30);
    const flags = (event.flags ?? 0) | (isPending ? pending : 0) | (prng.chance(96) ? imported : 0);
    return { ...event, flags, timestamp };
  }

  /** Forgets pending transfers that were not created, so that most posts find theirs. */
  learn(events: readonly TransferInput[], statuses: readonly string[]): void {
    const isThere = (i: number): boolean => /^(created|exists)/.test(statuses[i]!);
    const there = new Set(events.filter((_, i) => isThere(i)).map(({ id }) => id));
    const failed = new Set(events.map(({ id }) => id).filter((id) => !there.has(id)));
    for (const list of [this.#open, this.#closing]) {
      const kept = list.filter(({ id }) => !failed.has(id) || this.#prng.chance(3));
      list.splice(0, list.length, ...kept);
    }
  }
}
