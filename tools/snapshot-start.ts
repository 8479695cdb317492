/**
 * The state with which a replay begins: the newest snapshot at or before the moment that can be used, as a start would take it; else that of
 * before the first row.
 */
import { existsSync } from 'node:fs';
import type { Group } from '../engine/group.ts';
import { StateMachine } from '../engine/state-machine.ts';
import { archiveDirectory, ArchivedSegments } from '../persistence/archived-segments.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import { segmentName } from '../persistence/segment.ts';
import type { SnapshotFiles } from '../persistence/snapshot-manifest.ts';
import type { LoadedSnapshot } from '../persistence/snapshot-store.ts';
import { recoverState } from '../sharding/recovery.ts';
import type { ShardTask } from './shard-task.ts';

export interface ReplayStart {
  readonly machine: StateMachine;
  /** The last row whose effects the machine has. */
  readonly sequence: number;
  /** The messages that its links keep, as the image has them; null: there were none yet. */
  readonly links: Uint32Array | null;
}

export interface StartOptions {
  readonly task: ShardTask;
  readonly journal: JournalReader;
  readonly group: Group;
  /** To choose from, the newest first. */
  readonly candidates: readonly SnapshotFiles[];
  /** Is told of those that are passed over. */
  readonly note: (line: string) => void;
}

/** Throws DATA_DAMAGED when a snapshot is of another journal, and when rows are missing that no snapshot covers. */
export function replayStart(options: StartOptions): ReplayStart {
  const { task, journal, group, candidates, note } = options;
  const { shard, shards, seed } = task;
  if (candidates.length === 0) {
    const first = firstAtHand(journal);
    if (first > 1) throw rowsAway(journal, first, 'or name a moment that a snapshot covers');
    return { machine: new StateMachine({ shard, shards, seed }, group), sequence: 0, links: null };
  }
  const loaded = recoverState({
    ...task,
    journal: {
      firstSequence: journal.firstSequence,
      lastSequence: journal.lastSequence(),
      checksum: (sequence) => journal.checksum(sequence),
    },
    group,
    candidates,
    accepts: (one) => keepsEnough(one, task),
    note,
    onProgress: () => undefined,
  });
  if (loaded === null) return replayStart({ ...options, candidates: [] });
  const { machine, manifest, links } = loaded;
  return { machine, sequence: manifest.sequence, links };
}

/** An image has no messages that were acknowledged, and those may be asked for. */
function keepsEnough({ machine }: LoadedSnapshot, { shard, keepFrom }: ShardTask): boolean {
  return (
    keepFrom === null ||
    keepFrom.every((number, peer) => peer === shard || machine.acknowledged[peer]! < number)
  );
}

/** The first row from which on nothing is missing: 1, unless segments are in an archive that is neither named nor there. */
export function firstAtHand(journal: JournalReader): number {
  const { firsts } = journal;
  const away = firsts.findLastIndex(
    (first) => journal.isArchived(first) && !existsSync(journal.path(first)),
  );
  return away === -1 ? journal.firstSequence : (firsts[away + 1] ?? journal.lastSequence() + 1);
}

/** Rows before the first one at hand are asked for: which files have them, and where those should be. */
export function rowsAway(journal: JournalReader, first: number, or = ''): DataDirectoryError {
  const { archived, directory } = journal;
  const listed = ArchivedSegments.read(directory, journal.identity) ?? archived;
  const rows = `the rows 1 to ${first - 1} are not here, and have to be read`;
  const todo = `say with --archive where they are now${or === '' ? '' : `, ${or}`}`;
  if (listed === undefined) {
    const rule = `${rows}, and no archived.json says where their segments are: ${todo}`;
    return new DataDirectoryError('DATA_DAMAGED', rule);
  }
  const away = listed.segments.filter((one) => one.first < first && !isAtHand(journal, one.first));
  const names = [away[0], away.length > 1 ? away.at(-1) : undefined].flatMap((one) =>
    one === undefined ? [] : [segmentName(one.first)],
  );
  const place = archiveDirectory(listed.archive, listed.identity);
  return new DataDirectoryError(
    'DATA_ARCHIVED',
    `${rows}. Wanted: ${names.join(' to ')}, by archived.json in ${place}. Mount the archive, or ${todo}.`,
  );
}

function isAtHand(journal: JournalReader, first: number): boolean {
  if (!journal.hasSegment(first)) return false;
  return !journal.isArchived(first) || existsSync(journal.path(first));
}
