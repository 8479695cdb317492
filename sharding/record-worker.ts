/** Thread entry of the reader of transfer records. */
import { workerData } from 'node:worker_threads';
import { runRecordThread, type RecordThreadOptions } from './record-thread.ts';

runRecordThread(workerData as RecordThreadOptions);
