/**
 * Copies rows of a journal into a segment of their own: of a live segment, of one that is not sealed, or up to a row in the middle. The rows are
 * checked as they are read. Under another name first, and renamed when it is whole and synced.
 */
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { assert } from '../engine/assert.ts';
import { type JournalIdentity, rowChecksum } from './checksum-chain.ts';
import { fsyncDirectory, fsyncPath, removeDatabase } from './database.ts';
import { type FileSum, sumOf } from './file-copy.ts';
import type { JournalReader } from './journal-reader.ts';
import type { JournalRow } from './journal.ts';
import { LiveSegment } from './segment.ts';

/** Of rows in one transaction: it is held in memory as a whole. */
const TRANSACTION_BYTES = 16 << 20;

export interface RowSpan {
  readonly first: number;
  readonly last: number;
}

/** Durable when it returns. */
export function copyRows(
  journal: JournalReader,
  identity: JournalIdentity,
  { first, last }: RowSpan,
  path: string,
): FileSum {
  assert(first <= last, 'a segment has a row');
  const unfinished = `${path}.unfinished`;
  removeDatabase(unfinished);
  let checksum = journal.checksum(first - 1);
  const { clusterId, shard, shards } = identity;
  const meta = { clusterId, shard, shards, firstSequence: first, previousChecksum: checksum };
  const segment = LiveSegment.create(unfinished, meta);
  try {
    let rows: (JournalRow & { checksum: number })[] = [];
    let bytes = 0;
    for (const row of journal.rows(first)) {
      checksum = rowChecksum(checksum, row);
      rows.push({ ...row, checksum });
      bytes += row.frame.byteLength;
      if (bytes >= TRANSACTION_BYTES || row.sequence === last) {
        segment.appendAll(rows);
        rows = [];
        bytes = 0;
      }
      if (row.sequence === last) break;
    }
    assert(rows.length === 0, 'the journal goes on up to the last row that is copied');
    segment.finishCopy();
  } catch (error: unknown) {
    segment.close();
    throw error;
  }
  fsyncPath(unfinished, 'r+');
  renameSync(unfinished, path);
  fsyncDirectory(dirname(path));
  return sumOf(path, 'as it is');
}
