import { describe, expect, test } from 'vitest';
import { assert } from '../engine/assert.ts';
import { Prng } from '../lib/prng.ts';
import { Link, type LinkMessage } from './link.ts';
import { ringBuffer } from './ring.ts';

const CAPACITY = 512;

/** New rings between two shards, as each of them sees them. */
function newRings() {
  const there = ringBuffer(CAPACITY);
  const back = ringBuffer(CAPACITY);
  return [
    { peer: 1, incoming: back, outgoing: there },
    { peer: 0, incoming: there, outgoing: back },
  ] as const;
}

/** One end, with what a shard's journal would know of it. */
class End {
  readonly shard: number;
  link: Link;
  /** Every message of a group that was submitted, by number from 1. */
  readonly sent: Uint32Array[] = [];
  readonly got: LinkMessage[] = [];
  /** What the group under way sends. */
  readonly #queued: Uint32Array[] = [];
  /** How many of `sent` and `got` were submitted, and how many of those are durable. */
  #submitted: { readonly sent: number; readonly got: number } | undefined;
  #durable = { sent: 0, got: 0 };

  constructor(shard: number, rings: ReturnType<typeof newRings>) {
    this.shard = shard;
    this.link = new Link(shard, rings[shard as 0 | 1]);
  }

  /** As the consequence of a group that is durable at once. */
  send(body: Uint32Array): void {
    this.queue(body);
    this.commit();
  }

  queue(body: Uint32Array): void {
    this.#queued.push(body);
  }

  #message(number: number) {
    return { number, clockLow: number, clockHigh: this.shard, body: this.sent[number - 1]! };
  }

  /** Takes up to so many messages into a group; they are durable when `commit` says so. */
  take(count: number): void {
    for (let i = 0; i < count; i++) {
      const message = this.link.peek(this.sent.length);
      if (message === null) return;
      assert(this.link.peek(this.sent.length) === message, 'it stays until it is taken');
      this.got.push({ ...message, body: message.body.slice() });
      this.link.take();
    }
  }

  /** What was taken is executed as one group, and what was queued leaves when it is durable. */
  submit(): void {
    if (this.#submitted !== undefined) this.commit();
    this.link.submitted();
    for (const body of this.#queued.splice(0)) {
      this.sent.push(body);
      this.link.send(this.#message(this.sent.length));
    }
    this.#submitted = { sent: this.sent.length, got: this.got.length };
  }

  commit(): void {
    if (this.#submitted === undefined) this.submit();
    this.#durable = this.#submitted!;
    this.#submitted = undefined;
    this.link.committed();
  }

  /** Loses what is not durable; the replay makes all other messages again. */
  crash(rings: ReturnType<typeof newRings>): void {
    const { acknowledged } = this.link;
    this.link = new Link(this.shard, rings[this.shard as 0 | 1]);
    this.#submitted = undefined;
    this.#queued.length = 0;
    this.sent.length = this.#durable.sent;
    this.got.length = this.#durable.got;
    for (let number = 1; number <= this.sent.length; number++)
      this.link.send(this.#message(number));
    this.link.forget(acknowledged);
    this.link.resume(this.got.length);
  }
}

function newPair(): [End, End] {
  const rings = newRings();
  return [new End(0, rings), new End(1, rings)];
}

function settle(ends: readonly End[]): void {
  for (let round = 0, isBusy = true; isBusy; round++) {
    expect(round).toBeLessThan(10_000);
    isBusy = false;
    for (const end of ends) {
      const before = end.got.length;
      end.commit();
      end.take(Infinity);
      end.commit();
      if (end.link.flush() || end.got.length > before) isBusy = true;
    }
  }
}

function bodyOf(prng: Prng): Uint32Array {
  return Uint32Array.from({ length: prng.pick([0, 1, 12, 40, 300]) }, () => prng.uint32());
}

function expectAllArrived(from: End, to: End): void {
  expect(to.got.map(({ number }) => number)).toEqual(from.sent.map((_, i) => i + 1));
  expect(to.got.map(({ body }) => body)).toEqual(from.sent);
  expect(
    to.got.every(
      ({ number, clockLow, clockHigh }) => clockLow === number && clockHigh === from.shard,
    ),
  ).toBe(true);
}

describe('a link', () => {
  test('delivers messages in order, once, and whole, those longer than the ring in parts', () => {
    const [a, b] = newPair();
    const prng = new Prng(1);
    for (let i = 0; i < 50; i++) {
      a.send(bodyOf(prng));
      b.send(bodyOf(prng));
    }
    expect(a.link.isBlocked).toBe(true);
    settle([a, b]);
    expectAllArrived(a, b);
    expectAllArrived(b, a);
    expect([a.link.isBlocked, b.link.isBlocked]).toEqual([false, false]);
    expect([a.link.acknowledged, b.link.acknowledged]).toEqual([50, 50]);
  });

  test('sends nothing but its greeting before the other side has greeted', () => {
    const [a, b] = newPair();
    a.send(Uint32Array.of(1));
    expect([a.link.flush(), a.link.flush()]).toEqual([true, false]);
    b.take(1);
    expect(b.got).toEqual([]);
    expect(b.link.flush()).toBe(true);
    a.take(1);
    expect(a.link.flush()).toBe(true);
    b.take(1);
    expect(b.got.map(({ number }) => number)).toEqual([1]);
  });

  test('keeps a message until the other side has committed it', () => {
    const [a, b] = newPair();
    settle([a, b]);
    a.send(Uint32Array.of(1));
    a.link.flush();
    b.take(1);
    b.link.flush();
    a.take(1);
    expect(a.link.acknowledged).toBe(0);
    // So it is there for another life of the other side.
    const rings = newRings();
    b.crash(rings);
    a.link.relink(rings[0]);
    settle([a, b]);
    expectAllArrived(a, b);
    expect(a.link.acknowledged).toBe(1);
  });

  test('delivers once and in order through any crashes of either side, in the middle of messages too', () => {
    for (let seed = 1; seed <= 150; seed++) {
      const prng = new Prng(seed);
      const [a, b] = newPair();
      const ends = [a, b];
      for (let step = 0; step < 200; step++) {
        const end = prng.pick(ends);
        const what = prng.below(23);
        if (what < 4 && end.sent.length < 40) end.queue(bodyOf(prng));
        else if (what < 11) end.link.flush();
        else if (what < 16) end.take(prng.between(1, 3));
        else if (what < 18) end.submit();
        else if (what < 22) end.commit();
        else {
          // A shard loses what is not durable, sent or taken. The other one looks at its links between two steps: then all it did is durable.
          const other = end === a ? b : a;
          other.commit();
          other.commit();
          const rings = newRings();
          end.crash(rings);
          other.link.relink(rings[other.shard as 0 | 1]);
        }
      }
      settle(ends);
      expectAllArrived(a, b);
      expectAllArrived(b, a);
      expect(a.got.length + b.got.length).toBe(a.sent.length + b.sent.length);
    }
  });

  test('drops what it has, when the other side sends more than was asked for', () => {
    const [a, b] = newPair();
    for (let i = 1; i <= 3; i++) a.send(Uint32Array.of(i));
    settle([a, b]);
    // The same messages again, by an end that believes that nothing has arrived.
    const rings = newRings();
    const again = new End(0, rings);
    for (let i = 1; i <= 4; i++) again.send(Uint32Array.of(i));
    const deaf = new Link(1, rings[1]);
    deaf.flush();
    again.take(1);
    again.link.flush();
    b.link.relink(rings[1]);
    settle([again, b]);
    expect(b.got.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  });

  test('refuses a peer that wants what is no longer kept, or has more than was sent: journals of different times', () => {
    const [a, b] = newPair();
    for (let i = 1; i <= 3; i++) a.send(Uint32Array.of(i));
    settle([a, b]);
    for (const received of [0, 2, 4]) {
      const rings = newRings();
      const other = new Link(1, rings[1]);
      other.resume(received);
      other.flush();
      a.link.relink(rings[0]);
      const meet = (): unknown => a.link.peek(3);
      expect(meet).toThrow(expect.objectContaining({ code: 'DATA_DAMAGED', exitCode: 3 }));
      expect(meet).not.toThrow('undefined');
    }
    const rings = newRings();
    const other = new Link(1, rings[1]);
    other.resume(3);
    other.flush();
    a.link.relink(rings[0]);
    expect(a.link.peek(3)).toBeNull();
  });

  test('holds the messages and the acknowledgements of a group until it is durable, and those of the next one longer', () => {
    const [a, b] = newPair();
    settle([a, b]);
    b.send(Uint32Array.of(9));
    b.link.flush();
    a.take(1);
    a.queue(Uint32Array.of(1));
    a.submit();
    expect([a.link.isBlocked, a.link.flush()]).toEqual([false, false]);
    // Taken by the next group meanwhile.
    b.send(Uint32Array.of(8));
    b.link.flush();
    a.take(1);
    expect(a.got).toHaveLength(2);
    a.link.committed();
    a.link.submitted();
    a.link.send({ number: 2, clockLow: 2, clockHigh: 0, body: Uint32Array.of(2) });
    expect([a.link.isBlocked, a.link.flush(), a.link.flush()]).toEqual([true, true, false]);
    b.take(2);
    expect(b.got.map(({ number }) => number)).toEqual([1]);
    expect(b.link.acknowledged).toBe(1);
    a.link.committed();
    expect(a.link.flush()).toBe(true);
    b.take(1);
    expect(b.got.map(({ number }) => number)).toEqual([1, 2]);
    b.take(1);
    expect(b.link.acknowledged).toBe(2);
  });

  test('numbers are dense: a gap is a bug', () => {
    const [a] = newPair();
    a.send(Uint32Array.of(1));
    const message = { number: 3, clockLow: 0, clockHigh: 0, body: Uint32Array.of(1) };
    expect(() => a.link.send(message)).toThrow('dense');
  });
});

test('the words of a message are given back once, when the peer has it', () => {
  const [a, b] = newPair();
  const forgotten: Uint32Array[] = [];
  a.link.onForgotten = (body) => forgotten.push(body);
  for (let i = 0; i < 3; i++) a.send(Uint32Array.of(i));
  settle([a, b]);
  expect(forgotten).toEqual(a.sent);
  a.send(Uint32Array.of(3));
  a.link.flush();
  expect(forgotten).toHaveLength(3);
  settle([a, b]);
  expect(forgotten).toEqual(a.sent);
});
