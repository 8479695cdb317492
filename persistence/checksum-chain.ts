/**
 * The checksum of a journal row: CRC-32 over sequence, timestamp, and frame, begun with the previous row's checksum. The chain begins
 * with the identity of the shard, so a lost, torn, altered, or moved row shows, and so does a row of another cluster or shard.
 * A CRC detects rot, not intent. Nothing here may ever change but together with the format of segments.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../engine/assert.ts';
import { GROUP_BYTES_MAX, SEQUENCE_MAX } from '../engine/limits.ts';
import type { JournalRow } from './journal.ts';

/** Whose journal it is. */
export interface JournalIdentity {
  readonly clusterId: string;
  readonly shard: number;
  readonly shards: number;
}

const head = new BigUint64Array(2);
const headBytes = new Uint8Array(head.buffer);

/** What the first row of a shard follows. */
export function chainStart(identity: JournalIdentity): number {
  assert(identity.shard >= 0 && identity.shard < identity.shards, 'a shard within its count');
  return crc32(`sycee/${identity.clusterId}/${identity.shard}/${identity.shards}`);
}

export function rowChecksum(previous: number, row: JournalRow): number {
  head[0] = BigInt(row.sequence);
  head[1] = row.timestamp;
  return crc32(row.frame, crc32(headBytes, previous));
}

/** What every journal asks of a row before it is appended. */
export function assertAppendable(row: JournalRow, lastSequence: number): void {
  assert(row.sequence === lastSequence + 1, 'journal sequences are dense');
  assert(row.sequence <= SEQUENCE_MAX, 'a journal sequence within its bound');
  assert(row.timestamp >= 0n && row.timestamp < 1n << 64n, 'a timestamp is a u64');
  assert(row.frame.byteLength > 0, 'a frame is not empty');
  assert(row.frame.byteLength <= GROUP_BYTES_MAX, 'a frame within its bound');
}
