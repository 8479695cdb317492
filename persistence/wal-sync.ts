/**
 * Makes sure that what a WAL had when a journal was opened is on the disk, before anybody is told of it.
 *
 * The last append may be there only as far as the system shows it: a killed process wrote and did not sync it, or its sync failed. After a failed
 * sync the system takes the pages for written, and a later sync neither writes them nor says so ("Can Applications Recover from fsync Failures?",
 * Rebello et al., USENIX ATC 2020). So the same bytes are written once more, which a sync then has to put onto the disk. What is before the last append was synced
 * before that began.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { assert } from '../engine/assert.ts';
import type { WalCheckResult } from './wal-preflight.ts';
import { WAL_HEADER_BYTES } from './wal-room.ts';

const PART_BYTES = 1 << 20;

/** For who may write the file, as long as nobody appends to it. `check` is what was found when it was looked at. */
export function syncLastAppend(wal: string, { bytes, lastAppendAt }: WalCheckResult): void {
  const file = openSync(wal, 'r+');
  try {
    // The header is synced by itself before the first append to it.
    if (bytes > 0) writeAgain(file, 0, WAL_HEADER_BYTES);
    if (lastAppendAt < bytes) writeAgain(file, lastAppendAt, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function writeAgain(file: number, from: number, to: number): void {
  const part = new Uint8Array(Math.min(PART_BYTES, to - from));
  for (let at = from; at < to; at += part.length) {
    const count = Math.min(part.length, to - at);
    assert(readSync(file, part, 0, count, at) === count, 'a WAL does not become shorter');
    assert(writeSync(file, part, 0, count, at) === count, 'a file takes what it has');
  }
}
