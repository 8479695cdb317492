/**
 * Keeps the WAL of a segment whose file could not be synced. What was moved into the file may be lost then, though the system takes it for written,
 * and no later sync says so: only the WAL is sure to have it. SQLite deletes a WAL when the last connection on the segment closes and finds everything
 * moved, as at an orderly stop. So the WAL gets a second name, which SQLite does not know; nobody in this process seals such a segment, and it stays
 * open (segment-sealer.ts).
 *
 * The next process gives the WAL its own name back where it has none, and moves, and syncs, all of it once more, before anything else is opened.
 * Only then the second name goes: left beside the own one it would go on to say that the WAL is this segment's, when it has become that of a later one
 * (wal-room.ts). The first to open a WAL knows nothing of what was moved. Who still has it open from before, as a backup may, passes that knowledge on:
 * then the start is refused until that has ended.
 */
import { closeSync, linkSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fsyncDirectory, moveWal, openForWriting, walCounter } from './database.ts';
import { DataDirectoryError } from './errors.ts';
import { preflightWal } from './wal-preflight.ts';
import { WAL_HEADER_BYTES } from './wal-room.ts';

/** A segment's name without its end, and the salts of its WAL: another segment's WAL in the same place has others. */
const NAME = /^(segment-(\d{12}))\.([0-9a-f]{16})\.doubtful$/;
const SALTS_AT = 16;
const SALTS_BYTES = 8;

/** The second names in the directory of a shard. */
export function doubtfulWalsIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => NAME.test(name));
}

/** Gives the WAL of a segment its second name, durably. */
export function holdDoubtfulWal(segment: string): void {
  const wal = `${segment}-wal`;
  linkSync(wal, segment.replace(/\.sqlite$/, `.${saltsOf(wal)}.doubtful`));
  fsyncDirectory(dirname(segment));
}

/** For who has taken the directory of a shard. Throws a DataDirectoryError, and what was held is still held. */
export function restoreDoubtfulWals(directory: string): void {
  for (const name of doubtfulWalsIn(directory)) {
    try {
      restore(directory, name);
    } catch (error: unknown) {
      if (error instanceof DataDirectoryError) throw error;
      throw new DataDirectoryError(
        'DATA_DAMAGED',
        `${join(directory, name)} has what a segment could not sync, and cannot be moved there: ${String(error)}`,
        error,
      );
    }
  }
}

function restore(directory: string, name: string): void {
  const [, stem, first, salts] = NAME.exec(name)!;
  const held = join(directory, name);
  const segment = join(directory, `${stem}.sqlite`);
  const wal = `${segment}-wal`;
  // Somebody has taken the segment away: it may come back.
  if (statSync(segment, { throwIfNoEntry: false }) === undefined) return;
  // Otherwise an earlier version of this program has sealed the segment, and the WAL is another's.
  if (saltsOf(held) === salts) {
    const own = statSync(wal, { throwIfNoEntry: false });
    if (own?.size === 0) rmSync(wal);
    if (own === undefined || own.size === 0) linkSync(held, wal);
    fsyncDirectory(directory);
    moveAll(segment, Number(first));
  }
  rmSync(held);
  fsyncDirectory(directory);
}

function moveAll(segment: string, first: number): void {
  if (preflightWal(segment, first) <= WAL_HEADER_BYTES) throw new Error('nothing is in it');
  const connection = openForWriting(segment);
  try {
    const { log, checkpointed } = walCounter(connection)();
    if (log > 0 && checkpointed === 0 && moveWal(connection)) return;
    throw new DataDirectoryError(
      'DATA_IN_USE',
      `${basename(segment)} could not be synced by an earlier process, and is to be moved out of its WAL once more, but somebody has it open: wait until a backup that is being made has ended`,
    );
  } finally {
    connection.close();
  }
}

function saltsOf(wal: string): string {
  const salts = Buffer.alloc(SALTS_BYTES);
  const file = openSync(wal, 'r');
  try {
    readSync(file, salts, 0, SALTS_BYTES, SALTS_AT);
  } finally {
    closeSync(file);
  }
  return salts.toString('hex');
}
