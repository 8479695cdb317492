import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { AccountIndex } from './account-index.ts';
import { AccountTable } from './account-table.ts';

/** A table and its index with these ids, four words each; ids that came before are left out. */
function filled(ids: Uint32Array): { accounts: AccountTable; index: AccountIndex } {
  const accounts = new AccountTable();
  const index = new AccountIndex(accounts, 5);
  for (let at = 0; at < ids.length; at += 4) {
    const hash = index.hash(ids, at);
    if (index.find(ids, at, hash) !== -1) continue;
    const account = new Uint32Array(32);
    account.set(ids.subarray(at, at + 4));
    const row = accounts.add(account, 0);
    index.insert(hash, row);
  }
  return { accounts, index };
}

describe('an account index', () => {
  test('finds the row of each of 100,000 accounts, and none for an id that is not there', () => {
    const prng = new Prng(1);
    const ids = Uint32Array.from({ length: 400_000 }, () => prng.uint32());
    const { accounts, index } = filled(ids);
    expect(accounts.rows).toBe(100_000);
    let wrong = 0;
    for (let i = 0; i < 100_000; i++) {
      if (index.find(ids, i * 4, index.hash(ids, i * 4)) !== i) wrong++;
      const other = Uint32Array.of(ids[i * 4]!, ids[i * 4 + 1]!, ids[i * 4 + 2]!, prng.uint32());
      if (index.find(other, 0, index.hash(other, 0)) !== -1) wrong++;
    }
    expect(wrong).toBe(0);
  });

  test('two accounts whose hashes are equal are two accounts', () => {
    const prng = new Prng(3);
    const probe = new AccountIndex(new AccountTable(), 5);
    const byHash = new Map<number, Uint32Array>();
    let pair: readonly [Uint32Array, Uint32Array] | null = null;
    while (pair === null) {
      const id = Uint32Array.from({ length: 4 }, () => prng.uint32());
      const hash = probe.hash(id, 0);
      const other = byHash.get(hash);
      if (other !== undefined) pair = [other, id];
      byHash.set(hash, id);
    }
    const ids = Uint32Array.from([...pair[0], ...pair[1]]);
    const { accounts, index } = filled(ids);
    expect(accounts.rows).toBe(2);
    expect(index.find(ids, 0, index.hash(ids, 0))).toBe(0);
    expect(index.find(ids, 4, index.hash(ids, 4))).toBe(1);
    const guesses = Int32Array.of(-1);
    index.guessAll(Int32Array.of(index.hash(ids, 4)), guesses, 1);
    expect(guesses).toEqual(Int32Array.of(0));
  });
});
