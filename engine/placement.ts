/**
 * Where an account lives: a pure hash placement, fixed for the life of a data directory, and the second hash that the indexes use.
 *
 * Both read a 128-bit id as four little-endian words, the lowest at `at`. `shardOf` is murmur3 (x86, 32 bits, seed 0) of the id's 16 bytes,
 * multiplied by the shard count and cut off: a client in any language can compute it. `hashId` is xxHash32 of the same bytes. They
 * share no constant, so the ids of one shard spread over that shard's index like any others. Neither may ever change.
 */
import { assert } from './assert.ts';
import { SHARDS_MAX } from './limits.ts';

const ID_BYTES = 16;

/** The shard of the account whose id begins at word `at`. Hot path. */
export function shardOf(words: Uint32Array, at: number, shards: number): number {
  if (shards === 1) return 0;
  assert(shards > 1 && shards <= SHARDS_MAX, 'a shard count within its bound');
  let hash = murmurRound(0, words[at]! | 0);
  hash = murmurRound(hash, words[at + 1]! | 0);
  hash = murmurRound(hash, words[at + 2]! | 0);
  hash = murmurRound(hash, words[at + 3]! | 0) ^ ID_BYTES;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash = (hash ^ (hash >>> 16)) >>> 0;
  // Exact: 38 bits at most. The bias is at most one id in 2^26.
  return Math.floor((hash * shards) / 0x1_0000_0000);
}

function murmurRound(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/**
 * A 32-bit hash of the id that begins at word `at`; independent of `shardOf`. Signed, because V8 keeps every signed 32-bit number without a
 * box, and an unsigned one only inside one compiled function. Hot path.
 */
export function hashId(words: Uint32Array, at: number, seed: number): number {
  const a = xxRound((seed + 0x24234428) | 0, words[at]! | 0);
  const b = xxRound((seed + 0x85ebca77) | 0, words[at + 1]! | 0);
  const c = xxRound(seed | 0, words[at + 2]! | 0);
  const d = xxRound((seed - 0x9e3779b1) | 0, words[at + 3]! | 0);
  let hash =
    ((a << 1) | (a >>> 31)) +
    ((b << 7) | (b >>> 25)) +
    ((c << 12) | (c >>> 20)) +
    ((d << 18) | (d >>> 14)) +
    ID_BYTES;
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae3d);
  return (hash ^ (hash >>> 16)) | 0;
}

function xxRound(lane: number, word: number): number {
  const sum = (lane + Math.imul(word, 0x85ebca77)) | 0;
  return Math.imul((sum << 13) | (sum >>> 19), 0x9e3779b1);
}
