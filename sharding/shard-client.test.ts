import { expect, test } from 'vitest';
import { Doorbell, DOORBELL_BYTES } from '../lib/doorbell.ts';
import { ringBuffer } from './ring.ts';
import { ShardClient } from './shard-client.ts';

const RING_BYTES = 1 << 20;
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function rig() {
  const bell = new Doorbell(new SharedArrayBuffer(DOORBELL_BYTES));
  const life = { session: 1, requests: ringBuffer(RING_BYTES), replies: ringBuffer(RING_BYTES) };
  const client = new ShardClient(0, bell, life);
  const send = (bytes: number): void => {
    expect(client.reserve(bytes)).not.toBeNull();
    client.send(1, bytes, 0, { answered: () => undefined, failed: () => undefined });
  };
  return { bell, send };
}

test.each([
  { requests: 1, atOnce: 0, inAll: 1 },
  { requests: 19, atOnce: 0, inAll: 1 },
  { requests: 20, atOnce: 1, inAll: 1 },
  { requests: 45, atOnce: 2, inAll: 3 },
])(
  'of $requests small requests in a turn of the event loop the actor is told $inAll times, $atOnce of them before its end',
  async ({ requests, atOnce, inAll }) => {
    const { bell, send } = rig();
    for (let round = 1; round <= 2; round++) {
      const before = bell.seen();
      for (let i = 0; i < requests; i++) send(128);
      expect(bell.seen() - before).toBe(atOnce);
      await turn();
      expect(bell.seen() - before).toBe(inAll);
    }
  },
);

test('of a large request it is told at once', async () => {
  const { bell, send } = rig();
  send(128);
  send(16 << 10);
  expect(bell.seen()).toBe(1);
  await turn();
  expect(bell.seen()).toBe(2);
});
