/**
 * Opening SQLite files, for one writer or for readers. Everything that durability hangs on is set here and read back.
 *
 * Writing: WAL, `synchronous = FULL` (better-sqlite3 is compiled to NORMAL in WAL mode, which loses commits on power loss), no automatic
 * checkpoints, no memory mapping. Locking stays NORMAL, so that read-only connections of other threads can read the file that is being
 * written; what keeps a second process out is the lock of the data directory.
 *
 * PAGE_BYTES is the result of a measurement: better-sqlite3 13.2.0 (SQLite 3.54.1), ext4 on a fast virtual disk, two cores at 2.5 GHz,
 * 2026-11, one blob a commit, median commit time over three runs in ms (bytes written to the WAL / bytes of the blob):
 *
 *     page size      200 B blob      64 KiB blob     600 KiB blob
 *          4096     0.17  (23)      0.35  (1.14)     1.38  (1.02)
 *          8192     0.19  (43)      0.34  (1.27)     1.24  (1.03)
 *         16384     0.20  (84)      0.32  (1.53)     1.08  (1.07)
 *         65536     0.25 (330)      0.36  (3.15)     0.85  (1.23)
 *
 * Larger pages are faster for large groups, but each commit writes whole pages, and a segment ends by the size of its WAL: at 65536 a
 * shard that commits single transfers would begin a new segment several times a second. So the pages of a segment are PAGE_BYTES, or
 * LARGE_PAGE_BYTES where the groups of the segment before it were large. Processor time (user and system) of an append of 650 KiB, and of
 * moving it from the WAL into the file, ms, medians of three: 8192 1.92 and 1.09, 16384 1.50 and 0.85, 32768 1.24 and 0.59, 65536 1.30 and
 * 0.55. Half a page of each row is lost: at 65536 that would be a twentieth of the file.
 *
 * Gotcha: POSIX locks belong to the process. Opening and closing one of these files with `node:fs` while a connection of this process
 * is on it drops SQLite's locks. Only the `-wal` file, which carries none, may be touched that way. The sealer has live segments open so as to sync
 * them, and closes them when nobody writes them any more.
 */
import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { assert } from '../engine/assert.ts';
import { journalCorrupt, type JournalPlace, JournalError } from './errors.ts';
import type { ReadConnection } from './immutable-file.ts';

export type Connection = Database.Database;
export type Statement = Database.Statement;

export const PAGE_BYTES = 8192;
export const LARGE_PAGE_BYTES = 32_768;
const BUSY_TIMEOUT_MS = 5000;
/** A journal is written once, and read through other connections: what a writer keeps beyond one group is of no use. */
const WRITER_CACHE_KIB = 1024;
const READER_CACHE_KIB = 2048;
const SYNCHRONOUS_FULL = 2;
/** A file that is read has no room for its index of the WAL. */
const NO_ROOM_CODE = 'SQLITE_IOERR_SHMSIZE';
/** Older ones can corrupt a file that two connections write and checkpoint at once (the WAL-reset bug). */
const SQLITE_VERSION_MIN = [3, 51, 3] as const;

/** Creates the file when there is none, with such pages. The caller fsyncs the directory after it has created something. */
export function openForWriting(path: string, pageBytes = PAGE_BYTES): Connection {
  const connection = new Database(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    assertSqliteVersion(connection);
    connection.pragma(`page_size = ${pageBytes}`);
    const mode = connection.pragma('journal_mode = WAL', { simple: true });
    connection.pragma('synchronous = FULL');
    connection.pragma('wal_autocheckpoint = 0');
    connection.pragma('mmap_size = 0');
    connection.pragma('temp_store = MEMORY');
    connection.pragma(`cache_size = -${WRITER_CACHE_KIB}`);
    // A group larger than the cache stays in memory until its commit, as before.
    connection.pragma('cache_spill = OFF');
    assert(mode === 'wal', 'the journal is in WAL mode');
    assert(synchronousOf(connection) === SYNCHRONOUS_FULL, 'synchronous is FULL');
    assert(pragma(connection, 'wal_autocheckpoint') === 0, 'no automatic checkpoint');
    assert((pragma(connection, 'mmap_size') ?? 0) === 0, 'no memory mapping');
    return connection;
  } catch (error: unknown) {
    connection.close();
    throw error;
  }
}

/** A read-only connection: sees every commit up to the latest one, also of a file that another thread is writing. */
export function openForReading(path: string): Connection {
  const connection = new Database(path, {
    readonly: true,
    fileMustExist: true,
    timeout: BUSY_TIMEOUT_MS,
  });
  try {
    assertSqliteVersion(connection);
    connection.pragma('mmap_size = 0');
    connection.pragma(`cache_size = -${READER_CACHE_KIB}`);
    return connection;
  } catch (error: unknown) {
    connection.close();
    throw error;
  }
}

/** Takes the exclusive lock of a file that exists for nothing else, or throws SQLITE_BUSY. Held until the connection is closed. */
export function openAsLock(path: string): Connection {
  const connection = new Database(path, { timeout: 0 });
  try {
    // Nothing is ever written to it, and so no rollback journal is to lie beside it.
    connection.pragma('journal_mode = MEMORY');
    connection.exec('BEGIN EXCLUSIVE');
    assert(connection.inTransaction, 'the lock is held by an open transaction');
    return connection;
  } catch (error: unknown) {
    connection.close();
    throw error;
  }
}

/** Frames of a WAL that were published, and how many of them were moved, as far as those know that have the file open. */
export interface WalCount {
  readonly log: number;
  readonly checkpointed: number;
}

/**
 * What counts them; nothing is moved. Made once for a connection: to compile the statement, and what makes a row of it, takes several times as long as
 * the answer.
 */
export function walCounter(connection: Connection): () => WalCount {
  const statement = connection.prepare('PRAGMA wal_checkpoint(NOOP)').raw();
  return () => {
    const [, log, checkpointed] = statement.get() as [busy: number, ...counts: [number, number]];
    assert(log >= 0, 'the file is in WAL mode');
    return { log, checkpointed };
  };
}

/** Moves the whole WAL into the file, synced: nobody reads from it any more. False when a reader was in the way. */
export function moveWal(connection: Connection): boolean {
  const [result] = connection.pragma('wal_checkpoint(RESTART)') as [{ readonly busy: number }];
  return result.busy === 0;
}

/** The same, and empties the WAL. */
export function emptyWal(connection: Connection): boolean {
  const [result] = connection.pragma('wal_checkpoint(TRUNCATE)') as [{ readonly busy: number }];
  return result.busy === 0;
}

export function pragma(connection: Pick<ReadConnection, 'pragma'>, name: string): unknown {
  return connection.pragma(name, { simple: true });
}

export function synchronousOf(connection: Connection): unknown {
  return pragma(connection, 'synchronous');
}

/** Makes creations, renames, and removals in a directory survive power loss. */
export function fsyncDirectory(path: string): void {
  fsyncPath(path, 'r');
}

/** Gotcha: never for a database file itself, see above. */
export function fsyncPath(path: string, mode: 'r' | 'r+'): void {
  const file = openSync(path, mode);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Removes a database that nobody has open, its side files first: a leftover WAL must never meet another file of the same name. */
export function removeDatabase(path: string): void {
  for (const suffix of ['-wal', '-shm', '-journal', '']) rmSync(path + suffix, { force: true });
}

/** The code of an error that SQLite reported, such as SQLITE_BUSY or SQLITE_IOERR_FSYNC. */
export function sqliteCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : undefined;
}

/** Whether the error says that the content of a file is not what SQLite wrote. */
export function saysDamaged(error: unknown): boolean {
  const code = sqliteCode(error);
  if (code === NO_ROOM_CODE) return false;
  // SQLITE_ERROR from one of our constant statements is a missing table or column.
  return code !== undefined && /^SQLITE_(CORRUPT|NOTADB|FORMAT|TOOBIG|IOERR|ERROR)/.test(code);
}

/** What is to be thrown when a segment could not be read: damage, a full disk, or the error as it is. */
export function asReadError(error: unknown, where: JournalPlace): unknown {
  if (saysDamaged(error)) return journalCorrupt(where, 'SQLite cannot read the file', error);
  if (sqliteCode(error) !== NO_ROOM_CODE) return error;
  return new JournalError(
    'NO_ROOM_TO_READ',
    `${where.file} has a WAL, and to read it SQLite needs 32 KiB beside it, on a disk that is full. Make room, and try again.`,
    error,
  );
}

/** Of the library, which is one for the whole thread. */
let isVersionKnown = false;

function assertSqliteVersion(connection: Connection): void {
  if (isVersionKnown) return;
  const version = connection.prepare('SELECT sqlite_version()').pluck().get();
  assert(typeof version === 'string', 'SQLite says its version');
  const parts = version.split('.').map(Number);
  for (let part = 0; part < SQLITE_VERSION_MIN.length; part++) {
    const least = SQLITE_VERSION_MIN[part]!;
    const found = parts[part]!;
    assert(found >= least, () => `SQLite ${version} is older than ${SQLITE_VERSION_MIN.join('.')}`);
    if (found > least) break;
  }
  isVersionKnown = true;
}
