/** Entry of the thread that moves segments to the archive; everything it does is in `archive-thread.ts`. */
import { workerData } from 'node:worker_threads';
import { runArchiveThread } from './archive-thread.ts';

runArchiveThread(workerData as Parameters<typeof runArchiveThread>[0]);
