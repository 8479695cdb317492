/** Thread entry of the reader of journals. */
import { workerData } from 'node:worker_threads';
import { runQueryThread, type QueryThreadOptions } from './query-thread.ts';

runQueryThread(workerData as QueryThreadOptions);
