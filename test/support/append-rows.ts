/** Run as a worker: appends so many rows to a journal, and leaves it open, as a kill would. */
import { workerData } from 'node:worker_threads';
import { SqliteJournal, type SqliteJournalOptions } from '../../persistence/sqlite-journal.ts';
import { fill } from './journal-place.ts';

const { options, rows } = workerData as { options: SqliteJournalOptions; rows: number };
fill(SqliteJournal.open(options), rows);
