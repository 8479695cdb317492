import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { endChild, killChildren, startChild, startKept } from './children.ts';

/** Rejects where no process group has this number. */
const isGroup = (child: ChildProcess): boolean => process.kill(-child.pid!, 0);

test('a load generator is out of reach of the terminal, and ends when it is asked to', async () => {
  const child = startChild('./echo-server.ts', []);
  await once(child, 'message');
  expect(isGroup(child)).toBe(true);
  expect(await endChild(child)).toBe('SIGTERM');
});

test('a server is out of reach of the terminal, and its exit code comes through', async () => {
  const server = startKept([
    'sh',
    '-c',
    'trap "exit 3" TERM; echo up >&2; while :; do sleep 0.01; done',
  ]);
  await once(server.child.stderr!, 'data');
  while (!server.said().includes('up')) await once(server.child.stderr!, 'data');
  expect(isGroup(server.child)).toBe(true);
  expect(server.pid()).toBeGreaterThan(0);
  expect(server.pid()).not.toBe(server.child.pid);
  expect(server.said()).toBe('up');
  expect(await endChild(server.child)).toBe(3);
});

test('a bench that does not wait kills what is left of them', async () => {
  const { child } = startKept(['sh', '-c', 'trap "" TERM; exec sleep 60']);
  await once(child.stderr!, 'data');
  const exit = once(child, 'exit');
  killChildren();
  expect(await exit).toEqual([null, 'SIGKILL']);
});
