import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, getPriority } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import {
  fill,
  FRAME_BYTES,
  place,
  SEGMENT_BYTES,
  sequences,
  upTo,
  walBytes,
} from '../test/support/journal-place.ts';
import { rowChecksum } from './checksum-chain.ts';
import { LiveCheckpoint } from './live-checkpoint.ts';
import { SegmentSealer } from './segment-sealer.ts';
import { LiveSegment, PREPARED_NAME, spentWalOf } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';

/** The thread of a sealer, by the priority that it has beside this one; undefined while there is none. */
function stepsBack(): number | undefined {
  const tasks = '/proc/self/task';
  const isSealer = (id: string): boolean =>
    readFileSync(join(tasks, id, 'comm'), 'utf8').startsWith('segment-sealer');
  const id = readdirSync(tasks).find(isSealer);
  return id === undefined ? undefined : getPriority(Number(id)) - getPriority(process.pid);
}

describe('sealing', () => {
  test.runIf(existsSync('/proc/self/task')).each([
    { shards: availableParallelism(), steps: 5 },
    { shards: availableParallelism() - 1, steps: 0 },
  ])(
    'where $shards shards run on the cores of this machine, the thread goes $steps steps back',
    async ({ shards, steps }) => {
      using at = place();
      const sealer = new SegmentSealer(undefined, shards);
      using journal = SqliteJournal.open({ ...at.options, sealer: sealer.connect() });
      fill(journal, 4);
      await expect.poll(() => walBytes(at.path(1)), { timeout: 10_000 }).toBe(0);
      expect(stepsBack()).toBe(steps);
      journal.close();
      await sealer.stop();
    },
  );

  test('the sealer prepares the next ones and empties the WAL of the full ones', async () => {
    using at = place();
    const problems: string[] = [];
    const sealer = new SegmentSealer((problem) => problems.push(problem));
    using journal = SqliteJournal.open({ ...at.options, sealer: sealer.connect() });
    fill(journal, 4);
    await expect.poll(() => walBytes(at.path(1)), { timeout: 10_000 }).toBe(0);
    // From here on it works beside the journal.
    fill(journal, 33);
    expect(at.firsts()).toHaveLength(11);
    expect(sequences(journal)).toEqual(upTo(33));
    await sealer.stop();
    for (const first of at.firsts().slice(0, -1)) expect(walBytes(at.path(first))).toBe(0);
    expect(existsSync(join(at.options.directory, PREPARED_NAME))).toBe(true);
    // The sealer is gone: the journal goes on by itself.
    fill(journal, 60);
    journal.close();
    expect(problems).toEqual([]);
    for (const first of at.firsts()) expect(walBytes(at.path(first))).toBe(0);
    using again = SqliteJournal.open(at.options);
    expect(sequences(again)).toEqual(upTo(60));
  });

  test.runIf(existsSync('/proc/self/fd'))('leaves no file of a segment open', async () => {
    using at = place();
    const sealer = new SegmentSealer();
    const options = { ...at.options, segmentBytesMax: 50 * SEGMENT_BYTES };
    using journal = SqliteJournal.open({ ...options, sealer: sealer.connect() });
    fill(journal, 60);
    // Of the live segment: two of the journal's, and three and more of who moves its WAL.
    await expect.poll(() => openFiles(at.path(1)), { timeout: 10_000 }).toBeGreaterThan(3);
    fill(journal, 150);
    expect(at.firsts().length).toBeGreaterThan(1);
    await expect.poll(() => openFiles(at.path(1)), { timeout: 10_000 }).toBe(0);
    journal.close();
    await sealer.stop();
    expect(at.firsts().map((first) => openFiles(at.path(first)))).toEqual(at.firsts().map(() => 0));
  });

  test('the next life of a shard has its last segment sealed, also while the port of the life before is open', async () => {
    using at = place();
    const problems: string[] = [];
    const sealer = new SegmentSealer((problem) => problems.push(problem));
    const options = { ...at.options, segmentBytesMax: 50 * SEGMENT_BYTES };
    const before = SqliteJournal.open({ ...options, sealer: sealer.connect() });
    // Enough for a part of the live WAL to be moved.
    fill(before, 60);
    await expect
      .poll(() => statSync(at.path(1)).size, { timeout: 10_000 })
      .toBeGreaterThan(20 * FRAME_BYTES);
    using next = SqliteJournal.open({ ...options, sealer: sealer.connect() });
    await expect.poll(() => walBytes(at.path(1)), { timeout: 4000 }).toBe(0);
    expect(problems).toEqual([]);
    expect(sequences(next)).toEqual(upTo(60));
    before.close();
    next.close();
    await sealer.stop();
    expect(problems).toEqual([]);
  });

  test('what a failed fsync has left in the WAL is no row for a later start', () => {
    using at = place();
    using twinPlace = place();
    const { directory } = at.options;
    // A sealer that does not come to it.
    const port = (): MessagePort => {
      const { port1, port2 } = new MessageChannel();
      for (const one of [port1, port2]) one.unref();
      return port2;
    };
    const journal = SqliteJournal.open({ ...at.options, sealer: port() });
    fill(journal, 1);
    const wal = `${at.path(1)}-wal`;
    const published = statSync(wal).size;
    // The frames of a commit of row 2, as they are before anybody is told of it.
    for (const suffix of ['', '-wal']) {
      copyFileSync(at.path(1) + suffix, twinPlace.path(1) + suffix);
    }
    const twin = LiveSegment.open(twinPlace.path(1));
    const row = { sequence: 2, timestamp: 2n, frame: new Uint8Array(FRAME_BYTES).fill(9) };
    twin.append(row, rowChecksum(journal.checksum(1), row));
    const unknown = readFileSync(`${twinPlace.path(1)}-wal`).subarray(published);
    twin.close();
    using live = new LiveCheckpoint(at.path(1));
    live.step();
    appendFileSync(wal, unknown);
    journal.close();
    using again = SqliteJournal.open({ ...at.options, sealer: port() });
    expect(again.lastSequence).toBe(1);
    expect(statSync(wal).size).toBe(published);
    fill(again, 2);
    // A kill: the files as they are, without what was in shared memory.
    using crashed = place();
    cpSync(directory, crashed.options.directory, { recursive: true });
    for (const name of readdirSync(crashed.options.directory)) {
      if (name.endsWith('-shm')) rmSync(join(crashed.options.directory, name));
    }
    using third = SqliteJournal.open(crashed.options);
    expect(sequences(third)).toEqual(upTo(2));
  });

  test('what a crash has left of a WAL that was being removed goes away with the next opening', () => {
    using at = place();
    {
      using journal = SqliteJournal.open(at.options);
      fill(journal, 2);
    }
    const spent = spentWalOf(at.path(1));
    writeFileSync(spent, 'a part of a WAL');
    using again = SqliteJournal.open(at.options);
    expect(existsSync(spent)).toBe(false);
    expect(sequences(again)).toEqual(upTo(2));
  });

  test('one sealer serves several shards, opened one after the other over the same directory too', async () => {
    using a = place();
    using b = place();
    const sealer = new SegmentSealer();
    for (const last of [10, 20]) {
      using one = SqliteJournal.open({ ...a.options, sealer: sealer.connect() });
      using other = SqliteJournal.open({ ...b.options, sealer: sealer.connect() });
      fill(one, last - 5);
      fill(other, last - 5);
      await expect
        .poll(() => walBytes(a.path(1)) + walBytes(b.path(1)), { timeout: 10_000 })
        .toBe(0);
      fill(one, last);
      fill(other, last);
    }
    await sealer.stop();
    for (const at of [a, b]) {
      using journal = SqliteJournal.open(at.options);
      expect(sequences(journal)).toEqual(upTo(20));
    }
  });
});

/** How often this process has a file open. */
function openFiles(path: string): number {
  const links = readdirSync('/proc/self/fd').map((file) => {
    try {
      return readlinkSync(`/proc/self/fd/${file}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link === path).length;
}
