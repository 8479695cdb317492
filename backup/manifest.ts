/**
 * What a backup says of itself, `backup.json`: written last, in one step. A backup is as this file says: files that are there besides, or that
 * have more rows than it says, come from a run that was cut off, and are passed over.
 */
import { statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { type ArchivedSegment, ArchivedSegments } from '../persistence/archived-segments.ts';
import type { JournalIdentity } from '../persistence/checksum-chain.ts';
import type { DirectoryMeta } from '../persistence/data-directory.ts';
import { LinkMarks, type LinkMarksJson } from '../persistence/link-marks.ts';
import { readSignedJson, writeSignedJson } from '../persistence/signed-json.ts';

/** The files of a snapshot, by sequence. */
export const SNAPSHOT_FILE = /^snapshot-(\d{12})\.(image|json)$/;

export const MANIFEST_NAME = 'backup.json';
const MANIFEST_FORMAT = 1;

export interface BackupFile {
  readonly name: string;
  readonly bytes: number;
  readonly crc32: number;
}

export interface BackupSegment extends BackupFile {
  readonly first: number;
  readonly last: number;
  /** Of the row `last`. */
  readonly lastChecksum: number;
}

export interface BackupShard {
  /** The last row of the backup, its timestamp in ns, and its checksum in the chain. */
  readonly sequence: number;
  readonly timestamp: string;
  readonly checksum: number;
  /** Of the links, after that row. */
  readonly links: LinkMarksJson;
  readonly segments: readonly BackupSegment[];
  /** Of snapshots, and `archived.json`. */
  readonly files: readonly BackupFile[];
  /**
   * What `archived.json` is to say after a restore: the segments before the first one here, when that does not begin with row 1. The file itself
   * may be of a later run that was cut off.
   */
  readonly archived?: BackupArchived | undefined;
}

export interface BackupArchived {
  readonly archive: string;
  readonly segments: readonly ArchivedSegment[];
  readonly links: LinkMarksJson;
}

export interface BackupManifest {
  readonly created: string;
  readonly meta: DirectoryMeta;
  /** The bytes of `sycee.json`. */
  readonly metaText: string;
  readonly shards: readonly BackupShard[];
}

/** Why a backup cannot be used. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  readonly exitCode: 1 | 3;

  constructor(message: string, exitCode: 1 | 3, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}

export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'SQLITE_FULL'].includes(String((error as { code?: unknown }).code));
}

/** A backup within its directory, or the other way round, would be copied, or moved aside, together with it. */
export function expectApart(one: string, other: string): void {
  if (!isWithin(one, other) && !isWithin(other, one)) return;
  throw new BackupError(`${one} and ${other} lie within each other. Name places apart.`, 1);
}

function isWithin(inner: string, outer: string): boolean {
  return `${inner}${sep}`.startsWith(`${outer}${sep}`);
}

export function expectDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== false) return;
  const sentence = `${path} is not a directory. Nothing was changed. Name an empty or a new one.`;
  throw new BackupError(sentence, 1);
}

export function writeManifest(directory: string, manifest: BackupManifest): void {
  writeSignedJson(join(directory, MANIFEST_NAME), { format: MANIFEST_FORMAT, ...manifest });
}

/** Undefined when there is none. */
export function readManifest(directory: string): BackupManifest | undefined {
  const path = join(directory, MANIFEST_NAME);
  const read = readSignedJson(path);
  if (read === undefined) return undefined;
  if ('defect' in read) throw new BackupError(`the backup is damaged: ${path}: ${read.defect}`, 3);
  const { format, ...fields } = read.fields;
  if (format !== MANIFEST_FORMAT) {
    throw new BackupError(
      `${path} has format ${String(format)}, and this program reads ${MANIFEST_FORMAT}: use the version that wrote it`,
      3,
    );
  }
  // Its checksum fits, so these are the fields that this program has written.
  return fields as unknown as BackupManifest;
}

/** Of the segments before the first one in the backup. Backups of before say it in the file alone, `directory` is where that lies. */
export function archivedOf(
  { archived }: BackupShard,
  identity: JournalIdentity,
  directory: string,
): ArchivedSegments | undefined {
  if (archived === undefined) return ArchivedSegments.read(directory, identity);
  const marks = LinkMarks.fromJson(archived.links, identity.shards);
  if (marks === undefined) throw new BackupError('the links of a shard are not readable', 3);
  let list = ArchivedSegments.none(identity, archived.archive);
  for (const segment of archived.segments) list = list.with(segment, marks);
  return list;
}

export function marksOf(shard: BackupShard): LinkMarks {
  const marks = LinkMarks.fromJson(shard.links, shard.links.received.length);
  if (marks === undefined) throw new BackupError('the links of a shard are not readable', 3);
  return marks;
}
