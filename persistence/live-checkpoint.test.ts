import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openForReading } from './database.ts';
import { LiveCheckpoint } from './live-checkpoint.ts';
import { LiveSegment, segmentName } from './segment.ts';

const FRAME_BYTES = 100_000;
const WAL_HEADER_BYTES = 32;

let directory: string;
let path: string;
let segment: LiveSegment;
let sequence: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sycee-live-'));
  path = join(directory, segmentName(1));
  const whose = { clusterId: 'a'.repeat(32), shard: 0, shards: 1 };
  segment = LiveSegment.create(path, { ...whose, firstSequence: 1, previousChecksum: 0 });
  sequence = 0;
});

afterEach(() => {
  segment.close();
  rmSync(directory, { recursive: true, force: true });
});

function append(rows: number): void {
  for (let i = 0; i < rows; i++) {
    sequence++;
    const frame = new Uint8Array(FRAME_BYTES).fill(sequence);
    segment.append({ sequence, timestamp: BigInt(sequence), frame }, sequence);
  }
}

const walHeader = (): string => readFileSync(`${path}-wal`).toString('hex', 0, WAL_HEADER_BYTES);

function readAll(): number[] {
  const connection = openForReading(path);
  try {
    const rows = connection.prepare('SELECT sequence FROM journal_row').pluck().all() as number[];
    return rows;
  } finally {
    connection.close();
  }
}

test('what lies in the WAL comes into the file, and the WAL stays whole and grows on', () => {
  append(3);
  const header = walHeader();
  const before = statSync(path).size;
  using checkpoint = new LiveCheckpoint(path);
  let wal = segment.walBytes();
  for (let round = 1; round <= 6; round++) {
    checkpoint.step();
    // Again, when all of it was moved: a WAL that nobody held would begin anew with the next append.
    if (round % 2 === 0) checkpoint.step();
    const moved = statSync(path).size;
    expect(moved).toBeGreaterThan(before + (sequence - 1) * FRAME_BYTES);
    append(2);
    expect(segment.walBytes()).toBeGreaterThan(wal + FRAME_BYTES);
    wal = segment.walBytes();
    expect(walHeader()).toBe(header);
  }
  expect(readAll()).toEqual(Array.from({ length: sequence }, (_, i) => i + 1));
});

test('it is in nobody’s way: readers read on, and the segment is sealed behind it', () => {
  append(3);
  const checkpoint = new LiveCheckpoint(path);
  checkpoint.step();
  append(3);
  checkpoint.step();
  expect(readAll().length).toBe(6);
  checkpoint.close();
  segment.seal();
  expect(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
  expect(readAll().length).toBe(6);
});
