/**
 * A process of its own for lib/v8-settings.test.ts: makes objects that live long for a while, as requests do that queue up, and then such as die at
 * once. Says by how many bytes V8's old generation has grown in the second part. With the argument `young` it has the settings first.
 */
import { getHeapSpaceStatistics } from 'node:v8';
import { applyV8Settings } from '../../lib/v8-settings.ts';

const QUEUED = 1 << 16;
const ROUNDS = 20;

if (process.argv[2] === 'young') applyV8Settings();
const kept = Array.from({ length: QUEUED }, (): object | undefined => undefined);

for (let round = 0; round < ROUNDS; round++) make(200_000, QUEUED);
globalThis.gc?.();
const before = oldBytes();
for (let round = 0; round < ROUNDS; round++) make(10_000, 16);
process.stdout.write(String(oldBytes() - before));

function make(count: number, window: number): void {
  for (let i = 0; i < count; i++) kept[i % window] = request(i);
}

function request(n: number): object {
  return { n, body: { n, rows: [n, n + 1, n + 2] } };
}

function oldBytes(): number {
  return getHeapSpaceStatistics().find((one) => one.space_name === 'old_space')!.space_used_size;
}
