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
