import { expect, test } from 'vitest';
import { parseBenchArguments, UsageError } from './options.ts';
import { runBench } from './run.ts';

const parse = (line: string) => parseBenchArguments(line.split(' ').filter((one) => one !== ''));

/** The first that was named. */
const optionsOf = (line: string) => {
  const asked = parse(line);
  return asked.type === 'run' ? asked.all[0] : undefined;
};

test('a scenario alone has the defaults of its transport', () => {
  expect(optionsOf('uniform')).toMatchObject({
    transport: 'in-process',
    shards: 1,
    batch: 8189,
    inFlight: 4,
    json: false,
  });
  expect(optionsOf('uniform --transport http')).toMatchObject({ batch: 1, connections: 64 });
});

test.each([
  ['uniform', { batch: 1, connections: 64, workers: 1 }],
  ['uniform --workers 4', { workers: 4 }],
  ['pending-post', { batch: 1, connections: 64 }],
  ['pending-post --batch 1000', { batch: 1_000, connections: 16 }],
  ['chains --chain 3', { batch: 3, connections: 64 }],
  ['chains --chain 3 --batch 300', { batch: 300, connections: 54 }],
  ['growth', { batch: 8_189, connections: 4 }],
  ['queries --in-flight 2', { batch: 8_189, inFlight: 2 }],
])('over HTTP a request has what suits the scenario: %s', (line, options) => {
  expect(optionsOf(`${line} --transport http`)).toMatchObject(options);
});

test('a scenario has its own options, and their defaults', () => {
  expect(optionsOf('chains --shards 2 --chain 3 --legs apart')).toMatchObject({
    scenario: 'chains',
    scenarioOptions: { chain: 3, legs: 'apart' },
  });
  expect(optionsOf('open-pendings --user-data')).toMatchObject({
    scenarioOptions: { pendings: 1_000_000, timeoutSeconds: 0, hasUserData: true },
  });
  expect(optionsOf('pending-post --name-accounts')).toMatchObject({
    scenarioOptions: { namesAccounts: true },
  });
  expect(optionsOf('hot-account')).toMatchObject({ scenarioOptions: { hotSide: 'either' } });
});

test('cross-shard is over two shards unless told, and growth to a hundred million', () => {
  expect(optionsOf('cross-shard')).toMatchObject({ shards: 2 });
  expect(optionsOf('growth')).toMatchObject({ scenarioOptions: { transfers: 1e8 } });
  expect(optionsOf('peers')).toMatchObject({ scenarioOptions: { transfers: 1e6 } });
});

test('several scenarios have the same options', () => {
  const asked = parse('uniform chains --accounts 500');
  expect(asked).toMatchObject({
    all: [
      { scenario: 'uniform', accounts: 500 },
      { scenario: 'chains', accounts: 500 },
    ],
  });
});

test.each([
  ['uniform --repeat 0', '--repeat is a whole number between 1 and 1000'],
  ['uniform --rate fast', '--rate is a whole number between 0 and 100000000'],
  ['queries --repeat 2', '--repeat is not for queries'],
  ['single-calls --rate 5', '--rate is not for single-calls'],
  ['single-calls --batch 16', '--batch is not for single-calls, whose client makes the batches'],
  ['zipfian --skew 1', '--skew is above 0 and below 1'],
  ['uniform --skew 0.5', '--skew is not for uniform'],
  [
    'cross-shard --cross-shard 10',
    '--cross-shard is not for cross-shard, whose loads differ in it',
  ],
  ['small-batches --batch 16', '--batch is not for small-batches, whose loads differ in it'],
  [
    'uniform --transport http --in-flight 5',
    '--in-flight is not for --transport http; --connections is',
  ],
  ['uniform --connections 5', '--connections is not for --transport in-process; --in-flight is'],
  [
    'uniform --transport nats --connections 5',
    '--connections is not for --transport nats; --in-flight is',
  ],
  ['growth --steps 0', '--steps is a whole number between 1 and 1000'],
  [
    'single-calls --transport http',
    'over HTTP there is uniform, zipfian, pending-post, chains, hot-account, cross-shard, small-batches, queries, growth, recovery, snapshot-under-load, not single-calls',
  ],
  [
    'uniform --transport http --batch 2',
    'over HTTP uniform has one transfer in a request, not --batch 2',
  ],
  ['uniform --workers 2', '--workers is not for --transport in-process; --in-flight is'],
  ['chains --transport nats --workers 2', '--workers is not for --transport nats; --in-flight is'],
  ['queries --transport http --workers 2', '--workers is not for queries; --in-flight is'],
  ['peers --workers 2', '--workers is not for peers'],
  ['growth --transport http --workers 5', '--workers 5 need a connection each, and there are 4'],
  ['crossing --transport http', 'crossing is measured in process only'],
])('a refusal names the option and the rule: %s', (line, sentence) => {
  expect(() => parse(line)).toThrow(sentence);
});

test.each([
  '',
  'nothing',
  'uniform nothing',
  'uniform chains --data somewhere',
  'limits --shards 2',
  'uniform --shards 0',
  'uniform --shards 65',
  'uniform --shards 1.5',
  'uniform --shards',
  'uniform --batch 8190',
  'uniform --transport tcp',
  'uniform --transport http --workers 0',
  'uniform --shards 2 --cross-shard 101',
  'uniform --cross-shard 10',
  'uniform --seconds never',
  'uniform --fast',
  'uniform --chain 2',
  'chains --chain 1',
  'chains --legs apart',
  'chains --shards 2 --legs nowhere',
  'chains --shards 2 --legs cross --cross-shard 50',
  'hot-account --hot-side both',
  'crossing --pause 0',
  'crossing --transport nats',
  'open-pendings --pendings 0',
  'pending-post --user-data',
  'queries --readers 1.5',
])('wrong usage is refused: %s', (line) => {
  expect(() => parse(line)).toThrow(UsageError);
});

test('wrong usage exits with 2, and help with 0', async () => {
  expect(await runBench(['uniform', '--shards', '0'])).toBe(2);
  expect(await runBench(['--help'])).toBe(0);
  expect(await runBench(['--list'])).toBe(0);
  expect(await runBench(['--seconds', '5'])).toBe(2);
  expect(await runBench(['--quick', '--shards', '2'])).toBe(2);
  expect(await runBench(['--compare', '--help'])).toBe(0);
});
