/** The supervisor's side of one shard's thread: its memory, its lives, and whether its heart beats. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Doorbell } from '../lib/doorbell.ts';
import { ringBuffer } from './ring.ts';
import {
  Counter,
  RecoveryPhase,
  REPLY_RING_BYTES,
  REQUEST_RING_BYTES,
  serializeError,
  ShardState,
  type ControlMessage,
  type FromShard,
  type LinkCounters,
  type LinkRings,
  type SerializedError,
  type ShardStorage,
  type ShardThreadOptions,
} from './shard-protocol.ts';
import type { SnapshotChannel } from './snapshot-source.ts';

export interface HostParts {
  readonly shard: number;
  readonly shards: number;
  readonly seed: number;
  readonly clusterId: string;
  readonly clockOffset: bigint;
  readonly manualClock: SharedArrayBuffer | undefined;
  readonly directory: string;
  readonly counters: SharedArrayBuffer;
  readonly doorbells: SharedArrayBuffer;
  /** The rings to and from the other shards, as they are now. */
  readonly linksOf: () => readonly LinkRings[];
  readonly sealer: () => MessagePort;
  readonly storage: Omit<ShardStorage, 'wasFull'>;
  readonly snapshots: () => SnapshotChannel;
  readonly onMessage: (message: FromShard) => void;
  /** The thread has ended; not called for a stop that was asked for. */
  readonly onExit: () => void;
}

export type HostState = 'recovering' | 'running' | 'failed' | 'stopped';

/** A shard's heap proper is small, since its tables are buffers: V8's default of 96 MiB for what is young would only fill up. */
const YOUNG_MIB_MAX = 12;
/** How long a thread may take to finish its group, and to close its journal. */
const STOP_WAIT_MS = 10_000;

/** What SQLite and Node say of a full disk. */
const FULL_CODES = new Set(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE', 'ENOSPC', 'EDQUOT']);

export class ShardHost {
  readonly #parts: HostParts;
  readonly counters: Float64Array;
  requests = ringBuffer(REQUEST_RING_BYTES);
  replies = ringBuffer(REPLY_RING_BYTES);
  /** Which life it is; replies to requests of an earlier one go nowhere. Drawn, since journals remember those of earlier processes. */
  session = drawSession();
  failure: SerializedError | undefined;
  #worker: Worker | undefined;
  #control: MessagePort | undefined;
  #isStopping = false;
  #isGivenUp = false;
  #beat = 0;
  #looks = 0;
  readonly #rebuilds: number[] = [];
  #exited: Promise<void> = Promise.resolve();
  #begun = Promise.withResolvers<void>();

  constructor(parts: HostParts) {
    this.#parts = parts;
    this.counters = new Float64Array(parts.counters);
  }

  get shard(): number {
    return this.#parts.shard;
  }

  get restarts(): number {
    return this.#rebuilds.length;
  }

  get state(): HostState {
    if (this.#isGivenUp || this.#worker === undefined) {
      return this.counters[Counter.state] === ShardState.stopped ? 'stopped' : 'failed';
    }
    const state: number = this.counters[Counter.state]!;
    switch (state) {
      case ShardState.running:
        return 'running';
      case ShardState.stopped:
        return 'stopped';
      default:
        return 'recovering';
    }
  }

  /**
   * Begins a life. Resolves with what its journal says of its links when it has recovered; rejects with what it failed of before. Held, it waits
   * then for `begin`.
   */
  start({ isHeld }: { readonly isHeld: boolean }): Promise<LinkCounters> {
    const { shard, shards, seed, clusterId, clockOffset, manualClock } = this.#parts;
    const { directory, counters, doorbells } = this.#parts;
    const { port1, port2 } = new MessageChannel();
    const sealer = this.#parts.sealer();
    const snapshots = this.#parts.snapshots();
    const options: ShardThreadOptions = {
      shard,
      shards,
      seed,
      clusterId,
      directory,
      session: this.session,
      clockOffset,
      manualClock,
      requests: this.requests,
      replies: this.replies,
      links: this.#parts.linksOf(),
      counters,
      doorbells,
      control: port2,
      sealer,
      isHeld,
      storage: { ...this.#parts.storage, wasFull: saysFull(this.failure) },
      snapshots,
    };
    this.failure = undefined;
    this.#looks = 0;
    this.counters[Counter.state] = ShardState.recovering;
    this.counters[Counter.control] = 0;
    this.counters[Counter.isCommitting] = 0;
    this.counters[Counter.journalBytes] = 0;
    this.counters[Counter.recoveryPhase] = RecoveryPhase.opening;
    this.#control = port1;
    port1.unref();
    const worker = new Worker(new URL('./shard-worker.ts', import.meta.url), {
      workerData: options,
      transferList: [port2, sealer, snapshots.port],
      name: `shard ${shard}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB_MAX },
    });
    this.#worker = worker;
    return this.#follow(worker, port1);
  }

  /** See `Supervisor.takeSlowestGroupMs`. */
  takeSlowestGroupMs(): number {
    const slowest = this.counters[Counter.slowestGroup]!;
    this.counters[Counter.slowestGroup] = 0;
    return slowest / 1e6;
  }

  /** Lets a held shard begin. Resolves when it can append. */
  begin(bell: Doorbell): Promise<void> {
    this.tell({ type: 'begin' }, bell);
    return this.#begun.promise;
  }

  #follow(worker: Worker, control: MessagePort): Promise<LinkCounters> {
    const begun = Promise.withResolvers<void>();
    begun.promise.catch(() => undefined); // Nobody may be waiting for it.
    this.#begun = begun;
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromShard) => {
        if (message.type === 'failed') this.failure = message.error;
        this.#parts.onMessage(message);
        if (message.type === 'recovered') resolve(message.links);
        if (message.type === 'begun') begun.resolve();
      });
      worker.on('error', (error) => {
        this.failure ??= serializeError(error);
      });
      this.#exited = new Promise((exited) => {
        worker.once('exit', () => {
          control.close();
          this.#worker = undefined;
          this.#control = undefined;
          const why = this.failure ?? new Error(`shard ${this.shard} ended before it began`);
          reject(why);
          begun.reject(why);
          exited();
          if (!this.#isStopping) this.#parts.onExit();
        });
      });
    });
  }

  /** Fresh memory for the next life. */
  renew(): void {
    this.requests = ringBuffer(REQUEST_RING_BYTES);
    this.replies = ringBuffer(REPLY_RING_BYTES);
    this.session = drawSession();
    this.#rebuilds.push(Date.now());
  }

  rebuildsSince(time: number): number {
    return this.#rebuilds.filter((at) => at >= time).length;
  }

  giveUp(): void {
    this.#isGivenUp = true;
  }

  tell(message: ControlMessage, bell: Doorbell): void {
    this.#control?.postMessage(message, []);
    this.counters[Counter.control] = this.counters[Counter.control]! + 1;
    bell.ring();
  }

  /** Asks the thread to stop, and waits until it has; one that does not within its time is ended. */
  async stop(bell: Doorbell): Promise<void> {
    this.#isStopping = true;
    if (this.#worker === undefined) return;
    this.tell({ type: 'stop' }, bell);
    const isStopped = this.#exited.then(() => true);
    const timeout = new Promise<boolean>((resolve) => {
      setTimeout(resolve, STOP_WAIT_MS, false).unref();
    });
    if (await Promise.race([isStopped, timeout])) return;
    this.kill();
    await this.#exited;
  }

  /** Ends a thread that does not move. Its connection to the journal is closed by Node as the thread goes. */
  kill(): void {
    this.#looks = 0;
    void this.#worker?.terminate();
  }

  /** How many looks in a row have seen the same heartbeat. */
  looksWithoutBeat(): number {
    const beat = this.counters[Counter.heartbeat]!;
    if (beat !== this.#beat || this.#worker === undefined) this.#looks = 0;
    else this.#looks++;
    this.#beat = beat;
    return this.#looks;
  }
}

/** Whether a life has ended because there was no room on the disk. */
function saysFull(failure: SerializedError | undefined): boolean {
  for (let error = failure; error !== undefined; error = error.cause) {
    if (error.code !== undefined && FULL_CODES.has(error.code)) return true;
  }
  return false;
}

function drawSession(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
