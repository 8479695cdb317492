/**
 * Which segments of a shard can be read: those in its directory, in the archive that is named, and in the one that its `archived.json` names. What it
 * lists and nobody has is away: then the rest are runs of segments with gaps between them, each read as a journal of its own.
 */
import { archiveDirectory, ArchivedSegments } from '../persistence/archived-segments.ts';
import { journalCorrupt } from '../persistence/errors.ts';
import { joinViews, type ViewedSegment } from '../persistence/journal-view.ts';
import type { JournalRow } from '../persistence/journal.ts';
import { type Capture, viewArchived } from './capture.ts';
import { fileOf } from './shard-replay.ts';

/** Segments that follow each other. */
interface Run {
  readonly view: readonly ViewedSegment[];
  readonly last: number;
}

/** Rows that were archived, and that cannot be read now. */
export interface RowsAway {
  readonly shard: number;
  readonly first: number;
  readonly last: number;
  readonly segments: number;
  /** Where `archived.json` says that they are. */
  readonly directory: string;
}

export interface SegmentsAtHand {
  readonly runs: readonly Run[];
  readonly away: readonly RowsAway[];
}

/** Throws JOURNAL_CORRUPT when `archived.json` cannot be read. */
export function segmentsAtHand(capture: Capture, shard: number): SegmentsAtHand {
  const { clusterId, shards } = capture.meta;
  const { directory, view: captured, last } = capture.shards[shard]!;
  const list = ArchivedSegments.read(directory, { clusterId, shard, shards });
  const listed = list?.segments ?? [];
  const archived = viewArchived(list?.archive, { clusterId, shard }).filter((one) =>
    listed.some(({ first }) => first === one.first),
  );
  const view = joinViews(captured, archived);
  const missing = listed.filter(({ first }) => !view.some((one) => one.first === first));
  const runs: Run[] = [];
  const away: RowsAway[] = [];
  let rest = view;
  for (const { first, last: end } of missing) {
    const at = rest.findIndex((one) => one.first > first);
    const before = rest.slice(0, at === -1 ? rest.length : at);
    rest = rest.slice(before.length);
    if (before.length > 0) runs.push({ view: before, last: first - 1 });
    const previous = away.at(-1);
    if (previous?.last === first - 1) {
      away[away.length - 1] = { ...previous, last: end, segments: previous.segments + 1 };
    } else {
      const place = archiveDirectory(list!.archive, { clusterId, shard });
      away.push({ shard, first, last: end, segments: 1, directory: place });
    }
  }
  if (rest.length > 0) runs.push({ view: rest, last: last ?? Number.MAX_SAFE_INTEGER });
  return { runs, away };
}

/** All rows that can be read, in order. Throws JOURNAL_CORRUPT. */
export function* rowsAtHand(
  capture: Capture,
  shard: number,
  { runs }: SegmentsAtHand,
): Generator<JournalRow, void, undefined> {
  const { directory } = capture.shards[shard]!;
  for (const { view, last } of runs) {
    using journal = capture.journal(shard, { directory, view });
    let next = view[0]!.first;
    for (const row of journal.rows(next, last)) {
      yield row;
      next = row.sequence + 1;
    }
    if (next > last || last === Number.MAX_SAFE_INTEGER) continue;
    const file = fileOf(view, next);
    throw journalCorrupt({ file, sequence: next, shard }, 'the row is missing');
  }
}

/** What was not looked at, and how it can be. */
export function awayText({ shard, first, last, segments, directory }: RowsAway): string {
  const which = segments === 1 ? 'an archived segment' : `${segments} archived segments`;
  return `Not looked at: shard ${shard}, sequences ${first} to ${last}, in ${which}, not in ${directory} now. Mount the archive, or say with --archive where it is.`;
}
