/**
 * Ids for accounts and transfers: 48 bits of milliseconds over 80 random bits. They sort by the time they were made at, and within one
 * process they strictly increase, also within a millisecond and when the clock jumps back. Never 0 and never 2^128 - 1.
 */
import { randomFillSync } from 'node:crypto';

const RANDOM_BITS = 80n;
/** Fresh randomness leaves its highest bit free, so that counting on from it does not carry into the time. */
const RANDOM_MASK = (1n << (RANDOM_BITS - 1n)) - 1n;
const RANDOM_BYTES = 10;
const POOL_BYTES = RANDOM_BYTES * 409;

export interface IdClock {
  now(): number;
  /** A fresh integer below 2^80. */
  random(): bigint;
}

/** A time-ordered id, unique without coordination. */
export const id: () => bigint = idSource({ now: () => Date.now(), random: randomPool() });

export function idSource(clock: IdClock): () => bigint {
  let lastMs = 0n;
  let low = 0n;
  return () => {
    const nowMs = BigInt(clock.now());
    if (nowMs > lastMs) {
      lastMs = nowMs;
      low = clock.random() & RANDOM_MASK;
    } else {
      low += 1n;
    }
    // 2^79 ids within one millisecond are out of reach, so the sum stays below the next millisecond.
    return ((lastMs & 0xffff_ffff_ffffn) << RANDOM_BITS) | low;
  };
}

/** Random bytes come in pools: one call into the system for each 409 ids. */
function randomPool(): () => bigint {
  const pool = new Uint8Array(POOL_BYTES);
  const view = new DataView(pool.buffer);
  let at = POOL_BYTES;
  return () => {
    if (at === POOL_BYTES) {
      randomFillSync(pool);
      at = 0;
    }
    const high = BigInt(view.getUint16(at, true));
    const low = view.getBigUint64(at + 2, true);
    at += RANDOM_BYTES;
    return (high << 64n) | low;
  };
}
