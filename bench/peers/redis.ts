/**
 * Redis as a peer: redis.lua by EVALSHA, a call for each transfer. Transfers that are sent together are one pipeline: their calls go out at
 * once, and Redis, which executes one script at a time, writes its append-only file once for all that it found waiting.
 *
 * The settings are those of the manual for data that must not be lost: the append-only file, synced before an answer goes out.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { freePort } from '../target.ts';
import {
  type AccountRows,
  type Balances,
  type Call,
  ID_BYTES,
  idAt,
  type PeerLedger,
  type PeerStart,
  type TransferRows,
} from './ledger.ts';
import { commandBytes, RedisConnection, type Reply } from './redis-connection.ts';
import { findRedis, type RunningServer, startServer } from './servers.ts';

export const NO_REDIS =
  'no Redis was found: apt-get install redis-server (its own service is not used)';

/** Commands sent at once where nothing is measured. */
const PIPELINE_MAX = 5_000;
const CONTENT_BYTES = 50;
/** What keys begin with. */
const ACCOUNT = Buffer.from('a');
const TRANSFER = Buffer.from('t');

/** With the reason of each. */
export const REDIS_SETTINGS: Readonly<Record<string, string>> = {
  // Durable before the answer: one fsync for each turn of the event loop that has written something.
  appendonly: 'yes',
  appendfsync: 'always',
  'no-appendfsync-on-rewrite': 'no',
  // No snapshots, and the file is not rewritten during a run: both would fork, and take a core.
  save: '',
  'auto-aof-rewrite-percentage': '0',
  // Threads for sockets are advised from four cores on.
  'io-threads': '1',
};

export async function startRedis({ directory, clients }: PeerStart): Promise<PeerLedger> {
  const binary = findRedis();
  if (binary === undefined) throw new Error(NO_REDIS);
  const port = await freePort();
  const settings = {
    ...REDIS_SETTINGS,
    port: String(port),
    bind: '127.0.0.1',
    dir: directory,
    logfile: '',
  };
  const server = await startServer({
    name: 'Redis',
    command: [binary, ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])],
    ready: /Ready to accept connections/,
    stopSignal: 'SIGKILL',
  });
  const connections: RedisConnection[] = [];
  try {
    while (connections.length < clients) connections.push(await RedisConnection.open(port));
    const script = await readFile(path.join(import.meta.dirname, 'redis.lua'), 'utf8');
    const sha = await connections[0]!.ask('SCRIPT', 'LOAD', script);
    return new RedisLedger(connections, server, String(sha));
  } catch (error: unknown) {
    await stop(connections, server);
    throw error;
  }
}

async function stop(connections: readonly RedisConnection[], server: RunningServer): Promise<void> {
  for (const connection of connections) connection.close();
  await server.stop();
}

class RedisLedger implements PeerLedger {
  readonly #connections: readonly RedisConnection[];
  readonly #server: RunningServer;
  readonly #sha: string;
  #accounts = 0;

  constructor(connections: readonly RedisConnection[], server: RunningServer, sha: string) {
    this.#connections = connections;
    this.#server = server;
    this.#sha = sha;
  }

  async createAccounts({ ids, ledger, code, flags }: AccountRows): Promise<void> {
    const rest = `ledger ${ledger} flags ${flags} d 0 c 0 dp 0 cp 0 code ${code}`.split(' ');
    this.#accounts += ids.length / ID_BYTES;
    await this.#each(ids, (id) => ['HSET', accountKey(id), ...rest]);
  }

  prepare({ debits, credits, amounts, ledger, code, flags }: TransferRows): Call {
    const commands = amounts.map((amount, row) => {
      const [debit, credit] = [idAt(debits, row), idAt(credits, row)];
      const content = Buffer.alloc(CONTENT_BYTES);
      debit.copy(content, 0);
      credit.copy(content, ID_BYTES);
      content.writeBigUInt64BE(BigInt(amount), 32);
      content.writeUInt32BE(ledger, 40);
      content.writeUInt32BE(code, 44);
      content.writeUInt16BE(flags, 48);
      const keys = [transferKey(debit), accountKey(debit), accountKey(credit)];
      const rest = [String(amount), content, String(ledger)];
      return commandBytes(['EVALSHA', this.#sha, '3', ...keys, ...rest]);
    });
    const pipeline = Buffer.concat(commands);
    const idOffset = pipeline.indexOf(transferKey(idAt(debits, 0))) + TRANSFER.length;
    let end = 0;
    const offsets = commands.map((command) => (end += command.length) - command.length + idOffset);
    return async (client, ids) => {
      for (const [row, offset] of offsets.entries()) {
        ids.copy(pipeline, offset, row * ID_BYTES, (row + 1) * ID_BYTES);
      }
      const statuses = await this.#connections[client]!.send(pipeline, offsets.length);
      return statuses.every((status) => status === 0) ? null : (statuses as readonly number[]);
    };
  }

  async balances(ids: Buffer): Promise<Balances> {
    const accounts = ids.length / ID_BYTES;
    const debits = new Float64Array(accounts);
    const credits = new Float64Array(accounts);
    let pending = 0;
    const rows = await this.#each(ids, (id) => ['HMGET', accountKey(id), 'd', 'c', 'dp', 'cp']);
    for (const [row, fields] of rows.entries()) {
      const [debit, credit, ...rest] = (fields as string[]).map(Number);
      debits[row] = debit!;
      credits[row] = credit!;
      pending += rest[0]! + rest[1]!;
    }
    return { debits, credits, pending };
  }

  async countTransfers(): Promise<number> {
    return Number(await this.#connections[0]!.ask('DBSIZE')) - this.#accounts;
  }

  stop(): Promise<void> {
    return stop(this.#connections, this.#server);
  }

  /** A command for each account. */
  async #each(
    ids: Buffer,
    commandOf: (id: Buffer) => readonly (string | Buffer)[],
  ): Promise<readonly Reply[]> {
    const all: Reply[] = [];
    const count = ids.length / ID_BYTES;
    for (let from = 0; from < count; from += PIPELINE_MAX) {
      const commands: Buffer[] = [];
      for (let row = from; row < Math.min(count, from + PIPELINE_MAX); row++) {
        commands.push(commandBytes(commandOf(idAt(ids, row))));
      }
      all.push(...(await this.#connections[0]!.send(Buffer.concat(commands), commands.length)));
    }
    return all;
  }
}

const accountKey = (id: Buffer): Buffer => Buffer.concat([ACCOUNT, id]);
const transferKey = (id: Buffer): Buffer => Buffer.concat([TRANSFER, id]);
