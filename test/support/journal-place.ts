/** Journals of one shard in directories that go away again, with a few rows to a segment; for tests of segments and of what seals them. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Journal } from '../../persistence/journal.ts';
import { segmentName, segmentsAmong } from '../../persistence/segment.ts';
import { SqliteJournal, type SqliteJournalOptions } from '../../persistence/sqlite-journal.ts';

export const FRAME_BYTES = 200_000;
/** Three rows of such a size to a segment. */
export const SEGMENT_BYTES = 500_000;

export interface Place extends Disposable {
  readonly options: SqliteJournalOptions;
  path(firstSequence: number): string;
  firsts(): number[];
}

export function place(): Place {
  const directory = mkdtempSync(join(tmpdir(), 'sycee-segments-'));
  return {
    options: {
      directory,
      clusterId: 'a'.repeat(32),
      shard: 0,
      shards: 1,
      segmentBytesMax: SEGMENT_BYTES,
    },
    path: (firstSequence) => join(directory, segmentName(firstSequence)),
    firsts: () => segmentsAmong(readdirSync(directory)),
    [Symbol.dispose]: () => {
      rmSync(directory, { recursive: true, force: true });
      rmSync(`${directory}.head`, { force: true });
    },
  };
}

export function frameOf(sequence: number): Uint8Array {
  return new Uint8Array(FRAME_BYTES).fill(sequence & 0xff);
}

export function fill(journal: Journal, last: number): void {
  for (let sequence = journal.lastSequence + 1; sequence <= last; sequence++) {
    journal.append({ sequence, timestamp: BigInt(sequence), frame: frameOf(sequence) });
  }
}

export function sequences(journal: {
  rows(first: number): Iterable<{ sequence: number }>;
}): number[] {
  return [...journal.rows(1)].map((row) => row.sequence);
}

export function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

export function fillAndClose(at: Place, last: number): void {
  using journal = SqliteJournal.open(at.options);
  fill(journal, last);
}

export function walBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
