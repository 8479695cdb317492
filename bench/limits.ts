/**
 * What the machine itself can do, to hold the ledger's figures against: each probe does one thing that a transfer needs, without the ledger, for
 * `--seconds`. Nothing is verified here, as nothing is claimed of the ledger.
 */
import { closeSync, fdatasyncSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { connect } from '@nats-io/transport-node';
import Database from 'better-sqlite3';
import { LatencyHistogram } from '../lib/histogram.ts';
import { findNatsServer, startNatsServer } from '../lib/nats-server.ts';
import { Prng } from '../lib/prng.ts';
import { endChild, startChild } from './children.ts';
import { type Figures, rounded } from './figures.ts';
import type { SliceReport } from './http-load.ts';
import { answer, ask } from './http-loader.ts';
import { commitOf, machineOf } from './report.ts';
import type { Finished } from './run.ts';
import { INTERRUPTED, type ScenarioContext } from './scenario.ts';
import { figuresTable } from './table.ts';

const KIB = 1 << 10;
const MIB = 1 << 20;
const GB = 1e9;
/** Far more than any cache has, and as far apart as rows of accounts are. */
const RANDOM_BYTES = 256 * MIB;
const LINE_WORDS = 16;
/** Between looks at the clock. */
const READS = 1 << 18;
const COPY_BYTES = 64 * MIB;
/** Of a single transfer, of some, and of a full batch, as frames of the journal are. */
const BLOB_BYTES = [4 * KIB, 64 * KIB, 640 * KIB] as const;
/** As the journal's segments have it. */
const PAGE_BYTES = 8192;
/** A columnar batch of 8,189 transfers. */
const MESSAGE_BYTES = 512 * KIB;
const SMALL_MESSAGE_BYTES = 128;

export async function limits(context: ScenarioContext): Promise<Finished> {
  const { options, directory, say } = context;
  const { seconds } = options;
  mkdirSync(directory, { recursive: true });
  const probes: readonly (readonly [string, () => Figures | Promise<Figures>])[] = [
    ['memory', () => memory(seconds)],
    ['files', () => files(directory, seconds)],
    ['SQLite', () => sqlite(directory, seconds)],
    ['NATS', () => nats(seconds)],
    ['HTTP', () => http(context)],
  ];
  let figures: Figures = {};
  for (const [name, probe] of probes) {
    if (context.signal.aborted) break;
    say(`probing ${name}`);
    figures = { ...figures, ...(await probe()) };
  }
  const complaints = context.signal.aborted ? [INTERRUPTED] : [];
  const report = {
    scenario: 'limits',
    seconds,
    verified: complaints.length === 0,
    ...(complaints.length === 0 ? { figures } : { complaints }),
    machine: machineOf(),
    commit: commitOf(),
  };
  return {
    report,
    text: complaints.map((one) => `not verified: ${one}`)[0] ?? figuresTable('limit', figures),
  };
}

/** Nanoseconds of a read that the next one waits for, and of reads that do not wait for each other; copies; checksums. */
function memory(seconds: number): Figures {
  const words = ringOfLines(new Prng(1));
  let at = 0;
  const waited = timed(seconds, () => {
    at = walk(words, at, READS);
  });
  const places = Uint32Array.from(
    { length: READS },
    (_, i) => (Math.imul(i, 0x9e3779b1) >>> 0) % words.length,
  );
  let sum = 0;
  const overlapped = timed(seconds, () => {
    sum += sumOf(words, places);
  });
  const from = new Uint8Array(COPY_BYTES).fill(1);
  const to = new Uint8Array(COPY_BYTES);
  const copied = timed(seconds, () => to.set(from));
  const summed = timed(seconds, () => {
    sum += crc32(from);
  });
  // What is not used might not be done.
  if (sum + at < 0) throw new Error('sums of unsigned numbers');
  return {
    memory_read_waited_for_ns: rounded((waited / READS) * 1e9, 1),
    memory_read_overlapped_ns: rounded((overlapped / READS) * 1e9, 1),
    memory_copy_gb_per_second: rounded(COPY_BYTES / copied / GB, 2),
    crc32_gb_per_second: rounded(COPY_BYTES / summed / GB, 2),
  };
}

/** Each line's first word names another line, and all lines are one ring, in an order that no prefetcher knows. */
function ringOfLines(random: Prng): Uint32Array {
  const words = new Uint32Array(RANDOM_BYTES / 4);
  const order = Uint32Array.from({ length: words.length / LINE_WORDS }, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  for (let i = 0; i < order.length; i++) {
    words[order[i]! * LINE_WORDS] = order[(i + 1) % order.length]! * LINE_WORDS;
  }
  return words;
}

function walk(words: Uint32Array, from: number, steps: number): number {
  let at = from;
  for (let i = 0; i < steps; i++) at = words[at]!;
  return at;
}

function sumOf(words: Uint32Array, places: Uint32Array): number {
  let sum = 0;
  for (let i = 0; i < places.length; i++) sum = (sum + words[places[i]!]!) >>> 0;
  return sum;
}

/** Seconds that one call takes; the first ones make it warm. */
function timed(seconds: number, work: () => void): number {
  for (let i = 0; i < 3; i++) work();
  const start = performance.now();
  let calls = 0;
  let elapsed = 0;
  do {
    work();
    calls++;
    elapsed = (performance.now() - start) / 1000;
  } while (elapsed < seconds);
  return elapsed / calls;
}

/** A write at the end of a file and its fsync, and a write over blocks that are there already and its fdatasync. */
function files(directory: string, seconds: number): Figures {
  const figures: Record<string, Figures[string]> = {};
  for (const bytes of BLOB_BYTES) {
    const blob = new Uint8Array(bytes).fill(7);
    const file = openSync(path.join(directory, `probe-${bytes}`), 'w');
    figures[`fsync_${sizeName(bytes)}_ms`] = latencies(seconds / BLOB_BYTES.length, () => {
      writeSync(file, blob);
      fsyncSync(file);
    });
    figures[`fdatasync_in_place_${sizeName(bytes)}_ms`] = latencies(
      seconds / BLOB_BYTES.length,
      () => {
        writeSync(file, blob, 0, bytes, 0);
        fdatasyncSync(file);
      },
    );
    closeSync(file);
  }
  return figures;
}

const sizeName = (bytes: number): string => `${bytes / KIB}_kib`;

function latencies(seconds: number, work: () => void): Figures[string] {
  const histogram = new LatencyHistogram();
  const end = performance.now() + seconds * 1000;
  do {
    const start = performance.now();
    work();
    histogram.record(performance.now() - start);
  } while (performance.now() < end);
  const { p50, p99 } = histogram.summary();
  return { p50: rounded(p50, 3), p99: rounded(p99, 3), count: histogram.count };
}

/** One blob a commit, as the journal writes: WAL, FULL, no checkpoints. */
function sqlite(directory: string, seconds: number): Figures {
  const figures: Record<string, Figures[string]> = {};
  for (const bytes of BLOB_BYTES) {
    using connection = new DisposableDatabase(path.join(directory, `probe-${bytes}.db`));
    const { database } = connection;
    database.pragma(`page_size = ${PAGE_BYTES}`);
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('wal_autocheckpoint = 0');
    database.pragma('cache_size = -1024');
    database.pragma('cache_spill = OFF');
    database.exec('CREATE TABLE frames (sequence INTEGER PRIMARY KEY, frame BLOB NOT NULL)');
    const insert = database.prepare('INSERT INTO frames (frame) VALUES (?)');
    const blob = Buffer.alloc(bytes, 7);
    figures[`sqlite_append_${sizeName(bytes)}_ms`] = latencies(
      seconds / BLOB_BYTES.length,
      () => void insert.run(blob),
    );
  }
  return figures;
}

class DisposableDatabase {
  readonly database: Database.Database;

  constructor(file: string) {
    this.database = new Database(file);
  }

  [Symbol.dispose](): void {
    this.database.close();
  }
}

/** Requests that are answered with nothing: large ones as batches are, and small ones, several under way. */
async function nats(seconds: number): Promise<Figures> {
  if (findNatsServer() === undefined) return {};
  const server = await startNatsServer();
  try {
    const [asking, answering] = await Promise.all([
      connect({ servers: server.url }),
      connect({ servers: server.url }),
    ]);
    answering.subscribe('probe', { callback: (_, message) => void message.respond() });
    await answering.flush();
    const rate = async (bytes: number, underWay: number, span: number): Promise<number> => {
      const body = new Uint8Array(bytes);
      const start = performance.now();
      const end = start + span * 1000;
      let count = 0;
      await Promise.all(
        Array.from({ length: underWay }, async () => {
          while (performance.now() < end) {
            await asking.request('probe', body, { timeout: 30_000 });
            count++;
          }
        }),
      );
      return (count / (performance.now() - start)) * 1000;
    };
    // Warm first: both ends are JavaScript.
    await rate(SMALL_MESSAGE_BYTES, 256, seconds / 2);
    const large = await rate(MESSAGE_BYTES, 4, seconds);
    const small = await rate(SMALL_MESSAGE_BYTES, 256, seconds);
    await Promise.all([asking.close(), answering.close()]);
    return {
      nats_large_requests_gb_per_second: rounded((large * MESSAGE_BYTES) / GB, 3),
      nats_small_requests_per_second: Math.round(small),
    };
  } finally {
    await server.stop();
  }
}

/** A bare fastify server that answers what it is sent, under autocannon, as the HTTP ratio has it. */
async function http({ options }: ScenarioContext): Promise<Figures> {
  const accounts = { accounts: 1_000, shards: 1, crossShard: undefined, seed: 1 };
  const workload = { ...accounts, batch: 1_024, inFlight: 1 };
  const echo = startChild('./echo-server.ts', []);
  const load = startChild('./http-load.ts', [
    JSON.stringify({ workload, rings: [], worker: 0, workers: 1 }),
  ]);
  try {
    const [{ port }] = await Promise.all([answer<{ port: number }>(echo), answer(load)]);
    const slice = await ask<SliceReport>(load, {
      type: 'slice',
      url: `http://127.0.0.1:${port}`,
      seconds: Math.max(1, Math.round(options.seconds)),
      count: 0,
      good: 200,
      isLedger: false,
      ring: 0,
      rows: 1,
      connections: options.connections,
      rate: 0,
    });
    return { http_echo_requests_per_second: Math.round(slice.transfers / slice.seconds) };
  } finally {
    await Promise.all([endChild(echo), endChild(load)]);
  }
}
