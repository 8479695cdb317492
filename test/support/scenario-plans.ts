/** What the clients of a scenario ask, and what the router makes of it: the requests to each shard, and the rest of a batch. */
import { batchOfObjects } from '../../client/rows.ts';
import { BatchKind, Columns, type Batch } from '../../engine/batch.ts';
import { Input, INPUT_WORDS, InputType } from '../../engine/group.ts';
import { BatchOrder } from '../../sharding/batch-order.ts';
import { placementOf } from './cluster.ts';
import type { AccountInput, ShardOf, TransferInput } from './model-ledger.ts';
import type { LedgerEvent } from './serial-order.ts';

export type Ask =
  | { readonly type: 'accounts'; readonly events: readonly AccountInput[] }
  | { readonly type: 'transfers'; readonly events: readonly TransferInput[] }
  | { readonly type: 'look'; readonly id: bigint };

export interface Scenario {
  readonly shards: number;
  /** What is there before the clients begin, in this order. */
  readonly accounts: readonly AccountInput[];
  readonly funding: readonly TransferInput[];
  readonly clients: readonly (readonly Ask[])[];
  /** A shard may take all that is there as one group. */
  readonly hasGroups?: boolean;
}

export interface Part {
  readonly request: number;
  readonly shard: number;
  /** Null for a look-up. */
  readonly frame: Uint32Array | null;
  readonly kind: BatchKind;
  readonly look: bigint;
  /** Which events of the ask it carries. */
  readonly places: readonly number[];
}

/** What an ask sends: at once, and when all of that is answered. */
export interface Plan {
  readonly key: string;
  readonly events: readonly LedgerEvent[];
  readonly first: readonly Part[];
  readonly rest: Part | null;
}

export class ScenarioPlans {
  readonly #scenario: Scenario;
  readonly #shardOf: ShardOf;
  readonly #order: BatchOrder;
  readonly #columns = new Columns();
  readonly #plans = new Map<string, Plan>();

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#shardOf = placementOf(scenario.shards);
    this.#order = new BatchOrder(scenario.shards);
  }

  /** The same for the same client, ask, and attempt. */
  plan(client: number, at: number, attempt: number): Plan {
    const key = `?${client}.${at}.${attempt}`;
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const ask = this.#scenario.clients[client]![at]!;
    const number = (part: number): number => ((client * 16 + at) * 8 + attempt) * 16 + part + 1;
    const plan =
      ask.type === 'look'
        ? { key, events: [], first: [lookOf(ask.id, number(0), this.#shardOf(ask.id))], rest: null }
        : this.#split(key, ask, number);
    this.#plans.set(key, plan);
    return plan;
  }

  #split(key: string, ask: Exclude<Ask, { type: 'look' }>, number: (part: number) => number): Plan {
    const isAccounts = ask.type === 'accounts';
    const kind = isAccounts ? BatchKind.accounts : BatchKind.transfers;
    const events: LedgerEvent[] = isAccounts
      ? ask.events.map((account) => ({ type: 'account', account }))
      : ask.events.map((transfer) => ({ type: 'transfer', transfer }));
    const toShard = Array.from({ length: this.#scenario.shards }, (): number[] => []);
    const restRows: number[] = [];
    if (isAccounts) {
      for (const [i, { id }] of ask.events.entries()) toShard[this.#shardOf(id)]!.push(i);
    } else {
      const { words } = batchOfObjects(kind, ask.events);
      const place = new Uint32Array(4 + words.length);
      place.set(words, 4);
      this.#columns.openBatch(place, new Uint16Array(place.buffer), 16, 0);
      this.#order.plan(this.#columns);
      for (let i = 0; i < events.length; i++) {
        if (this.#order.isRest[i] === 1) restRows.push(i);
        else toShard[this.#order.shard[i]!]!.push(i);
      }
    }
    const part = (type: InputType, shard: number, places: readonly number[], n: number): Part => {
      const rows = places.map((i) => ask.events[i]!);
      const request = number(n);
      return partOf(type, batchOfObjects(kind, rows), { request, shard, places });
    };
    const type = isAccounts ? InputType.createAccounts : InputType.createTransfers;
    const first = toShard.flatMap((places, shard) =>
      places.length > 0 ? [part(type, shard, places, shard)] : [],
    );
    if (restRows.length === 0) return { key, events, first, rest: null };
    const mask = this.#order.restMaskLow;
    const shard = 31 - Math.clz32(mask & -mask);
    const restType =
      mask === 1 << shard ? InputType.createTransfers : InputType.createTransfersTogether;
    return { key, events, first, rest: part(restType, shard, restRows, 15) };
  }
}

export function partOf(
  type: InputType,
  batch: Batch,
  where: { readonly request: number; readonly shard: number; readonly places: readonly number[] },
): Part {
  const frame = new Uint32Array(INPUT_WORDS + batch.words.length);
  frame[Input.type] = type;
  frame[Input.bytes] = frame.length * 4;
  frame[Input.session] = 1;
  frame[Input.request] = where.request;
  frame.set(batch.words, INPUT_WORDS);
  return { ...where, frame, kind: batch.kind, look: 0n };
}

function lookOf(look: bigint, request: number, shard: number): Part {
  return { request, shard, frame: null, kind: BatchKind.ids, look, places: [] };
}
