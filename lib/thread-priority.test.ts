import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';

const SOURCE = `
const { parentPort } = require('node:worker_threads');
const { readFileSync } = require('node:fs');
import(${JSON.stringify(new URL('./thread-priority.ts', import.meta.url).href)}).then(({ lowerThreadPriority }) => {
  const isLowered = lowerThreadPriority(5);
  const nice = isLowered ? Number(readFileSync('/proc/thread-self/stat', 'utf8').split(') ')[1].split(' ')[16]) : null;
  parentPort.postMessage({ isLowered, nice });
});`;

test('a thread steps back alone: the others of its process keep their priority', async () => {
  const before = getPriority(process.pid);
  const worker = new Worker(SOURCE, { eval: true });
  const [answer] = (await once(worker, 'message')) as [{ isLowered: boolean; nice: number | null }];
  await worker.terminate();
  expect(answer.isLowered).toBe(existsSync('/proc/thread-self'));
  expect(answer.nice).toBe(answer.isLowered ? Math.min(before + 5, 19) : null);
  expect(getPriority(process.pid)).toBe(before);
});
