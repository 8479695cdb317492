import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { runTool } from './run-tool.ts';

test('where there is no room for copies, the place and what to do are named', async () => {
  const lines: string[] = [];
  const output = { out: () => undefined, log: (line: string) => lines.push(line) };
  for (const code of ['ENOSPC', 'EDQUOT', 'EIO']) {
    const error = Object.assign(new Error(`${code}: an error, copyfile`), { code });
    expect(await runTool('verify', output, () => Promise.reject(error))).toBe(1);
  }
  const advice = expect.stringContaining(`for a while in ${tmpdir()}: make room there`) as string;
  expect(lines).toEqual([advice, advice, 'sycee: EIO: an error, copyfile']);
});

test('what the system says of a path becomes a sentence with the path and the rule', async () => {
  const lines: string[] = [];
  const output = { out: () => undefined, log: (line: string) => lines.push(line) };
  const denied = Object.assign(new Error('EACCES: permission denied, scandir'), { code: 'EACCES' });
  const reads = [
    () => readdirSync('/dev/null'),
    () => readFileSync('/dev/nowhere'),
    () => {
      throw Object.assign(denied, { path: '/ledger' });
    },
  ];
  for (const read of reads) {
    const tool = async (): Promise<number> => {
      await Promise.resolve();
      read();
      return 0;
    };
    expect(await runTool('verify', output, tool)).toBe(1);
  }
  expect(lines).toEqual([
    'sycee: /dev/null is no directory, or a part of its path is none. Check the path.',
    'sycee: /dev/nowhere is not there. Check the path.',
    'sycee: /ledger may not be used by this user. Run this as the one who has it, or give access to it.',
  ]);
});
