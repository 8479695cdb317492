/**
 * Keeps the WAL of a segment whose file could not be synced. What was moved into the file may be lost then, though the system takes it for written,
 * and no later sync says so: only the WAL is sure to have it. SQLite deletes a WAL when the last connection on the segment closes and finds everything
 * moved, as at an orderly stop. So the WAL gets a second name, which SQLite does not know.
 *
 * A second name lasts as long as the process that gave it. The next one drops it where the WAL has its own name, and else gives it back, before
 * anything is opened: whoever opens a WAL first knows nothing of what was moved, and moves, and syncs, all of it once more. Were it left beside the
 * own name, the WAL would be sealed, and become that of a later segment (wal-room.ts), under a name that still says it is this one's.
 *
 * So in the process that gave it nobody seals such a segment, and it stays open: segment-sealer.ts sees to both.
 */
import { existsSync, linkSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fsyncDirectory } from './database.ts';

const SUFFIX = '.doubtful';
const SEGMENT = '.sqlite';

export function doubtfulWalOf(segment: string): string {
  return segment.slice(0, -SEGMENT.length) + SUFFIX;
}

/** Gives the WAL of a segment its second name, durably. Once in the life of a process. */
export function holdDoubtfulWal(segment: string): void {
  linkSync(`${segment}-wal`, doubtfulWalOf(segment));
  fsyncDirectory(dirname(segment));
}

/** For who has taken the directory of a shard and has opened nothing in it. */
export function restoreDoubtfulWals(directory: string): void {
  const all = existsSync(directory) ? readdirSync(directory) : [];
  const names = all.filter((name) => name.endsWith(SUFFIX));
  for (const name of names) {
    const held = join(directory, name);
    const segment = held.slice(0, -SUFFIX.length) + SEGMENT;
    const wal = `${segment}-wal`;
    const hasOwnName = (statSync(wal, { throwIfNoEntry: false })?.size ?? 0) > 0;
    // An earlier version of this program does not know of second names, and may have given the WAL to another segment.
    const { ino } = statSync(held);
    const isAnothers = all.some(
      (one) =>
        one !== name && statSync(join(directory, one), { throwIfNoEntry: false })?.ino === ino,
    );
    // A segment that is gone was copied to the archive and verified.
    if (hasOwnName || isAnothers || !existsSync(segment)) rmSync(held);
    else renameSync(held, wal);
  }
  if (names.length > 0) fsyncDirectory(directory);
}
