import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { EXPIRIES_MAX } from './limits.ts';
import { addSeconds, PendingTable, digestOfEntries } from './pending-table.ts';

const SECOND = 1_000_000_000n;

/** The record of a pending transfer; its id does not matter here. */
function recordOf(timestamp: bigint, timeout: number, userData = 0): Uint32Array {
  const record = new Uint32Array(32);
  record[8] = 7;
  record[12] = 100;
  record[26] = userData;
  record[27] = timeout;
  record[28] = 1;
  record[29] = (2 << 16) | 1;
  record[30] = Number(timestamp & 0xffffffffn);
  record[31] = Number(timestamp >> 32n);
  return record;
}

function add(table: PendingTable, record: Uint32Array): number {
  return table.add(record, 0, 3, -5, 11, 12);
}

function isDue(table: PendingTable, now: bigint): boolean {
  return table.isDue(Number(now & 0xffffffffn), Number(now >> 32n));
}

describe('PendingTable', () => {
  test('an entry has all of its record but id, debit account, and ledger', () => {
    const table = new PendingTable();
    const record = recordOf(5n * SECOND, 60, 9);
    const entry = add(table, record);
    const copy = new Uint32Array(32);
    table.copyRecord(entry, copy);
    record[28] = 0;
    expect([...copy]).toEqual([...record]);
    expect(table.debitRow(entry)).toBe(3);
    expect(table.hash(entry)).toBe(-5);
    expect([table.positionLow(entry), table.positionHigh(entry)]).toEqual([11, 12]);
  });

  test('pending transfers expire in the order of their expiry, and of their timestamps where that is the same', () => {
    const table = new PendingTable();
    const prng = new Prng(3);
    const due: { expiresAt: bigint; timestamp: bigint; entry: number }[] = [];
    for (let i = 0; i < 500; i++) {
      const timeout = prng.between(1, 4);
      const timestamp = BigInt(prng.below(4)) * SECOND + BigInt(i);
      const entry = add(table, recordOf(timestamp, timeout));
      due.push({ expiresAt: timestamp + BigInt(timeout) * SECOND, timestamp, entry });
    }
    const gone = due.filter(() => prng.chance(30));
    for (const { entry } of gone) table.remove(entry);
    const left = due.filter((one) => !gone.includes(one));
    left.sort((a, b) => Number(a.expiresAt - b.expiresAt || a.timestamp - b.timestamp));
    for (const { expiresAt, entry } of left) {
      expect(table.nextExpiry()).toBe(expiresAt);
      expect(isDue(table, expiresAt - 1n)).toBe(false);
      expect(isDue(table, expiresAt)).toBe(true);
      expect(table.beginExpiry()).toBe(entry);
      table.remove(entry);
    }
    expect(table.count).toBe(0);
    expect(table.nextExpiry()).toBe(0n);
  });

  test('one without a timeout never expires', () => {
    const table = new PendingTable();
    add(table, recordOf(1n, 0));
    expect(table.first).toBe(-1);
    expect(isDue(table, 1n << 62n)).toBe(false);
  });

  test('only so many expire at a time, and one that is decided makes room', () => {
    const table = new PendingTable();
    for (let i = 0; i <= EXPIRIES_MAX; i++) add(table, recordOf(BigInt(i), 1));
    const now = 10n * SECOND;
    const begun: number[] = [];
    while (isDue(table, now)) begun.push(table.beginExpiry());
    expect(begun.length).toBe(EXPIRIES_MAX);
    expect(table.expiring).toBe(EXPIRIES_MAX);
    expect(table.nextExpiry()).toBe(0n);
    table.remove(begun[0]!);
    expect(table.expiring).toBe(EXPIRIES_MAX - 1);
    expect(isDue(table, now)).toBe(true);
  });

  test('entries that are taken back in reverse order have their numbers again, and the same digest', () => {
    const mix = (words: Uint32Array, at: number, count: number): number =>
      words
        .subarray(at, at + count)
        .reduce((sum, word, i) => (sum + Math.imul(word, i + 1)) | 0, 0);
    const table = new PendingTable();
    const entries = [1, 2, 3].map((i) => add(table, recordOf(BigInt(i), i, i)));
    const digest = (): number => digestOfEntries(table.words, table.used, mix);
    const before = digest();
    table.remove(entries[0]!);
    table.remove(entries[2]!);
    expect(digest()).not.toBe(before);
    expect(add(table, recordOf(3n, 3, 3))).toBe(entries[2]);
    expect(add(table, recordOf(1n, 1, 1))).toBe(entries[0]);
    expect(digest()).toBe(before);
    expect(table.first).toBe(entries[0]);
  });
});

test('a timestamp plus seconds is exact, and says when it is too large for a timestamp', () => {
  const target = new Uint32Array(2);
  const most = 2n ** 63n - 1n;
  for (const [timestamp, seconds] of [
    [0n, 0],
    [4_294_967_295n, 1],
    [1_700_000_000_123_456_789n, 4_294_967_295],
    [most - SECOND, 1],
    [most - SECOND + 1n, 1],
  ] as const) {
    const words = Uint32Array.of(Number(timestamp & 0xffffffffn), Number(timestamp >> 32n));
    const sum = timestamp + BigInt(seconds) * SECOND;
    expect(addSeconds(target, words, 0, seconds)).toBe(sum > most);
    expect((BigInt(target[1]!) << 32n) | BigInt(target[0]!)).toBe(sum);
  }
});
