import { afterEach, expect, test, vi } from 'vitest';
import { needNatsServer } from '../test/support/nats.ts';
import { runBench } from './run.ts';

// At a rate, what was sent is answered, however late; without one, half a second has to do.
const BRIEF = '--accounts 200 --seconds 0.5 --warm-up 0 --json'.split(' ');
const FEW_UNDER_WAY = [...'--in-flight 2'.split(' '), ...BRIEF];
const SMALL = [...'--batch 100'.split(' '), ...FEW_UNDER_WAY];
/** Those whose batches are their own. */
const argsOf = (line: string): readonly string[] =>
  line.startsWith('single-calls') ? FEW_UNDER_WAY : SMALL;

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
  'recovery --history 1000 --suffix 300',
  'snapshot-under-load --history 1000 --rounds 1 --rate 2000',
  'single-calls --callers 20 --repeat 4',
  'open-pendings --pendings 500 --timeout 3600 --user-data',
  'queries --history 1000 --questions 2 --rounds 1',
])('a small run verifies: %s', async (line) => {
  const report = await reportOf(line, argsOf(line));
  expect(report).toMatchObject({
    scenario: line.split(' ')[0],
    verified: true,
    transfers_per_second: expect.any(Number),
  });
});

test('pending transfers at a rate are sent when they are due, and each is posted', async () => {
  const { figures } = await reportOf('pending-post --rate 2000', SMALL);
  const { pending_ms: pending, post_ms: post } = figures as Record<string, { count: number }>;
  expect(figures).toMatchObject(LATE);
  expect(pending!.count).toBeGreaterThan(0);
  expect(post!.count).toBe(pending!.count);
});

/** What a load at a rate tells. */
const LATE = { sent_late_ms: { max: expect.any(Number) } };
const SOME = { count: expect.toSatisfy((count: number) => count > 0) };
/** What a server in another process does not tell. */
const NOT_TOLD = { hold_ms_max: null, beside: { group_max_ms: null } };

test.each<[line: string, some: object]>([
  ['zipfian', { in_flight: 64, settings: { workers: 1 } }],
  ['uniform --rate 500 --workers 2', { settings: { workers: 2 } }],
  ['chains --chain 3 --shards 2 --legs apart --batch 7 --workers 2', { batch: 7 }],
  ['pending-post --workers 2 --shards 2', { figures: { pending_ms: SOME, post_ms: SOME } }],
  ['pending-post --name-accounts --batch 20 --rate 2000', { figures: { ...LATE, post_ms: SOME } }],
  ['growth --transfers 1000 --steps 1 --batch 100 --workers 3', { transfers: 1_000 }],
  ['recovery --history 1000 --suffix 300 --batch 100', { transfers: 1_000 }],
  ['snapshot-under-load --history 1000 --rounds 1 --rate 9000', { figures: NOT_TOLD }],
  ['queries --history 1000 --questions 2 --rounds 1 --batch 100', { in_flight: 4 }],
])(
  'over HTTP a small run verifies: %s',
  async (line, some) => {
    const report = await reportOf(`${line} --transport http`, BRIEF);
    expect(report).toMatchObject({ transport: 'http', verified: true, ...some });
    expect(report['transfers']).toBeGreaterThan(0);
  },
  20_000,
);

// What sends is the client, as in process: it is the snapshots that another process takes.
test.for([
  'recovery --history 1000 --suffix 300',
  'snapshot-under-load --history 1000 --rounds 1 --rate 2000',
])('over NATS a small run verifies: %s', async (line, context) => {
  needNatsServer(context);
  expect(await reportOf(`${line} --transport nats`, argsOf(line))).toMatchObject({
    verified: true,
  });
});

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

test('with one shard crossing has no load that crosses, and its lowest shard is its highest', async () => {
  const report = await reportOf('crossing --shards 1 --pause 20 --repeat 2', SMALL);
  const points = report['points'] as readonly Record<string, unknown>[];
  expect(points.map(({ name }) => name)).toEqual([
    'nothing hot, and nothing crosses',
    'hot account on shard 0',
    'fee account on shard 0',
  ]);
  expect(Object.keys(report['figures'] as object).filter((one) => /paused/.test(one))).toHaveLength(
    3,
  );
});

test('growth counts what was created, in each step and as a whole', async () => {
  const report = await reportOf('growth --transfers 3000 --steps 3', SMALL);
  const steps = report['steps'] as readonly Record<string, number>[];
  expect(steps.map((step) => step['transfers'])).toEqual([1_000, 2_000, 3_000]);
  expect(report['transfers']).toBe(3_000);
  for (const step of steps) expect(step['disk_bytes']).toBeGreaterThan(0);
});

test('beside snapshots it says how long the beginning of one has held an actor, and how much of that it had a processor', async () => {
  const line = 'snapshot-under-load --history 1000 --rounds 1 --rate 2000';
  const report = await reportOf(line, SMALL);
  expect(report).toMatchObject({
    verified: true,
    figures: {
      snapshots: expect.any(Number),
      hold_ms_max: expect.any(Number),
      hold_processor_ms_max: expect.any(Number),
    },
  });
  const figures = report['figures'] as {
    readonly snapshots: number;
    readonly hold_ms_max: number;
    readonly hold_processor_ms_max: number;
  };
  const { snapshots, hold_ms_max: held, hold_processor_ms_max: processor } = figures;
  expect(snapshots).toBeGreaterThan(0);
  expect(held).toBeGreaterThan(0);
  expect(processor).toBeGreaterThanOrEqual(0);
  expect(processor).toBeLessThanOrEqual(held);
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
