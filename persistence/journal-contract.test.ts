import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DOORBELL_BYTES } from '../lib/doorbell.ts';
import type { JournalIdentity } from './checksum-chain.ts';
import { openForWriting } from './database.ts';
import type { Journal } from './journal.ts';
import { MemoryJournal, type MemoryJournalStore } from './memory-journal.ts';
import { segmentName } from './segment.ts';
import { type AppendBeside, SqliteJournal } from './sqlite-journal.ts';

const identity: JournalIdentity = { clusterId: 'c'.repeat(32), shard: 1, shards: 3 };

/** One place where a journal is kept; `alter` and `lose` do what a bad disk does, while no instance is open. */
interface Subject extends Disposable {
  open(as?: JournalIdentity): Journal;
  alter(sequence: number): void;
  lose(sequence: number): void;
  /** An open journal of which the next append fails. */
  openFailing(): Journal;
}

function memorySubject(): Subject {
  const store: MemoryJournalStore = { rows: [] };
  return {
    open: (as = identity) => new MemoryJournal(as, store),
    alter: (sequence) => {
      store.rows[sequence - 1]!.frame[0]! ^= 1;
    },
    lose: (sequence) => {
      store.rows[sequence - 1] = undefined;
    },
    openFailing: () => {
      const journal = new MemoryJournal(identity, store);
      journal.failNextAppend('after-keeping');
      return journal;
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Everything is appended by a thread beside. */
function besideSubject(): Subject {
  const bell = { buffer: new SharedArrayBuffer(DOORBELL_BYTES), offset: 0 };
  return sqliteSubject({ bell, bytesMin: 0, rowsBefore: 0, isAwaited: true });
}

function sqliteSubject(beside?: AppendBeside): Subject {
  const directory = mkdtempSync(join(tmpdir(), 'sycee-journal-'));
  const change = (sql: string, sequence?: number): void => {
    const connection = openForWriting(join(directory, segmentName(1)));
    connection.prepare(sql).run(...(sequence === undefined ? [] : [sequence]));
    connection.close();
  };
  const open = (as = identity): SqliteJournal => SqliteJournal.open({ directory, ...as, beside });
  const damagedByte = "x'ff' || substr(frame, 2)";
  return {
    open,
    alter: (sequence) =>
      change(
        `UPDATE journal_row SET frame = CAST(${damagedByte} AS BLOB) WHERE sequence = ?`,
        sequence,
      ),
    lose: (sequence) => change('DELETE FROM journal_row WHERE sequence = ?', sequence),
    openFailing: () => {
      const journal = open();
      change(
        "CREATE TRIGGER full_disk AFTER INSERT ON journal_row BEGIN SELECT raise(ABORT, 'disk'); END",
      );
      return journal;
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function frameOf(sequence: number): Uint8Array {
  const frame = new Uint8Array(100 + sequence);
  frame.fill(sequence);
  return frame;
}

function fill(journal: Journal, last: number): void {
  for (let sequence = journal.lastSequence + 1; sequence <= last; sequence++) {
    journal.append({ sequence, timestamp: BigInt(sequence) * 1000n, frame: frameOf(sequence) });
  }
}

function summary(journal: Journal, first: number): [number, bigint, number, number][] {
  return [...journal.rows(first)].map((row) => [
    row.sequence,
    row.timestamp,
    row.frame.byteLength,
    row.frame[0]!,
  ]);
}

describe.each([
  { name: 'memory', make: memorySubject },
  { name: 'SQLite', make: () => sqliteSubject() },
  { name: 'SQLite (appended beside)', make: besideSubject },
])('the $name journal', ({ make }) => {
  test('begins empty', () => {
    using subject = make();
    using journal = subject.open();
    expect(journal.lastSequence).toBe(0);
    expect([...journal.rows(1)]).toEqual([]);
    expect(() => journal.read(1)).toThrow(
      expect.objectContaining({ code: 'JOURNAL_CORRUPT' }) as Error,
    );
  });

  test('gives back what was appended, by sequence and in order', () => {
    using subject = make();
    using journal = subject.open();
    fill(journal, 5);
    expect(journal.lastSequence).toBe(5);
    expect(Buffer.from(journal.read(3))).toEqual(Buffer.from(frameOf(3)));
    expect(summary(journal, 4)).toEqual([
      [4, 4000n, 104, 4],
      [5, 5000n, 105, 5],
    ]);
    expect(summary(journal, 1)).toHaveLength(5);
    expect(summary(journal, 6)).toEqual([]);
  });

  test('keeps every row when it is opened again, and goes on', () => {
    using subject = make();
    using first = subject.open();
    fill(first, 3);
    first.close();
    using second = subject.open();
    expect(second.lastSequence).toBe(3);
    fill(second, 6);
    expect(summary(second, 1).map(([sequence]) => sequence)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('does not keep the frame by reference', () => {
    using subject = make();
    using journal = subject.open();
    const frame = frameOf(1);
    journal.append({ sequence: 1, timestamp: 1n, frame });
    frame.fill(99);
    expect(journal.read(1)[0]).toBe(1);
    journal.read(1).fill(98);
    expect(journal.read(1)[0]).toBe(1);
  });

  test('keeps timestamps of all 64 bits, and frames that lie in shared memory', () => {
    using subject = make();
    using journal = subject.open();
    const frame = new Uint8Array(new SharedArrayBuffer(64), 8, 40).fill(7);
    journal.append({ sequence: 1, timestamp: 2n ** 64n - 1n, frame });
    journal.append({ sequence: 2, timestamp: 2n ** 53n + 1n, frame });
    expect(summary(journal, 1)).toEqual([
      [1, 2n ** 64n - 1n, 40, 7],
      [2, 2n ** 53n + 1n, 40, 7],
    ]);
  });

  test('refuses a sequence that is not the next one, and stays usable', () => {
    using subject = make();
    using journal = subject.open();
    fill(journal, 2);
    for (const sequence of [0, 1, 2, 4]) {
      const append = (): void => journal.append({ sequence, timestamp: 1n, frame: frameOf(1) });
      expect(append).toThrow('dense');
    }
    fill(journal, 3);
    expect(journal.lastSequence).toBe(3);
  });

  test('detects an altered row and names its sequence', () => {
    using subject = make();
    using journal = subject.open();
    fill(journal, 5);
    journal.close();
    subject.alter(4);
    using damaged = subject.open();
    expect(Buffer.from(damaged.read(3))).toEqual(Buffer.from(frameOf(3)));
    const corrupt = expect.objectContaining({
      code: 'JOURNAL_CORRUPT',
      message: expect.stringMatching(/sequence 4: the row does not match its checksum/) as string,
    }) as Error;
    expect(() => damaged.read(4)).toThrow(corrupt);
    expect(() => summary(damaged, 1)).toThrow(corrupt);
    expect(summary(damaged, 5)).toHaveLength(1);
  });

  test('detects a row that got lost in the middle and names its sequence', () => {
    using subject = make();
    using journal = subject.open();
    fill(journal, 5);
    journal.close();
    subject.lose(3);
    using damaged = subject.open();
    const corrupt = expect.objectContaining({
      code: 'JOURNAL_CORRUPT',
      message: expect.stringMatching(/sequence 3: the row is missing/) as string,
    }) as Error;
    expect(() => damaged.read(3)).toThrow(corrupt);
    expect(() => damaged.read(4)).toThrow(corrupt);
    expect(() => summary(damaged, 1)).toThrow(corrupt);
  });

  test.each([
    { ...identity, clusterId: 'd'.repeat(32) },
    { ...identity, shard: 2 },
    { ...identity, shards: 4 },
  ])('does not pass for the journal of %o', (other) => {
    using subject = make();
    using journal = subject.open();
    fill(journal, 2);
    journal.close();
    const readAll = (): void => {
      using wrong = subject.open(other);
      summary(wrong, 1);
    };
    expect(readAll).toThrow(expect.objectContaining({ code: 'JOURNAL_CORRUPT' }) as Error);
  });

  test('refuses everything after an append with an unknown outcome, until it is opened anew', () => {
    using subject = make();
    using journal = subject.openFailing();
    const failed = expect.objectContaining({ code: 'JOURNAL_WRITE_FAILED' }) as Error;
    expect(() => fill(journal, 1)).toThrow(failed);
    expect(() => fill(journal, 1)).toThrow(failed);
    expect(() => journal.read(1)).toThrow(failed);
    expect(() => summary(journal, 1)).toThrow(failed);
    journal.close();
    using again = subject.open();
    expect([0, 1]).toContain(again.lastSequence);
  });

  test('a row that was submitted counts when it is settled, and one is under way at a time', () => {
    using subject = make();
    using journal = subject.open();
    fill(journal, 1);
    expect(journal.settle(false)).toBe(true);
    journal.submit({ sequence: 2, timestamp: 2000n, frame: frameOf(2) });
    expect(journal.lastSequence).toBe(1);
    const second = (): void => journal.submit({ sequence: 3, timestamp: 3n, frame: frameOf(3) });
    expect(second).toThrow('one row is under way');
    expect(journal.settle(true)).toBe(true);
    expect(journal.lastSequence).toBe(2);
    fill(journal, 3);
    expect(summary(journal, 2)).toEqual([
      [2, 2000n, 102, 2],
      [3, 3000n, 103, 3],
    ]);
  });

  test('reading a row that is under way waits for it', () => {
    using subject = make();
    using journal = subject.open();
    journal.submit({ sequence: 1, timestamp: 1n, frame: frameOf(1) });
    expect(Buffer.from(journal.read(1))).toEqual(Buffer.from(frameOf(1)));
    expect(journal.settle(false)).toBe(true);
    expect(journal.lastSequence).toBe(1);
  });

  test('may be closed twice, and refuses to be used afterwards', () => {
    using subject = make();
    using journal = subject.open();
    journal.close();
    journal.close();
    expect(() => fill(journal, 1)).toThrow('open');
  });
});

describe('an injected failure of the memory journal', () => {
  test.each([
    { failure: 'before-keeping', kept: 1 },
    { failure: 'after-keeping', kept: 2 },
  ] as const)('$failure leaves $kept rows', ({ failure, kept }) => {
    const store: MemoryJournalStore = { rows: [] };
    const journal = new MemoryJournal(identity, store);
    fill(journal, 1);
    journal.failNextAppend(failure);
    expect(() => fill(journal, 2)).toThrow('Injected');
    expect(new MemoryJournal(identity, store).lastSequence).toBe(kept);
  });
});
