/**
 * The copy of one shard for a backup: segments up to the cut, snapshots, and what is to be known of archived segments.
 *
 * C1 Whatever is there of an earlier backup stays usable until `backup.json` is written anew: a segment is replaced only by one of the same line of
 *    history that has its rows at least, and was read to its end before.
 * C2 Segments follow each other without a gap. Archived ones are in it when an earlier backup had them, or some of them, and all that are between
 *    can be had; otherwise it begins behind the last archived one.
 * C3 When it does not begin with row 1, a snapshot that was read to its end stands for the rows before.
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  ARCHIVED_NAME,
  type ArchivedSegment,
  type ArchivedSegments,
} from '../persistence/archived-segments.ts';
import { checkCopy } from '../persistence/archiver.ts';
import type { JournalIdentity } from '../persistence/checksum-chain.ts';
import { shardName } from '../persistence/data-directory.ts';
import {
  copyFile,
  type FileSum,
  makeDirectory,
  moveDurably,
  sumOf,
} from '../persistence/file-copy.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import { LinkMarks } from '../persistence/link-marks.ts';
import { copyRows } from '../persistence/segment-cut.ts';
import { segmentName } from '../persistence/segment.ts';
import {
  archivedOf,
  BackupError,
  type BackupFile,
  type BackupSegment,
  type BackupShard,
  SNAPSHOT_FILE,
} from './manifest.ts';
import {
  archivedDefect,
  firstRowOf,
  rowsDefect,
  snapshotDefect,
  snapshotsIn,
} from './restorable.ts';
import type { ShardLinks } from './shard-links.ts';

/** Copies lie there until they were read to their end (C1). */
const UNCHECKED_NAME = 'unchecked';

export interface ShardCopyOptions {
  readonly directory: string;
  readonly target: string;
  readonly identity: JournalIdentity;
  /** What was archived before anything was read; undefined when nothing was. */
  readonly archived: ArchivedSegments | undefined;
  /** What the place has already. */
  readonly earlier: BackupShard | undefined;
  readonly onStep: (step: 'segment' | 'file') => void;
  readonly log: (line: string) => void;
}

interface Beginning {
  readonly segments: readonly BackupSegment[];
  /** Of the rows before these, and before the first one that is not archived when there are none. */
  readonly archived: ArchivedSegments | undefined;
}

export class ShardCopy {
  readonly #options: ShardCopyOptions;
  readonly #from: string;
  readonly #to: string;
  segments = 0;
  bytes = 0;

  constructor(options: ShardCopyOptions) {
    this.#options = options;
    const name = shardName(options.identity.shard);
    this.#from = join(options.directory, name);
    this.#to = join(options.target, name);
  }

  make(journal: JournalReader, sequence: number, links: ShardLinks): BackupShard {
    makeDirectory(this.#to);
    const { segments: kept, archived } = this.#copyArchived(journal);
    const segments = [...kept, ...this.#copySegments(journal, sequence)];
    const first = firstRowOf({ segments });
    const files = this.#copySnapshots(journal, { first, last: sequence });
    if (first > 1 && archived !== undefined) files.push(this.#placeArchived(archived));
    const shard = {
      sequence,
      timestamp: String(journal.timestamp(sequence)),
      checksum: journal.checksum(sequence),
      links: links.marksAt(sequence).toJson(),
      segments,
      files,
      archived: first > 1 ? fieldsOf(archived) : undefined,
    };
    this.#expectRestorable(shard, archived);
    return shard;
  }

  /** Asked of what was done above, whatever the source and the earlier backup were: this is the last moment at which the earlier one is there. */
  #expectRestorable(shard: BackupShard, archived: ArchivedSegments | undefined): void {
    const { shard: k } = this.#options.identity;
    const first = firstRowOf(shard);
    if (first > 1 && snapshotsIn(shard).length === 0) {
      throw new BackupError(
        `shard ${k} begins with row ${first}, and no sound snapshot lies at or before row ${shard.sequence}: ` +
          'make a snapshot (./sycee snapshot), then the backup again',
        1,
      );
    }
    const lost = [...shard.segments, ...shard.files].find((file) => !this.#isThere(file));
    const defect =
      rowsDefect(shard) ??
      archivedDefect(shard, archived) ??
      (lost === undefined ? undefined : `${lost.name} is not there any more`);
    if (defect === undefined) return;
    throw new BackupError(
      `the backup of shard ${k} in ${this.#to} could not be restored: ${defect}. ` +
        'What was backed up there before is as it was. Make the backup again, in a new directory if this is said again.',
      1,
    );
  }

  /** What an earlier backup has of what was archived since, and what comes between (C2). */
  #copyArchived(journal: JournalReader): Beginning {
    const { archived, earlier, log, identity } = this.#options;
    const begin = earlier?.segments[0]?.first ?? Number.MAX_SAFE_INTEGER;
    const wanted = archived?.segments.filter(({ first }) => first >= begin) ?? [];
    if (wanted.length === 0) return { segments: [], archived };
    const before = begin === 1 ? undefined : archivedOf(earlier!, identity, this.#to);
    const kept = wanted.map((one) => this.#kept(one));
    const lost = wanted.find(
      ({ first }, i) => kept[i] === undefined && !existsSync(journal.path(first)),
    );
    if (wanted[0]!.first === begin && (before?.last ?? 0) === begin - 1 && lost === undefined) {
      const segments = wanted.map(
        ({ first, last }, i) => kept[i] ?? this.#copySegment(journal, { first, last }, true),
      );
      return { segments, archived: before };
    }
    const why =
      lost === undefined ? 'they do not join' : `${journal.path(lost.first)} is not there just now`;
    log(
      `shard ${identity.shard}: the rows up to ${archived!.last} are not in the backup any more: they were archived, and ${why}. ` +
        'A snapshot stands for them. Keep the archive.',
    );
    return { segments: [], archived };
  }

  /** Not archived, up to the cut. */
  #copySegments(journal: JournalReader, sequence: number): BackupSegment[] {
    const segments: BackupSegment[] = [];
    const begin = (this.#options.archived?.last ?? 0) + 1;
    // As they are now: what is moved to the archive meanwhile is read there.
    const { firsts } = journal;
    for (const [i, first] of firsts.entries()) {
      if (first < begin || first > sequence) continue;
      const next = firsts[i + 1];
      const last = next === undefined ? undefined : next - 1;
      const isWhole = last !== undefined && last <= sequence && journal.isSealed(first);
      const known =
        last !== undefined && last <= sequence
          ? this.#kept({ first, last, lastChecksum: journal.checksum(last) })
          : undefined;
      const span = { first, last: isWhole ? last : Math.min(last ?? sequence, sequence) };
      segments.push(known ?? this.#copySegment(journal, span, isWhole));
    }
    return segments;
  }

  /** What the earlier backup has with exactly these rows. */
  #kept({
    first,
    last,
    lastChecksum,
  }: Pick<ArchivedSegment, 'first' | 'last' | 'lastChecksum'>): BackupSegment | undefined {
    const one = this.#options.earlier?.segments.find((segment) => segment.first === first);
    const isSame = one?.last === last && one.lastChecksum === lastChecksum;
    return isSame && this.#isThere(one) ? one : undefined;
  }

  #copySegment(
    journal: JournalReader,
    span: { readonly first: number; readonly last: number },
    isWhole: boolean,
  ): BackupSegment {
    const { identity, onStep } = this.#options;
    const name = segmentName(span.first);
    const unchecked = join(this.#to, UNCHECKED_NAME, name);
    makeDirectory(join(this.#to, UNCHECKED_NAME));
    const sum = isWhole
      ? copySealed(journal, span.first, unchecked)
      : copyRows(journal, identity, span, unchecked);
    const marks = new LinkMarks(identity.shards);
    const { checksum } = checkCopy(unchecked, identity, { ...span, marks });
    if (checksum !== journal.checksum(span.last)) {
      throw new BackupError(
        `${unchecked} does not end with the row ${span.last} of the directory`,
        1,
      );
    }
    moveDurably(unchecked, join(this.#to, name));
    this.segments++;
    this.bytes += sum.bytes;
    onStep('segment');
    return { name, ...span, ...sum, lastChecksum: checksum };
  }

  #isThere({ name, bytes }: BackupFile): boolean {
    return statSync(join(this.#to, name), { throwIfNoEntry: false })?.size === bytes;
  }

  /** Those from which a start can go on; one that the live process has removed meanwhile is passed over, and one that is damaged. */
  #copySnapshots(
    journal: JournalReader,
    { first, last }: { readonly first: number; readonly last: number },
  ): BackupFile[] {
    const { identity, log } = this.#options;
    const files: BackupFile[] = [];
    const names = readdirSync(this.#from);
    const found = names.flatMap((name) => SNAPSHOT_FILE.exec(name)?.[1] ?? []);
    for (const digits of new Set(found)) {
      const sequence = Number(digits);
      const pair = [`snapshot-${digits}.image`, `snapshot-${digits}.json`];
      const isUsable = sequence >= first - 1 && sequence <= last;
      if (!isUsable || !pair.every((name) => names.includes(name))) continue;
      const row = { sequence, chain: journal.checksum(sequence) };
      const known = this.#knownPair(pair);
      // What an earlier run has copied is read again only where a restore hangs on it (C3).
      const isKept = known !== undefined && (first === 1 || this.#defectOf(row) === undefined);
      const copied = isKept ? known : pair.flatMap((name) => this.#copyFile(name) ?? []);
      if (copied.length < pair.length) continue;
      const defect = isKept ? undefined : this.#defectOf(row);
      if (defect === undefined) files.push(...copied);
      else log(`shard ${identity.shard}: a snapshot is left out, for it is damaged: ${defect}`);
    }
    return files;
  }

  #defectOf(row: { readonly sequence: number; readonly chain: number }): string | undefined {
    return snapshotDefect(this.#to, this.#options.identity, row);
  }

  #knownPair(pair: readonly string[]): readonly BackupFile[] | undefined {
    const files = this.#options.earlier?.files.filter(({ name }) => pair.includes(name)) ?? [];
    const isWhole = files.length === pair.length && files.every((file) => this.#isThere(file));
    return isWhole ? files : undefined;
  }

  #copyFile(name: string): BackupFile | undefined {
    try {
      const sum = copyFile(join(this.#from, name), join(this.#to, name), 'as it is');
      this.bytes += sum.bytes;
      this.#options.onStep('file');
      return { name, ...sum };
    } catch (error: unknown) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** For those who read the backup as a directory. A restore goes by `backup.json`. */
  #placeArchived(archived: ArchivedSegments): BackupFile {
    archived.write(this.#to);
    return { name: ARCHIVED_NAME, ...sumOf(join(this.#to, ARCHIVED_NAME), 'as it is') };
  }
}

/** What the manifest does not name: snapshots of earlier backups, and copies that were cut off. */
export function removeLeftovers(directory: string, { segments, files }: BackupShard): void {
  const named = new Set([...segments, ...files].map(({ name }) => name));
  for (const name of readdirSync(directory)) {
    if (!named.has(name)) rmSync(join(directory, name), { force: true, recursive: true });
  }
}

function fieldsOf(archived: ArchivedSegments | undefined): BackupShard['archived'] {
  if (archived === undefined) return undefined;
  const { archive, segments, marks } = archived;
  return { archive, segments, links: marks.toJson() };
}

/** From the archive, when it was moved there a moment ago. */
function copySealed(journal: JournalReader, first: number, path: string): FileSum {
  try {
    return copyFile(journal.path(first), path, 'sealed segment');
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    journal.refresh();
    return copyFile(journal.path(first), path, 'sealed segment');
  }
}
