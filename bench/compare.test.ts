import { describe, expect, test } from 'vitest';
import { compareRuns, figuresOfReport, parseComparison } from './compare.ts';

test('what was measured is compared, and what was set is not', () => {
  const report = {
    scenario: 'uniform',
    shards: 2,
    cross_shard_percent: null,
    settings: { chain: 2 },
    transfers_per_second: 100,
    latency_ms: { p50: 1, p99: 2 },
    figures: { post_ms: { p50: 3 } },
    memory: { bytes_per_account: null },
    machine: { cpus: 2 },
  };
  expect(figuresOfReport(report)).toEqual({
    transfers_per_second: 100,
    'latency_ms.p50': 1,
    'latency_ms.p99': 2,
    'figures.post_ms.p50': 3,
  });
});

describe('compareRuns', () => {
  const runs = (...rates: number[]) => rates.map((rate) => ({ rate }));

  test('the ratio is the median of the pairs, so that a drift of the machine is in both of a pair', () => {
    const [rate] = compareRuns(runs(100, 50, 10), runs(110, 50, 20));
    expect(rate).toEqual({
      figure: 'rate',
      before: { median: 50, least: 10, greatest: 100 },
      after: { median: 50, least: 20, greatest: 110 },
      ratio: { median: 1.1, least: 1, greatest: 2 },
    });
  });

  test('a figure that one run does not have is left out', () => {
    expect(compareRuns([{ rate: 1, more: 2 }], [{ rate: 1 }]).map((one) => one.figure)).toEqual([
      'rate',
    ]);
  });
});

describe('parseComparison', () => {
  const parse = (line: string) => parseComparison(line.split(' '));

  test('two directories, and the command behind the dashes', () => {
    const command = ['uniform', '--seconds', '5'];
    expect(parse('--base a --head b --rounds 3 -- uniform --seconds 5')).toEqual({
      before: { directory: 'a', command },
      after: { directory: 'b', command },
      rounds: 3,
    });
  });

  test('two scenarios of one directory', () => {
    const { before, after } = parse('-- uniform -- chains --chain 3')!;
    expect(before.command).toEqual(['uniform']);
    expect(after.command).toEqual(['chains', '--chain', '3']);
    expect(after.directory).toBe(before.directory);
  });

  test.each([
    'uniform',
    '--base a --head b uniform',
    '--base a --head b --',
    '-- uniform --',
    '-- uniform -- chains -- queries',
    '--rounds 0 -- uniform',
    '--twice -- uniform',
  ])('wrong usage is refused: %s', (line) => {
    expect(parse(line)).toBeNull();
  });
});
