import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { parseBenchArguments, UsageError } from '../options.ts';
import { runBench } from '../run.ts';
import { contendersOf, labelOf, pairsOf } from './contenders.ts';
import { postgresqlSettings } from './postgresql.ts';
import { commandBytes, readReply } from './redis-connection.ts';
import { makePeersReport, plotOf } from './report.ts';
import { findPostgresql, findRedis, isExecutable, startServer } from './servers.ts';
import { loadTigerbeetle, statusesOf } from './tigerbeetle.ts';

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
  ).toEqual(['sycee', 'sycee', 'tigerbeetle']);
  expect(contendersOf(parsed('--peers redis')).map(({ shape }) => shape)).not.toContain(
    'hot-account',
  );
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

test('TigerBeetle is refused without its binary, and without its package', async () => {
  await expect(loadTigerbeetle('nowhere')).rejects.toThrow(
    '--tigerbeetle nowhere is not a binary that can be run',
  );
  const directory = await mkdtemp(path.join(tmpdir(), 'sycee-peer-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const binary = path.join(directory, 'tigerbeetle');
  await writeFile(binary, '#!/bin/sh\necho "TigerBeetle version 0.17.9+abc"\n', { mode: 0o755 });
  await expect(loadTigerbeetle(binary)).rejects.toThrow(
    "tigerbeetle-node is not installed. Of the server's version: npm install --no-save tigerbeetle-node@0.17.9",
  );
});

test('peers without one of the shapes are refused', async () => {
  const said = vi.spyOn(console, 'error').mockReturnValue();
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  expect(await runBench('peers --peers redis --shapes equal-counts'.split(' '))).toBe(1);
  expect(said.mock.lastCall![0]).toContain('equal-counts of tigerbeetle');
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

test("TigerBeetle's created is 0 here", () => {
  expect(statusesOf([{ status: 0xffff_ffff }])).toBeNull();
  expect(statusesOf([{ status: 46 }, { status: 0xffff_ffff }])).toEqual([46, 0]);
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
