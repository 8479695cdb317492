/**
 * When snapshots are taken: on request, by time, by bytes of journal since the last one, and at an orderly stop. The supervisor's part; asks the
 * actors one after the other, since one thread writes for all.
 */
import { MessageChannel, Worker } from 'node:worker_threads';
import {
  SNAPSHOT_WORDS,
  SnapshotPhase,
  SnapshotWord,
  type SnapshotChannel,
} from './snapshot-source.ts';
import type {
  FromSnapshotThread,
  SnapshotConnect,
  SnapshotThreadOptions,
  SnapshotWritten,
} from './snapshot-thread.ts';

/** 0 turns a trigger off; both off, and none is taken at a stop either. */
export interface SnapshotTriggers {
  readonly minutes: number;
  /** MiB of journal since the last one. */
  readonly mib: number;
}

export interface SnapshotTaken {
  readonly shard: number;
  /** The last journal row whose effects are in it. */
  readonly sequence: number;
  readonly bytes: number;
  readonly seconds: number;
}

export interface SnapshotsOptions extends SnapshotThreadOptions {
  readonly triggers: SnapshotTriggers;
  readonly log: (line: string) => void;
  /** Bytes that a shard has journalled in this life, but for what a stop leaves. */
  readonly journalBytes: (shard: number) => number;
  /** Whether the disk has room for the shard's tables besides what is kept free. */
  readonly hasRoom: (shard: number) => boolean;
  readonly isRunning: (shard: number) => boolean;
  /** To have memory made for one first, and then to begin it. */
  readonly ask: (shard: number, what: 'prepareSnapshot' | 'snapshot', attempt: number) => void;
  /** A snapshot is whole, and older ones than the one before it are gone. */
  readonly onWritten: () => void;
}

/** Of one shard. */
interface Keeping {
  words: Int32Array | undefined;
  /** Bytes of journal up to the last snapshot, in this life. */
  savedBytes: number;
  last: SnapshotTaken | undefined;
  /** When the last one was taken or tried. */
  lookedMs: number;
  /** By a time or bytes trigger, not before. */
  notBeforeMs: number;
}

interface Wish {
  readonly shard: number;
  /** Its number, once its shard has been asked: what is reported of an earlier one comes too late. */
  attempt: number;
  /** Those of the life of its shard that was asked. */
  words: Int32Array | undefined;
  readonly promise: Promise<SnapshotTaken>;
  readonly resolve: (taken: SnapshotTaken) => void;
  readonly reject: (error: Error) => void;
}

/** After a snapshot that failed, triggers wait so long. */
const RETRY_MS = 60_000;
/** How long a stop waits for its snapshots. What is not written by then is replayed at the next start. */
const STOP_WAIT_MS = 8000;

export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #shards: Keeping[];
  /** The first one is being written. */
  #wishes: Wish[] = [];
  #worker: Worker | undefined;
  #exited: Promise<unknown> | undefined;
  #thread: 'none' | 'loading' | 'ready' | 'ended' = 'none';
  /** By shard: what the thread is told of its life when it is there. */
  readonly #connects = new Map<number, SnapshotConnect>();
  #attempts = 0;
  #isStopping = false;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    const now = performance.now();
    this.#shards = options.directories.map(() => ({
      words: undefined,
      savedBytes: 0,
      last: undefined,
      lookedMs: now,
      notBeforeMs: now,
    }));
  }

  /** The thread is there from the first snapshot on, or from when there is something that a trigger will want: most of what it takes is memory. */
  #start(): Worker {
    this.#thread = 'loading';
    const { clusterId, shards, directories, doorbells } = this.#options;
    const threadOptions: SnapshotThreadOptions = { clusterId, shards, directories, doorbells };
    const url = new URL('./snapshot-worker.ts', import.meta.url);
    const worker = new Worker(url, { workerData: threadOptions, name: 'snapshots' });
    worker.on('message', (message: FromSnapshotThread) => this.#onMessage(message));
    worker.on('error', (error) => this.#onEnd(error as Error));
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
    for (const connect of this.#connects.values()) worker.postMessage(connect, [connect.port]);
    this.#connects.clear();
    return worker;
  }

  /** Whether the thread can be given work. */
  get thread(): 'none' | 'loading' | 'ready' | 'ended' {
    return this.#thread;
  }

  /** A shard begins a life: its end of the channel, to be moved to its thread. */
  connect(shard: number): SnapshotChannel {
    const { port1, port2 } = new MessageChannel();
    const words = new SharedArrayBuffer(SNAPSHOT_WORDS * 4);
    const keeping = this.#shards[shard]!;
    keeping.words = new Int32Array(words);
    const connect: SnapshotConnect = { shard, words, port: port1 };
    if (this.#worker === undefined) this.#connects.set(shard, connect);
    else this.#worker.postMessage(connect, [port1]);
    return { words, port: port2 };
  }

  /** The shard has come up from a snapshot, or from none, and the journal behind it. */
  recovered(shard: number, last: Pick<SnapshotTaken, 'sequence' | 'bytes'> | undefined): void {
    const keeping = this.#shards[shard]!;
    keeping.savedBytes = 0;
    keeping.last = last === undefined ? undefined : { ...last, shard, seconds: 0 };
  }

  /** The shard's thread has ended: what is being read of it is of no use. */
  ended(shard: number): void {
    this.#abandon(shard);
    const [wish] = this.#wishes;
    // Of what has been read the thread makes a snapshot all the same, and reports it.
    if (wish?.shard === shard && !this.#isRead(shard)) this.#failed(wish, 'the shard has ended');
  }

  /** Takes a snapshot of each shard, one after the other. One that has nothing new keeps the one it has. */
  take(): Promise<readonly SnapshotTaken[]> {
    return Promise.all(this.#shards.map((_, shard) => this.#wish(shard)));
  }

  /** Called now and then: takes what is due. */
  look(): void {
    const { minutes, mib } = this.#options.triggers;
    const now = performance.now();
    for (const [shard, keeping] of this.#shards.entries()) {
      const bytes = this.#unsaved(shard);
      // Its code is loaded long before the first one is due, and not beside it.
      if (bytes > 0 && (minutes > 0 || mib > 0)) this.#worker ??= this.#start();
      if (bytes === 0 || now < keeping.notBeforeMs || !this.#options.isRunning(shard)) continue;
      const isTime = minutes > 0 && now - keeping.lookedMs >= minutes * 60_000;
      const isMuch = mib > 0 && bytes >= mib * 2 ** 20;
      if (isTime || isMuch) this.#wish(shard).catch(() => undefined);
    }
  }

  /** Before the shards stop: takes what is new, within a bound of time. */
  async takeLast(): Promise<void> {
    const { minutes, mib } = this.#options.triggers;
    if (minutes === 0 && mib === 0) return;
    for (const { words } of this.#shards) hurry(words);
    const due = this.#shards.flatMap((_, shard) =>
      this.#unsaved(shard) > 0 && this.#options.isRunning(shard) ? [this.#wish(shard)] : [],
    );
    const waited = new Promise<'late'>((resolve) => {
      setTimeout(resolve, STOP_WAIT_MS, 'late').unref();
    });
    const outcome = await Promise.race([Promise.allSettled(due), waited]);
    if (outcome === 'late') {
      this.#options.log(`no snapshot within ${STOP_WAIT_MS / 1000} s: the next start replays more`);
    }
  }

  /** Gives up what is being written, and ends the thread. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#onEnd(new Error('the ledger is stopping'));
    for (const { port } of this.#connects.values()) port.close();
    this.#worker?.postMessage('stop', []);
    await this.#exited;
  }

  #unsaved(shard: number): number {
    return this.#options.journalBytes(shard) - this.#shards[shard]!.savedBytes;
  }

  #wish(shard: number): Promise<SnapshotTaken> {
    if (this.#isStopping) return Promise.reject(new Error('the ledger is stopping'));
    const known = this.#wishes.find((one, i) => one.shard === shard && i > 0);
    if (known !== undefined) return known.promise;
    const { last } = this.#shards[shard]!;
    if (last !== undefined && this.#unsaved(shard) === 0) return Promise.resolve(last);
    const { promise, resolve, reject } = Promise.withResolvers<SnapshotTaken>();
    // Whoever asked may have gone.
    promise.catch(() => undefined);
    this.#wishes.push({ shard, attempt: 0, words: undefined, promise, resolve, reject });
    if (this.#wishes.length === 1) this.#next();
    return promise;
  }

  #next(): void {
    const [wish] = this.#wishes;
    if (wish === undefined) return;
    const { shard } = wish;
    const { words } = this.#shards[shard]!;
    if (words === undefined || !this.#options.isRunning(shard)) {
      this.#failed(wish, 'the shard does not run');
      return;
    }
    if (!this.#options.hasRoom(shard)) {
      this.#failed(wish, 'the disk has too little room for it');
      return;
    }
    if (this.#thread === 'ended') {
      this.#failed(wish, 'the thread that writes them has ended');
      return;
    }
    this.#worker ??= this.#start();
    // From its beginning on an image costs the shard something: not before somebody reads it.
    if (this.#thread === 'loading') return;
    Atomics.store(words, SnapshotWord.phase, SnapshotPhase.idle);
    wish.attempt = ++this.#attempts;
    wish.words = words;
    this.#options.ask(shard, 'prepareSnapshot', wish.attempt);
  }

  #isRead(shard: number): boolean {
    const { words } = this.#shards[shard]!;
    return words !== undefined && Atomics.load(words, SnapshotWord.phase) === SnapshotPhase.read;
  }

  #abandon(shard: number): void {
    const { words } = this.#shards[shard]!;
    if (words === undefined) return;
    const { phase, steps } = SnapshotWord;
    Atomics.compareExchange(words, phase, SnapshotPhase.underWay, SnapshotPhase.abandoned);
    Atomics.notify(words, steps);
    hurry(words);
  }

  #onMessage(message: FromSnapshotThread): void {
    if (message.type === 'ready') {
      this.#thread = 'ready';
      this.#next();
      return;
    }
    const [first] = this.#wishes;
    const wish = first?.attempt === message.attempt ? first : undefined;
    if (message.type === 'written') this.#written(message, wish);
    else if (wish === undefined) return;
    else if (message.type === 'problem') this.#failed(wish, message.problem);
    else this.#options.ask(wish.shard, 'snapshot', wish.attempt);
  }

  /** It is there, whether somebody still waits for it or not. */
  #written({ shard, place, bytes, seconds }: SnapshotWritten, wish: Wish | undefined): void {
    const keeping = this.#shards[shard]!;
    const taken = { shard, sequence: place.sequence, bytes, seconds };
    // Bytes of a life that has ended say nothing of the next one's.
    if (wish?.words === keeping.words) {
      keeping.last = taken;
      keeping.savedBytes = place.journalBytes;
    }
    keeping.lookedMs = performance.now();
    const mib = (bytes / 2 ** 20).toFixed(1);
    this.#options.log(
      `shard ${shard}: snapshot at sequence ${place.sequence}, ${mib} MiB in ${seconds.toFixed(2)} s`,
    );
    if (wish !== undefined) {
      wish.resolve(taken);
      this.#wishes.shift();
      this.#next();
    }
    this.#options.onWritten();
  }

  /** The first one of the list, which the next one follows. */
  #failed({ shard, reject }: Wish, problem: string): void {
    const keeping = this.#shards[shard]!;
    keeping.lookedMs = performance.now();
    keeping.notBeforeMs = keeping.lookedMs + RETRY_MS;
    if (!this.#isStopping) this.#options.log(`shard ${shard}: no snapshot: ${problem}`);
    reject(new Error(`No snapshot of shard ${shard}: ${problem}`));
    this.#wishes.shift();
    this.#next();
  }

  #onEnd(error: Error): void {
    this.#thread = 'ended';
    const { idle, abandoned } = SnapshotPhase;
    for (const [shard, { words }] of this.#shards.entries()) {
      this.#abandon(shard);
      // An actor that was asked and has not begun need not.
      if (words !== undefined) Atomics.compareExchange(words, SnapshotWord.phase, idle, abandoned);
    }
    const wishes = this.#wishes;
    this.#wishes = [];
    if (!this.#isStopping) this.#options.log(`snapshots: the thread has ended: ${error.message}`);
    for (const { reject } of wishes) reject(error);
  }
}

/** Whatever is being written is written without rests. */
function hurry(words: Int32Array | undefined): void {
  if (words === undefined) return;
  Atomics.store(words, SnapshotWord.hurry, 1);
  Atomics.notify(words, SnapshotWord.hurry);
}
