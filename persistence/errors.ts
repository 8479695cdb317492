/** What this directory throws. Recognise both by `code`: classes do not survive the way from one thread to another. */

import { basename } from 'node:path';

/** Why one snapshot cannot be used. The journal says the same, so whoever looks for a snapshot goes on to the next. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  readonly code = 'SNAPSHOT_UNUSABLE';
}

export type JournalErrorCode = 'JOURNAL_WRITE_FAILED' | 'JOURNAL_CORRUPT';

/** Where a journal is damaged first, and what is wrong there. */
export interface JournalDamage {
  readonly file: string;
  readonly sequence: number;
  readonly rule: string;
}

/**
 * JOURNAL_WRITE_FAILED: the outcome of an append is unknown; the journal instance refuses everything from then on.
 * JOURNAL_CORRUPT: a row or a segment is missing, altered, or somebody else's; the message names the file, the sequence, and the rule.
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

/** Exit codes of the process: 3, the data is damaged; 4, in use, or not what was asked for. */
const EXIT_CODES = {
  DATA_DAMAGED: 3,
  DATA_OTHER_VERSION: 3,
  DATA_FOREIGN: 3,
  DATA_IN_USE: 4,
  DATA_OTHER_SHARDS: 4,
  DATA_MISSING: 4,
} as const;
export type DataDirectoryErrorCode = keyof typeof EXIT_CODES;

/** Why a data directory is refused; nothing in it was changed. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
  readonly code: DataDirectoryErrorCode;
  readonly exitCode: 3 | 4;

  constructor(code: DataDirectoryErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.exitCode = EXIT_CODES[code];
  }
}

/** The one wording of a damaged journal: where, which rule, and what to do. */
export function journalCorrupt(
  where: { readonly file: string; readonly sequence: number },
  rule: string,
  cause?: unknown,
): JournalError {
  return new JournalError(
    'JOURNAL_CORRUPT',
    `The journal is damaged: ${where.file}, sequence ${where.sequence}: ${rule}. Nothing was changed. ` +
      `Keep a copy of the directory as it is, check its disk, and put back a copy of this file that is whole.`,
    cause,
    { ...where, rule },
  );
}

export function snapshotUnusable(file: string, rule: string, cause?: unknown): SnapshotError {
  return new SnapshotError(
    `${basename(file)}: ${rule}`,
    cause === undefined ? undefined : { cause },
  );
}
