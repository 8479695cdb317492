import { describe, expect, test } from 'vitest';
import { BatchKind, ROW_WORDS } from './batch.ts';
import { AWAITED, Claims, NEWCOMER, OWNER_AWAY } from './claims.ts';
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
const ALICE_KEY = Uint32Array.of(1, 0, 0, 0, KeyKind.account);
/** Where it was claimed is not known. */
const UNKNOWN = Uint32Array.of(0);

const [FIRST, SECOND] = [0, 1];

/** Has a parked item wait for the first of each of these keys. */
function park(claims: Claims, item: number, ...all: readonly EventKeys[]): void {
  claims.queues.open(item);
  for (const keys of all) claims.await(keys, 0, item);
}

describe('claims', () => {
  test('an account and a transfer id of the same number are two keys', () => {
    const claims = new Claims(SEED);
    expect(claims.claim(ALICE, 0, 7)).not.toBe(-1);
    expect(claims.isFree(TRANSFER, 0, NEWCOMER)).toBe(true);
    expect(claims.isFree(ALICE, 0, NEWCOMER)).toBe(false);
    expect([
      claims.ownerUnlessAwaited(ALICE, 0, NEWCOMER),
      claims.ownerUnlessAwaited(TRANSFER, 0, NEWCOMER),
    ]).toEqual([7, 0]);
  });

  test('a walk claims a key once, and nobody else claims it with it', () => {
    const claims = new Claims(SEED);
    expect(claims.claim(ALICE, 0, OWNER_AWAY)).not.toBe(-1);
    expect(claims.claim(ALICE, 0, OWNER_AWAY)).toBe(-1);
    expect(() => claims.claim(ALICE, 0, 1)).toThrow('one owner');
    claims.releaseAll(ALICE_KEY, UNKNOWN);
    expect(claims.count).toBe(0);
    expect(() => claims.releaseAll(ALICE_KEY, UNKNOWN)).toThrow('was claimed');
    expect(claims.claim(ALICE, 0, 1)).not.toBe(-1);
  });

  test('who waits for a key holds back those who come, also when its owner has gone', () => {
    const claims = new Claims(SEED);
    claims.claim(ALICE, 0, 3);
    park(claims, FIRST, ALICE);
    park(claims, SECOND, ALICE);
    claims.releaseAll(ALICE_KEY, UNKNOWN);
    expect(claims.isFree(ALICE, 0, NEWCOMER)).toBe(false);
    expect(claims.ownerUnlessAwaited(ALICE, 0, NEWCOMER)).toBe(AWAITED);
    claims.leave(ALICE, 0, FIRST);
    expect(claims.isFree(ALICE, 0, NEWCOMER)).toBe(false);
    claims.leave(ALICE, 0, SECOND);
    expect(claims.isFree(ALICE, 0, NEWCOMER)).toBe(true);
    expect(claims.count).toBe(0);
    expect(() => claims.leave(ALICE, 0, SECOND)).toThrow('was awaited');
  });

  test('a key without an owner is free for the first who waits for it, and for nobody else', () => {
    const claims = new Claims(SEED);
    park(claims, FIRST, ALICE);
    park(claims, SECOND, ALICE, BOB);
    expect([FIRST, SECOND].map((item) => claims.isFree(ALICE, 0, item))).toEqual([true, false]);
    expect(claims.ownerUnlessAwaited(ALICE, 0, SECOND)).toBe(AWAITED);
    expect(claims.ownerUnlessAwaited(BOB, 0, SECOND)).toBe(0);
    claims.leave(ALICE, 0, FIRST);
    expect(claims.isFree(ALICE, 0, SECOND)).toBe(true);
    claims.claim(BOB, 0, 1);
    expect(claims.isFree(BOB, 0, SECOND)).toBe(false);
    expect(claims.ownerUnlessAwaited(BOB, 0, SECOND)).toBe(1);
  });

  test('is due who has become the first at a key, or whose first key has lost its owner', () => {
    const claims = new Claims(SEED);
    const { queues } = claims;
    claims.claim(ALICE, 0, 3);
    park(claims, FIRST, ALICE, BOB);
    park(claims, SECOND, BOB);
    const due = (): readonly boolean[] => [FIRST, SECOND].map((item) => queues.isDue(item));
    expect(due()).toEqual([false, false]);
    claims.releaseAll(ALICE_KEY, UNKNOWN);
    expect(due()).toEqual([true, false]);
    queues.clearDue(FIRST);
    claims.leave(BOB, 0, FIRST);
    expect(due()).toEqual([false, true]);
    // A place that is used again begins anew.
    park(claims, SECOND);
    expect(due()).toEqual([false, false]);
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
