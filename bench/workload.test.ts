import { describe, expect, test } from 'vitest';
import { HEADER_BYTES } from '../engine/batch.ts';
import { shardOf } from '../engine/placement.ts';
import { Books } from './books.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

const options = (some: Partial<WorkloadOptions> = {}): WorkloadOptions => ({
  accounts: 500,
  shards: 3,
  batch: 100,
  crossShard: 50,
  seed: 7,
  inFlight: 4,
  pairs: 1_000,
  ...some,
});

function crossing(workload: Workload, shards: number): number[] {
  return workload.slots.map((slot) => {
    let count = 0;
    for (const [row, debit] of slot.debits.entries()) {
      const from = shardOf(workload.accountIds, debit * 4, shards);
      if (shardOf(workload.accountIds, slot.credits[row]! * 4, shards) !== from) count++;
    }
    return count;
  });
}

describe('Workload', () => {
  test.each([0, 25, 50, 100])('exactly %d percent of the transfers cross shards', (percent) => {
    const workload = new Workload(options({ crossShard: percent }));
    expect(new Set(crossing(workload, 3))).toEqual(new Set([percent]));
  });

  test('a share that does not divide a batch is carried over to the next', () => {
    const workload = new Workload(options({ batch: 7, crossShard: 10 }));
    const total = crossing(workload, 3).reduce((sum, one) => sum + one, 0);
    const share = workload.slots.length * 7 * 0.1;
    expect(Math.abs(total - share)).toBeLessThan(1);
  });

  test('no transfer has the same account on both sides', () => {
    const workload = new Workload(options({ accounts: 48, crossShard: undefined }));
    const same = workload.slots.filter((slot) =>
      slot.debits.some((debit, row) => debit === slot.credits[row]),
    );
    expect(same).toEqual([]);
  });

  test('every transfer has an id of its own, also when a batch is used again', () => {
    const workload = new Workload(options());
    const ids = new Set<string>();
    const uses = workload.slots.length * 2;
    for (let use = 0; use < uses; use++) {
      const slot = workload.take();
      const first = HEADER_BYTES / 4;
      for (let row = 0; row < 100; row++) {
        const at = first + row * 4;
        ids.add(slot.batch.words.subarray(at, at + 4).join('.'));
      }
      workload.giveBack(slot);
    }
    expect(ids.size).toBe(uses * 100);
  });

  test('a batch under way is not taken again', () => {
    const workload = new Workload(options());
    const stuck = workload.take();
    for (let use = 0; use < workload.slots.length * 2; use++) {
      const slot = workload.take();
      expect(slot).not.toBe(stuck);
      workload.giveBack(slot);
    }
  });

  test('one seed gives one load, another seed another', () => {
    const drawn = (seed: number): string => new Workload(options({ seed })).slots[5]!.debits.join();
    expect(drawn(1)).toBe(drawn(1));
    expect(drawn(1)).not.toBe(drawn(2));
  });

  test('accounts are created and looked up in full batches, each once', () => {
    const workload = new Workload(options({ accounts: 20_000 }));
    const sizes = [...workload.accountBatches()].map((batch) => batch.n);
    expect(sizes).toEqual([8189, 8189, 20_000 - 2 * 8189]);
    expect([...workload.lookupBatches()].map((batch) => batch.n)).toEqual(sizes);
  });
});

describe('Books', () => {
  test('what was acknowledged is on both sides, and refused transfers are on none', () => {
    const workload = new Workload(options({ batch: 2 }));
    const books = new Books(workload);
    const slot = workload.take();
    books.acknowledge(slot, Uint16Array.of(0, 0), 2);
    books.acknowledge(slot, Uint16Array.of(0, 54), 1);
    const { debits, credits, amount } = books.close();
    expect(amount).toBe(slot.amounts[0]! * 2 + slot.amounts[1]!);
    expect(credits.reduce((sum, one) => sum + one, 0)).toBe(amount);
    expect(debits.some((one) => one > 0)).toBe(true);
    expect([books.created, books.refused, books.firstRefusal]).toEqual([3, 1, 54]);
  });
});
