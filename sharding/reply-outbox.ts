/**
 * Replies, and the ring that takes them. Those that are held belong to a group that is not durable yet, or came behind it; none of them leaves. A full
 * ring blocks nobody: replies that are due wait here, in order. Both are bounded by the requests in flight.
 */
import { assert } from '../engine/assert.ts';
import type { OpenRequests } from '../engine/open-requests.ts';
import { Reply } from '../engine/open-requests.ts';
import type { RingWriter } from './ring.ts';

export class ReplyOutbox {
  readonly #writer: RingWriter;
  #waiting: Uint32Array[] = [];
  #held: Uint32Array[] | null = null;
  #isWritten = false;

  constructor(writer: RingWriter) {
    this.#writer = writer;
  }

  /** How many are due. */
  get count(): number {
    return this.#waiting.length;
  }

  /** What is added from now on is held, until `release`. */
  hold(): void {
    assert(this.#held === null, 'one group is held at a time');
    this.#held = [];
  }

  /** The group whose replies are held is durable. */
  release(): void {
    assert(this.#held !== null, 'a group is held');
    const held = this.#held;
    this.#held = null;
    for (const reply of held) this.add(reply, 0, reply.length);
  }

  /** The replies of a group. Those to requests of an earlier life have nobody to go to. */
  addGroup(requests: OpenRequests, session: number): void {
    const { words, length } = requests.replies;
    const { replyAt } = requests;
    for (let i = 0; i < replyAt.length; i++) {
      const at = replyAt[i]!;
      const end = replyAt[i + 1] ?? length;
      if (words[at + Reply.session] !== session) continue;
      this.add(words, at, end - at);
    }
  }

  add(words: Uint32Array, at: number, count: number): void {
    if (this.#held !== null) {
      this.#held.push(words.slice(at, at + count));
      return;
    }
    if (this.#waiting.length === 0 && this.#write(words, at, count)) return;
    this.#waiting.push(words.slice(at, at + count));
  }

  /** Whether something has gone into the ring since the last time this was asked. */
  takeWritten(): boolean {
    const isWritten = this.#isWritten;
    this.#isWritten = false;
    return isWritten;
  }

  flush(): void {
    let done = 0;
    while (done < this.#waiting.length) {
      const reply = this.#waiting[done]!;
      if (!this.#write(reply, 0, reply.length)) break;
      done++;
    }
    if (done > 0) this.#waiting = this.#waiting.slice(done);
  }

  #write(words: Uint32Array, at: number, count: number): boolean {
    const writer = this.#writer;
    if (!writer.reserve(count * 4)) return false;
    const to = writer.at / 4;
    for (let w = 0; w < count; w++) writer.words[to + w] = words[at + w]!;
    writer.commit();
    this.#isWritten = true;
    return true;
  }
}
