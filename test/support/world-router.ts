/**
 * The router's part in a world of arrays, with the router's own code: which events go to which shard at once, which follow as the rest, and
 * which accounts a post or void has that names none. Frames come out as they would lie in a ring.
 */
import { batchOfObjects } from '../../client/rows.ts';
import { assert } from '../../engine/assert.ts';
import { BatchKind, Columns, Transfer, type Batch } from '../../engine/batch.ts';
import { AccountFlags, TransferFlags } from '../../engine/flags.ts';
import { Input, INPUT_WORDS, InputFlag, InputType } from '../../engine/frame.ts';
import { shardOf } from '../../engine/placement.ts';
import { BatchOrder, lowestShard } from '../../sharding/batch-order.ts';
import { importFlag } from '../../sharding/create-rounds.ts';
import {
  ENTRY_CREDIT,
  ENTRY_DEBIT,
  ENTRY_WORDS,
  PendingMemory,
} from '../../sharding/pending-memory.ts';
import { PendingSearch, rowsWith } from '../../sharding/pending-search.ts';
import { splitBatch, splitBytes, type EncodedBatch } from '../../sharding/split-batch.ts';
import type { AccountInput, TransferInput } from './model-ledger.ts';
import { wordsOf } from './one-shard.ts';

export type WorldBatch =
  | { readonly type: 'accounts'; readonly events: readonly AccountInput[] }
  | { readonly type: 'transfers'; readonly events: readonly TransferInput[] };

/** What goes to one shard, and which events of the batch it carries. Session and request number are still to be filled in. */
export interface RoutedPart {
  readonly shard: number;
  readonly kind: BatchKind;
  readonly frame: Uint32Array;
  readonly rows: readonly number[];
}

export interface Routed {
  readonly first: readonly RoutedPart[];
  readonly rest: RoutedPart | null;
}

/** What all shards say of some transfer ids: n rows of 32 words. */
export type AskShards = (ids: Batch) => { readonly rows: Uint32Array; readonly n: number };

const SEED = 5;
const NOTHING = { rows: new Uint32Array(0), n: 0 };

export class WorldRouter {
  readonly #shards: number;
  readonly #order: BatchOrder;
  readonly #columns = new Columns();
  readonly #memory: PendingMemory;

  /** The fewer pending transfers are remembered, the more often the shards are asked. */
  constructor(shards: number, remembered = 8) {
    this.#shards = shards;
    this.#order = new BatchOrder(shards, SEED);
    this.#memory = new PendingMemory(SEED, remembered);
  }

  route(asked: WorldBatch, ask: AskShards = () => NOTHING): Routed {
    const kind = asked.type === 'accounts' ? BatchKind.accounts : BatchKind.transfers;
    const batch = batchOfObjects(kind, asked.events);
    const flags = importFlag(batch);
    if (this.#shards === 1) {
      const all = asked.events.map((_, i) => i);
      const part = this.#part(
        this.#open(batch),
        { type: typeOf(kind, true), flags, shard: 0 },
        all,
      );
      return { first: [part], rest: null };
    }
    const source = this.#named(batch, ask);
    const columns = this.#columns;
    const isPlanned =
      kind === BatchKind.transfers || rowsWith(columns, AccountFlags.linked) !== null;
    if (isPlanned) this.#order.plan(columns);
    const rest: number[] = [];
    const toShard = Array.from({ length: this.#shards }, (): number[] => []);
    for (let i = 0; i < batch.n; i++) {
      if (!isPlanned) toShard[this.#shardOfId(i)]!.push(i);
      else if (this.#order.isRest[i] === 1) rest.push(i);
      else toShard[this.#order.shard[i]!]!.push(i);
    }
    const first = toShard.flatMap((rows, shard) =>
      rows.length === 0
        ? []
        : [this.#part(source, { type: typeOf(kind, true), flags, shard }, rows)],
    );
    if (rest.length === 0) return { first, rest: null };
    const { restMaskLow: low, restMaskHigh: high } = this.#order;
    assert(high === 0, 'a world has a few shards');
    const shard = lowestShard(low, high);
    const type = typeOf(kind, (low & (low - 1)) === 0);
    return { first, rest: this.#part(source, { type, flags, shard }, rest) };
  }

  /** The pending transfers of a batch that are there are remembered for their posts and voids. */
  remember(events: readonly TransferInput[], statuses: readonly string[]): void {
    const entry = new Uint32Array(ENTRY_WORDS);
    for (const [i, { id, debitAccountId, creditAccountId, flags = 0 }] of events.entries()) {
      if ((flags & TransferFlags.pending) === 0) continue;
      if (statuses[i] !== 'created' && statuses[i] !== 'exists') continue;
      entry.set(wordsOf(id));
      entry.set(wordsOf(debitAccountId), ENTRY_DEBIT);
      entry.set(wordsOf(creditAccountId), ENTRY_CREDIT);
      this.#memory.remember(entry, 0);
    }
  }

  /** Opens the batch with the accounts of the pending transfers that it names. */
  #named(batch: Batch, ask: AskShards): EncodedBatch {
    const source = this.#open(batch);
    if (batch.kind === BatchKind.accounts) return source;
    const search = PendingSearch.of(this.#columns, this.#memory, SEED);
    if (search === null) return source;
    if (search.recall() > 0) {
      const { rows, n } = ask(search.openIds());
      this.#open(batch);
      search.answered(rows, n);
    }
    // A world's batches go in one segment: where the product waits for outcomes, a world guesses.
    for (let from = 0; from < batch.n;) from = search.settle(this.#columns, from);
    const { batch: rewritten, marks } = search.rewritten(batch, this.#columns, 0, batch.n);
    return { ...this.#open(rewritten), marks };
  }

  #open({ words: source }: Batch): EncodedBatch {
    const words = new Uint32Array(4 + source.length);
    words.set(source, 4);
    const halves = new Uint16Array(words.buffer);
    this.#columns.openBatch(words, halves, 16, 0);
    return { words, halves, at: 4 };
  }

  #shardOfId(i: number): number {
    const { words, at, step } = this.#columns;
    return shardOf(words, at[Transfer.id]! + i * step[Transfer.id]!, this.#shards);
  }

  #part(
    source: EncodedBatch,
    to: { readonly type: number; readonly flags: number; readonly shard: number },
    rows: readonly number[],
  ): RoutedPart {
    const bytes = splitBytes(source, rows.length);
    const frame = new Uint32Array(INPUT_WORDS + bytes / 4);
    const target = { words: frame, halves: new Uint16Array(frame.buffer), at: INPUT_WORDS };
    splitBatch(source, Uint16Array.from(rows), rows.length, target);
    const hasMarks = source.marks !== undefined && source.marks !== null;
    frame[Input.type] = to.type;
    frame[Input.bytes] = frame.byteLength;
    frame[Input.flags] = to.flags | (hasMarks ? InputFlag.marks : 0);
    const kind = (source.words[source.at]! >>> 24) as BatchKind;
    return { shard: to.shard, kind, frame, rows };
  }
}

function typeOf(kind: BatchKind, isFirst: boolean): number {
  if (kind === BatchKind.accounts) {
    return isFirst ? InputType.createAccounts : InputType.createAccountsTogether;
  }
  return isFirst ? InputType.createTransfers : InputType.createTransfersTogether;
}
