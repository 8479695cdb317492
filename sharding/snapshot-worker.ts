/** Entry of the thread that writes snapshots; everything it does is in `snapshot-thread.ts`. */
import { runSnapshotThread } from './snapshot-thread.ts';

runSnapshotThread();
