/**
 * Reads one segment over a read-only connection, whether it is live or sealed. Checks what the segment says of itself when it is opened;
 * the chain over its rows is checked by `JournalReader`. Every read is a statement of its own: no read transaction stays open that
 * would hold up the sealer's checkpoint.
 *
 * Gotcha: `openForReading` leaves an empty `-wal` and a `-shm` beside the file, because a read-only connection may not remove them. What is sealed is
 * opened by `openImmutable`, which leaves nothing, and takes half the time.
 */
import { basename } from 'node:path';
import { assert } from '../engine/assert.ts';
import { SHARDS_MAX } from '../engine/limits.ts';
import { type JournalIdentity, rowChecksum } from './checksum-chain.ts';
import { asReadError, openForReading, pragma, saysDamaged, sqliteCode } from './database.ts';
import { JournalError, journalCorrupt, placeIn } from './errors.ts';
import { openImmutable, type ReadConnection, type ReadStatement } from './immutable-file.ts';
import type { ViewedSegment } from './journal-view.ts';
import type { JournalRow } from './journal.ts';
import { type FrameMemory, SegmentPages } from './segment-pages.ts';
import { SEGMENT_APPLICATION_ID, SEGMENT_FORMAT } from './segment.ts';

export interface StoredRow extends JournalRow {
  readonly checksum: number;
}

type Prepare = (connection: ReadConnection) => ReadStatement;

const QUESTIONS = {
  head: (connection) =>
    connection
      .prepare('SELECT timestamp, checksum FROM journal_row WHERE sequence = ?')
      .safeIntegers(),
  row: (connection) =>
    connection
      .prepare('SELECT timestamp, checksum, frame FROM journal_row WHERE sequence = ?')
      .safeIntegers(),
  rows: (connection) =>
    connection
      .prepare(
        'SELECT sequence, timestamp, checksum, frame FROM journal_row WHERE sequence >= ? ORDER BY sequence LIMIT ?',
      )
      .safeIntegers(),
  checksum: (connection) =>
    connection
      .prepare('SELECT checksum FROM journal_row WHERE sequence = ?')
      .pluck()
      .safeIntegers(),
  timestamp: (connection) =>
    connection
      .prepare('SELECT timestamp FROM journal_row WHERE sequence = ?')
      .pluck()
      .safeIntegers(),
  last: (connection) => connection.prepare('SELECT max(sequence) FROM journal_row').pluck(),
} satisfies Record<string, Prepare>;

export class SegmentReader implements Disposable {
  readonly file: string;
  readonly firstSequence: number;
  /** Of the row before the first one. */
  readonly previousChecksum: number;
  /** Nobody writes the file any more. */
  readonly isSealed: boolean;
  readonly #path: string;
  #pages: SegmentPages | undefined;
  readonly #shard: number;
  readonly #connection: ReadConnection;
  /** By what they ask, prepared when it is asked first: a start opens every segment, and asks few of them for anything. */
  readonly #statements = new Map<keyof typeof QUESTIONS, ReadStatement>();

  private constructor(
    path: string,
    connection: ReadConnection,
    meta: MetaColumns,
    isSealed: boolean,
  ) {
    this.file = basename(path);
    this.#path = path;
    this.isSealed = isSealed;
    this.firstSequence = meta.first_sequence;
    this.previousChecksum = meta.previous_checksum;
    this.#shard = meta.shard;
    this.#connection = connection;
  }

  /** Undefined when the file has no `meta` row (yet). Throws JOURNAL_CORRUPT when it is not the segment that was expected. */
  static open(
    path: string,
    firstSequence: number,
    identity: JournalIdentity,
    open: (path: string) => ReadConnection = openForReading,
  ): SegmentReader | undefined {
    const where = { file: basename(path), sequence: firstSequence, shard: identity.shard };
    let connection: ReadConnection | undefined;
    try {
      connection = open(path);
      const meta = readMeta(connection);
      if (meta !== undefined) {
        const broken = brokenRule(connection, meta, { ...identity, firstSequence });
        if (broken !== undefined) throw journalCorrupt(where, broken);
        const reader = new SegmentReader(path, connection, meta, open === openImmutable);
        connection = undefined;
        return reader;
      }
      return undefined;
    } catch (error: unknown) {
      // A kill in the midst of the change to WAL mode, with which a file begins: there is no row in it, and who opens it for writing rolls that back.
      if (sqliteCode(error) === 'SQLITE_READONLY_ROLLBACK') return undefined;
      throw asReadError(error, where);
    } finally {
      connection?.close();
    }
  }

  row(sequence: number): StoredRow | undefined {
    const columns = this.#read('row', sequence) as RowColumns | undefined;
    return columns === undefined ? undefined : this.#stored(sequence, columns);
  }

  /** At most `count` rows from a sequence on, in order; none at the end of the segment. One question to SQLite for several rows. */
  rowsFrom(sequence: number, count = 1): readonly StoredRow[] {
    let rows: readonly RowsColumns[];
    try {
      rows = this.#statement('rows').all(sequence, count) as readonly RowsColumns[];
    } catch (error: unknown) {
      // Which of them it is shows when they are read one by one.
      if (count > 1 && saysDamaged(error)) return this.rowsFrom(sequence);
      throw this.#readError(sequence, error);
    }
    return rows.map((columns) => this.#stored(Number(columns.sequence), columns));
  }

  /**
   * A row whose frame spans pages, of a sealed segment, read around SQLite into memory that the next one takes. Undefined where SQLite is to read it: where it is
   * not one, where what it follows has to be compared first, and where it is not what its checksum says, so that it is SQLite which says what is wrong.
   */
  lendLarge(sequence: number, before: number, memory: FrameMemory): StoredRow | undefined {
    assert(this.isSealed, 'only the file of a sealed segment is read around SQLite');
    if (sequence === this.firstSequence) return undefined;
    const frame = this.#frameAround(sequence, memory);
    if (frame === undefined) return undefined;
    const columns = this.#read('head', sequence) as Omit<RowColumns, 'frame'> | undefined;
    if (columns === undefined) return undefined;
    const row = this.#stored(sequence, { ...columns, frame });
    return rowChecksum(before, row) === row.checksum ? row : undefined;
  }

  /**
   * Undefined as well where the file cannot be read so: it was moved since SQLite has opened it, the disk fails, or the schema does not name the table. What
   * becomes of the row is for SQLite to say, as of any other.
   */
  #frameAround(sequence: number, memory: FrameMemory): Uint8Array | undefined {
    try {
      this.#pages ??= SegmentPages.open(this.#path, this.rootPage());
      return this.#pages.frame(sequence, memory);
    } catch (error: unknown) {
      const isOfSystem = (error as NodeJS.ErrnoException).syscall !== undefined;
      if (isOfSystem || error instanceof JournalError) return undefined;
      throw error;
    }
  }

  checksum(sequence: number): number | undefined {
    const checksum = this.#read('checksum', sequence);
    return checksum === undefined ? undefined : this.#checksum(sequence, checksum);
  }

  /** Of the row, not checked. */
  timestamp(sequence: number): bigint | undefined {
    const timestamp = this.#read('timestamp', sequence);
    return timestamp === undefined ? undefined : this.#timestamp(sequence, timestamp);
  }

  /** The page where SQLite's table of journal rows begins, see segment-pages.ts. */
  rootPage(): number {
    const sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'journal_row'";
    const page = this.#checked(undefined, () => this.#connection.prepare(sql).pluck().get());
    if (typeof page === 'number') return page;
    throw this.corrupt(this.firstSequence, 'SQLite does not find the table of rows');
  }

  /** `firstSequence - 1` when there are no rows yet. */
  lastSequence(): number {
    const last = this.#read('last') as number | null;
    return last ?? this.firstSequence - 1;
  }

  corrupt(sequence: number, rule: string, cause?: unknown): JournalError {
    return journalCorrupt({ file: this.file, sequence, shard: this.#shard }, rule, cause);
  }

  close(): void {
    this.#pages?.close();
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** What SQLite gives for a record whose header is damaged may be of any type, and is no error to it. */
  #stored(sequence: number, { timestamp, checksum, frame }: RowColumns): StoredRow {
    if (!(frame instanceof Uint8Array)) throw this.#otherType(sequence, 'frame');
    return {
      sequence,
      timestamp: this.#timestamp(sequence, timestamp),
      frame,
      checksum: this.#checksum(sequence, checksum),
    };
  }

  #timestamp(sequence: number, value: unknown): bigint {
    if (typeof value !== 'bigint') throw this.#otherType(sequence, 'timestamp');
    return BigInt.asUintN(64, value);
  }

  #checksum(sequence: number, value: unknown): number {
    if (typeof value !== 'bigint') throw this.#otherType(sequence, 'checksum');
    const checksum = Number(value);
    if (isChecksum(checksum)) return checksum;
    throw this.corrupt(sequence, 'the checksum of the row is not from 0 to 4294967295');
  }

  #otherType(sequence: number, column: keyof RowColumns): JournalError {
    return this.corrupt(sequence, `the ${column} of the row is not of the type that is written`);
  }

  #read(question: keyof typeof QUESTIONS, sequence?: number): unknown {
    return this.#checked(sequence, () => {
      const statement = this.#statement(question);
      return sequence === undefined ? statement.get() : statement.get(sequence);
    });
  }

  #statement(question: keyof typeof QUESTIONS): ReadStatement {
    let statement = this.#statements.get(question);
    if (statement === undefined) {
      statement = QUESTIONS[question](this.#connection);
      this.#statements.set(question, statement);
    }
    return statement;
  }

  #checked(sequence: number | undefined, read: () => unknown): unknown {
    try {
      return read();
    } catch (error: unknown) {
      throw this.#readError(sequence ?? this.firstSequence, error);
    }
  }

  #readError(sequence: number, error: unknown): unknown {
    return saysDamaged(error) ? this.corrupt(sequence, 'SQLite cannot read the row', error) : error;
  }
}

/** Whose journal a segment says it is of, for those who have nothing else to go by. */
export function segmentIdentity({ path, first, isInPlace }: ViewedSegment): JournalIdentity {
  const where = placeIn(path, first);
  let connection: ReadConnection | undefined;
  try {
    connection = isInPlace ? openImmutable(path) : openForReading(path);
    const meta = readMeta(connection);
    if (meta === undefined) throw journalCorrupt(where, 'the segment does not say whose it is');
    const { cluster_id: clusterId, shard, shards } = meta;
    if (
      !isClusterId(clusterId) ||
      !isCount(shard, 0, shards - 1) ||
      !isCount(shards, 1, SHARDS_MAX)
    ) {
      throw journalCorrupt(where, 'whose the segment is cannot be what was written');
    }
    return { clusterId, shard, shards };
  } catch (error: unknown) {
    throw asReadError(error, where);
  } finally {
    connection?.close();
  }
}

const isChecksum = (value: unknown): boolean => isCount(value, 0, 0xffff_ffff);

function isCount(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
}

function isClusterId(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

interface MetaColumns {
  readonly format: number;
  readonly cluster_id: string;
  readonly shard: number;
  readonly shards: number;
  readonly first_sequence: number;
  readonly previous_checksum: number;
}

interface RowsColumns extends RowColumns {
  readonly sequence: bigint;
}

/** As SQLite gives them, which does not hold what it reads against the types of the table. */
interface RowColumns {
  readonly timestamp: unknown;
  readonly checksum: unknown;
  readonly frame: unknown;
}

function readMeta(connection: ReadConnection): MetaColumns | undefined {
  const isWhole = connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get();
  if (isWhole === undefined) return undefined;
  return connection.prepare('SELECT * FROM meta').get() as MetaColumns | undefined;
}

function brokenRule(
  connection: ReadConnection,
  meta: MetaColumns,
  expected: JournalIdentity & { readonly firstSequence: number },
): string | undefined {
  if (pragma(connection, 'application_id') !== SEGMENT_APPLICATION_ID) {
    return 'the file is not a segment';
  }
  if (meta.format !== SEGMENT_FORMAT || pragma(connection, 'user_version') !== SEGMENT_FORMAT) {
    return `the segment has format ${meta.format}, and this program reads format ${SEGMENT_FORMAT}`;
  }
  if (meta.cluster_id !== expected.clusterId) {
    return `the segment belongs to cluster ${meta.cluster_id}, not to ${expected.clusterId}`;
  }
  if (meta.shard !== expected.shard || meta.shards !== expected.shards) {
    return `the segment belongs to shard ${meta.shard} of ${meta.shards}, not to ${expected.shard} of ${expected.shards}`;
  }
  if (meta.first_sequence !== expected.firstSequence) {
    return `the segment begins with sequence ${meta.first_sequence}, not with the one in its name`;
  }
  if (!isChecksum(meta.previous_checksum)) {
    return 'the checksum of the row before its first one is not from 0 to 4294967295';
  }
  return undefined;
}
