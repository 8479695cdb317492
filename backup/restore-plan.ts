/**
 * What is to be restored of a backup, and whether it can be: everything that shows without reading all rows is looked at here, before anything is moved
 * aside or written. Files that `backup.json` does not name are not looked at.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ArchivedSegments } from '../persistence/archived-segments.ts';
import type { JournalIdentity } from '../persistence/checksum-chain.ts';
import { shardName } from '../persistence/data-directory.ts';
import { sumOf } from '../persistence/file-copy.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { LinkMarks } from '../persistence/link-marks.ts';
import { snapshotFiles } from '../persistence/snapshot-manifest.ts';
import { formatTime } from '../tools/moment.ts';
import { findCut } from './cut.ts';
import {
  archivedOf,
  BackupError,
  type BackupManifest,
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
import { ShardLinks } from './shard-links.ts';

export interface ShardPlan {
  readonly shard: number;
  /** The row with which it is to end, and its timestamp, ns. */
  readonly sequence: number;
  readonly timestamp: string;
  readonly segments: readonly BackupSegment[];
  /** Of snapshots that are sound. */
  readonly files: readonly string[];
  readonly archived: ArchivedSegments | undefined;
}

/** One shard of a backup. */
export class ShardSource implements Disposable {
  readonly identity: JournalIdentity;
  readonly shard: BackupShard;
  readonly directory: string;
  readonly journal: JournalReader;
  readonly archived: ArchivedSegments | undefined;

  /** Its segments are there, follow each other, and end with the rows that the backup says. Rows are not read otherwise. */
  constructor(backup: string, { meta, shards }: BackupManifest, k: number) {
    this.identity = { clusterId: meta.clusterId, shard: k, shards: meta.shards };
    this.shard = shards[k]!;
    this.directory = join(backup, shardName(k));
    const isFirst = firstRowOf(this.shard) === 1;
    this.archived = isFirst ? undefined : archivedOf(this.shard, this.identity, this.directory);
    const defect = rowsDefect(this.shard) ?? archivedDefect(this.shard, this.archived);
    if (defect !== undefined) throw this.damaged(defect);
    for (const { name } of this.shard.segments) {
      if (!existsSync(join(this.directory, name))) throw this.damaged(`${name} is missing`);
    }
    this.journal = JournalReader.open({
      ...this.identity,
      directory: this.directory,
      view: this.shard.segments.map(({ name, first, bytes }) => {
        return { first, bytes, path: join(this.directory, name), isInPlace: true };
      }),
    });
  }

  expectEnds(): void {
    const { segments, sequence, checksum } = this.shard;
    for (const { name, last, lastChecksum } of segments) {
      if (this.journal.checksum(last) === lastChecksum) continue;
      throw this.damaged(`${name} does not end with the row that the backup says`);
    }
    if (this.journal.checksum(sequence) === checksum) return;
    throw this.damaged(`row ${sequence} is another one than the backup says`);
  }

  /** What the links were before the first row. */
  marks(): LinkMarks {
    return this.archived?.marks.copy() ?? new LinkMarks(this.identity.shards);
  }

  damaged(rule: string): BackupError {
    return damagedBackup(this.directory, rule);
  }

  [Symbol.dispose](): void {
    this.journal.close();
  }
}

/** `directory`: of the shard in the backup. */
export function damagedBackup(directory: string, rule: string): BackupError {
  return new BackupError(
    `the backup is damaged: ${directory}: ${rule}. Put a whole copy of it back there, or take another backup.`,
    3,
  );
}

export function openSources(
  backup: string,
  manifest: BackupManifest,
  stack: DisposableStack,
): readonly ShardSource[] {
  const sources = manifest.shards.map((_, k) => stack.use(new ShardSource(backup, manifest, k)));
  for (const source of sources) source.expectEnds();
  return sources;
}

/** The rows with which the shards are to end. */
export function cutAt(sources: readonly ShardSource[], to: bigint | undefined): readonly number[] {
  if (to === undefined) return sources.map(({ shard }) => shard.sequence);
  const tops: number[] = [];
  const links = sources.map((source, k) => {
    const { journal, shard } = source;
    const first = firstRowOf(shard);
    const last = shard.sequence;
    if (first > 1 && journal.timestamp(first) > to) throw tooEarly(k, first);
    const top = lastRowUpTo(journal, { first, last }, to);
    tops.push(top);
    return new ShardLinks(journal, { sequence: first - 1, marks: source.marks() }, { top, last });
  });
  const cut = findCut(links, tops);
  const hasRows = sources.some(({ shard }) => shard.sequence > 0);
  if (hasRows && cut.every((sequence) => sequence === 0)) throw beforeEverything(sources, to);
  return cut;
}

/** A ledger without a row is what nobody means who goes back to a moment. */
function beforeEverything(sources: readonly ShardSource[], to: bigint): BackupError {
  const firsts = sources.flatMap(({ journal, shard }) =>
    shard.sequence === 0 ? [] : [journal.timestamp(1)],
  );
  const first = formatTime(firsts.reduce((least, one) => (one < least ? one : least)));
  return new BackupError(
    `--to ${formatTime(to)} is before the first row of every shard: the ledger begins at ${first}. Nothing was changed. Name a later moment.`,
    1,
  );
}

/** Timestamps of rows never go down. */
function lastRowUpTo(
  journal: JournalReader,
  { first, last }: { readonly first: number; readonly last: number },
  to: bigint,
): number {
  let low = first - 1;
  let high = last;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (journal.timestamp(middle) <= to) low = middle;
    else high = middle - 1;
  }
  return low;
}

function tooEarly(shard: number, first: number): BackupError {
  return new BackupError(
    `The backup of shard ${shard} begins with row ${first}, and what lies before is in the archive. Name a later moment.`,
    1,
  );
}

/** Snapshots that cannot be used are left out; where one has to stand for rows, another one must be there. */
export function planOf(
  source: ShardSource,
  sequence: number,
  log: (line: string) => void,
): ShardPlan {
  const { shard, identity, journal, archived } = source;
  const { shard: k } = identity;
  const first = firstRowOf(shard);
  const segments = shard.segments.filter((one) => one.first <= sequence);
  const isCovered = first === 1 || segments.length > 0;
  const wanted = isCovered ? snapshotsIn({ ...shard, segments, sequence }) : [];
  if (first > 1 && wanted.length === 0) throw tooEarly(k, first);
  const sound = wanted.filter((one) => {
    const defect = defectOf(source, one);
    if (defect !== undefined)
      log(`shard ${k}: a snapshot is left out, for it is damaged: ${defect}`);
    return defect === undefined;
  });
  if (first > 1 && sound.length === 0) {
    const rule = `it begins with row ${first}, and no snapshot in it that could stand for the rows before is sound`;
    throw source.damaged(rule);
  }
  const files = shard.files
    .map(({ name }) => name)
    .filter((name) => sound.includes(Number(SNAPSHOT_FILE.exec(name)?.[1] ?? -1)));
  const timestamp = String(journal.timestamp(sequence));
  return { shard: k, sequence, timestamp, segments, files, archived };
}

function defectOf(source: ShardSource, sequence: number): string | undefined {
  const { directory, identity, journal, shard } = source;
  const { image, manifest } = snapshotFiles('', sequence);
  for (const name of [image, manifest]) {
    const path = join(directory, name);
    if (!existsSync(path)) return `${name} is missing`;
    const said = shard.files.find((file) => file.name === name)!;
    if (sumOf(path, 'as it is').crc32 !== said.crc32) return `${name} does not match its checksum`;
  }
  return snapshotDefect(directory, identity, { sequence, chain: journal.checksum(sequence) });
}
