/**
 * The main thread's handle of one shard: its rings, and the requests that are in flight there. Each is answered once: by the actor, or, when
 * the shard is gone, by `fail`. Owned by the router; the supervisor renews the rings when it rebuilds the shard.
 */
import { assert } from '../engine/assert.ts';
import { Input, INPUT_WORDS } from '../engine/frame.ts';
import { Reply } from '../engine/open-requests.ts';
import type { Doorbell } from '../lib/doorbell.ts';
import { SlotTable } from '../lib/slot-table.ts';
import { RingReader, RingWriter } from './ring.ts';

/** What the router waits for. `reader` is at a reply frame of this request. */
export interface InFlight {
  readonly answered: (shard: number, words: Uint32Array, at: number) => void;
  readonly failed: (shard: number) => void;
}

/** The memory of one life of a shard, and its number. */
export interface ShardLife {
  readonly session: number;
  readonly requests: SharedArrayBuffer;
  readonly replies: SharedArrayBuffer;
}

/** A request of this size is worth a wake-up of its own. */
const RING_AT_ONCE_BYTES = 16 << 10;
/** And so are so many small ones: the actor begins with them while this thread reads the rest of what has come. */
const RING_AT_ONCE_REQUESTS = 20;

/** Replies that are taken in one go, so that the event loop has its turn. */
const REPLIES_AT_ONCE_MAX = 1024;

export class ShardClient {
  readonly shard: number;
  readonly #doorbell: Doorbell;
  #writer: RingWriter;
  #reader: RingReader;
  #session: number;
  isUp = false;
  /** A request's number is its place here. */
  readonly #inFlight = new SlotTable<InFlight>();
  /** Small requests of this turn of the event loop. */
  #announced = 0;

  constructor(shard: number, doorbell: Doorbell, life: ShardLife) {
    this.shard = shard;
    this.#doorbell = doorbell;
    this.#session = life.session;
    this.#writer = new RingWriter(life.requests);
    this.#reader = new RingReader(life.replies);
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Bytes that wait in the request ring. */
  get queuedBytes(): number {
    return this.#writer.capacity - this.#writer.free();
  }

  /** A new life of the shard: fresh rings, nothing in flight. */
  renew(life: ShardLife): void {
    assert(this.#inFlight.size === 0, 'requests of the life before were answered');
    this.#session = life.session;
    this.#writer = new RingWriter(life.requests);
    this.#reader = new RingReader(life.replies);
  }

  /** Makes room for a request with a body of so many bytes; null: the ring is full. The body goes behind `bodyAt` words. */
  reserve(
    bytes: number,
  ): { readonly words: Uint32Array; readonly halves: Uint16Array; readonly at: number } | null {
    if (!this.#writer.reserve(INPUT_WORDS * 4 + bytes)) return null;
    return {
      words: this.#writer.words,
      halves: this.#writer.halves,
      at: this.#writer.at / 4 + INPUT_WORDS,
    };
  }

  /** Sends what was reserved. The deadline is in milliseconds since the epoch, 0 for none. `flags`: see InputFlag. */
  // oxlint-disable-next-line max-params -- An object per request would cost more than it explains.
  send(type: number, bytes: number, deadlineMs: number, inFlight: InFlight, flags = 0): void {
    const at = this.#writer.at / 4;
    const { words } = this.#writer;
    words.fill(0, at, at + INPUT_WORDS);
    words[at + Input.type] = type;
    words[at + Input.bytes] = INPUT_WORDS * 4 + bytes;
    words[at + Input.session] = this.#session;
    words[at + Input.request] = this.#inFlight.add(inFlight);
    putNanoseconds(words, at + Input.deadline, deadlineMs);
    words[at + Input.flags] = flags;
    this.#writer.commit();
    this.#announce(bytes);
  }

  /**
   * Wakes the actor: at once for a large request, and for small ones when there are some of them, or when this turn of the event loop has read all its
   * sockets, so that what came together becomes one group or a few.
   */
  #announce(bytes: number): void {
    if (bytes >= RING_AT_ONCE_BYTES) {
      this.#doorbell.ring();
      return;
    }
    if (this.#announced === 0) setImmediate(this.#endTurn);
    this.#announced++;
    if (this.#announced % RING_AT_ONCE_REQUESTS === 0) this.#doorbell.ring();
  }

  readonly #endTurn = (): void => {
    if (this.#announced % RING_AT_ONCE_REQUESTS !== 0) this.#doorbell.ring();
    this.#announced = 0;
  };

  /** Takes replies; true when there may be more. */
  drain(): boolean {
    for (let taken = 0; taken < REPLIES_AT_ONCE_MAX; taken++) {
      if (!this.#reader.peek()) return false;
      const { words } = this.#reader;
      const at = this.#reader.at / 4;
      const inFlight = this.#inFlight.remove(words[at + Reply.request]!);
      assert(inFlight !== undefined, 'a reply has its request');
      inFlight.answered(this.shard, words, at);
      this.#reader.release();
    }
    return true;
  }

  /** The shard is gone: what it was asked is unknown. */
  fail(): void {
    for (const one of this.#inFlight.takeAll()) one.failed(this.shard);
  }
}

/** Milliseconds below 2^44 as nanoseconds in two words: exact in numbers when it is done in halves, and without a bigint per request. */
function putNanoseconds(words: Uint32Array, at: number, ms: number): void {
  const whole = Math.ceil(ms);
  const upper = Math.floor(whole / 0x1_0000) * 1_000_000;
  const low = (upper % 0x1_0000) * 0x1_0000 + (whole % 0x1_0000) * 1_000_000;
  words[at] = low % 0x1_0000_0000;
  words[at + 1] = Math.floor(upper / 0x1_0000) + Math.floor(low / 0x1_0000_0000);
}
