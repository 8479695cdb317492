/**
 * An account's transfers, by its chain in the journal of its shard: from the newest to the oldest directly, from the oldest on by what
 * `ChainCache` knows of the chain. A cursor is the position of the last entry given; older entries never change, and newer ones come behind
 * the newest, so pages neither skip nor repeat while transfers go on.
 *
 * Time filters compare effect timestamps. Those of imported transfers lie in the past, so a chain is not strictly in their order. What is
 * in order is the clock of the frames, which no effect timestamp passes: walking back ends where a frame's clock is before the span.
 */
import { assert } from '../engine/assert.ts';
import { ROW_WORDS } from '../engine/batch.ts';
import { AccountFlags } from '../engine/flags.ts';
import { Derived, DERIVED_WORDS } from '../engine/frame.ts';
import { positionRow, positionSequence, positionState } from '../engine/ledger.ts';
import type { AccountFilter } from '../engine/query.ts';
import { bigintOfUint64, UINT128_MAX, writeUint128 } from '../engine/uint128.ts';
import { type Chain, type ChainCache, type ChainPosition, isEnd } from './chain-cache.ts';
import { CursorKind, decodeCursor, encodeCursor, questionOf, unusableCursor } from './cursor.ts';
import { FoundEntries } from './found-entries.ts';
import type { FrameStore } from './frame-store.ts';
import { Side } from './frame-view.ts';
import { OldestWalked } from './oldest-walked.ts';
import type { Pause } from './pause.ts';
import { QueryDamage } from './query-damage.ts';
import { RowFilter, type Span, spanOf } from './row-filter.ts';
import type { ShardIndex } from './shard-index.ts';

/** What the owner of an account says of it: the position of its newest transfer (both words 0: none), and its flags. */
export interface AccountHead {
  readonly shard: number;
  readonly low: number;
  readonly high: number;
  readonly flags: number;
}

/** Entries of one page. Sides: 1 when the account is the debit account of the transfer, 2 when its credit account. */
export interface HistoryPage {
  readonly n: number;
  readonly rows: Uint32Array<ArrayBuffer>;
  readonly effectTimestamps: BigUint64Array<ArrayBuffer>;
  readonly next: string | null;
}

export interface HistoryBalancesPage {
  readonly n: number;
  /** 16 words a row. */
  readonly balances: Uint32Array<ArrayBuffer>;
  readonly timestamps: BigUint64Array<ArrayBuffer>;
  readonly effectTimestamps: BigUint64Array<ArrayBuffer>;
  readonly next: string | null;
}

/** What a history is read from: the journal of the account's shard. */
export interface HistorySource {
  readonly frames: Pick<FrameStore, 'view'>;
  readonly chains: ChainCache;
  readonly index: Pick<ShardIndex, 'refresh' | 'effectMinFrom'>;
}

const CURSOR_NUMBERS = 3;
/** Entries between two looks at the clock. */
const ENTRIES_AT_ONCE = 16;
const BALANCE_WORDS_OF_ROW = 16;
/** Positions found at once when the oldest come first. */
const WINDOW_MIN = 16;
const WINDOW_MAX = 1024;

/** Newest first when `reversed`, else oldest first. */
export function* accountTransfers(
  filter: AccountFilter,
  head: AccountHead,
  source: HistorySource,
): Generator<Pause, HistoryPage> {
  const history = AccountHistory.of(filter, head, source);
  using found = FoundEntries.take();
  if (history !== undefined) yield* history.page(found);
  return {
    n: found.n,
    rows: found.records(),
    effectTimestamps: found.times(Derived.effect),
    next: history === undefined ? null : history.next(found),
  };
}

/** The balances of an account with the `history` flag after each of its transfers; of another account there are none. */
export function* accountBalances(
  filter: AccountFilter,
  head: AccountHead,
  source: HistorySource,
): Generator<Pause, HistoryBalancesPage> {
  const hasHistory = (head.flags & AccountFlags.history) !== 0;
  const history = hasHistory ? AccountHistory.of(filter, head, source) : undefined;
  using found = FoundEntries.take();
  if (history !== undefined) yield* history.page(found);
  const balances = new Uint32Array(found.n * BALANCE_WORDS_OF_ROW);
  const words = new Uint32Array(BALANCE_WORDS_OF_ROW);
  for (const [i, { low, high }] of found.positions.entries()) {
    if (i % ENTRIES_AT_ONCE === 0) yield;
    const sequence = positionSequence(low, high);
    const row = positionRow(high);
    const isKept = source.frames.view(sequence).balances(row, positionState(high), words);
    const { shard } = head;
    if (!isKept) throw new QueryDamage(`no balances for row ${row}`, { shard, sequence });
    balances.set(words, i * BALANCE_WORDS_OF_ROW);
  }
  return {
    n: found.n,
    balances,
    timestamps: found.times(ROW_WORDS - 2),
    effectTimestamps: found.times(Derived.effect),
    next: history === undefined ? null : history.next(found),
  };
}

class AccountHistory {
  readonly #filter: AccountFilter;
  readonly #head: AccountHead;
  readonly #source: HistorySource;
  readonly #rowFilter: RowFilter;
  readonly #span: Span;
  readonly #question: number;
  readonly #accountId = new Uint32Array(4);
  readonly #words = new Uint32Array(2);
  readonly #scratch = new Uint32Array(DERIVED_WORDS);
  readonly #walked = new OldestWalked(WINDOW_MAX);

  private constructor(
    filter: AccountFilter,
    { head, span }: { head: AccountHead; span: Span },
    source: HistorySource,
  ) {
    this.#filter = filter;
    this.#head = head;
    this.#source = source;
    this.#span = span;
    this.#rowFilter = new RowFilter(filter, span);
    this.#question = questionOf(filter);
    writeUint128(filter.accountId, this.#accountId, 0);
  }

  /** Undefined when the filter is invalid in the ledger's sense, which is an empty page. */
  static of(
    filter: AccountFilter,
    head: AccountHead,
    source: HistorySource,
  ): AccountHistory | undefined {
    const span = spanOf(filter);
    const { accountId, debits, credits, limit } = filter;
    if (span === undefined || accountId === 0n || accountId === UINT128_MAX) return undefined;
    if ((!debits && !credits) || limit < 1) return undefined;
    return new AccountHistory(filter, { head, span }, source);
  }

  *page(found: FoundEntries): Generator<Pause, void> {
    if (this.#filter.reversed) yield* this.#newestFirst(found);
    else yield* this.#oldestFirst(found);
  }

  /** A page that is not full has come to the end. */
  next({ n, positions, lastOrdinal }: FoundEntries): string | null {
    const last = positions.at(-1);
    if (last === undefined || n < this.#filter.limit) return null;
    const numbers = [last.low, last.high, lastOrdinal];
    return encodeCursor(CursorKind.history, this.#question, numbers);
  }

  *#newestFirst(found: FoundEntries): Generator<Pause, void> {
    const entry = this.#scratch;
    const after = this.#cursor();
    let position: ChainPosition = after === undefined ? this.#head : this.#previous(after.position);
    for (let steps = 1; !isEnd(position) && found.n < this.#filter.limit; steps++) {
      if (steps % ENTRIES_AT_ONCE === 0) yield;
      if (this.#isBeforeSpan(position)) break;
      const at = this.#readEntry(position, entry);
      if (this.#passes(at, entry)) found.add(at, entry, 0);
      if (found.n < this.#filter.limit) position = this.#placeBefore(at);
    }
  }

  *#oldestFirst(found: FoundEntries): Generator<Pause, void> {
    const { chains } = this.#source;
    const chain = chains.chain(this.#filter.accountId);
    const after = this.#cursor();
    yield* chain.extend(this.#head, {
      previous: (position) => {
        const before = this.#previous(position);
        this.#walked.pass(position, before);
        return before;
      },
    });
    chains.grew(this.#filter.accountId);
    let ordinal: number;
    if (after === undefined) ordinal = this.#firstInSpan(chain);
    else ({ ordinal } = after);
    let isChecked = after === undefined;
    let lastSequence = Infinity;
    for (let least = 0; ordinal < chain.count && found.n < this.#filter.limit; least = WINDOW_MIN) {
      // Where a page takes every transfer, the first window is what it takes, and no more.
      const wanted = this.#filter.limit - found.n + (isChecked ? 0 : 1);
      const end = Math.min(ordinal + Math.min(Math.max(wanted, least), WINDOW_MAX), chain.count);
      using window = yield* this.#window(chain, ordinal, end);
      // From the newest to the oldest, as they were read.
      for (let i = window.n - 1; i >= 0; i--, ordinal++) {
        const position = window.positions[i]!;
        if (!isChecked) {
          // The entry of the cursor itself: the page begins behind it.
          if (!isSamePosition(position, after!.position)) throw unusableCursor();
          isChecked = true;
          continue;
        }
        if (sequenceOf(position) > lastSequence) return;
        const entry = window.entry(i, this.#scratch);
        if (lastSequence === Infinity && this.#isBehindSpan(entry)) {
          lastSequence = yield* this.#lastInSpan(sequenceOf(position));
        }
        if (!this.#passes(position, entry)) continue;
        found.add(position, entry, ordinal);
        if (found.n === this.#filter.limit) return;
      }
    }
    if (!isChecked) throw unusableCursor();
  }

  /** The transfers before it all lie in frames that were closed before the span. */
  #firstInSpan(chain: Chain): number {
    if (this.#span.min === 0n) return 0;
    const isBefore = (position: ChainPosition): boolean => this.#isBeforeSpan(position);
    return chain.lastMilestone(isBefore)?.ordinal ?? 0;
  }

  #isBeforeSpan(position: ChainPosition): boolean {
    const { min } = this.#span;
    return min !== 0n && this.#source.frames.view(sequenceOf(position)).closed < min;
  }

  #isBehindSpan(entry: Uint32Array): boolean {
    return bigintOfUint64(entry, Derived.effect) > this.#span.max;
  }

  /** The frame behind which nothing is in the span, if that is the one at hand: an imported transfer could still be. */
  *#lastInSpan(sequence: number): Generator<Pause, number> {
    const { index } = this.#source;
    yield* index.refresh();
    return index.effectMinFrom(sequence + 1) > this.#span.max ? sequence : Infinity;
  }

  /** The transfers from..to-1 of the chain, the newest first: each entry leads to the one before, so that none is looked at twice. */
  *#window(chain: Chain, from: number, to: number): Generator<Pause, FoundEntries> {
    assert(from < to, 'a window has transfers');
    const window = FoundEntries.take();
    const entry = this.#scratch;
    const known = this.#walked.at(to - 1);
    const start = known === undefined ? chain.milestoneFrom(to - 1) : { ...known, ordinal: to - 1 };
    let position: ChainPosition = { low: start.low, high: start.high };
    for (let { ordinal } = start; ordinal >= from; ordinal--) {
      if (ordinal % ENTRIES_AT_ONCE === 0) yield;
      if (ordinal >= to) position = this.#previous(position);
      else {
        const at = this.#readEntry(position, entry);
        window.add(at, entry, ordinal);
        if (ordinal > from) position = this.#walked.at(ordinal - 1) ?? this.#placeBefore(at);
      }
    }
    return window;
  }

  #cursor(): { readonly position: ChainPosition; readonly ordinal: number } | undefined {
    const { cursor } = this.#filter;
    if (cursor === '') return undefined;
    const expected = { question: this.#question, count: CURSOR_NUMBERS };
    const [low, high, ordinal] = decodeCursor(cursor, CursorKind.history, expected);
    const position = { low: low!, high: high! };
    // A directory that was put back from a copy may lack what a cursor saw.
    if (sequenceOf(position) > sequenceOf(this.#head)) throw unusableCursor();
    return { position, ordinal: ordinal! };
  }

  #previous(position: ChainPosition): ChainPosition {
    const side = positionState(position.high);
    const view = this.#source.frames.view(sequenceOf(position));
    if (side !== Side.debit && side !== Side.credit) throw this.#notOurs(position);
    view.previous(positionRow(position.high), side, this.#words);
    return { low: this.#words[0]!, high: this.#words[1]! };
  }

  /** The position before one whose side is known; its own side is found with its record. */
  #placeBefore({ low, high }: ChainPosition): ChainPosition {
    const view = this.#source.frames.view(positionSequence(low, high));
    view.previousPlace(positionRow(high), positionState(high), this.#words);
    return { low: this.#words[0]!, high: this.#words[1]! };
  }

  /**
   * The row's record, when it is the account's, and its position with the side on which the account is. That the row is the right one cannot be told
   * from a checksum: rows are read alone.
   */
  #readEntry(position: ChainPosition, entry: Uint32Array): ChainPosition {
    const { low, high } = position;
    this.#source.frames.view(positionSequence(low, high)).record(positionRow(high), entry);
    const side = positionState(high);
    if (side !== 0) {
      if (!this.#isOn(side, entry)) throw this.#notOurs(position);
      return position;
    }
    if (this.#isOn(Side.debit, entry)) return { low, high: (high | Side.debit) >>> 0 };
    if (this.#isOn(Side.credit, entry)) return { low, high: (high | Side.credit) >>> 0 };
    throw this.#notOurs(position);
  }

  #isOn(side: number, entry: Uint32Array): boolean {
    const account = side * 4;
    for (let w = 0; w < 4; w++) {
      if (entry[account + w] !== this.#accountId[w]) return false;
    }
    return true;
  }

  #passes(position: ChainPosition, entry: Uint32Array): boolean {
    const isDebit = positionState(position.high) === Side.debit;
    if (isDebit ? !this.#filter.debits : !this.#filter.credits) return false;
    const low = entry[Derived.effect]!;
    const high = entry[Derived.effect + 1]!;
    return this.#rowFilter.spans(low, high) && this.#rowFilter.matchesRecord(entry);
  }

  #notOurs(position: ChainPosition): QueryDamage {
    const row = positionRow(position.high);
    return new QueryDamage(`row ${row} is not a transfer of account ${this.#filter.accountId}`, {
      shard: this.#head.shard,
      sequence: sequenceOf(position),
    });
  }
}

function sequenceOf({ low, high }: ChainPosition): number {
  return positionSequence(low, high);
}

function isSamePosition(one: ChainPosition, two: ChainPosition): boolean {
  return one.low === two.low && one.high === two.high;
}
