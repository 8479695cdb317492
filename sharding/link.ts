/**
 * The exactly-once, in-order channel to one other shard. Messages have dense numbers, are kept until the peer says that it has them
 * durably, and are sent again from there when either side has come back. A message is a consequence of a journalled input, so replay makes it
 * again with the same number; the receiver journals it with its number and drops what it has.
 *
 * Owned by one actor; the two rings are replaced when the peer comes back. A full ring blocks nobody: what is unsent waits here, and what can
 * wait here is bounded by what is in flight at admission.
 *
 * Ring frames are {kind, 0, number 2, clock 2, words of the message, offset of this part} and then words: a long message goes in parts.
 *   hello  the number up to which the sender has received durably; first thing on a new pair of rings, nothing else is sent before the
 *          peer's has come
 *   ack    the same, after a commit
 *   part   a message, or a piece of one
 */
import { assert } from '../engine/assert.ts';
import type { StateReader, StateWriter } from '../engine/state-words.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import { RingReader, RingWriter } from './ring.ts';
import type { LinkRings } from './shard-protocol.ts';

const HEAD_WORDS = 8;
const FrameKind = { part: 1, ack: 2, hello: 3 } as const;

interface Outgoing {
  readonly number: number;
  readonly clockLow: number;
  readonly clockHigh: number;
  readonly body: Uint32Array;
}

export interface LinkMessage {
  readonly number: number;
  readonly clockLow: number;
  readonly clockHigh: number;
  readonly body: Uint32Array;
}

export class Link {
  readonly #shard: number;
  readonly peer: number;
  #writer: RingWriter;
  #reader: RingReader;
  /** Messages that the peer is not known to have, in order of their numbers. */
  #outbox: Outgoing[] = [];
  /** Of the next message to send, as an index into the outbox, and how many of its words are sent. */
  #next = 0;
  #nextOffset = 0;
  #peerIsThere = false;
  #helloDue = true;
  /** The highest number that the peer has durably. */
  acknowledged = 0;
  #ackDue = false;
  /** The highest number received and durable, the highest in a group that was submitted, and the highest taken into a group. */
  #durable = 0;
  #submitted = 0;
  #taken = 0;
  /** The highest number that may leave: its group is durable. */
  #released = 0;
  /** The highest number that came whole out of the ring. */
  #seen = 0;
  /** Taken, and put back: they are the next ones. */
  #returned: LinkMessage[] = [];
  #arriving: LinkMessage | null = null;
  #arrived: LinkMessage | null = null;
  #words = new Uint32Array(256);
  /** Called with the words of each message that the peer has: nobody reads them here any more. */
  onForgotten: (body: Uint32Array) => void = () => undefined;

  constructor(shard: number, rings: LinkRings) {
    this.#shard = shard;
    this.peer = rings.peer;
    this.#writer = new RingWriter(rings.outgoing);
    this.#reader = new RingReader(rings.incoming);
  }

  /** Messages that the peer is not known to have. */
  get kept(): number {
    return this.#outbox.length;
  }

  /** Something would go out if the ring had room. */
  get isBlocked(): boolean {
    return this.#helloDue || (this.#peerIsThere && (this.#ackDue || this.#nextDue() !== undefined));
  }

  /** The peer came back, or this shard did: new rings, and both say again what they have. Between groups, when what was submitted is durable. */
  relink(rings: LinkRings): void {
    assert(rings.peer === this.peer, 'a link keeps its peer');
    assert(this.#submitted === this.#durable, 'nothing is under way');
    this.#writer = new RingWriter(rings.outgoing);
    this.#reader = new RingReader(rings.incoming);
    this.#peerIsThere = false;
    this.#helloDue = true;
    this.#ackDue = false;
    this.#arriving = null;
    this.#arrived = null;
    this.#taken = this.#durable;
    this.#seen = this.#durable;
    this.#returned = [];
    this.#nextOffset = 0;
  }

  /** For a snapshot: the messages that the peer is not known to have. */
  save(out: StateWriter): void {
    out.putNumber(this.acknowledged);
    out.put(this.#outbox.length);
    for (const { number, clockLow, clockHigh, body } of this.#outbox) {
      out.putNumber(number);
      out.put(clockLow);
      out.put(clockHigh);
      out.putList(body);
    }
  }

  load(from: StateReader): void {
    this.acknowledged = from.takeNumber();
    for (let left = from.take(); left > 0; left--) {
      const number = from.takeNumber();
      const clockLow = from.take();
      const clockHigh = from.take();
      this.send({ number, clockLow, clockHigh, body: from.takeList().slice() });
    }
  }

  /** After recovery: what the journal has. */
  resume(received: number): void {
    this.#durable = received;
    this.#submitted = received;
    this.#taken = received;
    this.#seen = received;
    this.#release();
  }

  /** Keeps a message of the group under way; it is sent by a `flush` that comes after `committed`. */
  send(message: Outgoing): void {
    const last = this.#outbox.at(-1);
    assert(last === undefined || last.number === message.number - 1, 'numbers are dense');
    this.#outbox.push(message);
  }

  /** The peer has everything up to this number. */
  forget(number: number): void {
    if (number > this.acknowledged) this.acknowledged = number;
    let count = 0;
    while (count < this.#outbox.length && this.#outbox[count]!.number <= number) count++;
    if (count === 0) return;
    for (const { body } of this.#outbox.splice(0, count)) this.onForgotten(body);
    if (count > this.#next) this.#nextOffset = 0;
    this.#next = Math.max(0, this.#next - count);
  }

  /** The group with all taken messages is on its way to the disk. */
  submitted(): void {
    this.#submitted = this.#taken;
  }

  /** The group that was submitted is durable, and with it all messages that are kept. */
  committed(): void {
    this.#release();
    if (this.#submitted === this.#durable) return;
    this.#durable = this.#submitted;
    this.#ackDue = true;
  }

  #release(): void {
    this.#released = this.#outbox.at(-1)?.number ?? this.#released;
  }

  /** The next message to send, or undefined. */
  #nextDue(): Outgoing | undefined {
    const next = this.#outbox[this.#next];
    return next !== undefined && next.number <= this.#released ? next : undefined;
  }

  /** The next message to take into a group, or null. It stays the next one, and its body as it is, until `take`. `sent`: numbers given so far on this link. */
  peek(sent: number): LinkMessage | null {
    const [returned] = this.#returned;
    if (returned !== undefined) return returned;
    while (this.#arrived === null && this.#reader.peek()) this.#readFrame(sent);
    return this.#arrived;
  }

  take(): void {
    const returned = this.#returned.shift();
    const taken = returned ?? this.#arrived;
    assert(taken !== null, 'a message was there');
    this.#taken = taken.number;
    if (returned === undefined) this.#arrived = null;
  }

  /** A message that was taken into the group under way is not executed in it after all. They come back in the order in which they were taken. */
  putBack(message: LinkMessage): void {
    const last = this.#returned.findLastIndex(({ number }) => number < message.number);
    this.#returned.splice(last + 1, 0, message);
    this.#taken = this.#returned[0]!.number - 1;
    assert(this.#taken >= this.#submitted, 'what was submitted is not put back');
  }

  #readFrame(sent: number): void {
    const { words } = this.#reader;
    const at = this.#reader.at / 4;
    const number = words[at + 2]! + words[at + 3]! * 4294967296;
    const kind: number = words[at]!;
    switch (kind) {
      case FrameKind.hello:
        this.#welcome(number, sent);
        break;
      case FrameKind.ack:
        assert(number <= sent, 'only what was sent is acknowledged');
        this.forget(number);
        break;
      default:
        assert(kind === FrameKind.part, 'a link frame has a known kind');
        this.#readPart(number, at);
    }
    this.#reader.release();
  }

  #welcome(number: number, sent: number): void {
    const first = this.#outbox[0]?.number ?? sent + 1;
    if (number > sent || number < first - 1) {
      throw new DataDirectoryError(
        'DATA_DAMAGED',
        `shard ${this.peer} has received ${number} messages from shard ${this.#shard}, which has sent ${sent} and keeps those from ` +
          `${first} on: the journals of the two shards are not of the same time. Bring back both from one backup.`,
      );
    }
    this.forget(number);
    this.#next = 0;
    this.#nextOffset = 0;
    this.#peerIsThere = true;
  }

  #readPart(number: number, at: number): void {
    const { words } = this.#reader;
    if (number <= this.#seen) return;
    const total = words[at + 6]!;
    const offset = words[at + 7]!;
    const length = this.#reader.length / 4 - HEAD_WORDS;
    if (this.#arriving === null) {
      assert(offset === 0, 'a message begins with its first part');
      assert(number === this.#seen + 1, 'messages arrive in order, without a gap');
      const body = this.#bodyOf(total);
      this.#arriving = { number, clockLow: words[at + 4]!, clockHigh: words[at + 5]!, body };
    }
    const message = this.#arriving;
    assert(message.number === number, 'the parts of a message follow each other');
    message.body.set(words.subarray(at + HEAD_WORDS, at + HEAD_WORDS + length), offset);
    if (offset + length < total) return;
    this.#arriving = null;
    this.#arrived = message;
    this.#seen = number;
  }

  /** One message arrives at a time, and is copied into its group before it is taken: all use the same words. */
  #bodyOf(count: number): Uint32Array {
    if (count > this.#words.length)
      this.#words = new Uint32Array(Math.max(count, this.#words.length * 2));
    return this.#words.subarray(0, count);
  }

  /** Puts into the ring what is due and fits. True when something went out. */
  flush(): boolean {
    let isSent = false;
    if (this.#helloDue && this.#writeNumber(FrameKind.hello)) {
      this.#helloDue = false;
      isSent = true;
    }
    if (this.#helloDue || !this.#peerIsThere) return isSent;
    if (this.#ackDue && this.#writeNumber(FrameKind.ack)) {
      this.#ackDue = false;
      isSent = true;
    }
    for (;;) {
      const next = this.#nextDue();
      if (next === undefined || !this.#writePart(next)) return isSent;
      isSent = true;
    }
  }

  #writeNumber(kind: number): boolean {
    const writer = this.#writer;
    if (!writer.reserve(HEAD_WORDS * 4)) return false;
    const at = writer.at / 4;
    writer.words.fill(0, at, at + HEAD_WORDS);
    writer.words[at] = kind;
    writer.words[at + 2] = this.#durable >>> 0;
    writer.words[at + 3] = Math.floor(this.#durable / 4294967296);
    writer.commit();
    return true;
  }

  #writePart(message: Outgoing): boolean {
    const writer = this.#writer;
    const left = message.body.length - this.#nextOffset;
    const length = Math.min(left, (writer.payloadMax >> 2) - HEAD_WORDS);
    if (!writer.reserve((HEAD_WORDS + length) * 4)) return false;
    const at = writer.at / 4;
    const { words } = writer;
    words[at] = FrameKind.part;
    words[at + 1] = 0;
    words[at + 2] = message.number >>> 0;
    words[at + 3] = Math.floor(message.number / 4294967296);
    words[at + 4] = message.clockLow;
    words[at + 5] = message.clockHigh;
    words[at + 6] = message.body.length;
    words[at + 7] = this.#nextOffset;
    words.set(message.body.subarray(this.#nextOffset, this.#nextOffset + length), at + HEAD_WORDS);
    writer.commit();
    this.#nextOffset += length;
    if (this.#nextOffset < message.body.length) return true;
    this.#next++;
    this.#nextOffset = 0;
    return true;
  }
}
