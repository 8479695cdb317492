import { describe, expect, test } from 'vitest';
import { NatsFrames } from './nats-frames.ts';
import { Prng } from './prng.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

function message(payload: Uint8Array, head = 'MSG sycee.v1.x 7 _INBOX.a.1'): Buffer {
  return Buffer.concat([
    Buffer.from(`${head} ${payload.length}\r\n`),
    payload,
    Buffer.from('\r\n'),
  ]);
}

/** What a read brings: as much as there is room for, of so many bytes. */
function read(frames: NatsFrames, bytes: Uint8Array, isOtherFree = true): Uint8Array | undefined {
  const room = frames.room(isOtherFree);
  expect(room.length).toBeGreaterThanOrEqual(bytes.length);
  room.set(bytes);
  return frames.took(bytes.length);
}

const text = (view: Uint8Array | undefined): string | undefined =>
  view === undefined ? undefined : Buffer.from(view).toString('latin1');

/** Bytes that hold line ends and beginnings of frames. */
function payloadOf(prng: Prng, length: number): Uint8Array {
  const letters = Buffer.from('MSG \r\nHPIN+-123456');
  return Uint8Array.from({ length }, () => letters[prng.below(letters.length)]!);
}

const CONTROL = ['PING\r\n', 'PONG\r\n', '+OK\r\n', "-ERR 'x'\r\n", 'INFO {"a":"MSG 1"}\r\n'];

function frameOf(prng: Prng, payloadMax: number): Buffer {
  if (prng.below(5) === 0) return Buffer.from(CONTROL[prng.below(CONTROL.length)]!);
  const heads = ['MSG a 1', 'HMSG sycee.v1.y 12 _INBOX.b.2 10', 'msg\ta\t1'];
  return message(payloadOf(prng, prng.below(payloadMax)), heads[prng.below(3)]);
}

describe('frames of a random stream', () => {
  test.each([
    { seed: 1, payloadMax: 40, readMax: 20, frames: 3000 },
    { seed: 2, payloadMax: 3000, readMax: 64 * KIB, frames: 2000 },
    { seed: 3, payloadMax: 300 * KIB, readMax: 256 * KIB, frames: 120 },
    { seed: 4, payloadMax: 2 * MIB, readMax: 256 * KIB, frames: 20 },
  ])('come whole, whatever the reads cut, seed $seed', ({ seed, payloadMax, readMax, frames }) => {
    const prng = new Prng(seed);
    const all = Array.from({ length: frames }, () => frameOf(prng, payloadMax));
    const ends = new Set<number>();
    let sum = 0;
    for (const frame of all) ends.add((sum += frame.length));
    const stream = Buffer.concat(all);

    const reader = new NatsFrames();
    let handedOut = 0;
    let before: { view: Uint8Array; at: number } = { view: new Uint8Array(0), at: 0 };
    for (let at = 0; at < stream.length;) {
      const room = reader.room(true);
      const count = Math.min(room.length, 1 + prng.below(readMax), stream.length - at);
      // As a socket does it: at once, into whatever room there was.
      stream.copy(room, 0, at, at + count);
      at += count;
      // What the read before handed out is untouched by this one.
      const { view: kept, at: from } = before;
      expect(stream.compare(kept, 0, kept.length, from, from + kept.length)).toBe(0);
      const view = reader.took(count) ?? new Uint8Array(0);
      before = { view, at: handedOut };
      handedOut += view.length;
      expect(view.length === 0 || ends.has(handedOut)).toBe(true);
    }
    expect(handedOut).toBe(stream.length);
  });
});

test('memory is used again, and only while nobody looks at it', () => {
  const frames = new NatsFrames();
  const frame = message(new Uint8Array(2000));
  const buffers = new Set<ArrayBufferLike>();
  for (let i = 0; i < 100; i++) buffers.add(read(frames, frame)!.buffer);
  expect(buffers.size).toBe(2);
  const kept = read(frames, message(Buffer.from('kept')))!;
  for (let i = 0; i < 10; i++) read(frames, frame, false);
  expect(text(kept)).toBe('MSG sycee.v1.x 7 _INBOX.a.1 4\r\nkept\r\n');
});

test('a message that is larger than the memory is read into as much as it needs, once', () => {
  const frames = new NatsFrames();
  const large = message(payloadOf(new Prng(5), 3 * MIB));
  const buffers = new Set<ArrayBufferLike>();
  for (let i = 0; i < 6; i++) {
    let view: Uint8Array | undefined;
    for (let at = 0; at < large.length;) {
      const room = frames.room(true);
      buffers.add(room.buffer);
      const count = Math.min(room.length, large.length - at);
      large.copy(room, 0, at, at + count);
      at += count;
      view = frames.took(count);
      expect(view === undefined).toBe(at < large.length);
    }
    expect(large.equals(view!)).toBe(true);
  }
  // A block as large as that beside one of the usual size.
  expect(buffers.size).toBe(2);
});

describe('what is no frame', () => {
  test.each([
    ['a message without a size', 'MSG a 1 x\r\n'],
    ['a message that is too long', `MSG a 1 ${64 * MIB + 1}\r\nabc`],
    ['a size that is too long', `MSG a 1 ${'9'.repeat(400)}\r\n`],
    ['a size of zeros', `MSG a 1 ${'0'.repeat(400)}5\r\n`],
    ['a message without anything', 'M\r\n'],
  ])('%s is handed out as it is, with what follows', (_name, line) => {
    const frames = new NatsFrames();
    expect(text(read(frames, Buffer.from(`PING\r\n${line}`)))).toBe(`PING\r\n${line}`);
    expect(text(read(frames, Buffer.from('MSG')))).toBe('MSG');
    expect(text(read(frames, Buffer.from(' a\r')))).toBe(' a\r');
  });

  test('a line without an end is kept until it is as long as none can be', () => {
    const frames = new NatsFrames();
    const part = Buffer.alloc(64 * KIB, 'x');
    for (let i = 0; i < 15; i++) expect(read(frames, part)).toBeUndefined();
    expect(read(frames, part.subarray(1))).toBeUndefined();
    expect(read(frames, Buffer.from('yy'))!.length).toBe(MIB + 1);
  });
});
