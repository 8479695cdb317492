/** What the clients of a scenario ask, and what the router makes of it: the requests to each shard, and the rest of a batch. */
import { BatchKind } from '../../engine/batch.ts';
import { Input } from '../../engine/frame.ts';
import type { AccountInput, ShardOf, TransferInput } from './model-ledger.ts';
import { placementOf } from './placement.ts';
import type { LedgerEvent } from './serial-order.ts';
import { WorldRouter, type RoutedPart, type WorldBatch } from './world-router.ts';

export type Ask = WorldBatch | { readonly type: 'look'; readonly id: bigint };

export interface Scenario {
  readonly shards: number;
  /** What is there before the clients begin, in this order. */
  readonly accounts: readonly AccountInput[];
  readonly funding: readonly TransferInput[];
  readonly clients: readonly (readonly Ask[])[];
  /** At some moment the clocks of all shards move to so many nanoseconds after the beginning; then, at another, to the next of these. */
  readonly times?: readonly bigint[];
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
  readonly #router: WorldRouter;
  readonly #plans = new Map<string, Plan>();

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#shardOf = placementOf(scenario.shards);
    this.#router = new WorldRouter(scenario.shards);
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
        : this.split(key, ask, number);
    this.#plans.set(key, plan);
    return plan;
  }

  split(key: string, ask: WorldBatch, number: (part: number) => number): Plan {
    const events: LedgerEvent[] =
      ask.type === 'accounts'
        ? ask.events.map((account) => ({ type: 'account', account }))
        : ask.events.map((transfer) => ({ type: 'transfer', transfer }));
    const { first, rest } = this.#router.route(ask);
    return {
      key,
      events,
      first: first.map((part) => partOf(part, number(part.shard))),
      rest: rest === null ? null : partOf(rest, number(15)),
    };
  }
}

function partOf({ shard, kind, frame, rows }: RoutedPart, request: number): Part {
  frame[Input.session] = 1;
  frame[Input.request] = request;
  return { request, shard, frame, kind, look: 0n, places: rows };
}

function lookOf(look: bigint, request: number, shard: number): Part {
  return { request, shard, frame: null, kind: BatchKind.ids, look, places: [] };
}
