import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { ringBuffer, RingReader, RingWriter } from '../sharding/ring.ts';
import { Doorbell, DOORBELL_BYTES } from './doorbell.ts';

const newBell = (spins?: number): Doorbell =>
  new Doorbell(new SharedArrayBuffer(DOORBELL_BYTES), 0, spins);

test('a ring between the look and the wait ends the wait at once', async () => {
  for (const spins of [0, 10]) {
    const bell = newBell(spins);
    const seen = bell.seen();
    bell.ring();
    expect(bell.wait(seen, 60_000)).toBe(true);
    expect(await bell.waitAsync(seen, 60_000)).toBe(true);
  }
});

test('a wait that nobody ends runs into its timeout', async () => {
  const bell = newBell();
  expect(bell.wait(bell.seen(), 1)).toBe(false);
  expect(bell.wait(bell.seen(), 0)).toBe(false);
  expect(await bell.waitAsync(bell.seen(), 1)).toBe(false);
  expect(await bell.waitAsync(bell.seen(), 0)).toBe(false);
});

test('a ring wakes an event loop that waits, once for each wait', async () => {
  const bell = newBell();
  for (let i = 0; i < 100; i++) {
    const seen = bell.seen();
    const waiting = bell.waitAsync(seen, 60_000);
    bell.ring();
    bell.ring();
    expect(await waiting).toBe(true);
    expect(bell.seen()).toBe(seen + 2);
  }
});

test('a wait that is over at once still lets the event loop turn', async () => {
  const bell = newBell();
  const seen = bell.seen();
  bell.ring();
  let turns = 0;
  const timer = setImmediate(() => turns++);
  await bell.waitAsync(seen, 60_000);
  clearImmediate(timer);
  expect(turns).toBe(1);
});

test('bells beside one another in one buffer do not hear each other', () => {
  const buffer = new SharedArrayBuffer(2 * DOORBELL_BYTES);
  const first = new Doorbell(buffer, 0);
  const second = new Doorbell(buffer, DOORBELL_BYTES);
  first.ring();
  expect([first.seen(), second.seen()]).toEqual([1, 0]);
  expect(() => new Doorbell(buffer, 64)).toThrow('cache lines of its own');
  expect(() => new Doorbell(buffer, 2 * DOORBELL_BYTES)).toThrow('within its buffer');
});

test('no ring is missed when two threads wake each other 20,000 times', async () => {
  const echo = {
    there: ringBuffer(1024),
    back: ringBuffer(1024),
    workerBell: new SharedArrayBuffer(DOORBELL_BYTES),
    mainBell: new SharedArrayBuffer(DOORBELL_BYTES),
  };
  const entry = new URL('../test/support/ring-echo-worker.ts', import.meta.url);
  const worker = new Worker(entry, { workerData: echo });
  const exited = once(worker, 'exit');
  const writer = new RingWriter(echo.there);
  const reader = new RingReader(echo.back);
  const mine = new Doorbell(echo.mainBell);
  const others = new Doorbell(echo.workerBell);
  const ROUNDS = 20_000;
  for (let round = 1; round <= ROUNDS; round++) {
    expect(writer.reserve(round === ROUNDS ? 0 : 8)).toBe(true);
    writer.commit();
    others.ring();
    for (let seen = mine.seen(); !reader.peek(); seen = mine.seen()) {
      // A missed ring would cost the whole timeout and fail here.
      const wasRung =
        round % 2 === 0 ? mine.wait(seen, 10_000) : await mine.waitAsync(seen, 10_000);
      expect(wasRung).toBe(true);
    }
    reader.release();
  }
  expect(await exited).toEqual([0]);
});
