import { afterEach, expect, test, vi } from 'vitest';
import { sayResult } from './output.ts';
import { runBench } from './run.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

function listening() {
  return {
    out: vi.spyOn(console, 'log').mockReturnValue(),
    aside: vi.spyOn(console, 'error').mockReturnValue(),
  };
}

test('beside a document the text for people is not on standard output', () => {
  const { out, aside } = listening();
  sayResult('a table', { verified: true });
  expect(out.mock.calls).toEqual([['{"verified":true}']]);
  expect(aside.mock.calls).toEqual([['a table']]);
});

test('without a document the text is the output', () => {
  const { out, aside } = listening();
  sayResult('a table', undefined);
  expect(out.mock.calls).toEqual([['a table']]);
  expect(aside).not.toHaveBeenCalled();
});

test('the list of scenarios is a document where one is asked for', async () => {
  const { out } = listening();
  expect(await runBench(['--list', '--json'])).toBe(0);
  expect(out).toHaveBeenCalledOnce();
  const { type, scenarios } = JSON.parse(out.mock.lastCall![0] as string);
  expect(type).toBe('scenarios');
  expect(scenarios).toContainEqual({
    scenario: 'zipfian',
    options: ['--skew', '--rate', '--repeat'],
  });
});
