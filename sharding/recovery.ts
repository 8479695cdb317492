/**
 * Finds the state from which a shard's journal is replayed: the newest snapshot that can be used, else the one before, else none.
 *
 * A snapshot whose files are not as they were written is passed over, with a line that says why. One that is sound and does not fit the journal is
 * no such thing: then the journal is older than it once was, or another, and the start is refused.
 */
import { existsSync } from 'node:fs';
import type { Group } from '../engine/group.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import type { Journal } from '../persistence/journal.ts';
import {
  listSnapshots,
  readManifest,
  type SnapshotFiles,
  type SnapshotManifest,
} from '../persistence/snapshot-manifest.ts';
import { loadSnapshot, type LoadedSnapshot } from '../persistence/snapshot-store.ts';

export interface RecoverStateOptions {
  readonly directory: string;
  readonly clusterId: string;
  readonly shard: number;
  readonly shards: number;
  readonly seed: number;
  readonly journal: Pick<Journal, 'firstSequence' | 'lastSequence' | 'checksum'>;
  /** The snapshots to choose from, the newest first; all of the directory when left out. */
  readonly candidates?: readonly SnapshotFiles[];
  /** Whether one that was loaded is what is looked for. */
  readonly accepts?: (loaded: LoadedSnapshot) => boolean;
  /** For the state machine that is made. */
  readonly group: Group;
  readonly note: (line: string) => void;
  /** Bytes that were read of a snapshot, and how many it has. */
  readonly onProgress: (done: number, of: number) => void;
}

/** The snapshot to go on from, loaded; null: the journal is replayed from its first row. */
export function recoverState(options: RecoverStateOptions): LoadedSnapshot | null {
  const { directory, shard, journal, note, accepts = () => true } = options;
  for (const files of options.candidates ?? listSnapshots(directory)) {
    try {
      const manifest = readManifest(files, options);
      recoverCheck(manifest, files, journal);
      const { seed, group, onProgress } = options;
      const loaded = loadSnapshot({ files, identity: options, seed, group, onProgress });
      if (accepts(loaded)) return loaded;
    } catch (error: unknown) {
      if ((error as { code?: unknown }).code !== 'SNAPSHOT_UNUSABLE') throw error;
      // Retired by the process that has the directory, since it was listed: its manifest goes first.
      if (!existsSync(files.manifest)) continue;
      note(`a snapshot is passed over: ${(error as Error).message}`);
    }
  }
  if (journal.firstSequence === 1) return null;
  throw damaged(
    `the journal of shard ${shard} begins with sequence ${journal.firstSequence}, and there is no snapshot from before it that can be used`,
    'Put back the segments that were archived, or the snapshot.',
  );
}

/** Whether the snapshot is of this journal. */
function recoverCheck(
  { sequence, chain }: SnapshotManifest,
  { manifest: file }: SnapshotFiles,
  journal: RecoverStateOptions['journal'],
): void {
  const { firstSequence, lastSequence } = journal;
  if (sequence > lastSequence) {
    throw damaged(
      `${file} says that sequence ${sequence} was durable, and the journal ends with ${lastSequence}`,
      'Put back the newer copy of the journal.',
    );
  }
  if (sequence + 1 < firstSequence) {
    throw damaged(
      `${file} ends with sequence ${sequence}, and the journal begins with ${firstSequence}`,
      'Put back the segments in between.',
    );
  }
  if (journal.checksum(sequence) === chain) return;
  throw damaged(
    `${file} and the journal have different checksums for sequence ${sequence}: they are of different histories`,
    'Put back files of one copy; without the snapshots the journal alone decides.',
  );
}

function damaged(what: string, todo: string): DataDirectoryError {
  return new DataDirectoryError('DATA_DAMAGED', `${what}. ${todo} Nothing was changed.`);
}
