/**
 * The thread that prepares the next segments of all shards and seals their full ones, so that no actor waits for either.
 *
 * `SegmentSealer` is the main thread's handle; each shard's journal holds one port of a channel to the thread, and talks `ToSealer` and
 * `FromSealer` on it. The thread works on one message at a time, so whatever it begins it ends: it is asked to stop and never
 * terminated, since that would abort a call into SQLite. What is asked before `stop` is done first. It begins when it is asked for the first
 * time: many a life of a process ends before any segment is half full.
 *
 * Failure policy: the sealer owns no durability. A failure is reported to `onProblem`, and the shard does the work itself; a segment whose
 * WAL was not moved into it is whole as it is, and is sealed when the journal is opened again.
 */
import { closeSync, existsSync, fdatasyncSync, openSync, renameSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import {
  MessageChannel,
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { assert, unreachable } from '../engine/assert.ts';
import { fsyncDirectory, moveWal, fsyncPath, openForWriting, removeDatabase } from './database.ts';
import { holdDoubtfulWal } from './doubtful-wal.ts';
import { LiveCheckpoint } from './live-checkpoint.ts';
import { removeInParts } from './remove-file.ts';
import { createEmptySegment, PREPARED_NAME, spentWalOf } from './segment.ts';
import { GROW_BYTES, growWal, keepWal } from './wal-room.ts';

/**
 * From a journal. `prepare` has no answer: the journal takes what is there when it needs it. `flush` moves what the WAL of a live segment has by
 * now, `grow` gives that WAL more room, `sync` is for the head witness, `report` for the log.
 */
export type ToSealer =
  | { readonly type: 'prepare'; readonly directory: string; readonly pageBytes: number }
  | { readonly type: 'flush'; readonly path: string }
  | { readonly type: 'grow'; readonly path: string }
  | { readonly type: 'seal'; readonly path: string }
  | { readonly type: 'sync'; readonly paths: readonly string[] }
  | { readonly type: 'report'; readonly problem: string };
/** To a journal: the sealer is through with this segment, and its connection to it is closed. */
export interface FromSealer {
  readonly type: 'sealed';
  readonly path: string;
}

interface Connect {
  readonly type: 'connect';
  readonly port: MessagePort;
  readonly asked: ToSealer;
}

export interface SealerSettings {
  readonly stepsBack: number;
}

type FromMain = Connect | { readonly type: 'stop' };

/** Of priority. */
const STEPS_BACK = 5;
const BUILDING_NAME = 'segment-building.sqlite';

export class SegmentSealer {
  readonly #onProblem: (problem: string) => void;
  readonly #shards: number;
  /** Ports on which nothing was asked yet. */
  readonly #quiet = new Set<MessagePort>();
  #worker: Worker | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  /** `onProblem` gets a sentence for the log. `shards`: whose journals they are. */
  constructor(onProblem: (problem: string) => void = () => undefined, shards = 1) {
    this.#onProblem = onProblem;
    this.#shards = shards;
  }

  /** A port for one journal, to be moved to its thread in `workerData` and `transferList`. */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#quiet.add(port1);
    port1.once('message', (asked: ToSealer) => this.#handOver(port1, asked));
    port1.once('close', () => this.#quiet.delete(port1));
    port1.unref();
    return port2;
  }

  /** What comes after `asked` goes to the thread by itself. */
  #handOver(port: MessagePort, asked: ToSealer): void {
    this.#quiet.delete(port);
    this.#worker ??= this.#start();
    this.#worker.postMessage({ type: 'connect', port, asked } satisfies FromMain, [port]);
  }

  #start(): Worker {
    const entry = new URL('./segment-sealer-worker.ts', import.meta.url);
    // Where every core has an actor, the thread is in somebody's way.
    const stepsBack = this.#shards >= availableParallelism() ? STEPS_BACK : 0;
    const settings: SealerSettings = { stepsBack };
    const worker = new Worker(entry, { name: 'segment-sealer', workerData: settings });
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('message', this.#onProblem);
    worker.on('error', (error) => this.#onProblem(`The sealer thread ended: ${String(error)}`));
    return worker;
  }

  /** Resolves when everything that was asked for is done and the thread has ended. */
  async stop(): Promise<void> {
    for (const port of this.#quiet) {
      const asked = receiveMessageOnPort(port);
      if (asked === undefined) port.close();
      else this.#handOver(port, asked.message as ToSealer);
    }
    this.#worker?.postMessage({ type: 'stop' } satisfies FromMain, []);
    await this.#exited;
  }
}

/** The whole life of the thread. It ends when `stop` has closed the last port that keeps it alive. */
export function runSegmentSealer(): void {
  assert(parentPort !== null, 'the sealer runs in a thread of its own');
  const main = parentPort;
  const ports = new Set<SealerPort>();
  const report = (problem: string): void => main.postMessage(problem, []);
  main.on('message', (message: FromMain) => {
    switch (message.type) {
      case 'connect': {
        const port = new SealerPort(message, report);
        ports.add(port);
        message.port.once('close', () => {
          port.closed();
          ports.delete(port);
        });
        return;
      }
      case 'stop':
        for (const port of ports) port.finish();
        SealerPort.closeFiles();
        return main.close();
      default:
        return unreachable(message);
    }
  });
}

/** What the sealer does for one journal. */
class SealerPort {
  /** Whose live segment is at a path: a dead shard's port may not be closed yet when its next life has the segment sealed. */
  static readonly #livePorts = new Map<string, SealerPort>();
  /**
   * Live segments opened once more, so that they can be synced. To close one drops the locks that this process has on the file, and a stranger's SQLite
   * might then take its WAL away: so it is closed when nobody writes the segment any more, and not when a shard's life ends.
   */
  static readonly #files = new Map<string, number>();
  /**
   * Segments of which a sync has failed: pages may be lost that the system takes for written, and no later sync would say so. Their WALs have all of
   * it, and are held until the next start, which moves them once more (doubtful-wal.ts).
   */
  static readonly #doubtful = new Set<string>();
  /** What was open on them, and stays so while the thread lives: the last connection to close would delete the WAL. */
  static readonly #neverClosed: LiveCheckpoint[] = [];
  readonly #port: MessagePort;
  readonly #report: (problem: string) => void;
  /** Of the live segment, when there was something to move. */
  #live: { readonly path: string; readonly checkpoint: LiveCheckpoint } | undefined;

  /** `asked` is what was asked for first. */
  constructor({ port, asked }: Connect, report: (problem: string) => void) {
    this.#port = port;
    this.#report = report;
    this.#obey(asked);
    port.on('message', (message: ToSealer) => this.#obey(message));
  }

  /** Does what was asked for, and closes the port. */
  finish(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) break;
      this.#obey(received.message as ToSealer);
    }
    this.closed();
    this.#port.close();
  }

  /** The journal is closed: a connection of the sealer may be the last one on its live segment. */
  closed(): void {
    try {
      this.leaveLive();
    } catch (error: unknown) {
      this.#report(`The sealer could not close a segment: ${String(error)}`);
    }
  }

  #obey(message: ToSealer): void {
    try {
      switch (message.type) {
        case 'prepare':
          return prepare(message.directory, message.pageBytes);
        case 'flush':
          return this.#flush(message.path);
        case 'grow':
          return growWal(message.path, GROW_BYTES);
        case 'seal':
          SealerPort.#livePorts.get(message.path)?.leaveLive();
          return SealerPort.#seal(message.path);
        case 'sync':
          return sync(message.paths);
        case 'report':
          return this.#report(message.problem);
        default:
          return unreachable(message);
      }
    } catch (error: unknown) {
      this.#report(`The sealer could not ${message.type}: ${String(error)}`);
    } finally {
      if (message.type === 'seal') {
        this.#port.postMessage({ type: 'sealed', path: message.path } satisfies FromSealer, []);
      }
    }
  }

  #flush(path: string): void {
    if (!hasWal(path) || SealerPort.#doubtful.has(path)) return;
    if (this.#live?.path !== path) {
      this.leaveLive();
      SealerPort.#livePorts.get(path)?.leaveLive();
      this.#live = { path, checkpoint: new LiveCheckpoint(path) };
      SealerPort.#livePorts.set(path, this);
    }
    if (this.#live.checkpoint.step()) SealerPort.#sync(path);
  }

  /**
   * SQLite syncs the file when it has moved the last frame of the WAL: left to that, a hundred MiB are written at once, and every fsync of every file
   * waits for them, since the file system's journal does.
   */
  static #sync(path: string): void {
    let file = SealerPort.#files.get(path);
    if (file === undefined) {
      file = openSync(path, 'r+');
      SealerPort.#files.set(path, file);
    }
    try {
      fdatasyncSync(file);
    } catch (error: unknown) {
      SealerPort.#doubtful.add(path);
      throw new Error(doubtOf(path, error), { cause: error });
    }
  }

  static #seal(path: string): void {
    if (SealerPort.#doubtful.has(path)) {
      throw new Error(`${path} could not be synced; its WAL stays, and the next start seals it`);
    }
    SealerPort.#closeFile(path);
    seal(path);
  }

  static #closeFile(path: string): void {
    const file = SealerPort.#files.get(path);
    if (file === undefined) return;
    SealerPort.#files.delete(path);
    closeSync(file);
  }

  /** The thread ends, and all journals are closed. */
  static closeFiles(): void {
    for (const path of SealerPort.#files.keys()) SealerPort.#closeFile(path);
  }

  /** Lets go of the live segment: others may do with it what they want. */
  leaveLive(): void {
    const live = this.#live;
    if (live === undefined) return;
    this.#live = undefined;
    SealerPort.#livePorts.delete(live.path);
    if (SealerPort.#doubtful.has(live.path)) SealerPort.#neverClosed.push(live.checkpoint);
    else live.checkpoint.close();
  }
}

/** Holds the WAL, and says so. */
function doubtOf(path: string, error: unknown): string {
  const failed = `${basename(path)} could not be synced (${String(error)})`;
  try {
    holdDoubtfulWal(path);
    return `${failed}; its WAL is held, and the next start moves it once more`;
  } catch (second: unknown) {
    return `${failed}, and its WAL could not be held (${String(second)}): stop the process by force (kill -9), so that the WAL stays`;
  }
}

/** The file appears under its name in one step, so a journal that finds it can take it. */
function prepare(directory: string, pageBytes: number): void {
  const prepared = join(directory, PREPARED_NAME);
  if (existsSync(prepared)) return;
  const building = join(directory, BUILDING_NAME);
  removeDatabase(building);
  createEmptySegment(building, pageBytes);
  renameSync(building, prepared);
  fsyncDirectory(directory);
}

/**
 * Moves the WAL of a full segment into its file, and keeps it for a later segment, or does away with it. The journal's own connection is idle.
 *
 * The WAL loses its name before it is changed, durably: what is left of one must never be taken for a segment's.
 */
function seal(path: string): void {
  if (!hasWal(path)) return;
  const connection = openForWriting(path);
  const wal = `${path}-wal`;
  const spent = spentWalOf(path);
  try {
    if (!moveWal(connection)) throw new Error(`${path} was being read; the next start seals it`);
    if (existsSync(wal)) {
      renameSync(wal, spent);
      fsyncDirectory(dirname(path));
    }
  } finally {
    connection.close();
  }
  let isKept = false;
  try {
    isKept = keepWal(spent, dirname(path));
  } finally {
    if (!isKept) removeInParts(spent);
  }
}

/** Somebody else may have sealed the segment by now, and even moved it to the archive; SQLite would make a new file. */
function hasWal(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** What is not there was told of by whoever writes it. */
function sync(paths: readonly string[]): void {
  for (const path of paths) if (existsSync(path)) fsyncPath(path, 'r+');
}
