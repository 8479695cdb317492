import { describe, expect, test } from 'vitest';
import { BatchKind, ROW_WORDS } from './batch.ts';
import { AWAITED, Claims, OWNER_AWAY } from './claims.ts';
import { EventKeys, KeyKind } from './event-keys.ts';
import { EventMark } from './event-marks.ts';

const SEED = 1;

/** Keys of which the first is the id of an account, or of a transfer. */
function keysOf(kind: BatchKind, id: number): EventKeys {
  const keys = new EventKeys({ shard: 0, shards: 1 }, SEED);
  const event = new Uint32Array(ROW_WORDS);
  event[0] = id;
  keys.collect(kind, event, 0, EventMark.end);
  return keys;
}

const ALICE = keysOf(BatchKind.accounts, 1);
const BOB = keysOf(BatchKind.accounts, 2);
const TRANSFER = keysOf(BatchKind.transfers, 1);
const ALICE_ID = Uint32Array.of(1, 0, 0, 0);

describe('claims', () => {
  test('an account and a transfer id of the same number are two keys', () => {
    const claims = new Claims(SEED);
    expect(claims.claim(ALICE, 0, 7)).toBe(true);
    expect(claims.isFree(TRANSFER, 0, false)).toBe(true);
    expect(claims.isFree(ALICE, 0, false)).toBe(false);
    expect([
      claims.ownerUnlessAwaited(ALICE, 0, false),
      claims.ownerUnlessAwaited(TRANSFER, 0, false),
    ]).toEqual([7, 0]);
  });

  test('a walk claims a key once, and nobody else claims it with it', () => {
    const claims = new Claims(SEED);
    expect(claims.claim(ALICE, 0, OWNER_AWAY)).toBe(true);
    expect(claims.claim(ALICE, 0, OWNER_AWAY)).toBe(false);
    expect(() => claims.claim(ALICE, 0, 1)).toThrow('one owner');
    claims.release(ALICE_ID, 0, KeyKind.account);
    expect(claims.count).toBe(0);
    expect(() => claims.release(ALICE_ID, 0, KeyKind.account)).toThrow('was claimed');
    expect(claims.claim(ALICE, 0, 1)).toBe(true);
  });

  test('who waits for a key holds back those who come, also when its owner has gone', () => {
    const claims = new Claims(SEED);
    claims.claim(ALICE, 0, 3);
    claims.await(ALICE, 0);
    claims.await(ALICE, 0);
    claims.release(ALICE_ID, 0, KeyKind.account);
    expect(claims.isFree(ALICE, 0, false)).toBe(false);
    expect(claims.ownerUnlessAwaited(ALICE, 0, false)).toBe(AWAITED);
    claims.leave(ALICE, 0);
    expect(claims.isFree(ALICE, 0, false)).toBe(false);
    claims.leave(ALICE, 0);
    expect(claims.isFree(ALICE, 0, false)).toBe(true);
    expect(claims.count).toBe(0);
    expect(() => claims.leave(ALICE, 0)).toThrow('was awaited');
  });

  test('in a scan only those hold back who were passed in this scan', () => {
    const claims = new Claims(SEED);
    claims.await(ALICE, 0);
    claims.await(BOB, 0);
    claims.beginScan();
    expect(claims.isFree(ALICE, 0, true)).toBe(true);
    claims.mark(ALICE, 0);
    expect(claims.isFree(ALICE, 0, true)).toBe(false);
    expect(claims.ownerUnlessAwaited(ALICE, 0, true)).toBe(AWAITED);
    expect(claims.isFree(BOB, 0, true)).toBe(true);
    claims.beginScan();
    expect(claims.isFree(ALICE, 0, true)).toBe(true);
    claims.claim(BOB, 0, 1);
    expect(claims.isFree(BOB, 0, true)).toBe(false);
    expect(() => claims.mark(keysOf(BatchKind.accounts, 9), 0)).toThrow('awaits its keys');
  });

  test('the digest is that of the keys, in whatever order they were claimed', () => {
    const sum = (words: Uint32Array, at: number, n: number): number =>
      words.subarray(at, at + n).reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 7);
    const digestOf = (...ids: EventKeys[]): number => {
      const claims = new Claims(SEED);
      for (const id of ids) claims.claim(id, 0, 5);
      return claims.digest(sum);
    };
    expect(digestOf(ALICE, BOB)).toBe(digestOf(BOB, ALICE));
    expect(digestOf(ALICE, BOB)).not.toBe(digestOf(ALICE));
  });
});
