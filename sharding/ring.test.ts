import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Doorbell, DOORBELL_BYTES } from '../lib/doorbell.ts';
import type { RingEcho } from '../test/support/ring-echo-worker.ts';
import { RING_READ_WORD, RING_WRITTEN_WORD, ringBuffer, RingReader, RingWriter } from './ring.ts';

const HEAD = 8;

/** Both ends of a ring whose indices begin at `start`. */
function ringAt(capacity: number, start = 0): { writer: RingWriter; reader: RingReader } {
  const buffer = ringBuffer(capacity);
  const indices = new Uint32Array(buffer, 0, 64);
  indices[RING_WRITTEN_WORD] = start;
  indices[RING_READ_WORD] = start;
  return { writer: new RingWriter(buffer), reader: new RingReader(buffer) };
}

function send(writer: RingWriter, payload: Uint8Array): boolean {
  if (!writer.reserve(payload.length)) return false;
  expect(writer.at % 8).toBe(0);
  writer.bytes.set(payload, writer.at);
  writer.commit();
  return true;
}

function receive(reader: RingReader): Uint8Array | null {
  if (!reader.peek()) return null;
  expect(reader.at % 8).toBe(0);
  const payload = reader.bytes.slice(reader.at, reader.at + reader.length);
  reader.release();
  return payload;
}

const isSame = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a === b : Buffer.compare(a, b) === 0;

const payloadOf = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

describe('a ring', () => {
  test('delivers frames of any size in order, like a queue, wherever its indices stand', () => {
    const steps = fc.array(fc.oneof(fc.nat(120), fc.constantFrom(-1, -1, 0, 8, 119, 120)), {
      maxLength: 200,
    });
    const starts = fc.constantFrom(0, 8, 248, 2 ** 31 - 64, 2 ** 32 - 8, 2 ** 32 - 256);
    fc.assert(
      fc.property(steps, starts, (sizes, start) => {
        const { writer, reader } = ringAt(256, start);
        const queue: Uint8Array[] = [];
        let count = 0;
        /** What came out of order, or was refused by an empty ring. */
        let wrong = 0;
        for (const size of sizes) {
          if (size < 0) {
            if (!isSame(receive(reader), queue.shift() ?? null)) wrong++;
            continue;
          }
          const payload = payloadOf(size, ++count);
          if (send(writer, payload)) queue.push(payload);
          else if (queue.length === 0) wrong++;
        }
        expect(wrong).toBe(0);
        for (const payload of queue) expect(receive(reader)).toEqual(payload);
        expect(reader.peek()).toBe(false);
        expect(writer.free()).toBe(256);
        expect([...writer.words.subarray(writer.zero)].every((word) => word === 0)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('goes on past 2^32 bytes', () => {
    const { writer, reader } = ringAt(1024, 2 ** 32 - 65_536);
    for (let i = 0; i < 10_000; i++) {
      const payload = payloadOf((i * 37) % 504, i & 255);
      expect(send(writer, payload)).toBe(true);
      expect(receive(reader)).toEqual(payload);
    }
    expect(reader.peek()).toBe(false);
  });

  test('takes frames until it is exactly full, refuses one more, and takes it once one is released', () => {
    const { writer, reader } = ringAt(256);
    for (let i = 0; i < 8; i++) expect(send(writer, payloadOf(24, i))).toBe(true);
    expect(writer.free()).toBe(0);
    expect(writer.reserve(0)).toBe(false);
    expect(receive(reader)).toEqual(payloadOf(24, 0));
    expect(writer.reserve(25)).toBe(false);
    expect(send(writer, payloadOf(24, 8))).toBe(true);
    for (let i = 1; i < 9; i++) expect(receive(reader)).toEqual(payloadOf(24, i));
    expect(receive(reader)).toBeNull();
  });

  test('two frames of half the capacity fill it; when empty it takes one at every place', () => {
    for (let start = 0; start < 256; start += 8) {
      const { writer, reader } = ringAt(256, start);
      expect(writer.payloadMax).toBe(120);
      expect(send(writer, payloadOf(120, 1))).toBe(true);
      expect(send(writer, payloadOf(120, 2))).toBe(start % 128 === 0);
      expect(receive(reader)).toEqual(payloadOf(120, 1));
    }
  });

  test('a frame that ends at the end needs no wrap marker, one that does not fit begins at the front', () => {
    const { writer, reader } = ringAt(256, 256 - 32);
    expect(send(writer, payloadOf(24, 1))).toBe(true);
    expect(writer.free()).toBe(256 - 32);
    expect(receive(reader)).toEqual(payloadOf(24, 1));
    const wrapping = ringAt(256, 256 - 32);
    expect(send(wrapping.writer, payloadOf(25, 2))).toBe(true);
    expect(wrapping.writer.at).toBe(HEAD);
    expect(wrapping.writer.free()).toBe(256 - 32 - 40);
    expect(receive(wrapping.reader)).toEqual(payloadOf(25, 2));
    expect(wrapping.writer.free()).toBe(256);
  });

  test('a reserved frame is not seen before its commit, and the next reservation replaces it', () => {
    const { writer, reader } = ringAt(256, 256 - 32);
    expect(writer.reserve(100)).toBe(true);
    expect(reader.peek()).toBe(false);
    expect(send(writer, payloadOf(3, 7))).toBe(true);
    expect(receive(reader)).toEqual(payloadOf(3, 7));
    expect(reader.peek()).toBe(false);
    expect(() => writer.commit()).toThrow('reserved before it is committed');
  });

  test('the frame in front stays put until it is released', () => {
    const { writer, reader } = ringAt(256);
    send(writer, payloadOf(9, 1));
    send(writer, payloadOf(9, 2));
    expect([reader.peek(), reader.at, reader.length]).toEqual([true, HEAD, 9]);
    expect([reader.peek(), reader.at, reader.length]).toEqual([true, HEAD, 9]);
    reader.release();
    expect(() => reader.release()).toThrow('looked at before it is released');
    expect(receive(reader)).toEqual(payloadOf(9, 2));
  });

  test('both ends take up the indices of a ring that is in use', () => {
    const buffer = ringBuffer(256);
    send(new RingWriter(buffer), payloadOf(9, 1));
    send(new RingWriter(buffer), payloadOf(10, 2));
    expect(receive(new RingReader(buffer))).toEqual(payloadOf(9, 1));
    expect(receive(new RingReader(buffer))).toEqual(payloadOf(10, 2));
  });

  test('a payload above its bound and a capacity that is no power of two are refused', () => {
    expect(() => ringAt(256).writer.reserve(121)).toThrow('payload within its bound');
    expect(() => ringBuffer(192)).toThrow('power of two');
    expect(() => ringBuffer(32)).toThrow('bounds');
    expect(() => new RingReader(new SharedArrayBuffer(4096))).toThrow('power of two');
  });

  test.each([
    ['an impossible length', 0, 4096, 'possible length'],
    ['a length beyond what was published', 0, 64, 'published as a whole'],
    ['another length', 0, 16, 'where it began'],
    ['another start', 1, 8, 'where it began'],
    ['a wrap marker with nothing behind it', 0, 0xffff_ffff, 'wrap marker'],
  ])('a frame with %s is never delivered', (_, word, value, message) => {
    const { writer, reader } = ringAt(256);
    send(writer, payloadOf(24, 1));
    writer.words[word] = value;
    expect(() => reader.peek()).toThrow(message);
  });
});

const FRAMES = 200_000;

test('two threads echo 200,000 random frames through small rings, with their content and in order', async () => {
  const echo: RingEcho = {
    there: ringBuffer(1 << 14),
    back: ringBuffer(1 << 14),
    workerBell: new SharedArrayBuffer(DOORBELL_BYTES),
    mainBell: new SharedArrayBuffer(DOORBELL_BYTES),
  };
  const worker = new Worker(new URL('../test/support/ring-echo-worker.ts', import.meta.url), {
    workerData: echo,
  });
  const exited = once(worker, 'exit');
  const writer = new RingWriter(echo.there);
  const reader = new RingReader(echo.back);
  const mine = new Doorbell(echo.mainBell);
  const others = new Doorbell(echo.workerBell);
  /** Lengths from 4 to 515 bytes; the last frame is empty. */
  const lengthOf = (i: number): number =>
    i === FRAMES ? 0 : 4 + ((Math.imul(i + 1, 0x9e3779b1) >>> 23) & 511);
  let sent = 0;
  let received = 0;
  let wrong = 0;
  while (received <= FRAMES) {
    const seen = mine.seen();
    const before = sent + received;
    for (; sent <= FRAMES && writer.reserve(lengthOf(sent)); sent++) {
      const length = lengthOf(sent);
      writer.bytes.fill(sent & 255, writer.at, writer.at + length);
      if (length > 0) writer.words[writer.at >> 2] = sent;
      writer.commit();
    }
    for (; reader.peek(); received++) {
      const length = lengthOf(received);
      if (reader.length !== length) wrong++;
      if (length > 0 && reader.words[reader.at >> 2] !== received) wrong++;
      for (let i = 4; i < length; i++) {
        if (reader.bytes[reader.at + i] !== (received & 255)) wrong++;
      }
      reader.release();
    }
    if (sent + received > before) others.ring();
    else if (!(await mine.waitAsync(seen, 10_000))) throw new Error('the echo stopped');
  }
  expect([sent, received, wrong]).toEqual([FRAMES + 1, FRAMES + 1, 0]);
  expect(await exited).toEqual([0]);
});
