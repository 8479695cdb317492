/** Entry of the thread that writes snapshots; everything it does is in `snapshot-thread.ts`. */
import { shortenNearImports } from '../lib/near-imports.ts';
import { lowerThreadPriority } from '../lib/thread-priority.ts';

/** Of priority: where the thread has a core for itself it makes no difference. */
const STEPS_BACK = 10;

// Before all else is loaded, which takes a third of a second of a processor that the actors may need.
lowerThreadPriority(STEPS_BACK);
shortenNearImports();
const { runSnapshotThread } = await import('./snapshot-thread.ts');

runSnapshotThread();
