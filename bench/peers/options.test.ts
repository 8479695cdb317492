import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { parseBenchArguments, UsageError } from '../options.ts';
import { runBench } from '../run.ts';
import { contendersOf, labelOf, pairsOf } from './contenders.ts';
import type { PeerLedger } from './ledger.ts';
import { postgresqlSettings } from './postgresql.ts';
import { commandBytes, readReply } from './redis-connection.ts';
import { formatPeers, makePeersReport, plotOf } from './report.ts';
import { findPostgresql, findRedis, isExecutable, startServer } from './servers.ts';
import { takePeerTurn } from './turn.ts';

function parsed(line: string) {
  const asked = parseBenchArguments(`peers ${line}`.trim().split(' '));
  if (asked.type !== 'run') throw new Error('not a run');
  return asked.all[0]!;
}

test('PostgreSQL and Redis are the peers unless others are named', () => {
  expect(parsed('').scenarioOptions).toMatchObject({ peers: ['postgresql', 'redis'], rounds: 3 });
  expect(parsed('--peers redis').scenarioOptions.peers).toEqual(['redis']);
  const { peers } = parsed('--tigerbeetle somewhere').scenarioOptions;
  expect(peers).toEqual(['postgresql', 'redis', 'tigerbeetle']);
});

test.each([
  '--peers mysql',
  '--peers tigerbeetle',
  '--shapes round',
  '--transport nats',
  '--shards 2',
  '--batch 10',
  '--in-flight 2',
  '--connections 2',
  '--history 1000',
])('wrong usage is refused: %s', (line) => {
  expect(() => parsed(line)).toThrow(UsageError);
});

test('every contender has a label of its own within its shape', () => {
  const contenders = contendersOf(parsed('--tigerbeetle somewhere'));
  const labels = contenders.map((one) => `${one.shape} ${labelOf(one)}`);
  expect(new Set(labels).size).toBe(labels.length);
  expect(
    contenders.filter(({ shape }) => shape === 'equal-counts').map(({ system }) => system),
  ).toEqual(['sycee', 'sycee', 'tigerbeetle', 'tigerbeetle']);
  expect(contendersOf(parsed('--peers redis')).map(({ shape }) => shape)).not.toContain(
    'hot-account',
  );
});

test('TigerBeetle is in every shape, and its single calls share a client', () => {
  const contenders = contendersOf(parsed('--peers tigerbeetle --tigerbeetle somewhere'));
  const labels = Map.groupBy(contenders, ({ shape }) => shape)
    .entries()
    .map(([shape, some]) => [
      shape,
      some.filter(({ system }) => system === 'tigerbeetle').map(labelOf),
    ]);
  const single = 'TigerBeetle, one in a call, 64 under way';
  const batches = [2, 4].map((clients) => `TigerBeetle, batches of 8,189, ${clients} clients`);
  expect(Object.fromEntries(labels)).toEqual({
    uniform: [single, ...batches],
    'hot-account': [single, ...batches],
    'equal-counts': batches,
  });
});

test.each([
  ['uniform', '2 s each'],
  ['equal-counts', '5,000 transfers each in equal-counts'],
  ['uniform,equal-counts', '2 s each, 5,000 transfers each in equal-counts'],
])('the report of %s says how long a turn was: %s', (shapes, length) => {
  const line = `--tigerbeetle somewhere --seconds 2 --transfers 5000 --shapes ${shapes}`;
  const options = parsed(`--peers tigerbeetle ${line}`);
  const contenders = contendersOf(options);
  const latency = { p50: 1, p99: 2, p999: 3, max: 4 };
  const turns = contenders.map(() => [{ transfers: 1, seconds: 1, latency, complaints: [] }]);
  const rounds = { contenders, turns, complaints: [] };
  const nowhere = {
    ...options,
    scenarioOptions: { ...options.scenarioOptions, tigerbeetle: undefined },
  };
  expect(formatPeers(makePeersReport(nowhere, rounds)).split('\n')[0]).toBe(
    `peers, 100,000 accounts, ${length}`,
  );
});

test('an interrupted turn asks nothing more, and ends its server', async () => {
  const options = parsed('--accounts 16 --seconds 60 --warm-up 0');
  const interrupt = new AbortController();
  const asked: string[] = [];
  const note = (what: string) => {
    asked.push(what);
    return Promise.resolve();
  };
  const ledger: PeerLedger = {
    createAccounts: () => note('accounts'),
    prepare: () => async () => {
      await note('transfers');
      interrupt.abort();
      return null;
    },
    balances: async () => {
      await note('balances');
      return { debits: new Float64Array(16), credits: new Float64Array(16), pending: 0 };
    },
    countTransfers: async () => {
      await note('count');
      return 0;
    },
    stop: () => note('stop'),
  };
  await takePeerTurn(
    { options, directory: '', signal: interrupt.signal, say: () => undefined },
    { shape: 'uniform', system: 'redis', form: '', clients: 1, batch: 1 },
    () => Promise.resolve(ledger),
  );
  expect(asked).toEqual(['accounts', 'transfers', 'stop']);
});

test('a ratio is to the better of the client counts of its round', () => {
  const options = parsed('--peers postgresql --shapes hot-account');
  const contenders = contendersOf(options);
  const latency = { p50: 1, p99: 2, p999: 3, max: 4 };
  const turn = (transfers: number) => ({ transfers, seconds: 1, latency, complaints: [] });
  const turns = contenders.map(({ system, clients }) =>
    system === 'sycee'
      ? [turn(1000), turn(1000)]
      : [turn(clients === 8 ? 10 : 5), turn(clients === 8 ? 10 : 20)],
  );
  const report = makePeersReport(options, { contenders, turns, complaints: [] });
  expect(report.ratios).toHaveLength(pairsOf(contenders).length);
  expect(report.ratios![0]).toMatchObject({ median: 75, least: 50, greatest: 100 });
  expect(plotOf(report)).toContain('hot-account: against PostgreSQL, one in a call');
});

test('what does not verify has no figures', () => {
  const options = parsed('--peers postgresql');
  const report = makePeersReport(options, { contenders: [], turns: [], complaints: ['wrong'] });
  expect(report).toMatchObject({ verified: false, complaints: ['wrong'] });
  expect(report.contenders ?? report.ratios).toBeUndefined();
});

test('nothing that makes PostgreSQL durable is weakened', () => {
  expect(postgresqlSettings(2 ** 34)).toMatchObject({
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    shared_buffers: '4096MB',
    effective_cache_size: '12288MB',
  });
});

test('a server that is not there is not found', () => {
  expect(findRedis({ PATH: '' })).toBeUndefined();
  expect(isExecutable(import.meta.filename)).toBe(false);
  // Debian's directory is looked at without PATH.
  const found = findPostgresql({ PATH: '' });
  expect(found === undefined || isExecutable(path.join(found, 'initdb'))).toBe(true);
});
test('a server that ends at once says why', async () => {
  const start = startServer({
    name: 'a server',
    command: ['sh', '-c', 'echo no room; exit 1'],
    ready: /never/,
    stopSignal: 'SIGTERM',
  });
  await expect(start).rejects.toThrow(/a server ended at once: .*no room/s);
});

test('a server that ends later leaves the last that it said', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'sycee-peer-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const end = path.join(directory, 'END');
  const untilEnd = 'until [ -e "$0" ]; do sleep 0.02; done';
  const server = await startServer({
    name: 'a server',
    command: ['sh', '-c', `echo ready; ${untilEnd}; seq 10000; echo no room`, end],
    ready: /ready/,
    stopSignal: 'SIGTERM',
  });
  await writeFile(end, '');
  const said = await server.ended;
  expect(said).toMatch(/\n9999\n10000\nno room$/);
  expect(said.length).toBeLessThanOrEqual(4_000);
  await server.stop();
});

test('peers without one of the shapes are refused', async () => {
  const said = vi.spyOn(console, 'error').mockReturnValue();
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  expect(await runBench('peers --peers redis --shapes equal-counts'.split(' '))).toBe(1);
  expect(said.mock.lastCall![0]).toContain('equal-counts is of tigerbeetle alone');
});

test('a refusal comes before anything is started', async () => {
  const said = vi.spyOn(console, 'error').mockReturnValue();
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  const directory = await mkdtemp(path.join(tmpdir(), 'sycee-peer-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const line = ['peers', '--peers', 'tigerbeetle', '--tigerbeetle', path.join(directory, 'none')];
  expect(await runBench(line)).toBe(1);
  expect(said.mock.lastCall![0]).toContain('is not a binary that can be run');
});

test('replies of Redis are read when they are whole', () => {
  const whole = Buffer.from(':7\r\n$3\r\na\r\n\r\n*2\r\n$-1\r\n+OK\r\n-ERR no\r\n');
  const replies: unknown[] = [];
  for (let at = 0; at < whole.length;) {
    const read = readReply(whole, at)!;
    replies.push(read.reply instanceof Error ? read.reply.message : read.reply);
    at = read.end;
  }
  expect(replies).toEqual([7, 'a\r\n', [null, 'OK'], 'Redis: ERR no']);
  for (const [from, to] of [
    [0, 3],
    [4, 12],
    [13, 20],
  ] as const) {
    expect(readReply(whole.subarray(0, to), from)).toBeUndefined();
  }
  expect(commandBytes(['GET', Buffer.from([1])]).toString('latin1')).toBe(
    '*2\r\n$3\r\nGET\r\n$1\r\n\u0001\r\n',
  );
});
