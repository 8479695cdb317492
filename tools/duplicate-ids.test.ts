import { expect, test } from 'vitest';
import { Ledger, positionHigh, TransferState } from '../engine/ledger.ts';
import { writeUint128 } from '../engine/uint128.ts';
import { duplicateIds, partitionIds } from './duplicate-ids.ts';

function shardWith(shard: number, stored: readonly bigint[], failed: readonly bigint[] = []) {
  const ledger = new Ledger({ shard, shards: 3, seed: 5 });
  const words = new Uint32Array(4);
  const insert = (id: bigint, state: number): void => {
    writeUint128(id, words, 0);
    const { transferIndex } = ledger;
    transferIndex.insert(words, 0, transferIndex.hash(words, 0), 1, positionHigh(1, 0, state));
  };
  for (const id of stored) insert(id, TransferState.created);
  for (const id of failed) insert(id, TransferState.failed);
  return partitionIds(ledger);
}

const range = (from: number, to: number): bigint[] =>
  Array.from({ length: to - from }, (_, i) => BigInt(from + i) << 64n);

test('an id that is stored on several shards is found, and one that only failed is not', () => {
  const found = duplicateIds([
    shardWith(0, [...range(0, 5000), 7n]),
    shardWith(1, [...range(5000, 9000), 7n, 8n]),
    shardWith(2, [...range(9000, 9100), 7n], [8n]),
  ]);
  expect(found).toEqual({ count: 1, first: [{ id: 7n, shards: [0, 1, 2] }] });
});

test('without any there are none', () => {
  expect(duplicateIds([shardWith(0, range(0, 10)), shardWith(1, [])])).toEqual({
    count: 0,
    first: [],
  });
});
