/**
 * Keeps the WAL of a segment whose file could not be synced. What was moved into the file may be lost then, though the system takes it for written,
 * and no later sync says so: only the WAL is sure to have it. SQLite deletes a WAL when the last connection on the segment closes and finds everything
 * moved, as at an orderly stop. So the WAL gets a second name, which SQLite does not know.
 *
 * The next start gives it back its own name before anything is opened. Whoever opens a WAL first knows nothing of what was moved, and moves, and
 * syncs, all of it once more: pages that are there already are written as they are.
 */
import { existsSync, linkSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fsyncDirectory } from './database.ts';

const SUFFIX = '.doubtful';
const SEGMENT = '.sqlite';

export function doubtfulWalOf(segment: string): string {
  return segment.slice(0, -SEGMENT.length) + SUFFIX;
}

/** Gives the WAL of a segment its second name, durably. */
export function holdDoubtfulWal(segment: string): void {
  const held = doubtfulWalOf(segment);
  if (!existsSync(held)) linkSync(`${segment}-wal`, held);
  fsyncDirectory(dirname(segment));
}

/**
 * Puts back what was held and is not there under its own name any more. A WAL that still has both names keeps them: others of this process may have
 * the segment open, and know what was moved.
 */
export function restoreDoubtfulWals(directory: string): void {
  const names = readdirSync(directory).filter((name) => name.endsWith(SUFFIX));
  for (const name of names) {
    const held = join(directory, name);
    const segment = held.slice(0, -SUFFIX.length) + SEGMENT;
    const wal = `${segment}-wal`;
    // Empty: all of it was moved and synced by who knew nothing of what was moved before. And a segment that is gone was copied and verified.
    if (!existsSync(segment) || statSync(held).size === 0) rmSync(held);
    else if ((statSync(wal, { throwIfNoEntry: false })?.size ?? 0) === 0) renameSync(held, wal);
  }
  if (names.length > 0) fsyncDirectory(directory);
}
