/** What this directory throws. Recognise both by `code`: classes do not survive the way from one thread to another. */

import { basename, dirname } from 'node:path';

/** Why one snapshot cannot be used. The journal says the same, so whoever looks for a snapshot goes on to the next. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  readonly code = 'SNAPSHOT_UNUSABLE';
  /** The file that is wrong. */
  readonly file: string;
  /** Another version has written it; it may be as it was written. */
  readonly isOtherVersion: boolean;

  constructor(
    file: string,
    rule: string,
    options: { readonly cause?: unknown; readonly isOtherVersion?: boolean } = {},
  ) {
    const { cause, isOtherVersion = false } = options;
    super(`${file}: ${rule}`, cause === undefined ? undefined : { cause });
    this.file = file;
    this.isOtherVersion = isOtherVersion;
  }
}

export type JournalErrorCode =
  | 'JOURNAL_WRITE_FAILED'
  | 'JOURNAL_CORRUPT'
  | 'NO_ROOM_TO_READ'
  | 'SEGMENT_ARCHIVED';

/** Where a journal is damaged first, and what is wrong there. */
export interface JournalDamage {
  readonly file: string;
  readonly sequence: number;
  readonly rule: string;
  /** Where it is known: files of several shards have the same names. */
  readonly shard?: number;
}

/**
 * JOURNAL_WRITE_FAILED: the outcome of an append is unknown; the journal instance refuses everything from then on.
 * JOURNAL_CORRUPT: a row or a segment is missing, altered, or somebody else's; the message names the file, the sequence, and the rule.
 * NO_ROOM_TO_READ: the disk is full, so that SQLite cannot even read a file that has a WAL.
 * SEGMENT_ARCHIVED: the row lies in a segment that was moved to the archive, and is not there just now; the message names the file.
 */
export class JournalError extends Error {
  override readonly name = 'JournalError';
  readonly code: JournalErrorCode;
  /** Of JOURNAL_CORRUPT. */
  readonly damage: JournalDamage | undefined;

  constructor(code: JournalErrorCode, message: string, cause?: unknown, damage?: JournalDamage) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.damage = damage;
  }
}

/** SEGMENT_ARCHIVED, with the first sequence of the segment. `file` is its place within the archive: the message goes to strangers too. */
export class SegmentArchivedError extends JournalError {
  readonly segment: number;

  constructor(segment: number, file: string) {
    super(
      'SEGMENT_ARCHIVED',
      `A journal row is needed that lies in an archived segment, and the archive does not have it just now: ${file}. ` +
        'Mount the archive, or name the place where it is now with --archive.',
    );
    this.segment = segment;
  }
}

/** Exit codes of the process: 1, it cannot be done as it was asked for; 3, the data is damaged; 4, in use. */
const EXIT_CODES = {
  DATA_DAMAGED: 3,
  DATA_OTHER_VERSION: 3,
  DATA_FOREIGN: 3,
  DATA_IN_USE: 4,
  DATA_OTHER_SHARDS: 1,
  DATA_MISSING: 1,
  DATA_ARCHIVED: 1,
} as const;
export type DataDirectoryErrorCode = keyof typeof EXIT_CODES;

/** Why a data directory is refused; nothing in it was changed. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
  readonly code: DataDirectoryErrorCode;
  readonly exitCode: 1 | 3 | 4;

  constructor(code: DataDirectoryErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.exitCode = EXIT_CODES[code];
  }
}

export type JournalPlace = Omit<JournalDamage, 'rule'>;

/** The one wording of a damaged journal: where, which rule, and what to do. */
export function journalCorrupt(where: JournalPlace, rule: string, cause?: unknown): JournalError {
  return corrupt({ ...where, rule }, 'put back a copy of this file that is whole', cause);
}

/** The same where a file is gone: it is named, and not one beside it that is whole. */
export function journalFileMissing(where: JournalPlace, rule: string): JournalError {
  return corrupt({ ...where, rule }, 'put this file back from a backup or the archive');
}

function corrupt(damage: JournalDamage, remedy: string, cause?: unknown): JournalError {
  const { file, sequence, shard, rule } = damage;
  const place = shard === undefined ? file : `shard-${String(shard).padStart(3, '0')}/${file}`;
  return new JournalError(
    'JOURNAL_CORRUPT',
    `The journal is damaged: ${place}, sequence ${sequence}: ${rule}. Nothing was changed. ` +
      `Keep a copy of the directory as it is, check its disk, and ${remedy}.`,
    cause,
    damage,
  );
}

/** A place in a file of which nothing is known but its path; the shard, where its directory is named as one. */
export function placeIn(path: string, sequence: number): JournalPlace {
  const digits = /shard-(\d{3})$/.exec(basename(dirname(path)))?.[1];
  const shard = digits === undefined ? {} : { shard: Number(digits) };
  return { file: basename(path), sequence, ...shard };
}

export function snapshotUnusable(path: string, rule: string, cause?: unknown): SnapshotError {
  return new SnapshotError(basename(path), rule, { cause });
}

export function isSegmentArchived(error: unknown): error is SegmentArchivedError {
  return error instanceof Error && 'code' in error && error.code === 'SEGMENT_ARCHIVED';
}
