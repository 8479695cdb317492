/**
 * What is measured: the ledger in this process, or `sycee serve` in a child process with a client connected to it. A target is stopped
 * once, and its data directory is left for the replay.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, TransportClient } from '../client/client.ts';
import { connectHttp } from '../client/http-client.ts';
import { connect } from '../client/nats-client.ts';
import { RouterTransport } from '../client/router-transport.ts';
import { askControl } from '../control/control-client.ts';
import { unreachable } from '../engine/assert.ts';
import { startNatsServer } from '../lib/nats-server.ts';
import { type ShardDigest, type SnapshotTaken, Supervisor } from '../sharding/supervisor.ts';
import { endChild, isLiving, type KeptServer, startKept } from './children.ts';
import type { BenchOptions } from './options.ts';

const READY_TIMEOUT_MS = 30_000;
const READY_POLL_MS = 20;

/** What one shard has done so far, and what waits there. */
export interface ShardWaits {
  readonly groups: number;
  readonly events: number;
  readonly parked: number;
  readonly claimed: number;
  readonly walksInFlight: number;
}

export interface SnapshotHold {
  readonly ms: number;
  readonly processorMs: number;
}

export interface Target {
  readonly client: Client;
  /** Of the HTTP edge, where there is one. */
  readonly url: string | undefined;
  /** Of the process that holds the ledger. */
  readonly pid: number;
  /** Undefined where the ledger is in another process. */
  digests(): Promise<readonly ShardDigest[] | undefined>;
  /** Of the tables of accounts, ids, and open pending transfers, all shards together; undefined as above. */
  tableBytes(): number | undefined;
  /** Takes a snapshot of each shard. */
  snapshot(): Promise<readonly SnapshotTaken[]>;
  /** The longest time that the beginning of a snapshot has held an actor, and the longest that one had a processor for it; undefined as above. */
  snapshotHold(): SnapshotHold | undefined;
  /** What waits on each shard at this moment; undefined as above. */
  waits(): readonly ShardWaits[] | undefined;
  /** The slowest group since this was last asked for, ms: from the beginning of its execution until it was durable; undefined as above. */
  takeSlowestGroupMs(): number | undefined;
  stop(): Promise<void>;
}

/** `flags` are for `sycee serve`, where it is that. */
export async function startTarget(
  options: BenchOptions,
  directory: string,
  flags: readonly string[] = [],
): Promise<Target> {
  switch (options.transport) {
    case 'in-process':
      return inProcess(options, directory);
    case 'nats':
      return overNats(options, directory, flags);
    case 'http':
      return overHttp(options, directory, flags);
    default:
      return unreachable(options.transport);
  }
}

async function inProcess(options: BenchOptions, directory: string): Promise<Target> {
  const supervisor = await Supervisor.start({ directory, shards: options.shards });
  const client = new TransportClient(
    new RouterTransport(supervisor.router, () => supervisor.stop()),
  );
  return {
    client,
    url: undefined,
    pid: process.pid,
    digests: () => supervisor.digests(),
    tableBytes: () => supervisor.metrics().reduce((sum, one) => sum + one.tableBytes, 0),
    snapshot: () => supervisor.snapshot(),
    snapshotHold: () => {
      const shards = supervisor.metrics();
      return {
        ms: Math.max(...shards.map((one) => one.snapshotHoldMs)),
        processorMs: Math.max(...shards.map((one) => one.snapshotHoldProcessorMs)),
      };
    },
    waits: () => supervisor.metrics(),
    takeSlowestGroupMs: () => supervisor.takeSlowestGroupMs(),
    stop: () => client.close(),
  };
}

async function overHttp(
  options: BenchOptions,
  directory: string,
  flags: readonly string[],
): Promise<Target> {
  const server = await startServer(options, directory, ['--nats', 'off', ...flags]);
  const client = connectHttp(server.url);
  return remote(server, client, () => Promise.resolve());
}

async function overNats(
  options: BenchOptions,
  directory: string,
  flags: readonly string[],
): Promise<Target> {
  const nats = await startNatsServer();
  try {
    const server = await startServer(options, directory, ['--nats', nats.url, ...flags]);
    try {
      const client = await connect({ servers: nats.url });
      return remote(server, client, () => nats.stop());
    } catch (error: unknown) {
      await server.stop();
      throw error;
    }
  } catch (error: unknown) {
    await nats.stop();
    throw error;
  }
}

interface Server {
  readonly url: string;
  readonly directory: string;
  readonly pid: number;
  stop(): Promise<void>;
}

function remote(server: Server, client: Client, stopBroker: () => Promise<void>): Target {
  return {
    client,
    url: server.url,
    pid: server.pid,
    digests: () => Promise.resolve(undefined),
    tableBytes: () => undefined,
    // As `sycee snapshot` asks for it.
    snapshot: async () =>
      (await askControl(path.resolve(server.directory), 'snapshot')) as SnapshotTaken[],
    waits: () => undefined,
    snapshotHold: () => undefined,
    takeSlowestGroupMs: () => undefined,
    stop: async () => {
      try {
        await client.close();
        await server.stop();
      } finally {
        await stopBroker();
      }
    },
  };
}

async function startServer(
  options: BenchOptions,
  directory: string,
  more: readonly string[],
): Promise<Server> {
  const port = await freePort();
  const cli = fileURLToPath(new URL('../cli.ts', import.meta.url));
  const flags = ['--data', directory, '--shards', String(options.shards), ...more];
  const http = `127.0.0.1:${port}`;
  const server = startKept([process.execPath, cli, 'serve', ...flags, '--http', http]);
  const { child, said } = server;
  const url = `http://${http}`;
  try {
    await untilReady(server, url);
  } catch (error: unknown) {
    await endChild(child);
    throw new Error(`sycee serve did not get ready: ${said()}`, { cause: error });
  }
  return {
    url,
    directory,
    pid: server.pid()!,
    stop: async () => {
      const code = await endChild(child);
      if (code !== 0) throw new Error(`sycee serve ended with ${code}: ${said()}`);
    },
  };
}

async function untilReady({ child, pid }: KeptServer, url: string): Promise<void> {
  const end = Date.now() + READY_TIMEOUT_MS;
  while (Date.now() < end) {
    if (!isLiving(child)) throw new Error('it ended');
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok === true && pid() !== undefined) return;
    await pause(READY_POLL_MS);
  }
  throw new Error('it took too long');
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** Resident bytes of a process; undefined where the system does not say. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  if (pid === process.pid) return process.memoryUsage.rss();
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kilobytes = /^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}
