/**
 * Moves sealed segments that nobody needs for a start to the archive: copied, synced, read back, their rows checked in the copy, written down in
 * `archived.json`, and then dropped. In order from the first segment on, one at a time, so that what is left here is always the end of the
 * journal. Cut off anywhere, it is sound as it is, and the next time goes on: a copy that is there already is compared and kept.
 *
 * A1 A segment is in this directory, or in the archive and in `archived.json`, at every moment.
 * A2 A file in the archive is never overwritten with other contents: after going back to a backup the archive may have segments of the line
 *    of history that was left.
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { archiveDirectory, ArchivedSegments, type ArchivedSegment } from './archived-segments.ts';
import { type JournalIdentity, rowChecksum } from './checksum-chain.ts';
import { fsyncDirectory, removeDatabase } from './database.ts';
import { copyFile, makeDirectory, sumOf } from './file-copy.ts';
import { JournalReader } from './journal-reader.ts';
import type { LinkMarks } from './link-marks.ts';
import { SegmentReader } from './segment-reader.ts';
import { segmentName } from './segment.ts';

const ROWS_AT_ONCE = 16;

/** Steps of moving one segment, each of them durable. */
export type ArchiveStep = 'copied' | 'listed' | 'dropped';

export interface ArchiveShardOptions extends JournalIdentity {
  readonly directory: string;
  /** The root of the archive; an absolute path. */
  readonly archive: string;
  /** The last row that a start may do without: what two good snapshots have behind them. */
  readonly behind: number;
  /** Asked between two segments. */
  readonly isStopping?: () => boolean;
  /** For tests. */
  readonly onStep?: (step: ArchiveStep) => void;
}

export interface Archived {
  readonly segments: number;
  readonly bytes: number;
}

export function archiveShard(options: ArchiveShardOptions): Archived {
  const { directory, archive, behind, onStep = () => undefined } = options;
  let segments = 0;
  let bytes = 0;
  using journal = JournalReader.open(options);
  let list = ArchivedSegments.read(directory, options) ?? ArchivedSegments.none(options, archive);
  if (list.archive !== archive) list = list.at(archive);
  expectMounted(list);
  for (const first of journal.firsts) {
    if (journal.isArchived(first)) continue;
    if (options.isStopping?.() === true) break;
    const last = lastOf(journal, first);
    if (last === undefined || last > behind || !journal.isSealed(first)) break;
    // One that is listed already and still here was cut off before it was dropped: its copy is looked at again.
    const { entry, marks } = copySegment(options, journal, { first, last, marks: list.marks });
    onStep('copied');
    if (first > list.last) {
      list = list.with(entry, marks);
      list.write(directory);
      onStep('listed');
    }
    bytes += entry.bytes;
    segments++;
    journal.release(segmentName(first));
    dropSegment(directory, first);
    onStep('dropped');
  }
  return { segments, bytes };
}

/** Says to the readers of a shard where its archive is mounted now. */
export function pointToArchive(
  directory: string,
  identity: JournalIdentity,
  archive: string,
): void {
  const list = ArchivedSegments.read(directory, identity);
  if (list !== undefined && list.archive !== archive) list.at(archive).write(directory);
}

/** A mount point without its mount must not be taken for the archive. */
function expectMounted(list: ArchivedSegments): void {
  const directory = archiveDirectory(list.archive, list.identity);
  if (list.segments.length === 0 || existsSync(directory)) return;
  throw new Error(
    `the archive is not there: ${directory}, which has ${list.segments.length} segments. Mount it, or name the place where it is now`,
  );
}

/** Of a segment that is not the last one. */
function lastOf(journal: JournalReader, first: number): number | undefined {
  const next = journal.firsts[journal.firsts.indexOf(first) + 1];
  return next === undefined ? undefined : next - 1;
}

function copySegment(
  options: ArchiveShardOptions,
  journal: JournalReader,
  {
    first,
    last,
    marks,
  }: { readonly first: number; readonly last: number; readonly marks: LinkMarks },
): { readonly entry: ArchivedSegment; readonly marks: LinkMarks } {
  const from = journal.path(first);
  const directory = archiveDirectory(options.archive, options);
  const to = join(directory, segmentName(first));
  makeDirectory(directory);
  let sum = sumOf(from, 'sealed segment');
  if (!existsSync(to)) sum = copyFile(from, to, 'sealed segment');
  else {
    const there = sumOf(to, 'as it is');
    if (there.crc32 !== sum.crc32 || there.bytes !== sum.bytes) {
      throw new Error(
        `${to} is there already with other contents, of another line of history it may be: name another archive, and copy into it what is needed`,
      );
    }
    // The run that made it may have been cut off before its name was durable.
    fsyncDirectory(directory);
  }
  const checked = checkCopy(to, options, { first, last, marks });
  if (checked.checksum !== journal.checksum(last)) {
    throw new Error(`${to} does not end with the row ${last} of ${basename(from)}`);
  }
  return { entry: { first, last, ...sum, lastChecksum: checked.checksum }, marks: checked.marks };
}

/** Reads every row of a copy: checksums, chain, and density. Gives the checksum of the last row, and what the rows say of links. */
export function checkCopy(
  path: string,
  identity: JournalIdentity,
  {
    first,
    last,
    marks,
  }: { readonly first: number; readonly last: number; readonly marks: LinkMarks },
): { readonly checksum: number; readonly marks: LinkMarks } {
  using segment = SegmentReader.open(path, first, identity);
  if (segment === undefined) throw new Error(`${path} does not say whose it is`);
  const after = marks.copy();
  let checksum = segment.previousChecksum;
  let next = first;
  while (next <= last) {
    const rows = segment.rowsFrom(next, ROWS_AT_ONCE);
    if (rows.length === 0) throw segment.corrupt(next, 'the row is missing');
    for (const row of rows) {
      if (row.sequence !== next) throw segment.corrupt(next, 'the row is missing');
      if (rowChecksum(checksum, row) !== row.checksum) {
        throw segment.corrupt(next, 'the row does not match its checksum');
      }
      after.addFrame(row.frame);
      ({ checksum } = row);
      next++;
    }
  }
  return { checksum, marks: after };
}

/** Side files first: a WAL must never be without its segment. A reader may make an empty one again meanwhile, hence twice. */
function dropSegment(directory: string, first: number): void {
  const path = join(directory, segmentName(first));
  removeDatabase(path);
  removeDatabase(path);
  fsyncDirectory(directory);
}
