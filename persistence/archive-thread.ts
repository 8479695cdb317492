/**
 * Moves segments to the archive on a thread that is there only while there is something to do. `Archive` is the main thread's handle: one run at
 * a time, over all shards; whoever asks meanwhile gets the run that is under way. Owns no durability: a run that fails is told in a sentence, and
 * the segments stay where they are.
 */
import { readdirSync } from 'node:fs';
import { parentPort, Worker } from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import { type Archived, archiveShard } from './archiver.ts';

export interface ArchiveRunOptions {
  readonly clusterId: string;
  readonly shards: number;
  readonly directories: readonly string[];
  /** An absolute path. */
  readonly archive: string;
}

interface WorkerOptions extends ArchiveRunOptions {
  /** One word; not 0: stop after the segment at hand. */
  readonly stop: SharedArrayBuffer;
}

type FromThread =
  | ({ readonly type: 'ran' } & Archived)
  | { readonly type: 'failed'; readonly message: string };

/** A segment may be moved when so many good snapshots begin behind its last row. */
const SNAPSHOTS_BEHIND = 2;

export class Archive {
  readonly #options: WorkerOptions;
  #run: Promise<Archived> | undefined;

  constructor(options: ArchiveRunOptions) {
    this.#options = { ...options, stop: new SharedArrayBuffer(4) };
  }

  /** Moves what can be moved now. Rejects with a sentence when a shard's segments could not be. */
  run(): Promise<Archived> {
    this.#run ??= this.#start().finally(() => {
      this.#run = undefined;
    });
    return this.#run;
  }

  /** Resolves when nothing is under way any more; a run ends after its segment. */
  async stop(): Promise<void> {
    Atomics.store(new Int32Array(this.#options.stop), 0, 1);
    await this.#run?.catch(() => undefined);
  }

  #start(): Promise<Archived> {
    return new Promise((resolve, reject) => {
      const entry = new URL('./archive-worker.ts', import.meta.url);
      const worker = new Worker(entry, { workerData: this.#options, name: 'archive' });
      worker.on('message', (message: FromThread) => {
        if (message.type === 'ran') resolve(message);
        else reject(new Error(message.message));
      });
      worker.on('error', reject);
      worker.on('exit', () => reject(new Error('the archive thread ended before it was done')));
    });
  }
}

/** The whole life of the thread. */
export function runArchiveThread({ stop, ...options }: WorkerOptions): void {
  assert(parentPort !== null, 'segments are moved on a thread of their own');
  const flag = new Int32Array(stop);
  let message: FromThread;
  try {
    const archived = archiveAll(options, () => Atomics.load(flag, 0) !== 0);
    message = { type: 'ran', ...archived };
  } catch (error: unknown) {
    message = { type: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
  parentPort.postMessage(message, []);
}

/** Every shard's segments that lie behind its two newest snapshots. */
export function archiveAll(
  { clusterId, shards, directories, archive }: ArchiveRunOptions,
  isStopping: () => boolean,
): Archived {
  let segments = 0;
  let bytes = 0;
  for (const [shard, directory] of directories.entries()) {
    const behind = behindSnapshots(directory);
    if (behind === 0) continue;
    const identity = { clusterId, shard, shards };
    const moved = archiveShard({ ...identity, directory, archive, behind, isStopping });
    segments += moved.segments;
    bytes += moved.bytes;
  }
  return { segments, bytes };
}

const MANIFEST = /^snapshot-(\d{12})\.json$/;

/** The sequence of the older one of the two newest snapshots; 0 when there are not so many. */
export function behindSnapshots(directory: string): number {
  const names = readdirSync(directory);
  const sequences = names
    .flatMap((name) => MANIFEST.exec(name)?.[1] ?? [])
    .filter((digits) => names.includes(`snapshot-${digits}.image`))
    .map(Number)
    .toSorted((a, b) => b - a);
  return sequences[SNAPSHOTS_BEHIND - 1] ?? 0;
}
