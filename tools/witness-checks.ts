/** What the head witness says against the journals that were captured: that rows are gone from the end of one, or that they are others. */
import { DataDirectoryError, JournalError } from '../persistence/errors.ts';
import { checkHead, newestHead } from '../persistence/head-witness.ts';
import type { Capture } from './capture.ts';
import { fileOf } from './shard-replay.ts';
import type { ShardDamage } from './shard-task.ts';

/**
 * Undefined when nothing is said against a shard, or its journal cannot be read so far: who executes it finds out why. It may be asked of a directory
 * that a process is writing: the witness was read before the journals, and is never ahead of a commit, and rows that came since say nothing against it.
 */
export function witnessDamage(
  subject: Pick<Capture, 'shards' | 'journal' | 'witness'>,
  shard: number,
): ShardDamage | undefined {
  const captured = subject.shards[shard]!;
  if (captured.last === undefined) return undefined;
  using journal = subject.journal(shard, captured);
  const lastSequence = journal.lastSequence();
  try {
    checkHead(newestHead(subject.witness, shard), { shard, lastSequence }, (sequence) =>
      journal.checksum(sequence),
    );
    return undefined;
  } catch (error: unknown) {
    if (error instanceof JournalError && error.code !== 'NO_ROOM_TO_READ') return undefined;
    if (!(error instanceof DataDirectoryError)) throw error;
    const file = fileOf(captured.view, lastSequence);
    return { shard, sequence: lastSequence, file, rule: error.message };
  }
}
