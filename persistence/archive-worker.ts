/** Entry of the thread that moves segments to the archive; everything it does is in `archive-thread.ts`. */
import { workerData } from 'node:worker_threads';
import { shortenNearImports } from '../lib/near-imports.ts';
import type { runArchiveThread as Run } from './archive-thread.ts';

// All else is loaded behind it.
shortenNearImports();
const { runArchiveThread } = await import('./archive-thread.ts');

runArchiveThread(workerData as Parameters<typeof Run>[0]);
