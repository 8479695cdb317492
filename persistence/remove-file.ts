/**
 * Removes a large file part by part. What a file system frees in one go it also gives back to the disk in one go, and every fsync waits
 * meanwhile: 30 to 40 ms for 128 MiB (ext4 with discard, a virtual disk), on whatever file.
 *
 * Only for a file that nothing reads any more and that is not taken for a whole one after a crash: in between it is shorter.
 */
import { rmSync, statSync, truncateSync } from 'node:fs';

const PART_BYTES = 8 << 20;
/** Between two parts, so that what waits behind one has its turn. */
const PAUSE_MS = 5;

export function removeInParts(path: string): void {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (bytes === undefined) return;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let left = bytes - PART_BYTES; left > 0; left -= PART_BYTES) {
    truncateSync(path, left);
    Atomics.wait(pause, 0, 0, PAUSE_MS);
  }
  rmSync(path, { force: true });
}
