/** Thread entry of the reader of journals. */
import { workerData } from 'node:worker_threads';
import { shortenNearImports } from '../lib/near-imports.ts';
import { lowerThreadPriority } from '../lib/thread-priority.ts';
import type { QueryThreadOptions } from './query-thread.ts';

/**
 * Of priority, so that where cores are fewer than threads the actors go first. A tenth of an actor's share is left then, which is what readers may
 * cost a load; 5 steps leave a third (docs/benchmarks.md).
 */
const STEPS_BACK = 10;

// Before all else is loaded, beside actors that may need the processor.
lowerThreadPriority(STEPS_BACK);
shortenNearImports();
const { runQueryThread } = await import('./query-port.ts');

runQueryThread(workerData as QueryThreadOptions);
