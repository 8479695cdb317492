/**
 * Requests with rows that wait, and the replies of the group under way.
 *
 * A request all of whose rows have their outcome is answered in the group that brought it. One with rows that wait (for a claimed account, or
 * for a walk to come back) stays here until the last of them has its outcome. Replies are words, ready for the ring to the router:
 * {kind, request, n, session, sequence 2, clock 2} timestamps (2n words), statuses (n halves, padded to 8 bytes).
 */
import { assert } from './assert.ts';
import type { Ledger } from './ledger.ts';
import { WordList } from './link-message.ts';
import type { StateReader, StateWriter } from './state-words.ts';

export const REPLY_HEAD_WORDS = 8;
const WORD = 4294967296;
/**
 * `late`: the request's deadline had passed; `overloaded`: too much waits on the shard; `storageFull`: there is no room on its disk; `archived`: a
 * record that it needs lies in a segment that was moved away; `damaged`: in a row of the journal that is damaged. Nothing of the request was started.
 */
export const ReplyKind = {
  created: 1,
  accounts: 2,
  positions: 3,
  digest: 4,
  late: 5,
  overloaded: 6,
  heads: 7,
  watermark: 8,
  storageFull: 9,
  archived: 10,
  damaged: 11,
} as const;
export const Reply = { kind: 0, request: 1, n: 2, session: 3, sequence: 4, clock: 6 } as const;

/** The slot of an event that nobody asked for: an expiry. */
export const NO_REQUEST = 0xffffffff;

export interface RequestHead {
  readonly session: number;
  readonly request: number;
  readonly n: number;
  readonly deadlineLow: number;
  readonly deadlineHigh: number;
}

interface OpenRequest {
  readonly head: RequestHead;
  waiting: number;
  readonly statuses: Uint16Array;
  readonly stamps: Uint32Array;
}

type HeadWords = [number, number, number, number, number];

/** Words of a created-reply for n rows. */
export function replyWords(n: number): number {
  return REPLY_HEAD_WORDS + 2 * n + (((n + 3) & ~3) >> 1);
}

export class OpenRequests {
  readonly #ledger: Ledger;
  readonly #open: (OpenRequest | null)[] = [];
  readonly #free: number[] = [];
  /** Replies of this group, one after the other; released after its commit. */
  readonly replies = new WordList();
  /** Where each reply begins. */
  readonly replyAt: number[] = [];
  sequence = 0;
  /** Replay has nobody to answer. */
  isReplay = false;
  /** Rows of all open requests that have no outcome yet. */
  waitingRows = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  get count(): number {
    return this.#open.length - this.#free.length;
  }

  beginGroup(sequence: number): void {
    this.sequence = sequence;
    this.replies.length = 0;
    this.replyAt.length = 0;
  }

  /** Keeps a request for rows that wait. Its outcomes so far follow with `keep`. */
  open(head: RequestHead): number {
    const slot = this.#free.pop() ?? this.#open.length;
    const { n } = head;
    this.#open[slot] = {
      head,
      waiting: 0,
      statuses: new Uint16Array(n),
      stamps: new Uint32Array(2 * n),
    };
    return slot;
  }

  keep(slot: number, statuses: Uint16Array, firstRow: number, stamps: Uint32Array): void {
    const one = this.#at(slot);
    const { n } = one.head;
    one.statuses.set(statuses.subarray(firstRow, firstRow + n));
    one.stamps.set(stamps.subarray(0, 2 * n));
  }

  addWaiting(slot: number, rows: number): void {
    this.#at(slot).waiting += rows;
    this.waitingRows += rows;
  }

  /** ns, to a quarter of a microsecond; Infinity for none. */
  deadline(slot: number): number {
    const { deadlineLow, deadlineHigh } = this.#at(slot).head;
    return (deadlineLow | deadlineHigh) === 0 ? Infinity : deadlineHigh * WORD + deadlineLow;
  }

  isLate(slot: number): boolean {
    const { deadlineLow, deadlineHigh } = this.#at(slot).head;
    if ((deadlineLow | deadlineHigh) === 0) return false;
    const { clockLow, clockHigh } = this.#ledger;
    return clockHigh > deadlineHigh || (clockHigh === deadlineHigh && clockLow > deadlineLow);
  }

  /** The outcome of one waiting row. The last one answers the request. */
  settle(slot: number, row: number, status: number, low: number, high: number): void {
    const one = this.#at(slot);
    assert(one.waiting > 0, 'a row is settled once');
    this.waitingRows--;
    one.statuses[row] = status;
    one.stamps[2 * row] = low;
    one.stamps[2 * row + 1] = high;
    if (--one.waiting > 0) return;
    this.reply(one.head, one.statuses, 0, one.stamps);
    this.#open[slot] = null;
    this.#free.push(slot);
  }

  /** Writes the reply of a request that has all its outcomes. */
  reply(head: RequestHead, statuses: Uint16Array, firstRow: number, stamps: Uint32Array): void {
    if (this.isReplay) return;
    const { n } = head;
    const words = replyWords(n);
    const at = this.replies.extend(words);
    const target = this.replies.words;
    target.fill(0, at + words - 2, at + words);
    target[at + Reply.kind] = ReplyKind.created;
    target[at + Reply.request] = head.request;
    target[at + Reply.n] = n;
    target[at + Reply.session] = head.session;
    target[at + Reply.sequence] = this.sequence >>> 0;
    target[at + Reply.sequence + 1] = Math.floor(this.sequence / 4294967296);
    target[at + Reply.clock] = this.#ledger.clockLow;
    target[at + Reply.clock + 1] = this.#ledger.clockHigh;
    for (let w = 0; w < 2 * n; w++) target[at + REPLY_HEAD_WORDS + w] = stamps[w]!;
    const halves = at + REPLY_HEAD_WORDS + 2 * n;
    for (let i = 0; i < n; i += 2) {
      const upper = i + 1 < n ? statuses[firstRow + i + 1]! : 0;
      target[halves + (i >> 1)] = statuses[firstRow + i]! | (upper << 16);
    }
    this.replyAt.push(at);
  }

  // ---- For snapshots.

  save(out: StateWriter): void {
    out.put(this.#open.length);
    for (const one of this.#open) {
      out.put(one === null ? 0 : one.waiting);
      if (one === null) continue;
      const { head, statuses, stamps } = one;
      const { session, request, n, deadlineLow, deadlineHigh } = head;
      out.putList(Uint32Array.of(session, request, n, deadlineLow, deadlineHigh));
      out.putBytes(new Uint8Array(statuses.buffer));
      out.putList(stamps);
    }
    out.putList(Uint32Array.from(this.#free));
  }

  load(from: StateReader): void {
    assert(this.#open.length === 0, 'nothing is open in a new state');
    for (let left = from.take(); left > 0; left--) {
      const waiting = from.take();
      this.waitingRows += waiting;
      if (waiting === 0) {
        this.#open.push(null);
        continue;
      }
      const [session, request, n, deadlineLow, deadlineHigh] = [...from.takeList()] as HeadWords;
      const head = { session, request, n, deadlineLow, deadlineHigh };
      const statuses = new Uint16Array(from.takeBytes().buffer, 0, n);
      this.#open.push({ head, waiting, statuses, stamps: from.takeList().slice() });
    }
    this.#free.push(...from.takeList());
  }

  #at(slot: number): OpenRequest {
    const one = this.#open[slot];
    assert(one !== null && one !== undefined, 'the request is open');
    return one;
  }
}
