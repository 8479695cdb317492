/**
 * Appends to a live segment on a thread of its own, so that the owner of the journal executes the next group meanwhile. One row at a time.
 *
 * The thread has a connection of its own, `synchronous = FULL` like the owner's; the owner does not write while a row is under way here. What
 * crosses is shared memory: one state word on which both sides wait, and the row. An answer rings the owner's doorbell too.
 *
 * Failure policy: whatever the thread throws is the owner's to throw. A thread that cannot begin is done without; one that dies later without an
 * answer ends the owner's thread with its `error` event. It is a thread of the owner's: Node ends and joins it before the owner's own end is told,
 * so no row comes after that.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import { GROUP_BYTES_MAX } from '../engine/limits.ts';
import { Doorbell } from '../lib/doorbell.ts';
import { rowChecksum } from './checksum-chain.ts';
import type { JournalRow } from './journal.ts';
import { LiveSegment } from './segment.ts';

/** Where the owner's doorbell is. */
export interface BellPlace {
  readonly buffer: SharedArrayBuffer;
  readonly offset: number;
}

/** `starting` until the thread is there. `asked`: a row, or with no path only to let go of its segment. */
const State = {
  starting: 0,
  ready: 1,
  asked: 2,
  done: 3,
  failed: 4,
  closing: 5,
  closed: 6,
} as const;

/** Of the shared memory, in bytes: words, numbers, a text (a path, or a failure), and the frame. */
const STATE_WORD = 0;
const LENGTH_WORD = 1;
const TEXT_LENGTH_WORD = 2;
/** Asked: of the row before; done: of the row. */
const CHECKSUM_WORD = 3;
const NUMBERS_AT = 64;
const TEXT_AT = 128;
const TEXT_BYTES_MAX = 8064;
const FRAME_AT = TEXT_AT + TEXT_BYTES_MAX;
/** Looks at the state before a side goes to sleep, as at a doorbell. */
const SPINS = 200;
/** The thread has next to no heap. */
const YOUNG_MIB_MAX = 2;

interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
}

interface AppenderPlace {
  readonly memory: SharedArrayBuffer;
  readonly bell: BellPlace;
}

/** What both sides see of the shared memory. */
class AppenderMemory {
  readonly #words: Int32Array;
  /** Sequence and timestamp. */
  readonly #numbers: BigUint64Array;
  readonly #text: Uint8Array;
  readonly #frame: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, NUMBERS_AT / 4);
    this.#numbers = new BigUint64Array(memory, NUMBERS_AT, 2);
    this.#text = new Uint8Array(memory, TEXT_AT, TEXT_BYTES_MAX);
    this.#frame = new Uint8Array(memory, FRAME_AT, GROUP_BYTES_MAX);
  }

  get state(): number {
    return Atomics.load(this.#words, STATE_WORD);
  }

  /** From one state to another, if it is that one. */
  isMoved(from: number, to: number): boolean {
    const isMoved = Atomics.compareExchange(this.#words, STATE_WORD, from, to) === from;
    if (isMoved) Atomics.notify(this.#words, STATE_WORD);
    return isMoved;
  }

  set(state: number): void {
    Atomics.store(this.#words, STATE_WORD, state);
    Atomics.notify(this.#words, STATE_WORD);
  }

  /** Blocks while the state is this one. */
  waitWhile(state: number): void {
    for (let spin = 0; spin < SPINS; spin++) if (this.state !== state) return;
    while (this.state === state) Atomics.wait(this.#words, STATE_WORD, state);
  }

  putText(text: string): void {
    this.#words[TEXT_LENGTH_WORD] = new TextEncoder().encodeInto(text, this.#text).written;
  }

  text(): string {
    return Buffer.from(this.#text.subarray(0, this.#words[TEXT_LENGTH_WORD])).toString();
  }

  get checksum(): number {
    return this.#words[CHECKSUM_WORD]! >>> 0;
  }

  set checksum(checksum: number) {
    this.#words[CHECKSUM_WORD] = checksum;
  }

  putRow({ sequence, timestamp, frame }: JournalRow): void {
    this.#numbers[0] = BigInt(sequence);
    this.#numbers[1] = timestamp;
    this.#words[LENGTH_WORD] = frame.byteLength;
    this.#frame.set(frame);
  }

  row(): JournalRow {
    return {
      sequence: Number(this.#numbers[0]!),
      timestamp: this.#numbers[1]!,
      frame: this.#frame.subarray(0, this.#words[LENGTH_WORD]),
    };
  }
}

/** The owner's side. */
export class Appender {
  readonly #memory: AppenderMemory;
  #isUnderWay = false;

  /** `bell`: what the owner sleeps on. */
  constructor(bell: BellPlace) {
    const memory = new SharedArrayBuffer(FRAME_AT + GROUP_BYTES_MAX);
    this.#memory = new AppenderMemory(memory);
    const worker = new Worker(new URL('./appender-worker.ts', import.meta.url), {
      workerData: { memory, bell } satisfies AppenderPlace,
      name: 'appender',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB_MAX },
    });
    // One that could not begin is never ready, and the owner appends by itself.
    worker.on('error', (error: unknown) => {
      if (this.isReady) throw error;
    });
    worker.unref();
  }

  get isReady(): boolean {
    return this.#memory.state !== State.starting;
  }

  waitUntilReady(): void {
    this.#memory.waitWhile(State.starting);
  }

  /** Hands over a row for the segment at a path, with the checksum of the row before. */
  begin(path: string, row: JournalRow, previous: number): void {
    assert(!this.#isUnderWay, 'one row is under way at a time');
    this.#memory.waitWhile(State.asked);
    this.#memory.putText(path);
    this.#memory.putRow(row);
    this.#memory.checksum = previous;
    this.#memory.set(State.asked);
    this.#isUnderWay = true;
  }

  /** Of the row that was durable last. */
  get checksum(): number {
    return this.#memory.checksum;
  }

  /** Whether the row is durable now; blocks until it is when asked to. Throws what the append has thrown. */
  end(isWaiting: boolean): boolean {
    assert(this.#isUnderWay, 'a row is under way');
    if (isWaiting) this.#memory.waitWhile(State.asked);
    const { state } = this.#memory;
    if (state === State.asked) return false;
    this.#isUnderWay = false;
    if (state === State.failed) throw asError(this.#memory.text());
    assert(state === State.done, 'an append is done, or has failed');
    return true;
  }

  /** The thread closes its connection to the segment that it has. */
  leave(): void {
    assert(!this.#isUnderWay, 'no row is under way');
    this.#memory.waitWhile(State.asked);
    this.#memory.putText('');
    this.#memory.set(State.asked);
  }

  /** Waits for what is under way, and for the connection to be closed. */
  close(): void {
    // One that is not there yet has nothing open, and will not have.
    if (this.#memory.isMoved(State.starting, State.closed)) return;
    this.#memory.waitWhile(State.asked);
    this.#memory.set(State.closing);
    this.#memory.waitWhile(State.closing);
  }
}

/** The whole life of the thread. */
export function runAppender(): void {
  assert(parentPort !== null, 'the appender runs on a thread of its own');
  const { memory: shared, bell: place } = workerData as AppenderPlace;
  const memory = new AppenderMemory(shared);
  const bell = new Doorbell(place.buffer, place.offset);
  let segment: LiveSegment | undefined;
  if (!memory.isMoved(State.starting, State.ready)) return;
  for (;;) {
    const { state } = memory;
    if (state === State.closing) break;
    if (state !== State.asked) {
      memory.waitWhile(state);
      continue;
    }
    try {
      const path = memory.text();
      if (segment?.path !== path) {
        segment?.close();
        segment = path === '' ? undefined : LiveSegment.open(path);
      }
      if (segment !== undefined) {
        const row = memory.row();
        memory.checksum = rowChecksum(memory.checksum, row);
        segment.append(row, memory.checksum);
      }
      memory.set(State.done);
    } catch (error: unknown) {
      memory.putText(failureText(error));
      memory.set(State.failed);
    }
    bell.ring();
  }
  try {
    segment?.close();
  } finally {
    memory.set(State.closed);
  }
}

function failureText(error: unknown): string {
  const { name, message, code } =
    error instanceof Error
      ? (error as Failure)
      : { name: 'Error', message: String(error), code: undefined };
  return JSON.stringify({ name, message: message.slice(0, 1000), code } satisfies Failure);
}

function asError(text: string): Error {
  const { name, message, code } = JSON.parse(text) as Failure;
  return Object.assign(new Error(message), { name }, code === undefined ? {} : { code });
}
