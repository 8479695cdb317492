/**
 * Seeded batches for clients that ask at the same time: a few accounts on all shards, small amounts, and everything that two of them can want at
 * once: the same money, the same id, to end the same pending transfer, to close what another one uses; chains over the shards; accounts that
 * are created while others use them. What single events can break is left to the tables and to whole-batches.ts.
 */
import { AccountFlags, TransferFlags } from '../../engine/flags.ts';
import type { Prng } from '../../lib/prng.ts';
import { U128_MAX } from './ledger-records.ts';
import type { AccountInput, ShardOf, TransferInput } from './ledger-records.ts';
import type { WorldBatch } from './world-router.ts';

const { linked, pending, postPendingTransfer: post, voidPendingTransfer, imported } = TransferFlags;
const { debitsMustNotExceedCredits: dmc, creditsMustNotExceedDebits: cmd, history } = AccountFlags;
const ACCOUNT_FLAGS = [0, history, dmc, dmc | history, cmd, 0];
const BALANCING = [16, 32, 48];
const CLOSING = [64, 128, 192];
const TIMEOUTS = [0, 0, 1, 1, 2];
const RECENT_MAX = 12;
const OPEN_MAX = 6;
const AMOUNT_MAX = 5;

export class WorldBatches {
  readonly accountIds: readonly bigint[];
  readonly #prng: Prng;
  readonly #now: () => bigint;
  readonly #accounts: readonly AccountInput[];
  readonly #recent: TransferInput[] = [];
  readonly #open: TransferInput[] = [];
  readonly #pendings = new Map<bigint, TransferInput>();
  #closing: TransferInput | null = null;
  #nextTransferId = 1n;
  #nextAccountId = 5000n;

  constructor(options: {
    readonly prng: Prng;
    readonly shards: number;
    readonly shardOf: ShardOf;
    /** What is imported lies a little before it. */
    readonly now: () => bigint;
  }) {
    const { prng, shards, shardOf } = options;
    this.#prng = prng;
    this.#now = options.now;
    this.#accounts = Array.from({ length: prng.between(3, 6) }, (_, i) => {
      let id = BigInt(i + 1);
      while (shardOf(id) !== i % shards) id += 100n;
      return { id, ledger: 1, code: 1, flags: prng.pick(ACCOUNT_FLAGS) };
    });
    this.accountIds = this.#accounts.map(({ id }) => id);
  }

  /** Most of the accounts, and so much money that debits are not all refused. */
  first(): readonly WorldBatch[] {
    const there = this.#accounts.filter(() => this.#prng.chance(85));
    const events = there.length > 1 ? there : this.#accounts;
    const funding = events.slice(1).map(({ id }): TransferInput => {
      const amount = BigInt(this.#prng.between(1, 9));
      const known = events[0]!.id;
      return { ...this.#plain(), debitAccountId: known, creditAccountId: id, amount };
    });
    return [
      { type: 'accounts', events },
      { type: 'transfers', events: funding },
    ];
  }

  /** A batch of up to so many events. */
  next(size: number): WorldBatch {
    const prng = this.#prng;
    const isImported = prng.chance(6);
    if (prng.chance(8)) {
      const events = Array.from({ length: Math.min(size, 3) }, () => this.#accountEvent());
      return {
        type: 'accounts',
        events: this.#linked(isImported ? this.#dated(events, 16) : events),
      };
    }
    const events = Array.from({ length: size }, () => this.#event());
    const past = events.map((event) => ({ ...event, timeout: 0 }));
    const linkedEvents = this.#linked(isImported ? this.#dated(past, imported) : events);
    return { type: 'transfers', events: this.#named(linkedEvents) };
  }

  /** In a chain every post and void names its accounts: the router looks for the others when it is asked, and the chain is judged later. */
  #named(events: readonly TransferInput[]): TransferInput[] {
    return events.map((event, i) => {
      const isChained = [events[i - 1], event].some((one) => ((one?.flags ?? 0) & linked) !== 0);
      const named = isChained ? this.#pendings.get(event.pendingId ?? 0n) : undefined;
      if (named === undefined) return event;
      const { debitAccountId, creditAccountId } = named;
      return { ...event, debitAccountId, creditAccountId };
    });
  }

  #dated<Event extends { readonly flags?: number }>(
    events: readonly Event[],
    flag: number,
  ): Event[] {
    // Mostly after all that is there; sometimes in an order that must not be.
    let at = this.#now() - 1_000n;
    return events.map((event) => {
      at += BigInt(this.#prng.between(1, 50)) * (this.#prng.chance(90) ? 1n : -1n);
      return { ...event, flags: (event.flags ?? 0) | flag, timestamp: at };
    });
  }

  #accountEvent(): AccountInput {
    const prng = this.#prng;
    if (prng.chance(50)) return prng.pick(this.#accounts);
    const flags = prng.pick(ACCOUNT_FLAGS);
    return { id: this.#nextAccountId++, ledger: 1, code: prng.chance(90) ? 1 : 0, flags };
  }

  #linked<Event extends { readonly flags?: number }>(events: readonly Event[]): Event[] {
    const prng = this.#prng;
    let left = 0;
    return events.map((event, i) => {
      if (left === 0 && prng.chance(22)) left = prng.between(1, 3);
      const isLast = i === events.length - 1;
      if (left === 0 || (isLast && prng.chance(90))) return event;
      left--;
      return { ...event, flags: (event.flags ?? 0) | linked };
    });
  }

  #event(): TransferInput {
    const prng = this.#prng;
    if (this.#recent.length > 0 && prng.chance(10)) return this.#again(prng.pick(this.#recent));
    const event = this.#fresh();
    // One that is looked for on the shards may have another home when it comes again.
    const { debitAccountId } = this.#pendings.get(event.pendingId ?? 0n) ?? event;
    const isAtHome = debitAccountId === event.debitAccountId;
    if (isAtHome) keep(this.#recent, event, RECENT_MAX, prng);
    const flags = event.flags ?? 0;
    if ((flags & pending) !== 0) {
      keep(this.#open, event, OPEN_MAX, prng);
      this.#pendings.set(event.id, event);
    }
    if ((flags & 192) !== 0) this.#closing = event;
    return event;
  }

  #fresh(): TransferInput {
    const prng = this.#prng;
    const event = this.#plain();
    if (this.#closing !== null && prng.chance(20)) {
      const end = this.#endOf(this.#closing);
      if (prng.chance(60)) this.#closing = null;
      return end;
    }
    if (this.#open.length > 0 && prng.chance(26)) return this.#endOf(prng.pick(this.#open));
    const kind = prng.below(100);
    if (kind < 26) return { ...event, flags: pending, timeout: prng.pick(TIMEOUTS) };
    if (kind < 34) return { ...event, flags: prng.pick(BALANCING) };
    if (kind < 37) return { ...event, flags: prng.pick(BALANCING) | pending };
    if (kind < 41) return { ...event, flags: prng.pick(CLOSING) | pending, timeout: 1 };
    return event;
  }

  #plain(): TransferInput {
    const prng = this.#prng;
    const debitAccountId = prng.pick(this.accountIds);
    const others = this.accountIds.filter((id) => id !== debitAccountId);
    return {
      id: this.#nextTransferId++,
      debitAccountId,
      creditAccountId: prng.pick(others),
      amount: BigInt(prng.between(prng.chance(10) ? 0 : 1, AMOUNT_MAX)),
      ledger: 1,
      code: 1,
      userData64: prng.chance(15) ? 7n : 0n,
    };
  }

  /** A post or void. Some name no accounts, some wrong ones. */
  #endOf(p: TransferInput): TransferInput {
    const prng = this.#prng;
    const isVoid = prng.chance(45);
    const names = prng.below(100);
    const other = prng.pick(this.accountIds);
    return {
      id: this.#nextTransferId++,
      pendingId: p.id,
      debitAccountId: names < 35 ? 0n : names < 42 ? other : p.debitAccountId,
      creditAccountId: names < 30 ? 0n : names > 94 ? other : p.creditAccountId,
      amount: isVoid ? prng.pick([0n, p.amount]) : prng.pick([U128_MAX, U128_MAX, 1n, p.amount]),
      flags: isVoid ? voidPendingTransfer : post,
      ledger: 0,
      code: prng.pick([0, 1]),
    };
  }

  /** A known id, as it was or a little different. */
  #again(event: TransferInput): TransferInput {
    const prng = this.#prng;
    if (prng.chance(60)) return event;
    const change = prng.below(5);
    if (change === 0)
      return { ...event, amount: event.amount === U128_MAX ? 1n : event.amount + 1n };
    if (change === 1) return { ...event, flags: 0 };
    if (change === 2) return { ...event, userData64: 9n };
    if (change === 3) return { ...event, creditAccountId: prng.pick(this.accountIds) };
    return { ...event, code: 2 };
  }
}

function keep(list: TransferInput[], event: TransferInput, max: number, prng: Prng): void {
  if (list.length < max) list.push(event);
  else list[prng.below(max)] = event;
}
