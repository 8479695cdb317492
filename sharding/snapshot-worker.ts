/** Entry of the thread that writes snapshots; everything it does is in `snapshot-thread.ts`. */
import { shortenNearImports } from '../lib/near-imports.ts';

// All else is loaded behind it.
shortenNearImports();
const { runSnapshotThread } = await import('./snapshot-thread.ts');

runSnapshotThread();
