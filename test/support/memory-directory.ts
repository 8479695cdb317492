/**
 * A fresh directory in memory, where the system has such a place with room, else on disk as any other. For files that a test makes only to read them,
 * or to ask one question after the other: there an fsync is nothing but waiting. What is about commits, kills or several clients
 * belongs on a disk, since there a commit takes as long as it does in earnest.
 */
import { accessSync, constants, mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
const TMPFS = 0x0102_1994;
/** Containers often have no more than 64 MiB there. */
const FREE_BYTES_MIN = 1 << 30;

export function makeMemoryDirectory(prefix: string): string {
  return mkdtempSync(join(hasMemory() ? MEMORY : tmpdir(), prefix));
}

function hasMemory(): boolean {
  try {
    accessSync(MEMORY, constants.W_OK);
    const { type, bavail, bsize } = statfsSync(MEMORY);
    return type === TMPFS && bavail * bsize >= FREE_BYTES_MIN;
  } catch {
    return false; // there is no such place
  }
}
