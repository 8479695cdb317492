import { describe, expect, test } from 'vitest';
import { AWAITED, Claims, OWNER_AWAY } from './claims.ts';
import { KeyKind } from './event-keys.ts';

const { account, transfer } = KeyKind;
const ALICE = Uint32Array.of(1, 0, 0, 0);
const BOB = Uint32Array.of(2, 0, 0, 0);

describe('claims', () => {
  test('an account and a transfer id of the same number are two keys', () => {
    const claims = new Claims(1);
    expect(claims.claim(ALICE, 0, account, 7)).toBe(true);
    expect(claims.isFree(ALICE, 0, transfer, false)).toBe(true);
    expect(claims.isFree(ALICE, 0, account, false)).toBe(false);
    expect([
      claims.ownerUnlessAwaited(ALICE, 0, account, false),
      claims.ownerUnlessAwaited(ALICE, 0, transfer, false),
    ]).toEqual([7, 0]);
  });

  test('a walk claims a key once, and nobody else claims it with it', () => {
    const claims = new Claims(1);
    expect(claims.claim(ALICE, 0, account, OWNER_AWAY)).toBe(true);
    expect(claims.claim(ALICE, 0, account, OWNER_AWAY)).toBe(false);
    expect(() => claims.claim(ALICE, 0, account, 1)).toThrow('one owner');
    claims.release(ALICE, 0, account);
    expect(claims.count).toBe(0);
    expect(() => claims.release(ALICE, 0, account)).toThrow('was claimed');
    expect(claims.claim(ALICE, 0, account, 1)).toBe(true);
  });

  test('who waits for a key holds back those who come, also when its owner has gone', () => {
    const claims = new Claims(1);
    claims.claim(ALICE, 0, account, 3);
    claims.await(ALICE, 0, account);
    claims.await(ALICE, 0, account);
    claims.release(ALICE, 0, account);
    expect(claims.isFree(ALICE, 0, account, false)).toBe(false);
    expect(claims.ownerUnlessAwaited(ALICE, 0, account, false)).toBe(AWAITED);
    claims.leave(ALICE, 0, account);
    expect(claims.isFree(ALICE, 0, account, false)).toBe(false);
    claims.leave(ALICE, 0, account);
    expect(claims.isFree(ALICE, 0, account, false)).toBe(true);
    expect(claims.count).toBe(0);
    expect(() => claims.leave(ALICE, 0, account)).toThrow('was awaited');
  });

  test('in a scan only those hold back who were passed in this scan', () => {
    const claims = new Claims(1);
    claims.await(ALICE, 0, account);
    claims.await(BOB, 0, account);
    claims.beginScan();
    expect(claims.isFree(ALICE, 0, account, true)).toBe(true);
    claims.mark(ALICE, 0, account);
    expect(claims.isFree(ALICE, 0, account, true)).toBe(false);
    expect(claims.ownerUnlessAwaited(ALICE, 0, account, true)).toBe(AWAITED);
    expect(claims.isFree(BOB, 0, account, true)).toBe(true);
    claims.beginScan();
    expect(claims.isFree(ALICE, 0, account, true)).toBe(true);
    claims.claim(BOB, 0, account, 1);
    expect(claims.isFree(BOB, 0, account, true)).toBe(false);
    expect(() => claims.mark(Uint32Array.of(9, 9, 9, 9), 0, account)).toThrow('awaits its keys');
  });

  test('the digest is that of the keys, in whatever order they were claimed', () => {
    const sum = (words: Uint32Array, at: number, n: number): number =>
      words.subarray(at, at + n).reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 7);
    const digestOf = (...ids: Uint32Array[]): number => {
      const claims = new Claims(1);
      for (const id of ids) claims.claim(id, 0, account, 5);
      return claims.digest(sum);
    };
    expect(digestOf(ALICE, BOB)).toBe(digestOf(BOB, ALICE));
    expect(digestOf(ALICE, BOB)).not.toBe(digestOf(ALICE));
  });
});
