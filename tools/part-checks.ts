/** What verify checks of journals of which not all is here: that nothing is missing but what is archived, and rows that a replay passes over. */
import { ARCHIVED_NAME } from '../persistence/archived-segments.ts';
import { type JournalDamage, JournalError } from '../persistence/errors.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import type { ViewedSegment } from '../persistence/journal-view.ts';
import { type Capture, isFromArchive } from './capture.ts';
import { checkRows } from './row-checks.ts';
import type { ShardAnswer } from './shard-task.ts';

type Journals = Pick<Capture, 'shards' | 'journal'>;

/** The segments that are read in the directory itself. */
function ownView(journals: Journals, shard: number): readonly ViewedSegment[] {
  const own = journals.shards[shard]!;
  return own.view.filter((segment) => !isFromArchive(own, segment));
}

/**
 * First segments that are gone, and that `archived.json` does not list. A start refuses that, and a replay would not see it: it begins with a
 * snapshot, or with what was found in the archive.
 */
export function damagedBeginning(journals: Journals, shard: number): JournalDamage | undefined {
  const view = ownView(journals, shard).slice(0, 1);
  let journal: JournalReader | undefined;
  try {
    journal = journals.journal(shard, { ...journals.shards[shard]!, view });
    journal.checkBeginning();
    return undefined;
  } catch (error: unknown) {
    if (!(error instanceof JournalError) || error.damage === undefined) throw error;
    // A segment that cannot be opened is found by the replay, which looks at snapshots as well.
    if (journal === undefined && error.damage.file !== ARCHIVED_NAME) return undefined;
    return error.damage;
  } finally {
    journal?.close();
  }
}

/** The rows that are here and lie before the snapshot with which the replay began: they are checked without being executed. */
export function withRowsBefore(journals: Journals, answer: ShardAnswer): ShardAnswer {
  if (answer.type === 'damage' || answer.state.snapshot === null) return answer;
  const { shard, snapshot } = answer.state;
  const view = ownView(journals, shard);
  const [eldest] = view;
  if (eldest === undefined) return answer;
  try {
    using journal = journals.journal(shard, { ...journals.shards[shard]!, view });
    checkRows(journal, view, { first: eldest.first, last: snapshot });
    return answer;
  } catch (error: unknown) {
    if (!(error instanceof JournalError) || error.damage === undefined) throw error;
    const { passedOver, checks } = answer;
    return { type: 'damage', damage: { shard, ...error.damage }, passedOver, checks };
  }
}
