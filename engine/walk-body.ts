/**
 * The message of a walk as it is worked on: its events in whole rows, of which other parts of the engine are columns. In a message they are thin
 * (thin-rows.ts), and are widened into memory that the next message takes over; what is parked is a copy.
 */
import { ROW_WORDS } from './batch.ts';
import { DerivedKind } from './frame.ts';
import type { Group } from './group.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';
import { LINK_HEAD_WORDS, LinkHead, MessageForm, WalkHead } from './link-message.ts';
import { evenEnd, readThin } from './thin-rows.ts';

export class WalkBody {
  readonly #group: Group;
  #words = new Uint32Array(0);
  /** Of each event: the word of the frame at which its record lies. */
  readonly records = new Int32Array(BATCH_EVENTS_MAX);
  /** What a derived row says of such a record besides: a bit of `DerivedKind`, or 0. */
  recordKind = 0;

  constructor(group: Group) {
    this.#group = group;
  }

  /** The message at words message..end-1 of the group. Valid until the next call. */
  open(message: number, end: number): Uint32Array {
    const { words } = this.#group;
    const rows = words[message + LinkHead.rows]!;
    if (words[message + WalkHead.form] !== MessageForm.thin) {
      this.recordKind = 0;
      for (let i = 0; i < rows; i++) this.records[i] = message + LINK_HEAD_WORDS + i * ROW_WORDS;
      return words.subarray(message, end);
    }
    this.recordKind = DerivedKind.thin;
    const target = this.#reach(LINK_HEAD_WORDS + rows * ROW_WORDS + end - message);
    target.set(words.subarray(message, message + LINK_HEAD_WORDS));
    target[WalkHead.form] = MessageForm.thinAccounts;
    const first = message + LINK_HEAD_WORDS;
    let from = first;
    for (let i = 0; i < rows; i++) {
      this.records[i] = from;
      from = readThin(words, from, target, LINK_HEAD_WORDS + i * ROW_WORDS, ROW_WORDS);
    }
    from = evenEnd(first, from);
    const to = LINK_HEAD_WORDS + rows * ROW_WORDS;
    target.set(words.subarray(from, end), to);
    return target.subarray(0, to + end - from);
  }

  #reach(count: number): Uint32Array {
    if (this.#words.length < count) this.#words = new Uint32Array(count * 2);
    return this.#words;
  }

  /** Whether the body is that of the message that was opened last, so that `records` are its own. */
  isOpen(body: Uint32Array): boolean {
    return body.buffer === this.#words.buffer || this.#group.wordOf(body) !== -1;
  }
}
