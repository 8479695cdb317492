import { describe, expect, test } from 'vitest';
import { Transfer } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { shardOf } from '../engine/placement.ts';
import { Prng } from '../lib/prng.ts';
import { MarkedJournal } from './marked-journal.ts';
import { HOT_ACCOUNT } from './pairs.ts';
import { columnAt, markOf, type Slot } from './slots.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

const SHARDS = 3;
const workloadOf = (some: Partial<WorkloadOptions>): Workload =>
  new Workload({
    accounts: 300,
    shards: SHARDS,
    batch: 99,
    crossShard: undefined,
    seed: 5,
    inFlight: 2,
    pairs: 1_000,
    ...some,
  });

/** By transfer, the shards of its two accounts. */
function shardsOf(workload: Workload, { debits, credits }: Slot): [number, number][] {
  const of = (account: number): number => shardOf(workload.accountIds, account * 4, SHARDS);
  return [...debits].map((debit, row) => [of(debit), of(credits[row]!)]);
}

describe('legs of chains', () => {
  test('legs on one shard share the shard of the first', () => {
    const workload = workloadOf({ chain: 3, legs: 'one' });
    const shards = shardsOf(workload, workload.slots[0]!);
    for (const [row, pair] of shards.entries()) {
      const first = shards[row - (row % 3)]![0];
      expect(pair).toEqual([first, first]);
    }
  });

  test('legs apart stay within a shard each, and the next one is on another', () => {
    const workload = workloadOf({ chain: 2, legs: 'apart' });
    const shards = shardsOf(workload, workload.slots[0]!);
    expect(shards.filter(([debit, credit]) => debit !== credit)).toEqual([]);
    const stay = shards.filter(([shard], row) => row % 2 === 1 && shard === shards[row - 1]![0]);
    expect(stay).toEqual([]);
  });

  test('legs across go from one shard to another', () => {
    const workload = workloadOf({ chain: 2, legs: 'cross' });
    const same = shardsOf(workload, workload.slots[0]!).filter(([from, to]) => from === to);
    expect(same).toEqual([]);
  });
});

test('the last transfer of a chain is not linked, nor the last of a batch', () => {
  const workload = workloadOf({ chain: 2, batch: 5 });
  const { batch } = workload.slots[0]!;
  const at = columnAt(batch, Transfer.flags);
  const flags = [...batch.halves.subarray(at, at + 5)];
  const { linked } = TransferFlags;
  expect(flags).toEqual([linked, 0, linked, 0, 0]);
});

test.each(['debit', 'credit', 'either'] as const)(
  'the hot account is in every transfer: %s',
  (hotSide) => {
    const workload = workloadOf({ hotSide });
    const sides = workload.slots.flatMap(({ debits, credits }) =>
      [...debits].map((debit, row) => {
        expect(debit).not.toBe(credits[row]);
        return debit === HOT_ACCOUNT ? 'debit' : credits[row] === HOT_ACCOUNT ? 'credit' : 'none';
      }),
    );
    expect(new Set(sides)).toEqual(new Set(hotSide === 'either' ? ['debit', 'credit'] : [hotSide]));
  },
);

test('a hot account is on the shard that is asked for, and a fee ends every chain', () => {
  for (let hotShard = 0; hotShard < SHARDS; hotShard++) {
    const hot = workloadOf({ hotSide: 'either', hotShard });
    expect(shardsOf(hot, hot.slots[0]!).filter((pair) => !pair.includes(hotShard))).toEqual([]);
    const { slots, accountIds } = workloadOf({ chain: 3, hasFee: true, hotShard });
    const { debits, credits } = slots[0]!;
    const fees = [...credits].filter((_, row) => row % 3 === 2);
    expect(new Set(fees).size).toBe(1);
    expect(shardOf(accountIds, fees[0]! * 4, SHARDS)).toBe(hotShard);
    for (const [row, debit] of debits.entries()) {
      expect(debit).not.toBe(credits[row]);
      const isPayer = row % 3 === 2 && debits[row - 2] !== fees[0];
      expect(isPayer ? debit : -1).toBe(isPayer ? debits[row - 2] : -1);
    }
  }
});

test('timeouts are drawn from so many seconds to twice as many', () => {
  const workload = workloadOf({ transfers: { pendingTimeoutSeconds: 60 } });
  const { batch } = workload.slots[0]!;
  const at = columnAt(batch, Transfer.timeout);
  for (const timeout of batch.words.subarray(at, at + batch.n)) {
    expect(timeout).toBeGreaterThanOrEqual(60);
    expect(timeout).toBeLessThanOrEqual(120);
  }
});

test('marks and codes are on as many transfers as the journal says, and later ones have others', () => {
  const workload = workloadOf({ batch: 10, transfers: { hasUserData: true } });
  const journal = new MarkedJournal(195, 10);
  const marks = new Map<bigint, number>();
  const codes = new Map<number, number>();
  for (let use = 0; use < 40; use++) {
    const slot = workload.take();
    journal.mark(slot);
    const { words, n } = slot.batch;
    const at = columnAt(slot.batch, Transfer.userData64);
    for (const mark of new BigUint64Array(words.slice(at, at + n * 2).buffer)) {
      marks.set(mark, (marks.get(mark) ?? 0) + 1);
    }
    const code = slot.batch.halves[columnAt(slot.batch, Transfer.code)]!;
    codes.set(code, (codes.get(code) ?? 0) + n);
    workload.giveBack(slot);
  }
  expect(journal.transfers).toBe(200);
  const random = new Prng(1);
  for (let drawn = 0; drawn < 50; drawn++) {
    const { ordinal, uses } = journal.drawMark(random);
    expect(marks.get(markOf(ordinal))).toBe(uses);
    expect(codes.get(journal.drawCode(random))).toBe(journal.usesOfCode);
  }
});
