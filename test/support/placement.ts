/** Where accounts lie. Apart from cluster.ts, so that what judges the system does not need the system. */
import { shardOf } from '../../engine/placement.ts';
import type { ShardOf } from './ledger-records.ts';

/** The placement of a system with so many shards. */
export function placementOf(shards: number): ShardOf {
  const lanes = new BigUint64Array(2);
  const words = new Uint32Array(lanes.buffer);
  return (accountId) => {
    lanes[0] = accountId;
    lanes[1] = accountId >> 64n;
    return shardOf(words, 0, shards);
  };
}
