/** A thread that owns a journal, hands rows to a thread beside, and never ends by itself: for a test of what happens when it is ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { SqliteJournal, type SqliteJournalOptions } from '../../persistence/sqlite-journal.ts';
import { frameOf } from './journal-place.ts';

const journal = SqliteJournal.open(workerData as SqliteJournalOptions);
for (let sequence = 1; ; sequence++) {
  journal.submit({ sequence, timestamp: BigInt(sequence), frame: frameOf(sequence) });
  if (sequence === 4) parentPort!.postMessage('under way', []);
  journal.settle(true);
}
