/**
 * Reads transfer records by position on a thread of its own, with its own read-only connections, so that look-ups never slow an actor down.
 * `RecordThread` is the main thread's handle; `runRecordThread` is the other end. One message is a list of positions, one answer their rows.
 */
import { Worker, parentPort } from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import { ROW_WORDS } from '../engine/batch.ts';
import { positionRow, positionSequence } from '../engine/ledger.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import {
  type OnReadProblem,
  type ReadProblem,
  readProblem,
  readRefusal,
} from '../query/query-damage.ts';
import { RecordReader } from './record-reader.ts';
import { serializeError, type SerializedError } from './shard-protocol.ts';

export interface RecordThreadOptions {
  readonly shards: number;
  readonly clusterId: string;
  readonly directories: readonly string[];
}

/** Words of a wanted position: {shard, sequence low, second value word of the index}. */
export const WANTED_WORDS = 3;

type ToThread =
  | {
      readonly type: 'read';
      readonly id: number;
      readonly wanted: Uint32Array;
      readonly deadlineMs: number;
    }
  | { readonly type: 'stop' };
type FromThread =
  | { readonly type: 'rows'; readonly id: number; readonly rows: Uint32Array }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly error: SerializedError;
      readonly problem: ReadProblem;
    };

interface Waiting {
  readonly resolve: (rows: Uint32Array) => void;
  readonly reject: (error: Error) => void;
}

export class RecordThread {
  readonly #options: RecordThreadOptions;
  readonly #onProblem: OnReadProblem;
  #worker: Worker | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #isStopping = false;

  /** `onProblem` is told why something could not be read, each time. */
  constructor(options: RecordThreadOptions, onProblem: OnReadProblem) {
    this.#options = options;
    this.#onProblem = onProblem;
  }

  /** The rows of the wanted positions, 32 words each, in order. Not read any more when its turn comes after the deadline. */
  read(wanted: Uint32Array, deadlineMs: number): Promise<Uint32Array> {
    if (this.#isStopping) return Promise.reject(unavailable(undefined));
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ type: 'read', id, wanted, deadlineMs } satisfies ToThread, []);
    });
  }

  /** The thread is there from the first read on, and again after one that it did not survive. */
  #start(): Worker {
    const url = new URL('./record-worker.ts', import.meta.url);
    const worker = new Worker(url, { workerData: this.#options });
    worker.on('message', (message: FromThread) => this.#settle(message));
    worker.on('error', (error) => {
      this.#onProblem(readProblem(error));
      this.#fail(error);
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#fail(new Error('the reader of records has ended'));
    });
    return worker;
  }

  /** Ends the thread after what it is at; what waits is refused. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    this.#fail(new Error('the ledger is stopping'));
    worker.postMessage({ type: 'stop' } satisfies ToThread, []);
    await ended;
  }

  #settle(message: FromThread): void {
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    if (message.type === 'rows') waiting.resolve(message.rows);
    else if (message.error.code === 'deadline_exceeded') {
      waiting.reject(new SyceeError('deadline_exceeded', message.error.message));
    } else if (message.error.code === 'SEGMENT_ARCHIVED') {
      waiting.reject(new SyceeError('segment_archived', message.error.message));
    } else {
      this.#onProblem(message.problem);
      waiting.reject(unavailable(message.error, message.problem.isDamage));
    }
  }

  #fail(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(unavailable(error));
    this.#waiting.clear();
  }
}

function unavailable(cause: unknown, isDamage = false): SyceeError {
  const message = readRefusal('the records of transfers', isDamage);
  return new SyceeError('shard_unavailable', message, { cause });
}

export function runRecordThread({ shards, clusterId, directories }: RecordThreadOptions): void {
  assert(parentPort !== null, 'the reader runs on a thread of its own');
  const port = parentPort;
  const journals: (JournalReader | undefined)[] = [];
  const readers: (RecordReader | undefined)[] = [];
  const readerOf = (shard: number): RecordReader => {
    journals[shard] ??= JournalReader.open({
      directory: directories[shard]!,
      clusterId,
      shard,
      shards,
    });
    readers[shard] ??= new RecordReader(journals[shard], shards);
    return readers[shard];
  };
  port.on('message', (message: ToThread) => {
    if (message.type === 'stop') {
      for (const journal of journals) journal?.close();
      port.close();
      return;
    }
    const { id, wanted, deadlineMs } = message;
    try {
      if (Date.now() > deadlineMs) {
        throw new SyceeError('deadline_exceeded', 'the deadline passed before its turn came');
      }
      const rows = readRows(wanted, readerOf);
      port.postMessage({ type: 'rows', id, rows } satisfies FromThread, [rows.buffer]);
    } catch (error: unknown) {
      const said = { error: serializeError(error), problem: readProblem(error) };
      port.postMessage({ type: 'failed', id, ...said } satisfies FromThread, []);
    }
  });
}

/** Reads in order of position, so that each frame is read once, and gives the rows back in the order in which they were asked for. */
function readRows(
  wanted: Uint32Array,
  readerOf: (shard: number) => RecordReader,
): Uint32Array<ArrayBuffer> {
  const count = wanted.length / WANTED_WORDS;
  const rows = new Uint32Array(count * ROW_WORDS);
  const sequenceOf = (i: number): number =>
    positionSequence(wanted[i * WANTED_WORDS + 1]!, wanted[i * WANTED_WORDS + 2]!);
  const order = Array.from({ length: count }, (_, i) => i).toSorted(
    (a, b) =>
      wanted[a * WANTED_WORDS]! - wanted[b * WANTED_WORDS]! || sequenceOf(a) - sequenceOf(b),
  );
  for (const i of order) {
    const reader = readerOf(wanted[i * WANTED_WORDS]!);
    rows.set(
      reader.record(sequenceOf(i), positionRow(wanted[i * WANTED_WORDS + 2]!)),
      i * ROW_WORDS,
    );
  }
  return rows;
}
