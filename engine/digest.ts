/**
 * The digest of a shard's state: two 32-bit words, equal for equal states whatever the layout of the tables. Accounts count in order of
 * their rows, ids as an order-free sum. The clock does not count: it moves without anything happening. Not cryptographic: it shows mistakes, not forgery.
 */
import { ROW_WORDS } from './batch.ts';
import type { Claims } from './claims.ts';
import type { Ledger } from './ledger.ts';
import type { Walks } from './walk.ts';

/** Hash of some words, as an unsigned 32-bit number. */
export function mixWords(words: Uint32Array, at: number, count: number): number {
  let hash = 0x811c9dc5 ^ count;
  for (let w = at; w < at + count; w++) {
    hash = Math.imul(hash ^ words[w]!, 0x85ebca6b);
    hash ^= hash >>> 13;
  }
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export function stateDigest(state: {
  readonly ledger: Ledger;
  readonly claims: Claims;
  readonly walks: Walks;
  readonly counters: readonly Float64Array[];
  readonly parked: number;
}): readonly [number, number] {
  const { ledger, claims, walks, counters, parked } = state;
  const { accounts } = ledger;
  let head = Uint32Array.of(accounts.rows, parked);
  let accountHash = mixWords(head, 0, 2);
  for (let row = 0; row < accounts.rows; row++) {
    const rowHash = mixWords(accounts.chunk(row), accounts.offset(row), ROW_WORDS);
    const stamp = accounts.stampLow(row) ^ Math.imul(accounts.stampHigh(row), 31);
    accountHash = (Math.imul(accountHash, 0x01000193) ^ rowHash ^ stamp) >>> 0;
  }
  let idSum = 0;
  ledger.transferIndex.forEach((words, at) => {
    idSum = (idSum + mixWords(words, at, 6)) | 0;
  });
  const { newestAccount, newestTransfer, pendings } = ledger;
  head = Uint32Array.of(
    idSum >>> 0,
    claims.digest(mixWords),
    walks.digest(mixWords),
    pendings.digest(mixWords),
    ...newestAccount,
    ...newestTransfer,
  );
  let other = mixWords(head, 0, head.length);
  for (const list of counters) {
    for (const value of list) {
      const words = Uint32Array.of(value >>> 0, Math.floor(value / 4294967296));
      other = (Math.imul(other, 31) ^ mixWords(words, 0, 2)) >>> 0;
    }
  }
  return [accountHash, other];
}
