/** Appends beside the owner's thread, where that shows: segments, bells, ends. What every journal does is in journal-contract.test.ts. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Doorbell, DOORBELL_BYTES } from '../lib/doorbell.ts';
import {
  fill,
  FRAME_BYTES,
  frameOf,
  place,
  sequences,
  upTo,
  walBytes,
} from '../test/support/journal-place.ts';
import { openForWriting } from './database.ts';
import { JournalReader } from './journal-reader.ts';
import { SegmentSealer } from './segment-sealer.ts';
import { type AppendBeside, SqliteJournal } from './sqlite-journal.ts';

const newBell = () => ({ buffer: new SharedArrayBuffer(DOORBELL_BYTES), offset: 0 });

function beside(rest: Partial<AppendBeside> = {}): AppendBeside {
  return { bell: newBell(), bytesMin: FRAME_BYTES, rowsBefore: 0, isAwaited: true, ...rest };
}

test('the owner is free until the row is durable, and its doorbell rings then', () => {
  using at = place();
  const bell = newBell();
  const doorbell = new Doorbell(bell.buffer);
  using journal = SqliteJournal.open({ ...at.options, beside: beside({ bell }) });
  using reader = JournalReader.open(at.options);
  for (let sequence = 1; sequence <= 10; sequence++) {
    const seen = doorbell.seen();
    journal.submit({ sequence, timestamp: 1n, frame: frameOf(sequence) });
    expect(journal.lastSequence).toBe(sequence - 1);
    while (!journal.settle(false)) expect(doorbell.wait(seen, 60_000)).toBe(true);
    expect(reader.lastSequence()).toBe(sequence);
  }
});

test.each([{ isSealed: false }, { isSealed: true }])(
  'large rows go beside and small ones do not, over changes of segments; sealed: $isSealed',
  async ({ isSealed }) => {
    using at = place();
    const problems: string[] = [];
    const sealer = new SegmentSealer((problem) => problems.push(problem));
    const options = { ...at.options, beside: beside() };
    const journal = SqliteJournal.open({
      ...options,
      sealer: isSealed ? sealer.connect() : undefined,
    });
    for (let sequence = 1; sequence <= 60; sequence++) {
      const frame = new Uint8Array(sequence % 7 < 4 ? FRAME_BYTES : 1000).fill(sequence);
      journal.submit({ sequence, timestamp: BigInt(sequence), frame });
      // The sealer hears of a segment only when the event loop turns.
      if (sequence % 5 === 0) await new Promise(setImmediate);
      expect(journal.settle(true)).toBe(true);
    }
    expect(sequences(journal)).toEqual(upTo(60));
    const firsts = at.firsts();
    expect(firsts.length).toBeGreaterThan(5);
    journal.close();
    await sealer.stop();
    expect(problems).toEqual([]);
    for (const first of firsts) expect(walBytes(at.path(first))).toBe(0);
    using again = SqliteJournal.open(options);
    for (const { sequence, frame } of again.rows(1)) expect(frame[0]).toBe(sequence);
    fill(again, 64);
    expect(sequences(again)).toEqual(upTo(64));
  },
);

test('without a thread that is there in time this one appends by itself', () => {
  using at = place();
  const options = { ...at.options, beside: beside({ isAwaited: false, rowsBefore: 3 }) };
  using journal = SqliteJournal.open(options);
  for (let sequence = 1; sequence <= 4; sequence++) {
    journal.submit({ sequence, timestamp: 1n, frame: frameOf(sequence) });
    expect(journal.settle(false)).toBe(true);
  }
});

test('a journal may be closed before the thread is there', () => {
  using at = place();
  const options = { ...at.options, beside: beside({ isAwaited: false }) };
  for (let last = 1; last <= 3; last++) {
    using journal = SqliteJournal.open(options);
    fill(journal, last);
  }
  using again = SqliteJournal.open(options);
  expect(sequences(again)).toEqual(upTo(3));
});

test('a failure is told with the code that SQLite gave, and nothing is taken after it', () => {
  using at = place();
  using journal = SqliteJournal.open({ ...at.options, beside: beside() });
  fill(journal, 1);
  const connection = openForWriting(at.path(1));
  connection.exec(
    "CREATE TRIGGER full_disk AFTER INSERT ON journal_row BEGIN SELECT raise(ABORT, 'disk'); END",
  );
  connection.close();
  journal.submit({ sequence: 2, timestamp: 1n, frame: frameOf(2) });
  expect(() => journal.settle(true)).toThrow(
    expect.objectContaining({
      code: 'JOURNAL_WRITE_FAILED',
      message: expect.stringContaining('disk') as string,
      cause: expect.objectContaining({ code: 'SQLITE_CONSTRAINT_TRIGGER' }) as Error,
    }) as Error,
  );
  expect(() => journal.settle(false)).toThrow('An earlier append failed');
});

test('a row that is under way at the end is there afterwards', () => {
  using at = place();
  const options = { ...at.options, beside: beside() };
  const journal = SqliteJournal.open(options);
  fill(journal, 2);
  journal.submit({ sequence: 3, timestamp: 1n, frame: frameOf(3) });
  journal.close();
  using again = SqliteJournal.open(options);
  expect(sequences(again)).toEqual(upTo(3));
});

test('nothing is appended any more when the end of the owner is told', async () => {
  for (let round = 0; round < 5; round++) {
    using at = place();
    const entry = new URL('../test/support/appending-owner.ts', import.meta.url);
    const owner = new Worker(entry, { workerData: { ...at.options, beside: beside() } });
    const exited = once(owner, 'exit');
    await once(owner, 'message');
    await owner.terminate();
    await exited;
    using journal = SqliteJournal.open(at.options);
    const { lastSequence } = journal;
    expect(lastSequence).toBeGreaterThanOrEqual(3);
    await new Promise((resolve) => setTimeout(resolve, 20));
    using reader = JournalReader.open(at.options);
    expect(reader.lastSequence()).toBe(lastSequence);
    fill(journal, lastSequence + 3);
    expect(sequences(journal)).toEqual(upTo(lastSequence + 3));
  }
});
