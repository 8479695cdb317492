/**
 * What the journals of all shards say, read frame by frame by the format that is described in engine/group.ts and by nothing else: what was
 * created, when it was decided, what expired. `audit` holds it against the tables of a shard: every transfer is in the history of both its
 * accounts once and in order, and adding up a history gives the balances after each transfer, and those of the account.
 */
import { HEAD_HIGH, HEAD_LOW } from '../../engine/account-table.ts';
import { assert } from '../../engine/assert.ts';
import { Columns, ROW_WORDS } from '../../engine/batch.ts';
import { AccountFlags, RESOLVING, REWRITTEN, TransferFlags } from '../../engine/flags.ts';
import {
  DERIVED_HEAD_WORDS,
  copyDerivedRecord,
  DerivedHead,
  BALANCE_WORDS,
  copyFrameRow,
  DerivedKind,
  Head,
  HEAD_WORDS,
  Input,
  INPUT_WORDS,
  InputType,
} from '../../engine/frame.ts';
import { positionRow, positionSequence, positionState, type Ledger } from '../../engine/ledger.ts';
import type { ShardOf } from './model-ledger.ts';
import type { RecordedTimes } from './serial-order.ts';

/** A transfer as one frame has it. */
interface Entry extends RecordedTimes {
  readonly home: number;
  readonly id: bigint;
  /** Debit and credit account. */
  readonly accounts: readonly [bigint, bigint];
  readonly amount: bigint;
  readonly pendingId: bigint;
  readonly flags: number;
  readonly effect: bigint;
  /** Positions of the transfers before it, of the debit and of the credit account. */
  readonly previous: Uint32Array;
  /** By side - 1: debits pending, debits posted, credits pending, credits posted. */
  readonly balances: (readonly bigint[] | undefined)[];
}

export interface Expired {
  readonly home: number;
  readonly id: bigint;
  readonly timestamp: bigint;
}

export class JournalFacts {
  readonly #shards: number;
  readonly #shardOf: ShardOf;
  readonly #columns = new Columns();
  readonly #record = new Uint32Array(ROW_WORDS);
  /** By shard: entries by sequence and row. */
  readonly #entries: Map<string, Entry>[];
  /** At home, by home and id. */
  readonly #transfers = new Map<string, Entry>();
  readonly #byId = new Map<bigint, Entry>();
  readonly #accounts = new Map<bigint, RecordedTimes>();
  readonly #expired = new Map<string, Expired>();

  constructor(shards: number, shardOf: ShardOf) {
    this.#shards = shards;
    this.#shardOf = shardOf;
    this.#entries = Array.from({ length: shards }, () => new Map());
  }

  /** When something was decided, and its timestamp. */
  recorded(kind: 'account' | 'transfer', id: bigint): RecordedTimes | undefined {
    return kind === 'account' ? this.#accounts.get(id) : this.#byId.get(id);
  }

  /** Takes note of a frame, once, and gives what expired in it. */
  read(shard: number, sequence: number, frame: Uint8Array): readonly Expired[] {
    const words = new Uint32Array(frame.slice().buffer);
    const before = this.#expired.size;
    this.#readInputs(shard, sequence, words);
    for (let i = 0; i < words[Head.derivedRows]!; i++) {
      this.#readDerived(shard, words, { sequence, row: words[Head.inputRows]! + i });
    }
    this.#readBalances(shard, sequence, words);
    return [...this.#expired.values()].slice(before);
  }

  #readInputs(shard: number, sequence: number, words: Uint32Array): void {
    const halves = new Uint16Array(words.buffer);
    const inputs = words[Head.inputs]!;
    let at = HEAD_WORDS;
    for (let i = 0; i < inputs; i++, at += words[at + Input.bytes]! / 4) {
      const type = words[at]!;
      const isTransfers = TRANSFERS.has(type);
      if (!isTransfers && !ACCOUNTS.has(type)) continue;
      const n = words[at + INPUT_WORDS]! & 0xffffff;
      for (let within = 0; within < n; within++) {
        const row = words[at + Input.firstRow]! + within;
        const outcomes = words[Head.outcomes]!;
        if (outcomes !== 0 && halves[outcomes / 2 + row] !== 0) continue;
        const record = this.#record;
        copyFrameRow({ words, halves, inputs, shards: this.#shards }, this.#columns, row, record);
        const decided = bigintOf(words, at + Input.stamp, 2) + BigInt(within * this.#shards);
        if (!isTransfers) this.#addAccount(record, decided);
        else if (((record[29]! >>> 16) & REWRITTEN) === 0) {
          const previous = previousOf(words, row);
          const timestamp = bigintOf(record, 30, 2);
          const entry = {
            ...this.#entryOf(record),
            previous,
            decided,
            timestamp,
            effect: timestamp,
          };
          this.#add(shard, `${sequence}/${row}`, entry, true);
        }
      }
    }
  }

  #readDerived(
    shard: number,
    words: Uint32Array,
    { sequence, row }: { readonly sequence: number; readonly row: number },
  ): void {
    const derived = row - words[Head.inputRows]!;
    const from = words[Head.derived]! / 4 + derived * DERIVED_HEAD_WORDS;
    const record = new Uint32Array(ROW_WORDS);
    copyDerivedRecord(words, derived, record, 0);
    const kind = words[from + DerivedHead.kind]!;
    const decided = bigintOf(words, from + DerivedHead.decided, 2);
    const effect = bigintOf(words, from + DerivedHead.effect, 2);
    if ((kind & DerivedKind.account) !== 0) {
      this.#addAccount(record, decided);
      return;
    }
    const start = from + DerivedHead.debitPrevious;
    const previous = words.slice(start, start + 4);
    const timestamp = bigintOf(record, 30, 2);
    const entry = { ...this.#entryOf(record), previous, decided, timestamp, effect };
    if ((kind & DerivedKind.expired) === 0) {
      this.#add(shard, `${sequence}/${row}`, entry, (kind & DerivedKind.home) !== 0);
      return;
    }
    const { home, id } = entry;
    assert(!this.#expired.has(`${home}/${id}`), 'a pending transfer expires once');
    assert(home === shard, 'an expiry is in the journal of its home');
    this.#expired.set(`${home}/${id}`, { home, id, timestamp: effect });
  }

  #readBalances(shard: number, sequence: number, words: Uint32Array): void {
    for (let i = 0; i < words[Head.balanceCount]!; i++) {
      const at = words[Head.balances]! / 4 + i * BALANCE_WORDS;
      const entry = this.#entries[shard]!.get(`${sequence}/${words[at]!}`);
      assert(entry !== undefined, 'balances belong to a transfer');
      const side = words[at + 1]! - 1;
      assert(entry.balances[side] === undefined, 'balances are there once');
      entry.balances[side] = [4, 8, 12, 16].map((word) => bigintOf(words, at + word, 4));
    }
  }

  #entryOf(record: Uint32Array) {
    const debit = bigintOf(record, 4, 4);
    return {
      home: this.#shardOf(debit),
      id: bigintOf(record, 0, 4),
      accounts: [debit, bigintOf(record, 8, 4)] as const,
      amount: bigintOf(record, 12, 4),
      pendingId: bigintOf(record, 16, 4),
      flags: record[29]! >>> 16,
      balances: [],
    };
  }

  #addAccount(record: Uint32Array, decided: bigint): void {
    const id = bigintOf(record, 0, 4);
    assert(!this.#accounts.has(id), 'an account is created once');
    this.#accounts.set(id, { decided, timestamp: bigintOf(record, 30, 2) });
  }

  #add(shard: number, position: string, entry: Entry, isHome: boolean): void {
    this.#entries[shard]!.set(position, entry);
    assert(isHome === (entry.home === shard), 'the home is the shard of the debit account');
    if (!isHome) return;
    const key = `${shard}/${entry.id}`;
    assert(!this.#transfers.has(key), 'a transfer is created once');
    this.#transfers.set(key, entry);
    this.#byId.set(entry.id, entry);
  }

  // ---- Against the tables of a shard at rest.

  audit(ledger: Ledger): void {
    const due = new Map<bigint, number>();
    for (const { accounts } of this.#transfers.values()) {
      for (const id of accounts) due.set(id, (due.get(id) ?? 0) + 1);
    }
    for (let row = 0; row < ledger.accounts.rows; row++) {
      const words = ledger.accounts.words;
      const at = ledger.accounts.offset(row);
      const id = bigintOf(words, at, 4);
      const chain = this.#chainOf(ledger.shard, id, [
        words[at + HEAD_LOW]!,
        words[at + HEAD_HIGH]!,
      ]);
      assert(
        new Set(chain.map(({ key }) => key)).size === chain.length,
        'no transfer is twice in a history',
      );
      assert(
        chain.length === (due.get(id) ?? 0),
        'every transfer is in the history of its accounts',
      );
      const flags = words[at + 29]! >>> 16;
      const sums = this.#addUp(id, chain, (flags & AccountFlags.history) !== 0);
      const stored = [4, 8, 12, 16].map((word) => bigintOf(words, at + word, 4));
      assert(
        sums.balances.join() === stored.join(),
        'a history adds up to the balances of the account',
      );
      assert(
        sums.isClosed === ((flags & AccountFlags.closed) !== 0),
        'a history says whether it is closed',
      );
    }
  }

  /** The history of an account, oldest first. */
  #chainOf(shard: number, account: bigint, head: readonly [number, number]): readonly Link[] {
    const chain: Link[] = [];
    let [low, high] = head;
    while ((low | high) !== 0) {
      const key = `${positionSequence(low, high)}/${positionRow(high)}`;
      const entry = this.#entries[shard]!.get(key);
      assert(entry !== undefined, 'a history leads to transfers');
      const side = positionState(high) - 1;
      assert(entry.accounts[side] === account, 'a history leads to transfers of its account');
      const next = chain.at(-1)?.entry;
      if (next !== undefined) {
        assert(entry.decided < next.decided, 'a history is in order of decision');
        const isDated = ((entry.flags | next.flags) & TransferFlags.imported) !== 0;
        assert(isDated || entry.effect < next.effect, 'a history is in order of effect');
      }
      chain.push({ key: `${entry.home}/${entry.id}`, entry, side });
      low = entry.previous[side * 2]!;
      high = entry.previous[side * 2 + 1]!;
    }
    return chain.toReversed();
  }

  #addUp(account: bigint, chain: readonly Link[], hasHistory: boolean) {
    const balances = [0n, 0n, 0n, 0n];
    let isClosed = false;
    const release = ({ home, id }: { readonly home: number; readonly id: bigint }): Entry => {
      const pending = this.#transfers.get(`${home}/${id}`);
      assert(pending !== undefined, 'what ends was pending');
      const side = pending.accounts[0] === account ? 0 : 1;
      balances[side * 2]! -= pending.amount;
      return pending;
    };
    const isClosing = ({ flags }: Entry, side: number): boolean =>
      (flags & (side === 0 ? TransferFlags.closingDebit : TransferFlags.closingCredit)) !== 0;
    const expiries = [...this.#expired.values()]
      .filter(({ home, id }) => this.#transfers.get(`${home}/${id}`)!.accounts.includes(account))
      .toSorted((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
    const expireUntil = (time: bigint | null): void => {
      const isPast = (one: Expired): boolean => time === null || one.timestamp < time;
      for (let one = expiries[0]; one !== undefined && isPast(one); one = expiries[0]) {
        const pending = release(one);
        if (isClosing(pending, pending.accounts[0] === account ? 0 : 1)) isClosed = false;
        expiries.shift();
      }
    };
    for (const { entry, side } of chain) {
      expireUntil(entry.decided);
      const { flags, amount, home, pendingId } = entry;
      if ((flags & RESOLVING) !== 0) {
        const pending = release({ home, id: pendingId });
        const isPost = (flags & TransferFlags.postPendingTransfer) !== 0;
        if (isPost) balances[side * 2 + 1]! += amount;
        else if (isClosing(pending, side)) isClosed = false;
      } else if ((flags & TransferFlags.pending) !== 0) {
        balances[side * 2]! += amount;
        if (isClosing(entry, side)) isClosed = true;
      } else balances[side * 2 + 1]! += amount;
      const kept = entry.balances[side];
      assert((kept !== undefined) === hasHistory, 'accounts with a history keep their balances');
      if (kept === undefined) continue;
      assert(kept.join() === balances.join(), 'the balances after a transfer are kept');
    }
    expireUntil(null);
    return { balances, isClosed };
  }
}

/** A transfer in the history of an account. Side 0: debit. */
interface Link {
  readonly key: string;
  readonly entry: Entry;
  readonly side: number;
}

const NO_PREVIOUS = new Uint32Array(4);
const TRANSFERS: ReadonlySet<number> = new Set([
  InputType.createTransfers,
  InputType.createTransfersTogether,
]);
const ACCOUNTS: ReadonlySet<number> = new Set([
  InputType.createAccounts,
  InputType.createAccountsTogether,
]);

function bigintOf(words: Uint32Array, at: number, count: number): bigint {
  let value = 0n;
  for (let w = count - 1; w >= 0; w--) value = (value << 32n) | BigInt(words[at + w]!);
  return value;
}

/** Four words: the positions before an input row, of its debit and of its credit account. */
function previousOf(words: Uint32Array, row: number): Uint32Array {
  const section = words[Head.previous]!;
  if (section === 0) return NO_PREVIOUS;
  const bytes = new Uint8Array(words.buffer);
  const halves = new Uint16Array(words.buffer);
  const n = words[Head.inputRows]!;
  const sides = bytes[section + 12 * n + row]!;
  const previous = new Uint32Array(4);
  for (const side of [0, 1]) {
    const at = 2 * row + side;
    const upperAt = words[Head.previousUpper]!;
    const upper = upperAt === 0 ? 0 : bytes[upperAt + at]!;
    previous[2 * side] = words[section / 4 + at]!;
    previous[2 * side + 1] =
      upper * 2 ** 24 + halves[section / 2 + 4 * n + at]! * 256 + ((sides >> (4 * side)) & 15);
  }
  return previous;
}
