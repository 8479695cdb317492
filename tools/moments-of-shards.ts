/** Turns a moment into the last row of each shard that belongs to it. */
import { DataDirectoryError, SnapshotError } from '../persistence/errors.ts';
import { readOwnManifest } from '../persistence/snapshot-manifest.ts';
import type { Capture, CapturedShard } from './capture.ts';
import { formatTime, type Moment } from './moment.ts';
import { firstAtHand, rowsAway } from './snapshot-start.ts';
import { UsageError } from './usage.ts';

/** A moment that is not said is the end. */
export function sequencesAt(
  capture: Capture,
  shards: readonly number[],
  moment: Moment | undefined,
  flag: string,
): readonly number[] {
  if (moment?.type === 'sequence' && shards.length > 1) {
    throw new UsageError(
      `${flag} ${moment.sequence} is a sequence of one shard: say which with --shard, or give a time`,
    );
  }
  return shards.map((shard) => sequenceAt(capture, shard, moment, flag));
}

/** Whether a moment ends before the rows of a shard do, so that more of them would not change it. The end is said to be none. */
export function isWithin(capture: Capture, shard: number, moment: Moment | undefined): boolean {
  const { last } = capture.shards[shard]!;
  if (moment === undefined || last === undefined) return false;
  if (moment.type === 'sequence') return moment.sequence <= last;
  return sequenceAt(capture, shard, moment, '--to') < last;
}

function sequenceAt(
  capture: Capture,
  shard: number,
  moment: Moment | undefined,
  flag: string,
): number {
  const captured = capture.shards[shard]!;
  // Where it ends cannot be told: whoever reads it finds out why.
  const last = captured.last ?? Number.MAX_SAFE_INTEGER;
  if (moment === undefined || captured.last === undefined) return last;
  if (moment.type === 'time') {
    using journal = capture.journal(shard, captured);
    const { time } = moment;
    const first = firstAtHand(journal);
    const range = { before: first - 1, last };
    const found = lastUpTo((sequence) => journal.timestamp(sequence), range, time);
    if (found >= first || first === 1 || isUpTo(captured, found, time)) return found;
    const { code, message } = rowsAway(journal, first, 'or name a later moment');
    const when = `${flag} ${formatTime(time)} is before sequence ${first}`;
    throw new DataDirectoryError(code, `shard ${shard}: ${when}, and ${message}`);
  }
  if (moment.sequence > last) {
    throw new UsageError(
      `${flag} ${moment.sequence} is not there: shard ${shard} ends with sequence ${last}`,
    );
  }
  return moment.sequence;
}

/** Whether a row that is not here any more, and that a snapshot is of, is of that time or before. */
function isUpTo({ snapshots }: CapturedShard, sequence: number, time: bigint): boolean {
  const files = snapshots.find((one) => one.sequence === sequence);
  if (files === undefined) return false;
  try {
    return BigInt(readOwnManifest(files).timestamp) <= time;
  } catch (error: unknown) {
    if (!(error instanceof SnapshotError)) throw error;
    return false;
  }
}

/** The last row whose timestamp is at most `time`; timestamps never go down. */
function lastUpTo(
  timestamp: (sequence: number) => bigint,
  range: { readonly before: number; readonly last: number },
  time: bigint,
): number {
  let low = range.before;
  let high = range.last;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (timestamp(middle) <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function momentText(moment: Moment | undefined): string {
  if (moment === undefined) return 'the end';
  return moment.type === 'time' ? formatTime(moment.time) : `sequence ${moment.sequence}`;
}
