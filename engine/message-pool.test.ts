import { expect, test } from 'vitest';
import { MessagePool } from './message-pool.ts';

test('words that were given back are handed out again, the shortest that suffice', () => {
  const pool = new MessagePool();
  const [short, long] = [pool.take(100), pool.take(3000)];
  pool.give(long);
  pool.give(short);
  expect(pool.take(200).buffer).toBe(long.buffer);
  expect(pool.take(90).buffer).toBe(short.buffer);
  expect([short.buffer, long.buffer]).not.toContain(pool.take(90).buffer);
});

test('a message has exactly the words that were asked for', () => {
  const pool = new MessagePool();
  pool.give(new Uint32Array(1024));
  expect(pool.take(1000)).toHaveLength(1000);
  expect(pool.take(1000)).toHaveLength(1000);
  expect(pool.take(3)).toHaveLength(3);
});

test('what is kept has a bound, and long ones come first', () => {
  const pool = new MessagePool();
  const all = Array.from({ length: 40 }, (_, i) => new Uint32Array(1000 + i));
  for (const words of all) pool.give(words);
  const again = Array.from({ length: 40 }, () => pool.take(64).buffer);
  const kept = all.filter(({ buffer }) => again.includes(buffer));
  expect(kept).toEqual(all.slice(24));
  pool.give(new Uint32Array((4 << 20) + 1));
  expect(pool.take(64).buffer.byteLength).toBe(256);
});
