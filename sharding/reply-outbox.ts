/**
 * Replies, and the ring that takes them. Those that are held belong to a group that is not durable yet, or came behind it; none of them leaves. A full
 * ring blocks nobody: replies that are due wait here, in order. Both are bounded by the requests in flight.
 *
 * Both lie in lists whose memory is used again: an array for each reply has V8 mark the heap for their sake (frame-ring.ts).
 */
import { assert } from '../engine/assert.ts';
import { WordList } from '../engine/link-message.ts';
import type { OpenRequests } from '../engine/open-requests.ts';
import { Reply } from '../engine/open-requests.ts';
import type { RingWriter } from './ring.ts';

/** A list that has become longer than this is not used again. */
const KEPT_WORDS_MAX = 1 << 20;

export class ReplyOutbox {
  readonly #writer: RingWriter;
  #due = new ReplyQueue();
  #held = new ReplyQueue();
  #isHolding = false;
  #isWritten = false;

  constructor(writer: RingWriter) {
    this.#writer = writer;
  }

  /** How many are due. */
  get count(): number {
    return this.#due.count;
  }

  /** What is added from now on is held, until `release`. */
  hold(): void {
    assert(!this.#isHolding, 'one group is held at a time');
    this.#isHolding = true;
  }

  /** The group whose replies are held is durable. */
  release(): void {
    assert(this.#isHolding, 'a group is held');
    this.#isHolding = false;
    if (this.#due.count === 0) [this.#due, this.#held] = [this.#held, this.#due];
    else this.#due.takeAll(this.#held);
    this.flush();
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
    if (this.#isHolding) this.#held.add(words, at, count);
    else if (this.#due.count > 0 || !this.#write(words, at, count)) this.#due.add(words, at, count);
  }

  /** Whether something has gone into the ring since the last time this was asked. */
  takeWritten(): boolean {
    const isWritten = this.#isWritten;
    this.#isWritten = false;
    return isWritten;
  }

  flush(): void {
    const due = this.#due;
    while (due.count > 0) {
      if (!this.#write(due.words, due.firstAt, due.firstLength)) return;
      due.dropFirst();
    }
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

/** Replies in order, each behind a word that says how long it is. */
class ReplyQueue {
  #list = new WordList();
  #first = 0;
  count = 0;

  get words(): Uint32Array {
    return this.#list.words;
  }

  get firstAt(): number {
    return this.#first + 1;
  }

  get firstLength(): number {
    return this.#list.words[this.#first]!;
  }

  add(words: Uint32Array, at: number, count: number): void {
    this.#makeRoom();
    const list = this.#list;
    const to = list.extend(1 + count);
    list.words[to] = count;
    for (let w = 0; w < count; w++) list.words[to + 1 + w] = words[at + w]!;
    this.count++;
  }

  dropFirst(): void {
    this.#first = this.firstAt + this.firstLength;
    this.count--;
    if (this.count === 0) this.#clear();
  }

  /** The replies of another queue come behind, and that one is empty. */
  takeAll(other: ReplyQueue): void {
    this.#makeRoom();
    this.#list.append(other.words, other.#first, other.#list.length - other.#first);
    this.count += other.count;
    other.count = 0;
    other.#clear();
  }

  /** Where the front half is empty what is behind it moves there. */
  #makeRoom(): void {
    const list = this.#list;
    if (this.#first === 0 || this.#first < list.length / 2) return;
    list.words.copyWithin(0, this.#first, list.length);
    list.length -= this.#first;
    this.#first = 0;
  }

  #clear(): void {
    this.#list.length = 0;
    this.#first = 0;
    if (this.#list.words.length > KEPT_WORDS_MAX) this.#list = new WordList();
  }
}
