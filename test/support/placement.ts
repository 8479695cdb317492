/** Where accounts lie. Apart from cluster.ts, so that what judges the system does not need the system. */
import { shardOf } from '../../engine/placement.ts';
import type { ShardOf } from './ledger-records.ts';

/** The placement of a system with so many shards. */
export function placementOf(shards: number): ShardOf {
  const words = new Uint32Array(4);
  return (accountId) => {
    for (let w = 0; w < 4; w++) words[w] = Number((accountId >> BigInt(32 * w)) & 0xffffffffn);
    return shardOf(words, 0, shards);
  };
}
