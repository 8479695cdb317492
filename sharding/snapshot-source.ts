/**
 * The actor's side of a snapshot: begins the image, and after each step says how far the log of before-images reaches, until the thread that
 * writes the snapshot has read everything or one of the two gives up. Costs the actor a few words in shared memory for each step meanwhile.
 *
 * Before it begins, the thread makes the memory for its state, its marks, and the log: to touch a page of memory for the first time costs more than
 * all that comes later, and tables of 70 million slots have 18 MB of marks, for which an actor was seen to stand still for 48 ms.
 *
 * What crosses: messages (how large the tables are, what the image consists of, pages of the log, and back the memory) and shared words. The order
 * that counts: the thread copies, reads STEPS, waits until two more steps have ended, and reads LOG; a step ends with LOG, then STEPS. So all that the
 * copy can have seen was logged. Then it says in PASSED, table by table, how far it is, and nothing of that is logged any more.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import { ImageTable, type ImageMemory, type ImageSizes } from '../engine/before-images.ts';
import { imageSizes, type ImageParts } from '../engine/image.ts';
import type { StateMachine } from '../engine/state-machine.ts';

/** Words of the shared memory of a shard's snapshots. `hurry`: 1 when nobody works beside the thread any more. `passed`: the first of one for each table. */
export const SnapshotWord = { phase: 0, steps: 1, log: 2, hurry: 3, passed: 4 } as const;
const TABLES = Object.values(ImageTable);
export const SNAPSHOT_WORDS = SnapshotWord.passed + TABLES.length;
/** `idle`: asked for, and not begun. `read`: the thread needs the tables no more. `abandoned`: by whichever side, and both let go. */
export const SnapshotPhase = { idle: 0, underWay: 1, read: 2, abandoned: 3 } as const;

/** A log larger than this, and than half of the tables, is a disk that does not follow. */
const LOG_BYTES_MAX = 256 << 20;
/** Places in the log have 32 bits. */
const LOG_WORDS_MAX = 2 ** 31;

/** What a snapshot says of its place in the journal. */
export interface SnapshotPlace {
  /** Which one it is for the supervisor. */
  readonly attempt: number;
  readonly sequence: number;
  readonly chain: number;
  readonly timestamp: string;
  /** Bytes of journal up to there, in this life, as `Counter.unsaved` has them. */
  readonly journalBytes: number;
}

export type FromSource =
  | {
      readonly type: 'prepare';
      readonly attempt: number;
      readonly sizes: ImageSizes;
      /** Pages that the log need not make. */
      readonly sparePages: number;
    }
  | {
      readonly type: 'begin';
      readonly place: SnapshotPlace;
      readonly parts: ImageParts;
      readonly links: Uint32Array;
      readonly sparePages: number;
    }
  | { readonly type: 'page'; readonly page: Uint32Array };

/** Memory for the log, or for the beginning of the image that was asked for. */
export type ToSource =
  | { readonly type: 'page'; readonly page: Uint32Array }
  | { readonly type: 'memory'; readonly memory: ImageMemory };

export interface SnapshotChannel {
  readonly words: SharedArrayBuffer;
  readonly port: MessagePort;
}

export class SnapshotSource {
  readonly #words: Int32Array;
  readonly #port: MessagePort;
  #pages = 0;
  #memory: ImageMemory | undefined;
  isUnderWay = false;

  constructor({ words, port }: SnapshotChannel) {
    this.#words = new Int32Array(words);
    this.#port = port;
  }

  /** Asks for the memory of a snapshot that is to begin soon. */
  prepare(machine: StateMachine, attempt: number): void {
    if (this.isUnderWay) this.stepped(machine);
    assert(!this.isUnderWay, 'one snapshot of a shard at a time');
    Atomics.store(this.#words, SnapshotWord.log, 0);
    this.#takeMemory(machine);
    const { ledger } = machine;
    const { spare: sparePages } = ledger.images;
    this.#post({ type: 'prepare', attempt, sizes: imageSizes(ledger), sparePages });
  }

  /** Between two groups. `links` are the messages that wait for their acknowledgement. Nothing begins when nobody would read it any more. */
  begin(machine: StateMachine, place: SnapshotPlace, links: Uint32Array): void {
    if (this.isUnderWay) this.stepped(machine);
    assert(!this.isUnderWay, 'one snapshot of a shard at a time');
    const { idle, underWay } = SnapshotPhase;
    const asked = Atomics.compareExchange(this.#words, SnapshotWord.phase, idle, underWay);
    if (asked !== idle) return;
    this.#takeMemory(machine);
    const sparePages = machine.ledger.images.spare;
    const parts = machine.beginImage(this.#memory);
    // Of one image, and never of the next: it is full of what the thread reads.
    this.#memory = undefined;
    this.isUnderWay = true;
    this.#pages = 0;
    for (const table of TABLES) Atomics.store(this.#words, SnapshotWord.passed + table, 0);
    this.#post({ type: 'begin', place, parts, links, sparePages });
  }

  /** After each step while a snapshot is under way. */
  stepped(machine: StateMachine): void {
    const words = this.#words;
    const { images } = machine.ledger;
    this.#takeMemory(machine);
    const bytes = images.length * 4;
    const isTooLong = bytes > LOG_BYTES_MAX && bytes > machine.tableBytes / 2;
    if (isTooLong || images.length > LOG_WORDS_MAX) {
      // Not over what the supervisor says of the next one.
      const { underWay, abandoned } = SnapshotPhase;
      Atomics.compareExchange(words, SnapshotWord.phase, underWay, abandoned);
    }
    const phase = Atomics.load(words, SnapshotWord.phase);
    if (phase === SnapshotPhase.underWay) {
      for (const table of TABLES) {
        images.pass(table, Atomics.load(words, SnapshotWord.passed + table) >>> 0);
      }
      const length = images.publish();
      for (; this.#pages < images.pages.length; this.#pages++) {
        this.#post({ type: 'page', page: images.pages[this.#pages]! });
      }
      Atomics.store(words, SnapshotWord.log, length);
    } else {
      // A thread that has given up may still be at the log.
      machine.endImage(phase === SnapshotPhase.read);
      this.isUnderWay = false;
    }
    Atomics.add(words, SnapshotWord.steps, 1);
    Atomics.notify(words, SnapshotWord.steps);
  }

  /** What the thread has made since. */
  #takeMemory({ ledger }: StateMachine): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      const message = received.message as ToSource;
      if (message.type === 'page') ledger.images.supply(message.page);
      else this.#memory = message.memory;
    }
  }

  #post(message: FromSource): void {
    this.#port.postMessage(message, []);
  }
}
