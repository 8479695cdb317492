/**
 * What a backup needs so that it can be restored: segments without a gap from row 1 on, or from where a sound snapshot in it begins at the latest.
 * Asked before `backup.json` is written, since an earlier backup ends with that, and before anything is moved aside for a restore.
 */
import type { ArchivedSegments } from '../persistence/archived-segments.ts';
import type { JournalIdentity } from '../persistence/checksum-chain.ts';
import { SnapshotError } from '../persistence/errors.ts';
import { readManifest, snapshotFiles } from '../persistence/snapshot-manifest.ts';
import { checkImage } from '../persistence/snapshot-store.ts';
import { type BackupShard, SNAPSHOT_FILE } from './manifest.ts';

type Rows = Pick<BackupShard, 'sequence' | 'segments'>;

/** The first row that is in the backup, or would be. */
export function firstRowOf({ segments }: Pick<BackupShard, 'segments'>): number {
  return segments[0]?.first ?? 1;
}

/** Why rows that should be there cannot be; undefined when none is missing between the first one and the last one. */
export function rowsDefect({ sequence, segments }: Rows): string | undefined {
  let next = firstRowOf({ segments });
  for (const { first, last } of segments) {
    if (first !== next) return `the rows ${next} to ${first - 1} are missing`;
    next = last + 1;
  }
  if (next === sequence + 1) return undefined;
  return `its segments end with row ${next - 1}, and should with row ${sequence}`;
}

/** What the list of archived segments lacks of what lies before the first row here. */
export function archivedDefect(
  shard: Pick<BackupShard, 'segments'>,
  archived: Pick<ArchivedSegments, 'last'> | undefined,
): string | undefined {
  const before = firstRowOf(shard) - 1;
  if (before === 0 || (archived?.last ?? 0) >= before) return undefined;
  return `nothing says where the rows 1 to ${before} are`;
}

/** Sequences of the snapshots from which a start can go on with the rows that are there: both files are, and no row between is missing. */
export function snapshotsIn({
  sequence,
  segments,
  files,
}: Pick<BackupShard, 'sequence' | 'segments' | 'files'>): readonly number[] {
  const before = firstRowOf({ segments }) - 1;
  const named = files.map(({ name }) => SNAPSHOT_FILE.exec(name)?.[1]);
  const pairs = named.filter((digits, i) => named.indexOf(digits) < i);
  return pairs.map(Number).filter((one) => one >= before && one <= sequence);
}

/**
 * Why the snapshot of this sequence in a directory cannot be used; undefined when it can. Reads all of it. `chain` is the checksum of its row. One
 * that another version has written is as sound as that version says.
 */
export function snapshotDefect(
  directory: string,
  identity: JournalIdentity,
  { sequence, chain }: { readonly sequence: number; readonly chain: number },
): string | undefined {
  const files = snapshotFiles(directory, sequence);
  try {
    const manifest = readManifest(files, identity);
    checkImage(files.image, manifest);
    return manifest.chain === chain ? undefined : 'it is of another line of history';
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return String(error);
    if (!(error instanceof SnapshotError)) throw error;
    return error.isOtherVersion ? undefined : error.message;
  }
}
