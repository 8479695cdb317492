import { describe, expect, test } from 'vitest';
import { WordList } from '../engine/link-message.ts';
import { type OpenRequests, Reply, REPLY_HEAD_WORDS } from '../engine/open-requests.ts';
import { Prng } from '../lib/prng.ts';
import { ReplyOutbox } from './reply-outbox.ts';
import { ringBuffer, RingReader, RingWriter } from './ring.ts';

interface Ends {
  readonly outbox: ReplyOutbox;
  readonly reader: RingReader;
}

function outboxOver(capacity: number): Ends {
  const buffer = ringBuffer(capacity);
  return { outbox: new ReplyOutbox(new RingWriter(buffer)), reader: new RingReader(buffer) };
}

/** The words of the first reply in the ring; null when it is empty. */
function take(reader: RingReader): number[] | null {
  if (!reader.peek()) return null;
  const words = [...reader.words.subarray(reader.at / 4, (reader.at + reader.length) / 4)];
  reader.release();
  return words;
}

const replyOf = (number: number, length: number): Uint32Array =>
  Uint32Array.from({ length }, (_, w) => number * 1000 + w);

/** What a plain queue would do: replies that wait for their group, and those that are due, in order. */
class PlainOutbox {
  readonly due: number[][] = [];
  held: number[][] | null = null;

  add(reply: Uint32Array): void {
    (this.held ?? this.due).push([...reply]);
  }

  release(): void {
    this.due.push(...(this.held ?? []));
    this.held = null;
  }
}

describe('an outbox of replies', () => {
  test.each([1, 2, 3, 4, 5, 6])('gives them in order, held ones when released: seed %i', (seed) => {
    const prng = new Prng(seed);
    const { outbox, reader } = outboxOver(512);
    const plain = new PlainOutbox();
    const wrong: string[] = [];
    let number = 0;
    let mostDue = 0;
    for (let step = 0; step < 5000; step++) {
      const what = prng.below(10);
      if (what < 5) {
        const reply = replyOf(++number, 1 + prng.below(40));
        // Not at the beginning of where it comes from.
        const from = Uint32Array.from([7, 7, ...reply, 7]);
        outbox.add(from, 2, reply.length);
        plain.add(reply);
        from.fill(0);
      } else if (what === 5 && plain.held === null) {
        outbox.hold();
        plain.held = [];
      } else if (what === 6 && plain.held !== null) {
        outbox.release();
        plain.release();
      } else if (what === 7) outbox.flush();
      else {
        for (let taken = prng.below(6); taken > 0; taken--) {
          const got = take(reader);
          if (got === null) break;
          if (String(got) !== String(plain.due.shift())) wrong.push(`step ${step}: ${String(got)}`);
        }
      }
      mostDue = Math.max(mostDue, outbox.count);
    }
    if (plain.held !== null) {
      outbox.release();
      plain.release();
    }
    outbox.flush();
    for (let got = take(reader); got !== null; got = take(reader)) {
      if (String(got) !== String(plain.due.shift())) wrong.push(`at the end: ${String(got)}`);
      outbox.flush();
    }
    expect([wrong, plain.due, outbox.count]).toEqual([[], [], 0]);
    expect(mostDue).toBeGreaterThan(20);
  });

  test('takes no more memory however long there is always something due', () => {
    const { outbox, reader } = outboxOver(4096);
    const reply = replyOf(1, 100);
    for (let i = 0; i < 100; i++) outbox.add(reply, 0, reply.length);
    const before = process.memoryUsage().arrayBuffers;
    const counts = new Set<number>();
    for (let i = 0; i < 40_000; i++) {
      outbox.add(reply, 0, reply.length);
      if (reader.peek()) reader.release();
      outbox.flush();
      counts.add(outbox.count);
    }
    // Sixteen million bytes went through it.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000_000);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(Math.max(...counts)).toBeLessThan(200);
  });

  test('says once that something has gone into the ring', () => {
    const { outbox, reader } = outboxOver(128);
    expect(outbox.takeWritten()).toBe(false);
    outbox.add(replyOf(1, 12), 0, 12);
    outbox.add(replyOf(2, 12), 0, 12);
    expect([outbox.takeWritten(), outbox.takeWritten()]).toEqual([true, false]);
    // The ring is full: it waits, and nothing is written.
    outbox.add(replyOf(3, 12), 0, 12);
    expect([outbox.takeWritten(), outbox.count]).toEqual([false, 1]);
    outbox.hold();
    outbox.add(replyOf(4, 12), 0, 12);
    outbox.flush();
    expect([outbox.takeWritten(), outbox.count]).toEqual([false, 1]);
    take(reader);
    outbox.release();
    expect([outbox.takeWritten(), outbox.count]).toEqual([true, 1]);
  });

  test('leaves out replies of an earlier life', () => {
    const { outbox, reader } = outboxOver(1024);
    const requests = { replies: new WordList(), replyAt: [] as number[] };
    for (const session of [7, 8, 7]) {
      const at = requests.replies.extend(REPLY_HEAD_WORDS);
      requests.replyAt.push(at);
      requests.replies.words.fill(requests.replyAt.length, at, at + REPLY_HEAD_WORDS);
      requests.replies.words[at + Reply.session] = session;
    }
    outbox.addGroup(requests as unknown as OpenRequests, 7);
    const marks = [take(reader), take(reader), take(reader)].map((one) => one?.at(-1));
    expect(marks).toEqual([1, 3, undefined]);
  });
});
