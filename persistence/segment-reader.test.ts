import { copyFileSync, existsSync, statSync, truncateSync } from 'node:fs';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { fill, place, sequences } from '../test/support/journal-place.ts';
import { SegmentReader } from './segment-reader.ts';
import { SqliteJournal } from './sqlite-journal.ts';

test('a segment whose making a kill has cut off is not there for a reader, and is made anew at a start', () => {
  using made = place();
  using killed = place();
  // As a file is before it is in WAL mode: a page was written, and what it was before is in the rollback journal.
  const connection = new Database(made.path(1));
  connection.pragma('page_size = 8192');
  connection.exec('CREATE TABLE early (page BLOB)');
  connection.pragma('cache_size = 1');
  connection.exec('BEGIN');
  for (let i = 0; i < 20; i++) connection.exec('INSERT INTO early VALUES (zeroblob(9000))');
  for (const suffix of ['', '-journal']) {
    copyFileSync(made.path(1) + suffix, killed.path(1) + suffix);
  }
  connection.exec('ROLLBACK');
  connection.close();
  const { clusterId, shard, shards } = killed.options;
  const identity = { clusterId, shard, shards };
  expect(SegmentReader.open(killed.path(1), 1, identity)).toBeUndefined();
  // With so many pages it is no segment in the making: it is not taken away.
  const { size } = statSync(killed.path(1));
  expect(() => SqliteJournal.open(killed.options)).toThrow('readonly');
  expect([statSync(killed.path(1)).size, existsSync(`${killed.path(1)}-journal`)]).toEqual([
    size,
    true,
  ]);
  truncateSync(killed.path(1), 8192);
  using journal = SqliteJournal.open(killed.options);
  fill(journal, 3);
  expect(sequences(journal)).toEqual([1, 2, 3]);
});
