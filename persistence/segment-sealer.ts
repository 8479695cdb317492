/**
 * The thread that prepares the next segments of all shards and seals their full ones, so that no actor waits for either.
 *
 * `SegmentSealer` is the main thread's handle; each shard's journal holds one port of a channel to the thread, and talks `ToSealer` and
 * `FromSealer` on it. The thread works on one message at a time, so whatever it begins it ends: it is asked to stop and never
 * terminated, since that would abort a call into SQLite. What is asked before `stop` is done first.
 *
 * Failure policy: the sealer owns no durability. A failure is reported to `onProblem`, and the shard does the work itself; a segment whose
 * WAL was not moved into it is whole as it is, and is sealed when the journal is opened again.
 */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import {
  MessageChannel,
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { assert, unreachable } from '../engine/assert.ts';
import { emptyWal, fsyncDirectory, fsyncPath, openForWriting, removeDatabase } from './database.ts';
import { createEmptySegment, PREPARED_NAME } from './segment.ts';

/** From a journal. `prepare` has no answer: the journal takes what is there when it needs it. `sync` is for the head witness. */
export type ToSealer =
  | { readonly type: 'prepare'; readonly directory: string }
  | { readonly type: 'seal'; readonly path: string }
  | { readonly type: 'sync'; readonly paths: readonly string[] };
/** To a journal: the sealer is through with this segment, and its connection to it is closed. */
export interface FromSealer {
  readonly type: 'sealed';
  readonly path: string;
}

type FromMain =
  | { readonly type: 'connect'; readonly port: MessagePort }
  | { readonly type: 'stop' };

const BUILDING_NAME = 'segment-building.sqlite';

export class SegmentSealer {
  readonly #worker: Worker;
  readonly #exited: Promise<unknown>;

  private constructor(worker: Worker, onProblem: (problem: string) => void) {
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('message', onProblem);
    worker.on('error', (error) => onProblem(`The sealer thread ended: ${String(error)}`));
  }

  /** `onProblem` gets a sentence for the log. */
  static start(onProblem: (problem: string) => void = () => undefined): SegmentSealer {
    const entry = new URL('./segment-sealer-worker.ts', import.meta.url);
    return new SegmentSealer(new Worker(entry, { name: 'segment-sealer' }), onProblem);
  }

  /** A port for one journal, to be moved to its thread in `workerData` and `transferList`. */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage({ type: 'connect', port: port1 } satisfies FromMain, [port1]);
    return port2;
  }

  /** Resolves when everything that was asked for is done and the thread has ended. */
  async stop(): Promise<void> {
    this.#worker.postMessage({ type: 'stop' } satisfies FromMain, []);
    await this.#exited;
  }
}

/** The whole life of the thread. It ends when `stop` has closed the last port that keeps it alive. */
export function runSegmentSealer(): void {
  assert(parentPort !== null, 'the sealer runs in a thread of its own');
  const main = parentPort;
  const ports = new Set<MessagePort>();
  const report = (problem: string): void => main.postMessage(problem, []);
  main.on('message', (message: FromMain) => {
    switch (message.type) {
      case 'connect':
        return connect(message.port, ports, report);
      case 'stop':
        for (const port of ports) finish(port, report);
        return main.close();
      default:
        return unreachable(message);
    }
  });
}

function connect(
  port: MessagePort,
  ports: Set<MessagePort>,
  report: (problem: string) => void,
): void {
  ports.add(port);
  port.on('message', (message: ToSealer) => obey(message, port, report));
  port.once('close', () => ports.delete(port));
}

function finish(port: MessagePort, report: (problem: string) => void): void {
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) break;
    obey(received.message as ToSealer, port, report);
  }
  port.close();
}

function obey(message: ToSealer, port: MessagePort, report: (problem: string) => void): void {
  try {
    switch (message.type) {
      case 'prepare':
        return prepare(message.directory);
      case 'seal':
        return seal(message.path);
      case 'sync':
        return sync(message.paths);
      default:
        return unreachable(message);
    }
  } catch (error: unknown) {
    report(`The sealer could not ${message.type}: ${String(error)}`);
  } finally {
    if (message.type === 'seal') {
      port.postMessage({ type: 'sealed', path: message.path } satisfies FromSealer, []);
    }
  }
}

/** The file appears under its name in one step, so a journal that finds it can take it. */
function prepare(directory: string): void {
  const prepared = join(directory, PREPARED_NAME);
  if (existsSync(prepared)) return;
  const building = join(directory, BUILDING_NAME);
  removeDatabase(building);
  createEmptySegment(building);
  renameSync(building, prepared);
  fsyncDirectory(directory);
}

/** Moves the WAL of a full segment into its file and empties it. The journal's own connection is idle. */
function seal(path: string): void {
  const connection = openForWriting(path);
  try {
    if (!emptyWal(connection)) throw new Error(`${path} was being read; the next start seals it`);
  } finally {
    connection.close();
  }
}

/** What is not there was told of by whoever writes it. */
function sync(paths: readonly string[]): void {
  for (const path of paths) if (existsSync(path)) fsyncPath(path, 'r+');
}
