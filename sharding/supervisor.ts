/**
 * Starts the shards of a data directory, watches them, rebuilds the ones that die or spin, and stops them in order. Owns the directory's lock,
 * the threads, and every piece of shared memory; hands the router out.
 *
 * A shard whose thread has ended, or whose heart has stopped, is rebuilt from its journal on a new thread while the others go on: its callers
 * are told `unknown`, its rings are new, and its peers are told to say again what they have. Tries are bounded; then it stays down.
 * Damage found while starting refuses the start (DataDirectoryError); found later it keeps that shard down.
 */
import { type Doorbell, DOORBELL_BYTES } from '../lib/doorbell.ts';
import { Archive } from '../persistence/archive-thread.ts';
import { type Archived, pointToArchive } from '../persistence/archiver.ts';
import { DataDirectory } from '../persistence/data-directory.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import { makeWitness } from '../persistence/head-witness.ts';
import { SegmentSealer } from '../persistence/segment-sealer.ts';
import { freeBytes, RESERVE_BYTES_DEFAULT } from '../persistence/storage-room.ts';
import { QueryThread } from '../query/query-thread.ts';
import { ReadProblemLog } from './read-problem-log.ts';
import { RecordThread } from './record-thread.ts';
import { progressLine, recoveryLine, recoveryProgress } from './recovery-lines.ts';
import { ringBuffer } from './ring.ts';
import { Router, type RouterStatus, type ShardStatus } from './router.ts';
import { ShardClient } from './shard-client.ts';
import { countersBuffer } from './shard-counters.ts';
import { ShardHost, type HostParts, type HostState } from './shard-host.ts';
import { readShardMetrics, type ShardMetrics } from './shard-metrics.ts';
import {
  Counter,
  doorbellsOf,
  linkRingBytes,
  type FromShard,
  type LinkCounters,
  type SerializedError,
  type ShardFault,
} from './shard-protocol.ts';
import { Snapshots, type SnapshotTaken, type SnapshotTriggers } from './snapshots.ts';
import { asStartError, linkDefect } from './start-refusals.ts';
import { StorageWatch } from './storage-watch.ts';

export interface SupervisorOptions {
  readonly directory: string;
  /** Fixed when the directory is made. One less than the cores unless given, at least 1. */
  readonly shards?: number | undefined;
  readonly log?: ((line: string) => void) | undefined;
  /** Creates are refused when less than this is free on the disk; 0 for never. */
  readonly reserveBytes?: number | undefined;
  /** Tests only: the free bytes of the disk, as one BigInt64. */
  readonly freeBytes?: SharedArrayBuffer | undefined;
  /** When snapshots are taken without being asked for; never unless given. */
  readonly snapshots?: SnapshotTriggers | undefined;
  /** Where segments go that no start needs; an absolute path. None: they stay. */
  readonly archive?: string | undefined;
  /** Tests only: the ledger's time, ns, as one BigInt64. Whoever moves it calls `wake`. */
  readonly manualClock?: SharedArrayBuffer | undefined;
}

const NO_TRIGGERS: SnapshotTriggers = { minutes: 0, mib: 0 };

export interface ShardDigest {
  readonly shard: number;
  readonly sequence: number;
  readonly digest: string;
}

export type { SnapshotTaken, SnapshotTriggers };

export type SupervisorState = 'starting' | 'ready' | 'stopping' | 'stopped';

/** The watchdog looks so often; a heart that has not beaten for so many looks has stopped. Looks, not time: a paused process counts none. */
const WATCH_MS = 250;
const LOOKS_BETWEEN_LINES = 8;
const LOOKS_RUNNING_MAX = 20;
const LOOKS_COMMITTING_MAX = 120;
const LOOKS_RECOVERING_MAX = 480;
/** Rebuilds of one shard within the window; one more, and it stays down. */
const REBUILDS_MAX = 5;
const REBUILDS_WINDOW_MS = 60_000;
/** How long a stop waits for what was taken to be answered. */
const STOP_WAIT_MS = 15_000;
/** How long the shards wait at a stop for the readers, which may be in the middle of a question. */
const READERS_STOP_MS = 2000;
const DRAIN_WAIT_MS = 1000;

export class Supervisor {
  readonly #directory: DataDirectory;
  readonly #log: (line: string) => void;
  readonly #sealer: SegmentSealer;
  readonly #records: RecordThread;
  readonly #queries: QueryThread;
  readonly #snapshots: Snapshots;
  readonly #archive: Archive | undefined;
  readonly #hosts: ShardHost[] = [];
  readonly #clients: ShardClient[] = [];
  readonly #doorbells: SharedArrayBuffer;
  readonly #bells: readonly Doorbell[];
  /** links[i][j]: the ring from shard i to shard j. */
  readonly #links: SharedArrayBuffer[][];
  readonly #manualClock: SharedArrayBuffer | undefined;
  readonly #storage: {
    readonly reserveBytes: number;
    readonly free: SharedArrayBuffer | undefined;
  };
  readonly #storageWatch: StorageWatch;
  readonly router: Router;
  #state: SupervisorState = 'starting';
  #watch: NodeJS.Timeout | undefined;
  #looks = 0;
  #drained: Promise<void> = Promise.resolve();

  private constructor(directory: DataDirectory, options: SupervisorOptions) {
    this.#directory = directory;
    this.#log = options.log ?? ((): void => undefined);
    this.#manualClock = options.manualClock;
    const reserveBytes = options.reserveBytes ?? RESERVE_BYTES_DEFAULT;
    this.#storage = { reserveBytes, free: options.freeBytes };
    this.#storageWatch = new StorageWatch({
      directory: directory.directory,
      reserveBytes,
      free: () => this.#freeBytes(),
      log: this.#log,
    });
    const { shards, clusterId } = directory.meta;
    this.#sealer = new SegmentSealer((problem) => this.#log(`segment sealer: ${problem}`), shards);
    const directories = Array.from({ length: shards }, (_, k) => directory.shardDirectory(k));
    this.#archive = archiveOf(directory, directories, options.archive);
    const problems = new ReadProblemLog(this.#log);
    const readers = { shards, clusterId, directories };
    this.#records = new RecordThread(readers, (problem) => problems.note(problem));
    this.#queries = QueryThread.start(readers, (problem) => problems.note(problem));
    this.#doorbells = new SharedArrayBuffer((shards + 1) * DOORBELL_BYTES);
    this.#bells = doorbellsOf(this.#doorbells, shards);
    const bytes = linkRingBytes(shards);
    this.#links = directories.map((_, i) =>
      directories.map((__, j) => ringBuffer(i === j ? 64 : bytes)),
    );
    this.#snapshots = new Snapshots({
      clusterId,
      shards,
      directories,
      log: this.#log,
      doorbells: this.#doorbells,
      triggers: options.snapshots ?? NO_TRIGGERS,
      journalBytes: (k) => this.#hosts[k]!.counters[Counter.journalBytes]!,
      hasRoom: (k) => {
        const needed = this.#hosts[k]!.counters[Counter.tableBytes]!;
        return this.#freeBytes() > reserveBytes + needed;
      },
      isRunning: (k) => this.#stateOf(k) === 'running',
      ask: (k, type, attempt) => this.#hosts[k]!.tell({ type, attempt }, this.#bells[k]!),
      onWritten: () => this.#archiveBehind(),
    });
    const clockOffset = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
    for (let k = 0; k < shards; k++) {
      const host = new ShardHost(this.#partsOf(k, clockOffset));
      this.#hosts.push(host);
      this.#clients.push(new ShardClient(k, this.#bells[k]!, host));
    }
    this.router = new Router(this.#clients, this.#records, () => this.#status(), this.#queries);
  }

  #partsOf(k: number, clockOffset: bigint): HostParts {
    const { shards, clusterId, seed } = this.#directory.meta;
    return {
      shard: k,
      shards,
      seed,
      clusterId,
      clockOffset,
      manualClock: this.#manualClock,
      directory: this.#directory.shardDirectory(k),
      counters: countersBuffer(),
      doorbells: this.#doorbells,
      linksOf: () => this.#linksOf(k),
      sealer: () => this.#sealer.connect(),
      storage: this.#storage,
      snapshots: () => this.#snapshots.connect(k),
      onMessage: (message) => this.#onMessage(k, message),
      onExit: () => this.#onExit(k),
    };
  }

  #linksOf(
    k: number,
  ): { peer: number; incoming: SharedArrayBuffer; outgoing: SharedArrayBuffer }[] {
    const links = [];
    for (let peer = 0; peer < this.#links.length; peer++) {
      if (peer === k) continue;
      links.push({ peer, incoming: this.#links[peer]![k]!, outgoing: this.#links[k]![peer]! });
    }
    return links;
  }

  /** Resolves when all shards have recovered. Rejects with a DataDirectoryError when the directory is refused. */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const supervisor = Supervisor.open(options);
    try {
      await supervisor.recover();
      return supervisor;
    } catch (error: unknown) {
      await supervisor.stop();
      throw error;
    }
  }

  /** Takes the directory. Nothing is recovered yet; whoever opens one stops it, whatever becomes of `recover`. */
  static open(options: SupervisorOptions): Supervisor {
    const { directory, shards } = options;
    const opened = DataDirectory.open({ directory, shards, create: true });
    try {
      return new Supervisor(opened, options);
    } catch (error: unknown) {
      opened.close();
      throw error;
    }
  }

  /** The same as of `start`, for one that was opened. `state` and the router's status tell how far it is. */
  async recover(): Promise<void> {
    this.#drained = this.#drainLoop();
    const recovered = this.#hosts.map((host) => host.start({ isHeld: true }));
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#watch.unref();
    const outcomes = await Promise.allSettled(recovered);
    const links: LinkCounters[] = [];
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw asStartError(outcome.reason as SerializedError | Error);
      }
      links.push(outcome.value);
    }
    const defect = linkDefect(links);
    if (defect !== null) throw new DataDirectoryError('DATA_DAMAGED', defect);
    const dead = this.#hosts.find(({ state }) => state === 'failed');
    if (dead !== undefined) throw asStartError(dead.failure ?? new Error('a shard has ended'));
    await this.#begin();
    this.#state = 'ready';
    this.#archiveBehind();
  }

  /** Nothing speaks against the directory: from here on it is changed. */
  async #begin(): Promise<void> {
    const { directory, meta } = this.#directory;
    const { clusterId, shards } = meta;
    const hasRows = this.#hosts.some(({ counters }) => counters[Counter.sequence]! > 0);
    makeWitness(directory, { clusterId, shards, hasRows }, this.#log);
    try {
      await Promise.all(this.#hosts.map((host, k) => host.begin(this.#bells[k]!)));
    } catch (error: unknown) {
      throw asStartError(error as SerializedError | Error);
    }
  }

  get shards(): number {
    return this.#hosts.length;
  }

  get directory(): string {
    return this.#directory.directory;
  }

  state(): SupervisorState {
    return this.#state;
  }

  /** Answers what was taken, closes the journals, and lets the directory go. */
  async stop(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return this.#stopping;
    const wasReady = this.#state === 'ready';
    this.#state = 'stopping';
    this.#stopping = this.#stop(wasReady);
    return this.#stopping;
  }

  #stopping: Promise<void> = Promise.resolve();

  async #stop(wasReady: boolean): Promise<void> {
    clearInterval(this.#watch);
    if (wasReady) this.#storageWatch.giveBack();
    await Promise.race([this.router.close(), pauseOf(STOP_WAIT_MS)]);
    await this.#snapshots.takeLast();
    // Readers let go of the segments first: it is the last on one that moves its WAL into it, and else the next start has that to do.
    const readers = Promise.all([this.#records.stop(), this.#queries.stop()]);
    await Promise.race([readers, pauseOf(READERS_STOP_MS)]);
    await Promise.all(this.#hosts.map((host, k) => host.stop(this.#bells[k]!)));
    for (const client of this.#clients) {
      client.isUp = false;
      client.fail();
    }
    this.#state = 'stopped';
    this.#bells.at(-1)!.ring();
    await this.#drained;
    await this.#snapshots.stop();
    await readers;
    await this.#archive?.stop();
    await this.#sealer.stop();
    await this.#storageWatch.rest();
    this.#directory.close();
  }

  /** Digests of the live state, one for each shard. */
  digests(): Promise<readonly ShardDigest[]> {
    return this.router.digests();
  }

  /**
   * Takes a snapshot of every shard, one after the other, while they go on. A shard that has nothing new says which one it has. Rejects, with a
   * sentence, when one cannot be taken.
   */
  snapshot(): Promise<readonly SnapshotTaken[]> {
    return this.#snapshots.take();
  }

  /** Moves to the archive what lies behind two snapshots. Rejects with a sentence when it cannot. */
  async archiveNow(): Promise<Archived> {
    if (this.#archive === undefined) {
      throw new Error('no archive is named: start the process with --archive DIRECTORY');
    }
    const archived = await this.#archive.run();
    const { segments, bytes } = archived;
    const mib = (bytes / 2 ** 20).toFixed(1);
    if (segments > 0) this.#log(`archive: ${segments} segments moved, ${mib} MiB`);
    return archived;
  }

  /** After a snapshot, and at the start, since a run may have been cut off. */
  #archiveBehind(): void {
    if (this.#archive === undefined || this.#state !== 'ready') return;
    this.archiveNow().catch((error: unknown) => {
      this.#log(`archive: ${error instanceof Error ? error.message : String(error)}`);
    });
  }

  metrics(): readonly ShardMetrics[] {
    return this.#hosts.map((host, k) => ({
      ...readShardMetrics(host, this.#clients[k]!),
      state: this.#stateOf(k),
    }));
  }

  /** The slowest group of all shards since this was last asked for, ms: from the beginning of its execution until it was durable. */
  takeSlowestGroupMs(): number {
    return Math.max(...this.#hosts.map((host) => host.takeSlowestGroupMs()));
  }

  /** Makes idle shards look at the time. */
  wake(): void {
    for (const bell of this.#bells) bell.ring();
  }

  /** Whether some pending transfer is being expired, or some work crosses shards. */
  isSettling(): boolean {
    return this.#hosts.some(
      ({ counters }) => counters[Counter.expiring]! + counters[Counter.walks]! > 0,
    );
  }

  /** Tests only: makes a shard's thread throw or spin. */
  injectFault(shard: number, fault: ShardFault): void {
    this.#hosts[shard]!.tell({ type: 'fault', fault }, this.#bells[shard]!);
  }

  /** A shard runs when the router takes for it, which is a moment after its thread says so. */
  #stateOf(k: number): HostState {
    const { state } = this.#hosts[k]!;
    return state === 'running' && !this.#clients[k]!.isUp ? 'recovering' : state;
  }

  #status(): RouterStatus {
    const shards = this.#hosts.map((host, k): ShardStatus => {
      const { counters } = host;
      return {
        shard: k,
        state: this.#stateOf(k),
        sequence: counters[Counter.sequence]!,
        timestamp:
          (BigInt(counters[Counter.clockHigh]!) << 32n) | BigInt(counters[Counter.clockLow]!),
        queueDepth: counters[Counter.parked]!,
        inFlight: this.#clients[k]!.inFlight,
        isFull: counters[Counter.storageFull] !== 0,
        recovery: this.#stateOf(k) === 'recovering' ? recoveryProgress(counters) : undefined,
      };
    });
    return { shards };
  }

  // ---- Replies.

  async #drainLoop(): Promise<void> {
    const bell = this.#bells.at(-1)!;
    while (this.#state !== 'stopped') {
      const seen = bell.seen();
      let isMore = false;
      for (const client of this.#clients) if (client.drain()) isMore = true;
      this.router.resume();
      if (isMore) await new Promise((resolve) => setImmediate(resolve));
      else await bell.waitAsync(seen, DRAIN_WAIT_MS);
    }
  }

  // ---- Life and death of a shard.

  #onMessage(k: number, message: FromShard): void {
    if (message.type === 'recovered') {
      this.#clients[k]!.isUp = true;
      this.#snapshots.recovered(k, message.snapshot);
      const line = recoveryLine(k, message);
      if (line !== undefined) this.#log(line);
    } else if (message.type === 'note') {
      this.#log(`shard ${k}: ${message.line}`);
    } else if (message.type === 'failed') {
      this.#log(`shard ${k}: ${message.error.message}`);
    }
  }

  #onExit(k: number): void {
    const client = this.#clients[k]!;
    client.isUp = false;
    this.#snapshots.ended(k);
    while (client.drain());
    client.fail();
    if (this.#state === 'ready') this.#rebuild(k);
  }

  #freeBytes(): number {
    const { free } = this.#storage;
    if (free === undefined) return freeBytes(this.#directory.directory);
    return Number(Atomics.load(new BigInt64Array(free), 0));
  }

  #look(): void {
    if (this.#state === 'ready') this.#storageWatch.look(this.#hosts);
    if (this.#state === 'ready') this.#snapshots.look();
    if (this.#looks++ % LOOKS_BETWEEN_LINES === LOOKS_BETWEEN_LINES - 1) this.#logProgress();
    for (let k = 0; k < this.#hosts.length; k++) {
      const host = this.#hosts[k]!;
      const looks = host.looksWithoutBeat();
      const isCommitting = host.counters[Counter.isCommitting] === 1;
      const running = isCommitting ? LOOKS_COMMITTING_MAX : LOOKS_RUNNING_MAX;
      if (looks <= (host.state === 'recovering' ? LOOKS_RECOVERING_MAX : running)) continue;
      this.#log(`shard ${k} does not move any more: its thread is ended`);
      host.kill();
    }
  }

  #logProgress(): void {
    for (const { shard, recovery } of this.#status().shards) {
      if (recovery !== undefined) this.#log(progressLine(shard, recovery));
    }
  }

  #rebuild(k: number): void {
    const host = this.#hosts[k]!;
    const { failure } = host;
    // Nothing mends a damaged journal by trying again.
    const isDamaged = failure?.exitCode !== undefined || failure?.code === 'JOURNAL_CORRUPT';
    if (isDamaged || host.rebuildsSince(Date.now() - REBUILDS_WINDOW_MS) >= REBUILDS_MAX) {
      host.giveUp();
      this.#log(`shard ${k} stays down: ${host.failure?.message ?? 'it ended too often'}`);
      return;
    }
    this.#log(`shard ${k} is rebuilt from its journal`);
    this.#storageWatch.giveBack();
    const bytes = linkRingBytes(this.shards);
    for (let peer = 0; peer < this.shards; peer++) {
      if (peer === k) continue;
      this.#links[k]![peer] = ringBuffer(bytes);
      this.#links[peer]![k] = ringBuffer(bytes);
      const rings = { peer: k, incoming: this.#links[k]![peer]!, outgoing: this.#links[peer]![k]! };
      this.#hosts[peer]!.tell({ type: 'relink', rings }, this.#bells[peer]!);
    }
    host.renew();
    this.#clients[k]!.renew(host);
    host.start({ isHeld: false }).catch(() => undefined);
  }
}

/** Tells the readers of all shards where the archive is, before any of them opens its journal. */
function archiveOf(
  { meta }: DataDirectory,
  directories: readonly string[],
  archive: string | undefined,
): Archive | undefined {
  if (archive === undefined) return undefined;
  const { clusterId, shards } = meta;
  try {
    for (const [shard, directory] of directories.entries()) {
      pointToArchive(directory, { clusterId, shard, shards }, archive);
    }
  } catch (error: unknown) {
    throw asStartError(error as Error);
  }
  return new Archive({ clusterId, shards, directories, archive });
}

/** Does not keep the process alive. */
function pauseOf(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
