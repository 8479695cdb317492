/**
 * The thread that writes the snapshots of all shards, one at a time, so that no actor waits for a disk. Reads the tables while their shard goes
 * on, window by window, puts back what was changed since the image began (engine/image-copy.ts), and has the store make a file of it.
 *
 * Failure policy: a snapshot that cannot be written is reported and dropped; the ledger loses nothing but time at its next start. A shard
 * whose thread ends, and a stop, set `abandoned` in the shared words, and the work ends at the next window.
 */
import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import {
  freshMemory,
  freshPage,
  IMAGE_CHUNK_SHIFTS,
  ImageTable,
  logPagesOf,
} from '../engine/before-images.ts';
import { digestText, StateDigest } from '../engine/digest.ts';
import { ImageCopy } from '../engine/image-copy.ts';
import {
  imagePieces,
  ImageSection,
  PIECE_WORDS_MAX,
  type ImageParts,
  type ImagePiece,
} from '../engine/image.ts';
import { StateReader } from '../engine/state-words.ts';
import { Doorbell, DOORBELL_BYTES } from '../lib/doorbell.ts';
import { UNSYNCED_BYTES_MAX, UNSYNCED_BYTES_MAX_ALONE } from '../persistence/image-file.ts';
import { SnapshotBeing } from '../persistence/snapshot-store.ts';
import { PACE_RESTS, PACE_RESTS_ACCOUNTS, SnapshotPace } from './snapshot-pace.ts';
import {
  SnapshotPhase,
  SnapshotWord,
  type FromSource,
  type SnapshotChannel,
  type SnapshotPlace,
  type ToSource,
} from './snapshot-source.ts';

export interface SnapshotThreadOptions {
  readonly clusterId: string;
  readonly shards: number;
  readonly directories: readonly string[];
  readonly doorbells: SharedArrayBuffer;
}

/** To the thread: a shard begins a life. */
export interface SnapshotConnect extends SnapshotChannel {
  readonly shard: number;
}

/** Memory for a snapshot is on its way to the shard. */
export interface SnapshotPrepared {
  readonly type: 'prepared';
  readonly attempt: number;
}

export interface SnapshotWritten {
  readonly type: 'written';
  readonly attempt: number;
  readonly shard: number;
  readonly place: SnapshotPlace;
  readonly bytes: number;
  readonly seconds: number;
}
export type FromSnapshotThread =
  | { readonly type: 'ready' }
  | SnapshotPrepared
  | SnapshotWritten
  | { readonly type: 'problem'; readonly attempt: number; readonly problem: string };

/** Words that are copied, and then written, between two looks at the log. */
const WINDOW_WORDS = 4 << 20;
/** Pages of the log that are made before they are needed: twice as many as the window before has filled, and no more than these. */
const AHEAD_PAGES_MAX = 16;
/** What a piece of an image has of a table; timestamps of accounts, which do not change, come with their rows. */
export const TABLE_OF: { readonly [section: number]: ImageTable | undefined } = {
  [ImageSection.accounts]: ImageTable.accounts,
  [ImageSection.slots]: ImageTable.slots,
  [ImageSection.pendings]: ImageTable.pendings,
  [ImageSection.users]: ImageTable.users,
};
/** How long the thread waits for an actor to move before it rings again. */
const STEP_WAIT_MS = 20;

export function runSnapshotThread(): void {
  assert(parentPort !== null, 'snapshots are written by a thread of its own');
  const main = parentPort;
  const options = workerData as SnapshotThreadOptions;
  main.on('message', (message: SnapshotConnect | 'stop') => {
    if (message === 'stop') {
      main.close();
      return;
    }
    const { port } = message;
    port.on('message', (from: FromSource) => {
      if (from.type === 'prepare') main.postMessage(prepare(message, from), []);
      else if (from.type === 'begin') main.postMessage(writeSnapshot(options, message, from), []);
      // Else a page of a snapshot that was abandoned.
    });
    port.unref();
  });
  main.postMessage({ type: 'ready' } satisfies FromSnapshotThread, []);
}

type Prepare = Extract<FromSource, { type: 'prepare' }>;
type Begin = Extract<FromSource, { type: 'begin' }>;

/**
 * Makes what the actor will need. It saves each account with its first change: most of that in the first half second, and in memory that nobody has
 * touched it would take four times as long as its transfers do.
 */
function prepare(connect: SnapshotConnect, asked: Prepare): FromSnapshotThread {
  const { attempt, sizes, sparePages } = asked;
  const { port } = connect;
  const pace = new SnapshotPace(new Int32Array(connect.words));
  const send = (message: ToSource): void => {
    port.postMessage(message, []);
    pace.keep();
  };
  try {
    send({ type: 'memory', memory: freshMemory(sizes) });
    for (let i = sparePages; i < logPagesOf(sizes) && !pace.isAlone; i++) {
      send({ type: 'page', page: freshPage() });
    }
    return { type: 'prepared', attempt };
  } catch (error: unknown) {
    return { type: 'problem', attempt, problem: problemOf(error) };
  }
}

function writeSnapshot(
  options: SnapshotThreadOptions,
  connect: SnapshotConnect,
  begin: Begin,
): FromSnapshotThread {
  const began = process.hrtime.bigint();
  const { shard } = connect;
  const { place } = begin;
  const { attempt } = place;
  try {
    const bytes = new SnapshotWriting(options, connect, begin).run();
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    return { type: 'written', attempt, shard, place, bytes, seconds };
  } catch (error: unknown) {
    const words = new Int32Array(connect.words);
    Atomics.store(words, SnapshotWord.phase, SnapshotPhase.abandoned);
    return { type: 'problem', attempt, problem: problemOf(error) };
  }
}

function problemOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error);
}

class SnapshotWriting {
  readonly #options: SnapshotThreadOptions;
  readonly #shard: number;
  readonly #words: Int32Array;
  readonly #port: MessagePort;
  readonly #bell: Doorbell;
  readonly #place: SnapshotPlace;
  readonly #parts: ImageParts;
  readonly #links: Uint32Array;
  readonly #pace: SnapshotPace;
  /** Pages that the log has not begun. */
  #sparePages: number;
  readonly #copy: ImageCopy;
  readonly #digest: StateDigest;
  readonly #window = new Uint32Array(WINDOW_WORDS + PIECE_WORDS_MAX);

  constructor(options: SnapshotThreadOptions, connect: SnapshotConnect, begin: Begin) {
    this.#options = options;
    this.#shard = connect.shard;
    this.#words = new Int32Array(connect.words);
    this.#pace = new SnapshotPace(this.#words);
    this.#port = connect.port;
    this.#bell = new Doorbell(options.doorbells, connect.shard * DOORBELL_BYTES);
    this.#place = begin.place;
    // What is written to a file is not shared.
    const state = begin.parts.state.slice();
    this.#parts = { ...begin.parts, state };
    this.#links = begin.links;
    this.#sparePages = begin.sparePages;
    this.#copy = new ImageCopy(begin.parts);
    this.#digest = new StateDigest(new StateReader(state).takeList());
  }

  /** Says how many bytes the image has. */
  run(): number {
    const { directories, clusterId, shards } = this.#options;
    const { sequence, chain, timestamp } = this.#place;
    const identity = { clusterId, shard: this.#shard, shards, sequence };
    using being = new SnapshotBeing(directories[this.#shard]!, identity);
    being.image.write(ImageSection.state, this.#parts.state);
    being.image.write(ImageSection.links, this.#links);
    for (const pieces of windowsOf(this.#parts)) this.#writeWindow(being, pieces);
    // After this point the actor may forget what was.
    const isRead = Atomics.compareExchange(
      this.#words,
      SnapshotWord.phase,
      SnapshotPhase.underWay,
      SnapshotPhase.read,
    );
    this.#bell.ring();
    if (isRead !== SnapshotPhase.underWay) throw new Error('it was given up');
    const digest = digestText(this.#digest.finish());
    return being.publish({ chain, timestamp, digest }, () => this.#pace.keep()).bytes;
  }

  #writeWindow(being: SnapshotBeing, pieces: readonly ImagePiece[]): void {
    const isOfAccounts = pieces[0]!.section === ImageSection.accounts;
    this.#pace.rests = isOfAccounts ? PACE_RESTS_ACCOUNTS : PACE_RESTS;
    let end = 0;
    const copies = pieces.map((piece) => {
      const words = this.#window.subarray(end, end + piece.words);
      end += piece.words;
      this.#copy.copy(piece, words);
      this.#pace.keep();
      return { piece, words };
    });
    this.#absorb();
    for (const { section, chunk } of pieces) {
      const table = TABLE_OF[section];
      if (table === undefined) continue;
      Atomics.store(
        this.#words,
        SnapshotWord.passed + table,
        (chunk + 1) << IMAGE_CHUNK_SHIFTS[table],
      );
    }
    being.image.unsyncedMax = this.#pace.isAlone ? UNSYNCED_BYTES_MAX_ALONE : UNSYNCED_BYTES_MAX;
    for (const { piece, words } of copies) {
      this.#copy.restore(piece, words);
      this.#pace.keep();
      this.#digest.add(piece.section, words);
      being.image.write(piece.section, words);
      this.#pace.keep();
    }
  }

  /** Makes pages ahead of a log that grows. */
  #supplyLog(wanted: number): void {
    for (; this.#sparePages < wanted && !this.#pace.isAlone; this.#sparePages++) {
      this.#port.postMessage({ type: 'page', page: freshPage() } satisfies ToSource, []);
      this.#pace.keep();
    }
  }

  /** Waits until the actor has ended two steps, and takes its log up to there. */
  #absorb(): void {
    const words = this.#words;
    const first = Atomics.load(words, SnapshotWord.steps);
    for (;;) {
      const steps = Atomics.load(words, SnapshotWord.steps);
      if (Atomics.load(words, SnapshotWord.phase) !== SnapshotPhase.underWay) {
        throw new Error('it was given up');
      }
      if (((steps - first) | 0) >= 2) break;
      this.#bell.ring();
      Atomics.wait(words, SnapshotWord.steps, steps, STEP_WAIT_MS);
    }
    const length = Atomics.load(words, SnapshotWord.log) >>> 0;
    let begun = 0;
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) break;
      const message = received.message as FromSource;
      assert(message.type === 'page', 'one snapshot of a shard at a time');
      this.#copy.addPage(message.page);
      // Without a spare one the actor has made it.
      this.#sparePages = Math.max(0, this.#sparePages - 1);
      begun++;
    }
    if (begun > 1) this.#supplyLog(Math.min(begun * 2, AHEAD_PAGES_MAX));
    this.#copy.absorb(length);
  }
}

/** Pieces that are copied together. Rows of accounts and their timestamps stay together. */
function* windowsOf(parts: ImageParts): Generator<readonly ImagePiece[], void, undefined> {
  let pieces: ImagePiece[] = [];
  let words = 0;
  for (const piece of imagePieces(parts.sizes)) {
    pieces.push(piece);
    words += piece.words;
    if (words < WINDOW_WORDS || piece.section === ImageSection.accounts) continue;
    yield pieces;
    pieces = [];
    words = 0;
  }
  if (pieces.length > 0) yield pieces;
}
