import { afterEach, expect, test, vi } from 'vitest';
import { runBench } from './run.ts';

// At a rate, what was sent is answered, however late; without one, half a second has to do.
const BRIEF = '--accounts 200 --seconds 0.5 --warm-up 0 --json'.split(' ');
const SMALL = [...'--batch 100 --in-flight 2'.split(' '), ...BRIEF];

afterEach(() => {
  vi.restoreAllMocks();
});

test.each([
  'uniform --rate 2000 --repeat 2',
  'zipfian --shards 2 --cross-shard 50 --rate 2000',
  'pending-post --shards 2 --name-accounts --repeat 4',
  'chains --chain 3 --shards 2 --legs apart --rate 2000',
  'hot-account --shards 2 --hot-side credit --rate 2000',
  'cross-shard --rate 2000',
  'crossing --shards 3 --pause 20 --repeat 2',
  'single-calls --callers 20 --repeat 4',
  'open-pendings --pendings 500 --timeout 3600 --user-data',
  'queries --history 1000 --questions 2 --rounds 1',
])('a small run verifies: %s', async (line) => {
  const report = await reportOf(line, SMALL);
  expect(report).toMatchObject({
    scenario: line.split(' ')[0],
    verified: true,
    transfers_per_second: expect.any(Number),
  });
});

test.each(['zipfian', 'uniform --rate 500'])(
  'over HTTP a small run verifies: %s',
  async (line) => {
    const report = await reportOf(`${line} --transport http`, BRIEF);
    expect(report).toMatchObject({ transport: 'http', verified: true });
    expect(report['transfers']).toBeGreaterThan(0);
  },
  20_000,
);

test('small batches have their figures each, in turns, and with their spread', async () => {
  const report = await reportOf('small-batches --repeat 2 --rate 2000', BRIEF);
  const points = report['points'] as readonly Record<string, unknown>[];
  expect(points.map((point) => point['batch'])).toEqual([1, 16, 128, 1_024, 8_189]);
  for (const point of points) {
    expect(point).toMatchObject({
      repeats: { runs: 2, transfers_per_second: { median: expect.any(Number) } },
      latency_ms: { p50: expect.any(Number), max: expect.any(Number) },
    });
  }
});

test('with one shard cross-shard has one load, in which nothing crosses', async () => {
  const report = await reportOf('cross-shard --shards 1 --rate 2000', SMALL);
  expect(report).toMatchObject({
    shards: 1,
    points: [{ name: '0 % cross-shard, all on one shard', transfers: report['transfers'] }],
  });
});

test('growth counts what was created, in each step and as a whole', async () => {
  const report = await reportOf('growth --transfers 3000 --steps 3', SMALL);
  const steps = report['steps'] as readonly Record<string, number>[];
  expect(steps.map((step) => step['transfers'])).toEqual([1_000, 2_000, 3_000]);
  expect(report['transfers']).toBe(3_000);
  for (const step of steps) expect(step['disk_bytes']).toBeGreaterThan(0);
});

async function reportOf(
  line: string,
  more: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const said = vi.spyOn(console, 'log').mockReturnValue();
  vi.spyOn(console, 'error').mockReturnValue();
  const code = await runBench([...line.split(' '), ...more]);
  expect(vi.mocked(console.error).mock.calls).toEqual([]);
  expect(code).toBe(0);
  return JSON.parse(said.mock.lastCall![0] as string) as Record<string, unknown>;
}
