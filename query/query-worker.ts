/** Thread entry of the reader of journals. */
import { workerData } from 'node:worker_threads';
import { shortenNearImports } from '../lib/near-imports.ts';
import type { QueryThreadOptions } from './query-thread.ts';

// All else is loaded behind it.
shortenNearImports();
const { runQueryThread } = await import('./query-port.ts');

runQueryThread(workerData as QueryThreadOptions);
