import { expect, test } from 'vitest';
import type { AnyReport } from './bench-process.ts';
import { parseBenchArguments, UsageError } from './options.ts';
import { plotsOf, suiteTable } from './suite-report.ts';
import { suiteRuns } from './suite-runs.ts';
import { parseSuite, type SuiteDocument } from './suite.ts';

const LATENCY = { p50: 1, p99: 2, p999: 3, max: 4 };

const report = (rest: Partial<AnyReport>): AnyReport => ({
  scenario: 'uniform',
  verified: true,
  ...rest,
});

const document = (runs: SuiteDocument['runs']): SuiteDocument => ({
  suite: 'full',
  started: '2026-01-01T00:00:00.000Z',
  seconds: 12,
  verified: runs.every(({ failed }) => failed === undefined),
  machine: { cpus: 2, model: 'some', node: 'v26' },
  commit: 'abc',
  runs,
});

const step = (transfers: number) => ({
  transfers,
  transfers_per_second: 1_000,
  p50_ms: 1,
  p99_ms: 2,
  p999_ms: 3,
  max_ms: 4,
  resident_bytes: 5 << 20,
  table_bytes: null,
  disk_bytes: 6 << 20,
});

test.each(['full', 'quick'] as const)(
  'every run of the %s suite is one that the bench has, and all fit into the time',
  (name) => {
    const runs = suiteRuns(name);
    for (const { command } of runs) {
      expect(parseBenchArguments(command.split(' '))).toMatchObject({ type: 'run' });
    }
    const commands = runs.map(({ command }) => command);
    expect(new Set(commands).size).toBe(commands.length);
    const seconds = runs.reduce((sum, run) => sum + run.seconds, 0);
    expect(seconds).toBeLessThan(name === 'full' ? 890 : 110);
  },
);

test('each scenario of the issue is in the whole suite, but for peers', () => {
  const scenarios = new Set(suiteRuns('full').map(({ command }) => command.split(' ')[0]));
  for (const name of ['uniform', 'zipfian', 'hot-account', 'pending-post', 'chains']) {
    expect(scenarios).toContain(name);
  }
  for (const name of ['cross-shard', 'small-batches', 'queries', 'recovery', 'growth', 'limits']) {
    expect(scenarios).toContain(name);
  }
});

test('the options of the suite', () => {
  expect(parseSuite([])).toMatchObject({ name: 'full', json: false });
  expect(parseSuite(['--quick']).results).toMatch(/results.local$/);
  expect(parseSuite(['--results', 'there', '--json'])).toEqual({
    name: 'full',
    json: true,
    results: 'there',
  });
  expect(() => parseSuite(['--quick=yes'])).toThrow(UsageError);
});

test('the table has a line for each load, and says what failed and what was left out', () => {
  const repeats = {
    runs: 3,
    transfers_per_second: { median: 2_000, least: 1_000, greatest: 3_000 },
    latency_ms: {} as never,
  };
  const point = {
    name: 'batches of 1',
    batch: 1,
    in_flight: 4,
    transfers: 9,
    transfers_per_second: 9,
    latency_ms: LATENCY,
  };
  const text = suiteTable(
    document([
      {
        name: 'one',
        command: 'uniform --transport nats',
        report: report({ transfers_per_second: 2_000, latency_ms: LATENCY, repeats }),
      },
      {
        name: 'many',
        command: 'small-batches',
        report: report({ transfers_per_second: 5, latency_ms: LATENCY, points: [point] }),
      },
      { name: 'bad', command: 'chains', failed: 'it ended with 1' },
      { name: 'late', command: 'zipfian', skipped: 'the time was up' },
      {
        name: 'machine',
        command: 'limits',
        report: report({ scenario: 'limits', figures: { memory_copy: 7 } }),
      },
    ]),
  );
  expect(text).toMatch(/^one +nats +2,000 \(1,000 to 3,000\) +1 +2 +3 +4$/m);
  expect(text).toMatch(/^many: batches of 1 +in-process +9 \(9 to 9\)/m);
  expect(text).toMatch(/^bad +in-process +FAILED: it ended with 1/m);
  expect(text).toMatch(/^late +in-process +left out: the time was up/m);
  expect(text).toMatch(/^memory copy +7$/m);
  expect(text).toContain('4 runs in 12 s, 1 left out; NOT all verified');
});

test('there is a plot of throughput, one of latency at a rate, and two of growth', () => {
  const figures = { transfers_per_second: 2_000, latency_ms: LATENCY };
  const plots = plotsOf(
    document([
      { name: 'busy', command: 'uniform', report: report(figures) },
      { name: 'paced', command: 'uniform --rate 2000', report: report(figures) },
      {
        name: 'grown',
        command: 'growth',
        report: report({ ...figures, steps: [step(1_000), step(2_000)] }),
      },
    ]),
  );
  expect([...plots.keys()]).toEqual(['throughput', 'latency', 'growth', 'growth-bytes']);
  expect(plots.get('throughput')).toContain('>busy<');
  expect(plots.get('throughput')).not.toContain('>paced<');
  expect(plots.get('latency')).toContain('>paced<');
  for (const svg of plots.values()) expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

test('what has no figure is not drawn', () => {
  expect(plotsOf(document([{ name: 'bad', command: 'chains', failed: 'why' }])).size).toBe(0);
});
