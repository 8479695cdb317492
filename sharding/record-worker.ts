/** Thread entry of the reader of transfer records. */
import { workerData } from 'node:worker_threads';
import { shortenNearImports } from '../lib/near-imports.ts';
import type { RecordThreadOptions } from './record-thread.ts';

// All else is loaded behind it.
shortenNearImports();
const { runRecordThread } = await import('./record-thread.ts');

runRecordThread(workerData as RecordThreadOptions);
