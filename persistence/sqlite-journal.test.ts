import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  fill,
  fillAndClose,
  FRAME_BYTES,
  frameOf,
  place,
  sequences,
  upTo,
  walBytes,
} from '../test/support/journal-place.ts';
import { openForWriting, removeDatabase } from './database.ts';
import { HeadWitness, makeWitness, newestHead, readWitness, resetWitness } from './head-witness.ts';
import { JournalReader } from './journal-reader.ts';
import { createEmptySegment, PREPARED_NAME, segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';

function corrupt(message: RegExp): Error {
  return expect.objectContaining({
    code: 'JOURNAL_CORRUPT',
    message: expect.stringMatching(message) as string,
  }) as Error;
}

describe('durability', () => {
  test('every commit is synced: synchronous reads back as FULL', () => {
    using at = place();
    using journal = SqliteJournal.open(at.options);
    expect(journal.synchronous()).toBe(2);
  });

  test('rows of a killed process are there, its WAL included', () => {
    using at = place();
    const script = `
      const { SqliteJournal } = await import(${JSON.stringify(new URL('./sqlite-journal.ts', import.meta.url).href)});
      const journal = SqliteJournal.open(${JSON.stringify(at.options)});
      for (let sequence = 1; sequence <= 8; sequence++) {
        journal.append({ sequence, timestamp: BigInt(sequence), frame: new Uint8Array(${FRAME_BYTES}).fill(sequence) });
      }
      process.kill(process.pid, 'SIGKILL');`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(String(child.stderr)).toBe('');
    expect(child.signal).toBe('SIGKILL');
    expect(walBytes(at.path(at.firsts().at(-1)!))).toBeGreaterThan(FRAME_BYTES);
    using journal = SqliteJournal.open(at.options);
    expect(journal.lastSequence).toBe(8);
    fill(journal, 9);
    expect(sequences(journal)).toEqual(upTo(9));
  });
});

describe('segments', () => {
  test('a full one is followed by the next, and all are read as one journal', () => {
    using at = place();
    using journal = SqliteJournal.open(at.options);
    fill(journal, 10);
    expect(at.firsts()).toEqual([1, 4, 7, 10]);
    expect(sequences(journal)).toEqual(upTo(10));
    for (const sequence of [1, 3, 4, 9, 10]) {
      expect(journal.read(sequence)[0]).toBe(sequence);
    }
    expect(walBytes(at.path(1))).toBe(0);
  });

  test('a reader of another connection sees each row once it is durable, over a change of segments', () => {
    using at = place();
    using journal = SqliteJournal.open(at.options);
    using reader = JournalReader.open(at.options);
    expect(reader.lastSequence()).toBe(0);
    for (let last = 1; last <= 8; last++) {
      fill(journal, last);
      expect(reader.read(last)[0]).toBe(last);
      expect(reader.lastSequence()).toBe(last);
    }
    expect(sequences(reader)).toEqual(upTo(8));
  });

  test('reading goes on where it was while rows are appended', () => {
    using at = place();
    using journal = SqliteJournal.open(at.options);
    fill(journal, 2);
    const seen: number[] = [];
    for (const row of journal.rows(2)) {
      seen.push(row.sequence);
      if (row.sequence < 9) fill(journal, row.sequence + 1);
    }
    expect(seen).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('reading ends with the last row that is wanted, small rows and large ones, over a change of segments', () => {
    using at = place();
    using journal = SqliteJournal.open(at.options);
    for (let sequence = 1; sequence <= 60; sequence++) {
      const frame = new Uint8Array(sequence % 20 < 3 ? FRAME_BYTES : 10).fill(sequence);
      journal.append({ sequence, timestamp: BigInt(sequence), frame });
    }
    expect(at.firsts().length).toBeGreaterThan(2);
    using reader = JournalReader.open(at.options);
    for (let first = 1; first <= 60; first++) {
      for (const last of [first, first + 1, first + 17, 60]) {
        const read = [...reader.rows(first, last)];
        const wanted = Array.from({ length: Math.min(last, 60) - first + 1 }, (_, i) => first + i);
        expect(read.map((row) => row.sequence)).toEqual(wanted);
        expect(read.every(({ sequence, frame }) => frame[0] === sequence)).toBe(true);
      }
      expect([...reader.rows(first, first - 1)]).toEqual([]);
    }
  });

  test('more segments than may be open at once are read in any order', () => {
    using at = place();
    fillAndClose(at, 60);
    using journal = SqliteJournal.open(at.options);
    for (let step = 0; step < 60; step++) {
      const sequence = ((step * 37) % 60) + 1;
      expect(journal.read(sequence)[0]).toBe(sequence);
    }
  });
});

describe('what a crash leaves', () => {
  test.each([
    { left: 'an empty file', make: (path: string) => writeFileSync(path, '') },
    { left: 'a segment without rows or meta', make: createEmptySegment },
  ])('$left under the next name is cleaned away', ({ make }) => {
    using at = place();
    fillAndClose(at, 3);
    make(at.path(4));
    using journal = SqliteJournal.open(at.options);
    fill(journal, 7);
    expect(at.firsts().slice(0, 2)).toEqual([1, 4]);
    expect(sequences(journal)).toEqual(upTo(7));
  });

  test('what an earlier life wrote is sealed, and the new one begins a segment of its own', () => {
    using at = place();
    fillAndClose(at, 3);
    fillAndClose(at, 5);
    using journal = SqliteJournal.open(at.options);
    expect(at.firsts()).toEqual([1, 4, 6]);
    expect(walBytes(at.path(4))).toBe(0);
    expect(sequences(journal)).toEqual(upTo(5));
  });

  test('what is sealed is read without anything coming beside it', () => {
    using at = place();
    fillAndClose(at, 10);
    const names = (): string[] => readdirSync(at.options.directory);
    expect(names().filter((name) => /-(wal|shm)$/.test(name))).toEqual([]);
    using reader = JournalReader.open(at.options);
    reader.checkSegments();
    expect(sequences(reader)).toEqual(upTo(10));
    const last = segmentName(at.firsts().at(-1)!);
    expect(names().filter((name) => /-(wal|shm)$/.test(name) && !name.startsWith(last))).toEqual(
      [],
    );
  });

  test('a new segment with meta and without rows is gone on with', () => {
    using at = place();
    fillAndClose(at, 4);
    const connection = openForWriting(at.path(4));
    connection.exec('DELETE FROM journal_row');
    connection.close();
    using journal = SqliteJournal.open(at.options);
    expect(journal.lastSequence).toBe(3);
    fill(journal, 5);
    expect(at.firsts()).toEqual([1, 4]);
    expect(sequences(journal)).toEqual(upTo(5));
  });

  test('a prepared segment is taken, and one that is not whole is replaced', () => {
    using at = place();
    const prepared = join(at.options.directory, PREPARED_NAME);
    createEmptySegment(prepared);
    fillAndClose(at, 1);
    expect(existsSync(prepared)).toBe(false);
    writeFileSync(prepared, 'torn');
    using journal = SqliteJournal.open(at.options);
    fill(journal, 8);
    expect(existsSync(prepared)).toBe(false);
    expect(sequences(journal)).toEqual(upTo(8));
  });

  test('rows without meta are damage, and are not cleaned away', () => {
    using at = place();
    fillAndClose(at, 4);
    const connection = openForWriting(at.path(4));
    connection.exec('DELETE FROM meta');
    connection.close();
    expect(() => SqliteJournal.open(at.options)).toThrow(corrupt(/does not say whose they are/));
    expect(at.firsts()).toEqual([1, 4]);
  });

  test('an empty segment further on shows that rows before it got lost', () => {
    using at = place();
    fillAndClose(at, 3);
    createEmptySegment(at.path(6));
    expect(() => SqliteJournal.open(at.options)).toThrow(
      corrupt(
        /segment-000000000004\.sqlite, sequence 4: the rows 4 to 5 are missing: no file has them; segment-000000000004\.sqlite is not there, and segment-000000000001\.sqlite ends with row 3\./,
      ),
    );
    expect(at.firsts()).toEqual([1, 6]);
  });
});

describe('a journal that is held', () => {
  test('changes nothing before it begins, and leaves nothing when it is closed', () => {
    using at = place();
    fillAndClose(at, 5);
    createEmptySegment(at.path(6));
    const before = readdirSync(at.options.directory);
    {
      using journal = SqliteJournal.open({ ...at.options, isHeld: true });
      expect(sequences(journal)).toEqual(upTo(5));
      expect(at.firsts()).toEqual([1, 4, 6]);
    }
    expect(readdirSync(at.options.directory)).toEqual(before);
    using journal = SqliteJournal.open({ ...at.options, isHeld: true });
    fill(journal, 6);
    expect(at.firsts()).toEqual([1, 4, 6]);
    expect(sequences(journal)).toEqual(upTo(6));
  });

  test('is not opened behind its witness, and tells it of every row', () => {
    using at = place();
    const { clusterId, shard, shards, directory } = at.options;
    const identity = { clusterId, shards };
    makeWitness(directory, { ...identity, hasRows: false }, (line) => expect(line).toBe(''));
    const open = (): SqliteJournal =>
      SqliteJournal.open({
        ...at.options,
        isHeld: true,
        witness: new HeadWitness(directory, { ...identity, shard }),
      });
    const head = (): unknown => newestHead(readWitness(directory, identity), shard)?.sequence;
    {
      using journal = open();
      expect(head()).toBeUndefined();
      for (let last = 1; last <= 8; last++) {
        fill(journal, last);
        expect(head()).toBe(last);
      }
    }
    removeDatabase(at.path(7));
    expect(() => open()).toThrow(/ends with sequence 6, .* sequence 8 was committed/);
    resetWitness(directory);
    using journal = open();
    expect(journal.lastSequence).toBe(6);
  });
});

describe('damage', () => {
  test('a flipped byte of a frame in the file is detected, and the sequence named', () => {
    using at = place();
    fillAndClose(at, 8);
    const path = at.path(4);
    const content = readFileSync(path);
    // A whole overflow page: shorter runs also lie in pages that SQLite has left.
    const at5 = content.indexOf(Buffer.alloc(8188, 5));
    expect(at5).toBeGreaterThan(0);
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.of(content[at5]! ^ 0x10), 0, 1, at5 + 10);
    closeSync(file);
    using journal = SqliteJournal.open(at.options);
    const damaged = corrupt(/segment-000000000004\.sqlite, sequence 5: .*checksum/);
    expect(() => journal.read(5)).toThrow(damaged);
    expect(() => sequences(journal)).toThrow(damaged);
  });

  test('a destroyed header is damage', () => {
    using at = place();
    fillAndClose(at, 8);
    const file = openSync(at.path(4), 'r+');
    writeSync(file, Buffer.alloc(100, 0xff), 0, 100, 0);
    closeSync(file);
    expect(() => SqliteJournal.open(at.options)).toThrow(corrupt(/segment-000000000004/));
  });

  test.each([
    {
      missing: 1,
      message: /segment-000000000001\.sqlite, sequence 1: the rows 1 to 3 are missing/,
    },
    {
      missing: 4,
      message: /segment-000000000004\.sqlite, sequence 4: the rows 4 to 6 are missing/,
    },
  ])('the missing segment $missing is refused', ({ missing, message }) => {
    using at = place();
    fillAndClose(at, 8);
    removeDatabase(at.path(missing));
    expect(() => SqliteJournal.open(at.options)).toThrow(corrupt(message));
    // Who reads rows, and does not ask whether segments follow each other.
    using reader = JournalReader.open(at.options);
    expect(() => [...reader.rows(1)]).toThrow(corrupt(message));
    writeFileSync(`${at.path(missing)}-wal`, '');
    expect(() => SqliteJournal.open(at.options)).toThrow(corrupt(message));
  });

  test('a lost end of a segment in the middle is refused', () => {
    using at = place();
    fillAndClose(at, 8);
    const connection = openForWriting(at.path(4));
    connection.exec('DELETE FROM journal_row WHERE sequence = 6');
    connection.close();
    expect(() => SqliteJournal.open(at.options)).toThrow(corrupt(/the rows 6 to 6 .* missing/));
  });

  test('a segment from another run of the same shard is refused', () => {
    using at = place();
    using other = place();
    fillAndClose(at, 8);
    using journal = SqliteJournal.open(other.options);
    for (let sequence = 1; sequence <= 8; sequence++) {
      journal.append({ sequence, timestamp: 77n, frame: frameOf(sequence) });
    }
    journal.close();
    renameSync(other.path(4), at.path(4));
    expect(() => SqliteJournal.open(at.options)).toThrow(corrupt(/sequence 4: .*does not follow/));
  });

  test('a segment of another cluster, shard, or format is refused, and the file named', () => {
    for (const change of [
      "cluster_id = 'b'",
      'shard = 1',
      'shards = 2',
      'format = 1',
      'first_sequence = 5',
    ]) {
      using at = place();
      fillAndClose(at, 5);
      const connection = openForWriting(at.path(4));
      connection.exec(`UPDATE meta SET ${change}`);
      connection.close();
      expect(() => SqliteJournal.open(at.options)).toThrow(corrupt(/segment-000000000004\.sqlite/));
    }
  });

  test('a WAL without its segment is refused', () => {
    using at = place();
    fillAndClose(at, 2);
    writeFileSync(`${at.path(3)}-wal`, 'rows');
    expect(() => SqliteJournal.open(at.options)).toThrow(
      corrupt(
        /segment-000000000003\.sqlite, sequence 3: the rows from 3 on are missing: segment-000000000003\.sqlite is not there, though a -wal of it is/,
      ),
    );
  });
});
