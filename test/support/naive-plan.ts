/**
 * The plan of a batch by the rules as they are stated in sharding/batch-order.ts, every unit against every earlier one, key by key: what the real plan is
 * compared with.
 */
import { AccountFlags, TransferFlags } from '../../engine/flags.ts';
import { shardOf } from '../../engine/placement.ts';

/** id, debit account, credit account, flags, pending id */
export type Row = readonly [bigint, bigint, bigint, number?, bigint?];

const { linked, postPendingTransfer: post, voidPendingTransfer, imported } = TransferFlags;

export function setId(words: Uint32Array, at: number, id: bigint): void {
  for (let w = 0; w < 4; w++) words[at + w] = Number((id >> BigInt(32 * w)) & 0xffff_ffffn);
}

export const placeOf = (account: bigint, shards: number): number => {
  const words = new Uint32Array(4);
  setId(words, 0, account);
  return shardOf(words, 0, shards);
};

export interface Plan {
  readonly shard: number[];
  readonly isRest: boolean[];
  readonly first: number[];
  readonly restShards: number[];
}

export interface Unit {
  readonly from: number;
  readonly to: number;
  /** By its name, the shard of each key. */
  readonly keys: ReadonlyMap<string, number>;
}

export function keysOf(
  [id, debit, credit, flags = 0, pendingId = 0n]: Row,
  shards: number,
): [string, number][] {
  const home = placeOf(debit, shards);
  const isResolving = (flags & (post | voidPendingTransfer)) !== 0;
  const keys: [string, number][] = [
    [`account ${debit}`, home],
    [`id ${id} of ${home}`, home],
  ];
  if (!isResolving || credit !== 0n) keys.push([`account ${credit}`, placeOf(credit, shards)]);
  if (isResolving) keys.push([`id ${pendingId} of ${home}`, home]);
  if ((flags & imported) !== 0) keys.push([`imports of ${home}`, home]);
  return keys;
}

export function accountKeysOf([id, , , flags = 0]: Row, shards: number): [string, number][] {
  const shard = placeOf(id, shards);
  const keys: [string, number][] = [[`account ${id}`, shard]];
  if ((flags & AccountFlags.imported) !== 0) keys.push([`imports of ${shard}`, shard]);
  return keys;
}

export function unitsOf(events: readonly Row[], keys: (row: Row) => [string, number][]): Unit[] {
  const units: Unit[] = [];
  let from = 0;
  for (const [i, [, , , flags = 0]] of events.entries()) {
    if ((flags & linked) !== 0 && i < events.length - 1) continue;
    units.push({ from, to: i + 1, keys: new Map(events.slice(from, i + 1).flatMap(keys)) });
    from = i + 1;
  }
  return units;
}

/** The rules as they are stated: every unit against every earlier one, key by key. */
export function naivePlan(units: readonly Unit[], shards: number): Plan {
  const plan: Plan = { shard: [], isRest: [], first: [], restShards: [] };
  const earlier: { unit: Unit; first: number; isRest: boolean }[] = [];
  const restShards = new Set<number>();
  for (let s = 0; s < shards; s++) plan.first.push(0);
  for (const unit of units) {
    const first = Math.min(...unit.keys.values());
    let isRest = false;
    for (const one of earlier) {
      for (const [key, shard] of unit.keys) {
        if (!one.unit.keys.has(key)) continue;
        const isInOrder = !one.isRest && one.first === first && shard === first;
        if (!isInOrder) isRest = true;
      }
    }
    earlier.push({ unit, first, isRest });
    for (let row = unit.from; row < unit.to; row++) {
      plan.shard.push(first);
      plan.isRest.push(isRest);
    }
    if (isRest) for (const shard of unit.keys.values()) restShards.add(shard);
    else plan.first[first]! += unit.to - unit.from;
  }
  plan.restShards.push(...[...restShards].toSorted((a, b) => a - b));
  return plan;
}
