/**
 * Replay: executes the journal of a shard again, from the first group or from a snapshot's on, and compares each sealed frame, byte for byte, with the stored one:
 * outcomes, timestamps, records, and the decisions of walks. Used by recovery, and by whoever proves that a journal gives a state.
 */
import { digestText } from '../engine/digest.ts';
import { Head } from '../engine/frame.ts';
import { Group } from '../engine/group.ts';
import { StateMachine } from '../engine/state-machine.ts';
import { shardName } from '../persistence/data-directory.ts';
import { DataDirectoryError, isSegmentArchived } from '../persistence/errors.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import type { Journal, JournalRow } from '../persistence/journal.ts';
import { RecordReader } from './record-reader.ts';

export interface Replayed {
  readonly sequence: number;
  readonly groups: number;
  readonly events: number;
  readonly seconds: number;
}

export interface ReplayOptions {
  readonly journal: Pick<Journal, 'rows'>;
  readonly machine: StateMachine;
  readonly group: Group;
  readonly records: RecordReader;
  /** The last row whose effects the machine has already. */
  readonly after?: number | undefined;
  /** Called now and then while a group is at work. */
  readonly beat?: () => void;
  /** Called after each group. */
  readonly onGroup?: (sequence: number) => void;
}

/** Brings the machine to the state after the last row. Throws DATA_DAMAGED, naming the sequence, where a frame does not come out as stored. */
export function replayJournal(options: ReplayOptions): Replayed {
  const began = process.hrtime.bigint();
  const { requests } = options.machine;
  const { after = 0 } = options;
  let sequence = after;
  let events = 0;
  requests.isReplay = true;
  try {
    for (const row of options.journal.rows(after + 1)) {
      ({ sequence } = row);
      replayGroup(row, options);
      events += options.group.words[Head.inputRows]!;
      options.onGroup?.(sequence);
    }
  } catch (error: unknown) {
    refuseRepeats(options.machine, error);
    throw error;
  }
  refuseRepeats(options.machine);
  requests.isReplay = false;
  return {
    sequence,
    groups: sequence - after,
    events,
    seconds: Number(process.hrtime.bigint() - began) / 1e9,
  };
}

/** Executes one row again. The machine must have `requests.isReplay` set. */
export function replayGroup(
  row: JournalRow,
  { machine, group, records, beat }: Omit<ReplayOptions, 'journal'>,
): void {
  const { sequence, frame } = row;
  const { shard } = machine.ledger;
  const defect = group.load(frame, sequence);
  if (defect !== null) throw damaged({ shard, sequence }, defect);
  records.keep(sequence, frame);
  try {
    machine.want();
    records.load(machine.shelf, beat);
    machine.execute(group.words[Head.opened]!, group.words[Head.opened + 1]!);
  } catch (error: unknown) {
    if (isSegmentArchived(error)) throw archived(sequence, error);
    // What could never have been journalled: the frame has its checksum, so whoever wrote it had other rules.
    throw damaged({ shard, sequence }, `it cannot be executed again (${String(error)})`, error);
  }
  const again = group.frame();
  if (again.byteLength !== frame.byteLength || Buffer.compare(again, frame) !== 0) {
    throw damaged({ shard, sequence }, 'executed again, the group has another outcome');
  }
}

function damaged(
  { shard, sequence }: { readonly shard: number; readonly sequence: number },
  rule: string,
  cause?: unknown,
): DataDirectoryError {
  return new DataDirectoryError(
    'DATA_DAMAGED',
    `${shardName(shard)}, journal row ${sequence}: ${rule}. The journal was altered, or was written by a version with other rules; bring back a backup.`,
    cause,
  );
}

/** Known already at the start: an id of the row was, and the record that it was compared with is not at hand. */
function archived(sequence: number, cause: Error): DataDirectoryError {
  return new DataDirectoryError(
    'DATA_ARCHIVED',
    `Executing journal row ${sequence} again needs an older row. ${cause.message}`,
    cause,
  );
}

export interface ShardReplay extends Replayed {
  readonly shard: number;
  readonly digest: string;
}

export interface ReplayShardOptions {
  readonly directory: string;
  readonly shard: number;
  readonly shards: number;
  readonly seed: number;
  readonly clusterId: string;
}

/** Replays one shard's journal, read-only, and says the digest of the state that it gives. */
export function replayShard(options: ReplayShardOptions): ShardReplay {
  return deferringIds((defersIds) => replayWhole(options, defersIds));
}

function replayWhole(options: ReplayShardOptions, defersIds: boolean): ShardReplay {
  const { directory, shard, shards, seed, clusterId } = options;
  using journal = JournalReader.open({ directory, clusterId, shard, shards, lendsFrames: true });
  const group = new Group();
  const machine = new StateMachine({ shard, shards, seed }, group);
  machine.defersIds = defersIds;
  const records = new RecordReader(journal, shards);
  const replayed = replayJournal({ journal, machine, group, records });
  return { shard, ...replayed, digest: digestText(machine.digest()) };
}

/** An id was there already that the journal says was new, of those that were not looked for one by one. */
class RepeatedIdError extends Error {
  override readonly name = 'RepeatedIdError';
}

/**
 * Runs a replay whose machine defers the search for new ids; and where one of them was there twice, from the beginning again without, which
 * ends with an error that names the row. `replay` ends with `refuseRepeats`, or goes through `replayJournal`.
 */
export function deferringIds<T>(replay: (defersIds: boolean) => T): T {
  try {
    return replay(true);
  } catch (error: unknown) {
    if (!(error instanceof RepeatedIdError)) throw error;
    return replay(false);
  }
}

/** Called at the end of a replay, however it ends: an id that was there twice comes before any other `cause`. */
export function refuseRepeats(machine: StateMachine, cause?: unknown): void {
  if (machine.hasRepeatedIds()) throw new RepeatedIdError('an id was there twice', { cause });
}
