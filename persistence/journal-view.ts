/**
 * The segments of one shard as they are at one moment, for those who look at a directory without taking part in it: nothing in it is
 * written, created, locked, or opened by SQLite in a way that leaves files there. A view is plain words and can be sent to another thread.
 *
 * A sealed segment is read where it lies (immutable-file.ts). Any other one, which a process may be writing, is copied with its WAL into a
 * scratch directory, where SQLite may do what it likes.
 *
 * I1 The copy holds a prefix of the segment's commits. While its file does not change and its WAL stays the same one, the WAL is only ever added to; so a
 *    copy of both during which that was so is sound. Of the WAL the frames that fitted when they were looked at are copied: in what lies behind
 *    them, which may be room (wal-room.ts), somebody may be writing.
 * I2 A process may move a sealed segment to its archive at any time. One that goes while it is looked at is not there any more: all is looked at
 *    again. One that goes later is read where it went, see JournalReader.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { removeDatabase } from './database.ts';
import { journalCorrupt } from './errors.ts';
import { segmentName, segmentsAmong, segmentsIn } from './segment.ts';
import { preflightWal } from './wal-preflight.ts';
import { WAL_HEADER_BYTES } from './wal-room.ts';

export interface ViewedSegment {
  readonly first: number;
  /** Where it is read. */
  readonly path: string;
  /** It is read where it lies. */
  readonly isInPlace: boolean;
  /** Of the file and its WAL when it was looked at. */
  readonly bytes: number;
  /** Where it may be when it is not at its path any more, besides the place that `archived.json` names. */
  readonly movesTo?: string;
}

/** The sealer needs about a second to move a full WAL into its file; a file that changes for longer is no segment at rest. */
const COPY_TRIES = 200;
const COPY_PAUSE_MS = 100;
const COPY_PART_BYTES = 1 << 20;
/** To move a segment takes milliseconds, and to look at one microseconds. */
const LOOKS_MAX = 10;

/**
 * Looks at the segments in a shard's directory. `scratch` is made when something has to be copied; the caller removes it. `onListed` is for tests.
 * Throws JOURNAL_CORRUPT when a segment has a name there and no file.
 */
export function viewJournal(
  directory: string,
  scratch: string,
  onListed: () => void = () => undefined,
): readonly ViewedSegment[] {
  for (let looks = 1; ; looks++) {
    const firsts = segmentsIn(directory);
    onListed();
    try {
      return viewListed(directory, firsts, scratch);
    } catch (error: unknown) {
      const gone = firsts.find((first) => !existsSync(join(directory, segmentName(first))));
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || gone === undefined) throw error;
      if (looks < LOOKS_MAX) continue;
      const where = { file: segmentName(gone), sequence: gone };
      throw journalCorrupt(where, 'the directory lists the segment, and it is not there', error);
    }
  }
}

function viewListed(
  directory: string,
  firsts: readonly number[],
  scratch: string,
): readonly ViewedSegment[] {
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
  return segmentsAmong(readdirSync(directory), directory).map((first) => {
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

function copied(path: string, copy: string, first: number): ViewedSegment {
  return { first, path: copy, isInPlace: false, bytes: copyAtRest(path, copy, first) };
}

/** Copies a segment and its WAL (I1), and returns how many bytes that were. Damage in the WAL is refused before SQLite takes it for the end. */
function copyAtRest(path: string, copy: string, first: number): number {
  for (let tries = 0; tries < COPY_TRIES; tries++) {
    if (tries > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, COPY_PAUSE_MS);
    removeDatabase(copy);
    const before = stateOf(path);
    copyFileSync(path, copy, constants.COPYFILE_FICLONE);
    let whole = 0;
    try {
      whole = preflightWal(path, first);
      if (whole > 0 && !copyStart(`${path}-wal`, `${copy}-wal`, whole)) continue;
    } catch (error: unknown) {
      if (stateOf(path) === before) throw error;
      continue;
    }
    if (stateOf(path) === before) return statSync(copy).size + whole;
  }
  throw new Error(`${path} changes all the time, and cannot be copied. Try again.`);
}

/**
 * Of a segment and the WAL that it has: what differs when anything but an append has happened. A clock of files is coarse; a WAL that was moved into
 * its file meanwhile has gone, or lost its header.
 */
function stateOf(path: string): string {
  const { ino, mtimeNs, size } = statSync(path, { bigint: true });
  const wal = statSync(`${path}-wal`, { bigint: true, throwIfNoEntry: false });
  return [ino, mtimeNs, size, wal?.ino, walHeader(path)].join(' ');
}

function walHeader(path: string): string {
  const header = Buffer.alloc(WAL_HEADER_BYTES);
  let bytes = 0;
  try {
    const file = openSync(`${path}-wal`, 'r');
    try {
      bytes = readSync(file, header, 0, WAL_HEADER_BYTES, 0);
    } finally {
      closeSync(file);
    }
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return header.toString('hex', 0, bytes);
}

/** False when there is less: a start cuts off what a failed fsync has left. */
function copyStart(from: string, to: string, bytes: number): boolean {
  const part = new Uint8Array(Math.min(bytes, COPY_PART_BYTES));
  using stack = new DisposableStack();
  const source = stack.adopt(openSync(from, 'r'), closeSync);
  const target = stack.adopt(openSync(to, 'w', 0o600), closeSync);
  for (let at = 0; at < bytes;) {
    const count = readSync(source, part, 0, Math.min(part.length, bytes - at), at);
    if (count === 0) return false;
    writeSync(target, part, 0, count, at);
    at += count;
  }
  return true;
}

function walBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
