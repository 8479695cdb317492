/**
 * One segment of a journal: a SQLite file that is written by one connection, `LiveSegment`, until its WAL is full, and is immutable
 * from then on. `SegmentReader` reads it, in any thread.
 *
 * Named by its first sequence, it says in its one `meta` row whose it is and which checksum its first row follows. The schema may be there
 * before the `meta` row, and that one before any journal row, but never the other way round (I1): a file without `meta` holds no rows
 * and is what a crash left of a creation.
 *
 * The frame is the last column, because a column behind a large blob is reached by walking the blob's pages.
 */
import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { assert } from '../engine/assert.ts';
import { GROUP_BYTES_MAX, SEQUENCE_MAX } from '../engine/limits.ts';
import type { JournalIdentity } from './checksum-chain.ts';
import {
  asReadError,
  type Connection,
  emptyWal,
  fsyncPath,
  openForReading,
  openForWriting,
  pragma,
  removeDatabase,
  type Statement,
  synchronousOf,
  sqliteCode,
  type WalCount,
  walCounter,
} from './database.ts';
import { journalCorrupt, journalFileMissing, placeIn } from './errors.ts';
import type { JournalRow } from './journal.ts';
import { WAL_HEADER_BYTES } from './wal-room.ts';

export const SEGMENT_FORMAT = 3;
/** 'SYCE', in the header of every segment. */
export const SEGMENT_APPLICATION_ID = 0x53594345;
/** A segment ends when its WAL has passed this size. */
export const SEGMENT_BYTES_MAX = 128 << 20;
/** The next segment, schema only, made by the sealer. It appears under this name in one step, complete and synced. */
export const PREPARED_NAME = 'segment-prepared.sqlite';

/** What a sealed segment's WAL is called until it is kept (wal-room.ts), or while it is being removed. */
const SPENT_SUFFIX = '.spent';

const NAME = /^segment-(\d{12})\.sqlite$/;
const ORPHAN_NAME = /^segment-(\d{12})\.sqlite-wal$/;
const SEQUENCE_DIGITS = 12;
/** Of SQLite's format. */
const WAL_FRAME_HEADER_BYTES = 24;
/** In the header of a SQLite file, big-endian. */
const PAGE_SIZE_AT = 16;
/** Pages that a row changes besides those of its frame: the first of the file, and a leaf and the pages above it, when all of them are split. */
const SHARED_PAGES_MAX = 7;
assert(SEGMENT_BYTES_MAX >= 4 * GROUP_BYTES_MAX, 'a segment holds several of the largest groups');
assert(SEQUENCE_MAX < 10 ** (SEQUENCE_DIGITS + 1), 'every sequence has a name');

const SCHEMA = `
  CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    format INTEGER NOT NULL,
    cluster_id TEXT NOT NULL,
    shard INTEGER NOT NULL,
    shards INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    previous_checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE journal_row (
    sequence INTEGER PRIMARY KEY,
    timestamp INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    frame BLOB NOT NULL
  ) STRICT;
  PRAGMA application_id = ${SEGMENT_APPLICATION_ID};
  PRAGMA user_version = ${SEGMENT_FORMAT};
`;

export interface SegmentMeta extends JournalIdentity {
  readonly firstSequence: number;
  /** Of row `firstSequence - 1`, or the start of the chain. */
  readonly previousChecksum: number;
}

export function segmentName(firstSequence: number): string {
  return `segment-${String(firstSequence).padStart(SEQUENCE_DIGITS, '0')}.sqlite`;
}

export function spentWalOf(path: string): string {
  return path.replace(/\.sqlite$/, SPENT_SUFFIX);
}

/** Removes what a crash has left of WALs that were being removed. */
export function removeSpentWals(directory: string): void {
  for (const name of readdirSync(directory)) {
    // The sealer may be at it.
    if (name.endsWith(SPENT_SUFFIX)) rmSync(join(directory, name), { force: true });
  }
}

/** First sequences of the segments among the names of a directory, ascending. A WAL without its segment is damage. */
export function segmentsAmong(names: readonly string[], directory = ''): number[] {
  const firsts = names
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
  for (const name of names) {
    const first = Number(ORPHAN_NAME.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(first) || firsts.includes(first)) continue;
    const path = join(directory, segmentName(first));
    const next = firsts.find((one) => one > first);
    const rows = next === undefined ? `from ${first} on` : `${first} to ${next - 1}`;
    const rule = `the rows ${rows} are missing: ${basename(path)} is not there, though a -wal of it is`;
    throw journalFileMissing(placeIn(path, first), rule);
  }
  return firsts;
}

/**
 * First sequences of the segments in a directory, ascending. An *empty* WAL before the first of them is passed over: a reader that opened a
 * segment in the moment in which it was moved to the archive may have made it.
 */
export function segmentsIn(directory: string): number[] {
  const names = readdirSync(directory);
  const first = names.filter((name) => NAME.test(name)).toSorted()[0];
  const isOfMoved = (name: string): boolean =>
    ORPHAN_NAME.test(name) &&
    first !== undefined &&
    name < first &&
    statSync(join(directory, name), { throwIfNoEntry: false })?.size === 0;
  return segmentsAmong(
    names.filter((name) => !isOfMoved(name)),
    directory,
  );
}

/** A whole segment file without `meta`. It is closed again, so everything is in the one file, and synced. */
export function createEmptySegment(path: string, pageBytes?: number): void {
  const connection = openForWriting(path, pageBytes);
  try {
    connection.transaction(() => connection.exec(SCHEMA)).immediate();
  } finally {
    connection.close();
  }
}

/**
 * Takes away what a failed fsync has left in the WAL behind the last commit that was published: nobody was told of it, and the rows that come next
 * have its sequences, in another segment. After a restart of the process there is no such thing: SQLite then takes all that is whole.
 */
export function cutUnpublished(path: string): void {
  const wal = `${path}-wal`;
  const bytes = statSync(wal, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes <= WAL_HEADER_BYTES) return;
  const connection = openForWriting(path);
  try {
    const end = walEnd(walCounter(connection)().log, Number(pragma(connection, 'page_size')));
    if (bytes <= end) return;
    truncateSync(wal, end);
    fsyncPath(wal, 'r+');
  } finally {
    connection.close();
  }
}

function walEnd(frames: number, pageBytes: number): number {
  return WAL_HEADER_BYTES + frames * (pageBytes + WAL_FRAME_HEADER_BYTES);
}

/** Moves the prepared segment to `path`. False when there is none of this format; such a one is removed. */
export function takePreparedSegment(directory: string, path: string): boolean {
  const prepared = join(directory, PREPARED_NAME);
  let isOurs: boolean;
  try {
    isOurs = hasSegmentHeader(prepared);
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  if (!isOurs) {
    removeDatabase(prepared);
    return false;
  }
  renameSync(prepared, path);
  return true;
}

/** Reads the file itself, since a SQLite connection would leave side files under the name it has now. No connection is on it. */
function hasSegmentHeader(path: string): boolean {
  const header = new DataView(new ArrayBuffer(100));
  const file = openSync(path, 'r');
  try {
    if (readSync(file, header) < header.byteLength) return false;
  } finally {
    closeSync(file);
  }
  // Offsets of the SQLite file format: user_version at 60, application_id at 68, both big-endian.
  return header.getUint32(60) === SEGMENT_FORMAT && header.getUint32(68) === SEGMENT_APPLICATION_ID;
}

/**
 * Whether a crash has left the segment without `meta`, so that it may be removed. One that has rows all the same is damage (I1). Nothing is
 * changed.
 */
export function isUnfinishedSegment(path: string, firstSequence: number): boolean {
  const where = placeIn(path, firstSequence);
  let connection: Connection | undefined;
  try {
    connection = openForReading(path);
    if (pragma(connection, 'user_version') !== 0) {
      if (countRows(connection, 'meta') > 0) return false;
      if (countRows(connection, 'journal_row') > 0) {
        throw journalCorrupt(where, 'the segment has rows and does not say whose they are');
      }
    } else if (countRows(connection, 'sqlite_schema') > 0) {
      throw journalCorrupt(where, 'the file is not a segment');
    }
  } catch (error: unknown) {
    // A kill in the midst of the change to WAL mode, with which a file begins. It has a page at most then, and tables take one each.
    if (sqliteCode(error) === 'SQLITE_READONLY_ROLLBACK' && hasOnePageAtMost(path)) return true;
    throw asReadError(error, where);
  } finally {
    connection?.close();
  }
  return true;
}

function hasOnePageAtMost(path: string): boolean {
  const { size } = statSync(path);
  const header = new DataView(new ArrayBuffer(PAGE_SIZE_AT + 2));
  const file = openSync(path, 'r');
  try {
    readSync(file, header);
  } finally {
    closeSync(file);
  }
  return size <= header.getUint16(PAGE_SIZE_AT);
}

function countRows(
  connection: Connection,
  table: 'meta' | 'journal_row' | 'sqlite_schema',
): number {
  return connection.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
}

/** The segment that is being written, by the one thread that opened it. */
export class LiveSegment implements Disposable {
  readonly path: string;
  readonly pageBytes: number;
  readonly #connection: Connection;
  readonly #insert: Statement;
  readonly #countWal: () => WalCount;

  private constructor(path: string, connection: Connection) {
    this.path = path;
    this.#connection = connection;
    this.pageBytes = Number(pragma(connection, 'page_size'));
    this.#countWal = walCounter(connection);
    this.#insert = connection.prepare(
      'INSERT INTO journal_row (sequence, timestamp, checksum, frame) VALUES (?, ?, ?, ?)',
    );
  }

  /**
   * Gives `meta` to a prepared file, or makes the whole file, with such pages. The caller fsyncs the directory before the first append.
   */
  static create(path: string, meta: SegmentMeta, pageBytes?: number): LiveSegment {
    const connection = openForWriting(path, pageBytes);
    try {
      connection.transaction(() => LiveSegment.#createMeta(connection, path, meta)).immediate();
      return new LiveSegment(path, connection);
    } catch (error: unknown) {
      connection.close();
      throw error;
    }
  }

  static #createMeta(connection: Connection, path: string, meta: SegmentMeta): void {
    if (pragma(connection, 'user_version') === 0) connection.exec(SCHEMA);
    if (countRows(connection, 'meta') + countRows(connection, 'journal_row') > 0) {
      const where = placeIn(path, meta.firstSequence);
      throw journalCorrupt(where, 'a new segment is not empty');
    }
    const insert = connection.prepare('INSERT INTO meta VALUES (1, ?, ?, ?, ?, ?, ?)');
    const { clusterId, shard, shards, firstSequence, previousChecksum } = meta;
    insert.run(SEGMENT_FORMAT, clusterId, shard, shards, firstSequence, previousChecksum);
  }

  /** Goes on with a segment whose `meta` the caller has checked. */
  static open(path: string): LiveSegment {
    const connection = openForWriting(path);
    try {
      return new LiveSegment(path, connection);
    } catch (error: unknown) {
      connection.close();
      throw error;
    }
  }

  /** One statement, one transaction, one fsync. Durable when it returns, unknown when it throws. */
  append(row: JournalRow, checksum: number): void {
    const timestamp = BigInt.asIntN(64, row.timestamp);
    const result = this.#insert.run(row.sequence, timestamp, checksum, row.frame);
    assert(result.changes === 1, 'an append is one row');
  }

  /** Rows of a copy, in one transaction. */
  appendAll(rows: readonly (JournalRow & { readonly checksum: number })[]): void {
    this.#connection.transaction(() => {
      for (const row of rows) this.append(row, row.checksum);
    })();
  }

  /** Ends the segment of a copy: whole, synced, and in rollback mode, as file-copy.ts says of copies. */
  finishCopy(): void {
    try {
      const mode = this.#connection.pragma('journal_mode = DELETE', { simple: true });
      assert(mode === 'delete', 'nobody else has the copy open');
    } finally {
      this.close();
    }
  }

  /** Bytes of what was committed and lies in the WAL. */
  walBytes(): number {
    return walEnd(this.#countWal().log, this.pageBytes);
  }

  /** What a row adds to that at most: its frame, with what is left of its last page, and the pages that it shares with others. */
  walBytesMax(frameBytes: number): number {
    return 2 * frameBytes + SHARED_PAGES_MAX * (this.pageBytes + WAL_FRAME_HEADER_BYTES);
  }

  /** How long the WAL's file is, which may be more than what lies in it. */
  walRoomBytes(): number {
    return statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  synchronous(): unknown {
    return synchronousOf(this.#connection);
  }

  /** Makes the file whole without its WAL, and closes it. With a reader in the way it stays as it is, which is sound too. */
  seal(): void {
    try {
      emptyWal(this.#connection);
    } finally {
      this.close();
    }
  }

  /** Gotcha: the last connection on a file moves its whole WAL into it first. The sealer's is to be the one that has done that. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
