/**
 * The segments of one shard as they are at one moment, for those who look at a directory without taking part in it: nothing in it is
 * written, created, locked, or opened by SQLite in a way that leaves files there. A view is plain words and can be sent to another thread.
 *
 * A sealed segment is read where it lies (immutable-file.ts). Any other one, which a process may be writing, is copied with its WAL into a
 * scratch directory, where SQLite may do what it likes.
 *
 * I1 The copy holds a prefix of the segment's commits. While its file does not change, the WAL is only ever appended to; so a copy of both during
 *    which the file stayed as it was is sound, and what SQLite finds torn at the end of the copied WAL is a commit that nobody was told of.
 */
import { constants, copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { removeDatabase } from './database.ts';
import { segmentName, segmentsAmong, segmentsIn } from './segment.ts';
import { preflightWal } from './wal-preflight.ts';

export interface ViewedSegment {
  readonly first: number;
  /** Where it is read. */
  readonly path: string;
  /** It is read where it lies. */
  readonly isInPlace: boolean;
  /** Of the file and its WAL when it was looked at. */
  readonly bytes: number;
}

/** The sealer needs about a second to move a full WAL into its file; a file that changes for longer is no segment at rest. */
const COPY_TRIES = 200;
const COPY_PAUSE_MS = 100;

/** Looks at the segments in a shard's directory. `scratch` is made when something has to be copied; the caller removes it. */
export function viewJournal(directory: string, scratch: string): readonly ViewedSegment[] {
  const firsts = segmentsIn(directory);
  return firsts.map((first, i) => {
    const path = join(directory, segmentName(first));
    if (i < firsts.length - 1 && walBytes(path) === 0) {
      return { first, path, isInPlace: true, bytes: statSync(path).size };
    }
    mkdirSync(scratch, { recursive: true, mode: 0o700 });
    const copy = join(scratch, segmentName(first));
    return copied(path, copy, first);
  });
}

/** One segment by its path, wherever it lies; undefined when it is not named as one. It may be one that is written. */
export function viewSegment(path: string, scratch: string): ViewedSegment | undefined {
  const [first] = segmentsAmong([basename(path)]);
  if (first === undefined) return undefined;
  const copy = join(scratch, segmentName(first));
  return copied(path, copy, first);
}

/** Segments in a directory in which nobody writes: an archive. */
export function viewArchive(directory: string): readonly ViewedSegment[] {
  return segmentsAmong(readdirSync(directory)).map((first) => {
    const path = join(directory, segmentName(first));
    return { first, path, isInPlace: true, bytes: statSync(path).size };
  });
}

/** The segments of a shard and those that have gone into its archive; one that is in both is read where the shard is. */
export function joinViews(
  own: readonly ViewedSegment[],
  archived: readonly ViewedSegment[],
): readonly ViewedSegment[] {
  const others = archived.filter(({ first }) => !own.some((one) => one.first === first));
  return [...own, ...others].toSorted((one, two) => one.first - two.first);
}

/** Damage in the WAL is refused before SQLite takes it for the end. */
function copied(path: string, copy: string, first: number): ViewedSegment {
  const bytes = copyAtRest(path, copy);
  preflightWal(copy, first);
  return { first, path: copy, isInPlace: false, bytes };
}

/** Copies a segment and its WAL (I1), and returns how many bytes that were. */
function copyAtRest(path: string, copy: string): number {
  for (let tries = 0; tries < COPY_TRIES; tries++) {
    if (tries > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, COPY_PAUSE_MS);
    removeDatabase(copy);
    const before = statSync(path, { bigint: true });
    const walBefore = walBytes(path);
    copyFileSync(path, copy, constants.COPYFILE_FICLONE);
    const wal = copyWal(path, copy);
    const after = statSync(path, { bigint: true });
    const isSame = before.mtimeNs === after.mtimeNs && before.size === after.size;
    // A clock of files is coarse; a WAL that has become shorter was moved into its file meanwhile.
    if (isSame && before.ino === after.ino && wal >= walBefore) return Number(after.size) + wal;
  }
  throw new Error(`${path} changes all the time, and cannot be copied. Try again.`);
}

function copyWal(path: string, copy: string): number {
  if (walBytes(path) === 0) return 0;
  try {
    copyFileSync(`${path}-wal`, `${copy}-wal`, constants.COPYFILE_FICLONE);
  } catch (error: unknown) {
    // It went away with the segment's last connection; then the file has changed as well, and is copied again.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return walBytes(copy);
}

function walBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
