import { afterEach, expect, test, vi } from 'vitest';
import { runBench } from './run.ts';

const SMALL = '--accounts 200 --batch 100 --in-flight 2 --seconds 0.1 --warm-up 0 --json'.split(
  ' ',
);

afterEach(() => {
  vi.restoreAllMocks();
});

test.each([
  'uniform',
  'pending-post',
  'pending-post --shards 2 --name-accounts',
  'chains --chain 3',
  'chains --shards 2 --legs apart',
  'hot-account --shards 2 --hot-side credit',
  'single-calls --callers 20',
  'open-pendings --pendings 500 --timeout 3600 --user-data',
  'queries --history 1000 --questions 2 --rounds 1',
])('a small run verifies: %s', async (line) => {
  const said = vi.spyOn(console, 'log').mockReturnValue();
  vi.spyOn(console, 'error').mockReturnValue();
  const code = await runBench([...line.split(' '), ...SMALL]);
  expect(vi.mocked(console.error).mock.calls).toEqual([]);
  expect(code).toBe(0);
  const report = JSON.parse(said.mock.lastCall![0] as string) as Record<string, unknown>;
  expect(report).toMatchObject({
    scenario: line.split(' ')[0],
    verified: true,
    transfers_per_second: expect.any(Number),
  });
});
