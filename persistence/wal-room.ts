/**
 * Room in a WAL before it is needed. What is written over blocks that a file already has is durable in half the time that it takes at the
 * end of a file that grows, with half of the processor's: there the file system has to find blocks, and to commit its own journal with each fsync.
 *
 * So the WAL of a sealed segment is kept, one for a shard, and becomes that of a later segment; and a WAL that began without such room gets
 * zeros at its end, by the sealer's thread, ahead of what is appended. Neither has a part in durability.
 *
 * I1 A kept WAL says in its first bytes that nothing is in it, durably, before it gets a segment's name. SQLite takes such a file for an empty WAL, writes
 *    a header with new salts, and syncs it before the first frame. Frames of earlier segments behind the new ones have other salts.
 * I2 Zeros go where the file ends at that moment (O_APPEND), and no frame lies behind that, so nothing is ever written over by them.
 */
import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { assert } from '../engine/assert.ts';

/** The kept one. Not named as SQLite names a WAL: it belongs to no segment. */
export const KEPT_WAL_NAME = 'segment-kept.wal';
export const WAL_HEADER_BYTES = 32;
const KEPT_HEADER = new TextEncoder().encode('Sycee: a WAL that nothing is in\n');
assert(KEPT_HEADER.length === WAL_HEADER_BYTES, 'the words stand where SQLite has its header');

/** A WAL smaller than this grows as SQLite writes it: many a life of a process ends before. */
const GROW_FROM_BYTES = 1 << 20;
/** How far the room reaches when more of it is asked for, and how much that is: an actor's fsync may wait behind that of one. */
const AHEAD_BYTES = 2 << 20;
export const GROW_BYTES = 512 << 10;

/** Whether these first bytes of a WAL say that nothing is in it (I1). */
export function isKeptHeader(header: Uint8Array): boolean {
  return KEPT_HEADER.every((byte, i) => header[i] === byte);
}

/** Makes a WAL that has no name of a segment any more the kept one. False when there is one already. */
export function keepWal(spent: string, directory: string): boolean {
  const kept = join(directory, KEPT_WAL_NAME);
  if (existsSync(kept)) return false;
  const isThere = withFile(spent, constants.O_RDWR, (file) => {
    writeSync(file, KEPT_HEADER, 0, WAL_HEADER_BYTES, 0);
    fdatasyncSync(file);
  });
  try {
    if (isThere) renameSync(spent, kept);
  } catch (error: unknown) {
    // A shard that begins anew removes what it finds of spent WALs.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return isThere;
}

/**
 * Gives the kept WAL, if there is one, to a segment that has none and that nobody has open. The caller fsyncs the directory. Returns a sentence for the
 * log when it cannot be used, and the segment does without.
 */
export function takeKeptWal(directory: string, segment: string): string | undefined {
  const kept = join(directory, KEPT_WAL_NAME);
  const header = new Uint8Array(WAL_HEADER_BYTES);
  try {
    const isThere = withFile(kept, constants.O_RDWR, (file) => {
      readSync(file, header, 0, WAL_HEADER_BYTES, 0);
    });
    if (isThere && isKeptHeader(header)) renameSync(kept, `${segment}-wal`);
    else if (isThere) rmSync(kept);
    return undefined;
  } catch (error: unknown) {
    return `${kept} cannot be used and should be removed; commits take longer without: ${String(error)}`;
  }
}

/** Adds zeros to the WAL of a live segment, durably (I2). Nothing where there is no WAL any more. */
export function growWal(segment: string, bytes: number): void {
  withFile(`${segment}-wal`, constants.O_WRONLY | constants.O_APPEND, (file) => {
    // An empty one is a sealed segment's, and is to stay empty.
    if (fstatSync(file).size === 0) return;
    writeSync(file, new Uint8Array(bytes));
    fdatasyncSync(file);
  });
}

/** False when there is no such file. */
function withFile(path: string, flags: number, act: (file: number) => void): boolean {
  let file: number;
  try {
    file = openSync(path, flags);
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    act(file);
  } finally {
    closeSync(file);
  }
  return true;
}

/** How full the WAL of a live segment is, and when it wants more room. Owned by the thread that owns the segment. */
export class WalFill {
  readonly #published: () => number;
  readonly #bytesMax: number;
  /** When it was last asked for, and what at most has been written since. */
  #bytes: number;
  #writtenMax = 0;
  /** Where the file ends, when everything that was asked for has been added. */
  #roomBytes: number;

  /** `published` says how many bytes have been committed, `roomBytes` how long the file is; one of `bytesMax` and more is not made longer. */
  constructor(published: () => number, roomBytes: number, bytesMax: number) {
    this.#published = published;
    this.#bytes = published();
    this.#roomBytes = roomBytes;
    this.#bytesMax = bytesMax;
  }

  /** At most so many bytes were committed. */
  wrote(bytesMax: number): void {
    this.#writtenMax += bytesMax;
  }

  /** Whether so much is in it. Asks only when that may have come about since the last time. */
  has(bytes: number): boolean {
    if (this.#bytes + this.#writtenMax < bytes) return false;
    this.#bytes = this.#published();
    this.#writtenMax = 0;
    return this.#bytes >= bytes;
  }

  /** Whether it is to grow by `GROW_BYTES` now; that is taken for done. */
  wantsRoom(): boolean {
    if (this.#roomBytes >= this.#bytesMax) return false;
    if (!this.has(Math.max(GROW_FROM_BYTES, this.#roomBytes - AHEAD_BYTES))) return false;
    this.#roomBytes = Math.max(this.#roomBytes, this.#bytes) + GROW_BYTES;
    return true;
  }
}
