/** Whether rows are what they were when they were written, without executing them: checksums, the chain, density, and the form of each frame. */
import { Group } from '../engine/group.ts';
import { journalCorrupt } from '../persistence/errors.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import type { ViewedSegment } from '../persistence/journal-view.ts';
import { fileOf } from './shard-replay.ts';

/** Returns the last row, `first - 1` when there is none. Throws JOURNAL_CORRUPT. */
export function checkRows(
  journal: JournalReader,
  view: readonly ViewedSegment[],
  { first, last }: { readonly first: number; readonly last: number },
): number {
  const group = new Group();
  let end = first - 1;
  for (const { sequence, frame } of journal.rows(first, last)) {
    const defect = group.load(frame, sequence);
    if (defect !== null) {
      const where = { file: fileOf(view, sequence), sequence, shard: journal.shard };
      throw journalCorrupt(where, defect);
    }
    end = sequence;
  }
  return end;
}
