/** Damage by hand: rows of a closed shard's journal are read, altered, and written back, so that a start can be seen to refuse them. */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type DirectoryMeta, metaChecksum } from '../../persistence/data-directory.ts';
import { resetWitness } from '../../persistence/head-witness.ts';
import { JournalReader } from '../../persistence/journal-reader.ts';
import type { JournalRow } from '../../persistence/journal.ts';
import { SqliteJournal } from '../../persistence/sqlite-journal.ts';

const metaFile = (directory: string): string => join(directory, 'sycee.json');

export function readMeta(directory: string): DirectoryMeta {
  return JSON.parse(readFileSync(metaFile(directory), 'utf8')) as DirectoryMeta;
}

/** With a checksum that fits. */
export function writeMeta(directory: string, change: Partial<DirectoryMeta>): void {
  const meta = { ...readMeta(directory), ...change };
  const text = JSON.stringify({ ...meta, checksum: metaChecksum(meta) });
  writeFileSync(metaFile(directory), text);
}

export function shardDirectory(directory: string, shard: number): string {
  return join(directory, `shard-${String(shard).padStart(3, '0')}`);
}

/** Names of the segments of a shard, in order. */
export function segments(directory: string, shard: number): readonly string[] {
  const names = readdirSync(shardDirectory(directory, shard));
  return names.filter((name) => /^segment-\d+\.sqlite$/.test(name)).toSorted();
}

/** Runs SQL on one segment. */
export function alterSegment(path: string, alter: (connection: Database.Database) => void): void {
  const connection = new Database(path, { fileMustExist: true });
  try {
    alter(connection);
  } finally {
    connection.close();
  }
}

/**
 * Writes the journal of a shard anew, with a sound chain: rows as `change` gives them, a segment for each so many bytes. The head witness is
 * forgotten, so that it is not what speaks.
 */
export function rewriteJournal(
  directory: string,
  shard: number,
  options: {
    readonly segmentBytesMax?: number;
    readonly change?: (row: JournalRow) => JournalRow;
    /** The last row that stays. */
    readonly end?: number;
  },
): void {
  const { clusterId, shards } = readMeta(directory);
  const own = shardDirectory(directory, shard);
  const identity = { directory: own, clusterId, shard, shards };
  const rows = readRows(identity);
  rmSync(own, { recursive: true });
  mkdirSync(own);
  const { change = (row) => row, end = Infinity, segmentBytesMax } = options;
  using journal = SqliteJournal.open({ ...identity, segmentBytesMax });
  for (const row of rows) if (row.sequence <= end) journal.append(change(row));
  resetWitness(directory);
}

function readRows(identity: Parameters<typeof JournalReader.open>[0]): readonly JournalRow[] {
  using reader = JournalReader.open(identity);
  return [...reader.rows(1)].map(({ sequence, timestamp, frame }) => ({
    sequence,
    timestamp,
    frame: new Uint8Array(frame),
  }));
}
