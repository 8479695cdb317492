import { describe, expect, test } from 'vitest';
import { ROW_WORDS } from '../engine/batch.ts';
import type { RowsReply } from '../engine/reply.ts';
import { columnsOfBatch } from '../gateway/batch-columns.ts';
import { answerRowsMax, joinedRows, partsOfIds } from './lookup-parts.ts';
import { batchOfIds } from './rows.ts';

const idsFrom = (first: number, n: number): bigint[] =>
  Array.from({ length: n }, (_, i) => BigInt(first + i));

describe('ids in parts', () => {
  test('a full look-up fits into a megabyte in two parts, and is whole where there is more room', () => {
    const ids = batchOfIds(idsFrom(1, 8189));
    expect(partsOfIds(ids, answerRowsMax(1 << 20)).map(({ n }) => n)).toEqual([8064, 125]);
    expect(partsOfIds(ids, answerRowsMax(8 << 20))).toEqual([ids]);
    expect(answerRowsMax(1024)).toBe(1);
  });

  test('each part has its own ids, in order', () => {
    const parts = partsOfIds(batchOfIds(idsFrom(1, 7)), 3);
    const low = parts.map((part) =>
      [...new Uint32Array(columnsOfBatch(part)[0]!.bytes.slice().buffer)].filter(
        (_, word) => word % 4 === 0,
      ),
    );
    // One id is a constant.
    expect(low).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
  });

  test('an id that comes again and again, and the id 0', () => {
    for (const id of [5n, 0n]) {
      const parts = partsOfIds(batchOfIds(Array.from({ length: 5 }, () => id)), 2);
      expect(parts.map(({ n }) => n)).toEqual([2, 2, 1]);
      expect(parts[0]!.words.slice(4)).toEqual(parts[2]!.words.slice(4));
    }
  });
});

describe('answers joined', () => {
  const replyOf = (first: number, n: number, shard: number, sequence: number): RowsReply => ({
    n,
    rows: new Uint32Array(n * ROW_WORDS).fill(first),
    pendingStatuses: new Uint8Array(n).fill(first),
    positions: [{ shard, sequence, timestamp: BigInt(sequence) }],
  });

  test('rows and statuses come one behind the other, with the eldest position of each shard', () => {
    const joined = joinedRows([replyOf(1, 2, 1, 9), replyOf(2, 0, 0, 4), replyOf(3, 1, 1, 7)]);
    expect(joined.n).toBe(3);
    expect([0, 1, 2].map((i) => joined.rows[i * ROW_WORDS])).toEqual([1, 1, 3]);
    expect([...joined.pendingStatuses!]).toEqual([1, 1, 3]);
    expect(joined.positions).toEqual([
      { shard: 0, sequence: 4, timestamp: 4n },
      { shard: 1, sequence: 7, timestamp: 7n },
    ]);
  });

  test('accounts have no statuses', () => {
    const one: RowsReply = { n: 1, rows: new Uint32Array(ROW_WORDS), positions: [] };
    expect(joinedRows([one, one])).not.toHaveProperty('pendingStatuses');
    expect(joinedRows([one])).toBe(one);
  });
});
