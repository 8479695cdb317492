import { expect, test } from 'vitest';
import { parseBenchArguments, UsageError } from './options.ts';
import { runBench } from './run.ts';

const parse = (line: string) =>
  parseBenchArguments(
    line.split(' ').filter((one) => one !== ''),
    ['uniform'],
  );

test('a scenario alone has the defaults of its transport', () => {
  expect(parse('uniform')).toMatchObject({
    type: 'run',
    options: { transport: 'in-process', shards: 1, batch: 8189, inFlight: 4, json: false },
  });
  expect(parse('uniform --transport http')).toMatchObject({
    options: { batch: 1, connections: 64 },
  });
});

test.each([
  '',
  'nothing',
  'uniform uniform',
  'uniform --shards 0',
  'uniform --shards 65',
  'uniform --shards 1.5',
  'uniform --shards',
  'uniform --batch 8190',
  'uniform --transport tcp',
  'uniform --transport http --batch 2',
  'uniform --shards 2 --cross-shard 101',
  'uniform --cross-shard 10',
  'uniform --seconds never',
  'uniform --fast',
])('wrong usage is refused: %s', (line) => {
  expect(() => parse(line)).toThrow(UsageError);
});

test('wrong usage exits with 2, and help with 0', async () => {
  expect(await runBench(['uniform', '--shards', '0'])).toBe(2);
  expect(await runBench(['--help'])).toBe(0);
  expect(await runBench(['--list'])).toBe(0);
});
