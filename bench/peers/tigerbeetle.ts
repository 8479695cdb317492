/**
 * TigerBeetle as a peer: one replica of a given binary, and its own Node client, which is not a dependency and is loaded only when it is asked
 * for. Settings are the server's own. Its file grows, and it slows with it: so it is compared at equal numbers of transfers too (contenders.ts).
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
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
import { isExecutable, type RunningServer, startServer, versionOf } from './servers.ts';

export const NO_TIGERBEETLE =
  'no TigerBeetle is named: TIGERBEETLE_BIN=PATH, and tigerbeetle-node of its version beside (npm install --no-save)';

const PACKAGE = 'tigerbeetle-node';
const REQUEST_MAX = 8_189;
/** Its number for what this ledger answers with 0. */
const CREATED = 0xffff_ffff;
const run = promisify(execFile);
const load = createRequire(import.meta.url);

/** What is used of the package. */
interface TigerbeetleModule {
  readonly createClient: (setup: {
    readonly cluster_id: bigint;
    readonly replica_addresses: readonly string[];
  }) => TigerbeetleClient;
}
interface TigerbeetleClient {
  readonly createAccounts: (accounts: readonly object[]) => Promise<readonly Result[]>;
  readonly createTransfers: (transfers: readonly object[]) => Promise<readonly Result[]>;
  readonly lookupAccounts: (ids: readonly bigint[]) => Promise<readonly FoundAccount[]>;
  readonly queryTransfers: (filter: object) => Promise<readonly { readonly timestamp: bigint }[]>;
  readonly destroy: () => void;
}
interface Result {
  readonly status: number;
}
interface FoundAccount {
  readonly debits_posted: bigint;
  readonly credits_posted: bigint;
  readonly debits_pending: bigint;
  readonly credits_pending: bigint;
}

/** What the tests are run with; the bench is told. */
export function findTigerbeetle(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = environment['TIGERBEETLE_BIN'];
  return named === '' ? undefined : named;
}

/** Throws a sentence that says what is missing, before anything is started. */
export function loadTigerbeetle(binary: string, name = PACKAGE): TigerbeetleModule {
  if (!isExecutable(binary)) {
    throw new Error(`--tigerbeetle ${binary} is not a binary that can be run`);
  }
  const said = versionOf(binary, 'version');
  const version = /[0-9]+\.[0-9]+\.[0-9]+/.exec(said)?.[0];
  if (version === undefined) throw new Error(`--tigerbeetle ${binary} says no version: ${said}`);
  const wanted = `npm install --no-save ${PACKAGE}@${version}`;
  const own = packageVersion(name);
  if (own === undefined) {
    throw new Error(`${PACKAGE} is not installed. Of the server's version: ${wanted}`);
  }
  if (own !== version) {
    throw new Error(`${PACKAGE} is ${own}, and the server is ${version}: ${wanted}`);
  }
  return load(name) as TigerbeetleModule;
}

/** Undefined when it is not installed. */
function packageVersion(name: string): string | undefined {
  try {
    return (load(`${name}/package.json`) as { readonly version: string }).version;
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

export async function startTigerbeetle(
  { directory, clients, batch }: PeerStart,
  binary: string,
  name = PACKAGE,
): Promise<PeerLedger> {
  const { createClient } = loadTigerbeetle(binary, name);
  // A server is started in another directory.
  const own = path.resolve(binary);
  const file = path.join(directory, '0_0.tigerbeetle');
  const cluster = ['--cluster=0', '--replica=0', '--replica-count=1'];
  await run(own, ['format', ...cluster, file]);
  const address = `127.0.0.1:${await freePort()}`;
  const server = await startServer({
    name: 'TigerBeetle',
    command: [own, 'start', `--addresses=${address}`, file],
    ready: /listening on/,
    stopSignal: 'SIGKILL',
  });
  const connections: TigerbeetleClient[] = [];
  try {
    // A client has one request at a time at the server, and makes the next one of all the calls that wait: as advised, single calls share one.
    while (connections.length < (batch === 1 ? 1 : clients)) {
      connections.push(createClient({ cluster_id: 0n, replica_addresses: [address] }));
    }
  } catch (error: unknown) {
    for (const connection of connections) connection.destroy();
    await server.stop();
    throw error;
  }
  return new TigerbeetleLedger(connections, server);
}

class TigerbeetleLedger implements PeerLedger {
  readonly #connections: readonly TigerbeetleClient[];
  readonly #server: RunningServer;
  #isStopping = false;
  /** The last that the server said, when it has ended by itself. */
  #lastSaid: string | undefined;

  constructor(connections: readonly TigerbeetleClient[], server: RunningServer) {
    this.#connections = connections;
    this.#server = server;
    void this.#watch();
  }

  /** A client tries for ever to reach a server that has gone, and rejects what it has under way only when it is closed. */
  async #watch(): Promise<void> {
    const said = await this.#server.ended;
    if (this.#isStopping) return;
    this.#lastSaid = said;
    this.#close();
  }

  async #ask<T>(
    client: number,
    request: (connection: TigerbeetleClient) => Promise<T>,
  ): Promise<T> {
    try {
      return await request(this.#connections[client % this.#connections.length]!);
    } catch (error: unknown) {
      if (this.#lastSaid === undefined) throw error;
      throw new Error(`TigerBeetle ended: ${this.#lastSaid}`, { cause: error });
    }
  }

  #close(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  async createAccounts({ ids, ledger, code, flags }: AccountRows): Promise<void> {
    const rest = {
      ledger,
      code,
      flags,
      timestamp: 0n,
      reserved: 0,
      ...UNUSED,
      ...NO_BALANCES,
    };
    for (const some of requestsOf(ids)) {
      const accounts = some.map((id) => ({ id, ...rest }));
      const results = await this.#ask(0, (connection) => connection.createAccounts(accounts));
      const refused = statusesOf(results, accounts.length);
      if (refused !== null) throw new Error(`an account was refused: ${String(refused)}`);
    }
  }

  prepare({ debits, credits, amounts, ledger, code, flags }: TransferRows): Call {
    const rest = {
      pending_id: 0n,
      timeout: 0,
      ledger,
      code,
      flags,
      timestamp: 0n,
      ...UNUSED,
    };
    const transfers = amounts.map((amount, row) => ({
      id: 0n,
      debit_account_id: numberOf(idAt(debits, row)),
      credit_account_id: numberOf(idAt(credits, row)),
      amount: BigInt(amount),
      ...rest,
    }));
    return async (client, ids) => {
      for (const [row, transfer] of transfers.entries()) transfer.id = numberOf(idAt(ids, row));
      const results = await this.#ask(client, (connection) =>
        connection.createTransfers(transfers),
      );
      return statusesOf(results, transfers.length);
    };
  }

  async balances(ids: Buffer): Promise<Balances> {
    const accounts = ids.length / ID_BYTES;
    const debits = new Float64Array(accounts);
    const credits = new Float64Array(accounts);
    let [row, pending] = [0, 0];
    for (const some of requestsOf(ids)) {
      const found = await this.#ask(0, (connection) => connection.lookupAccounts(some));
      if (found.length < some.length) throw new Error('an account was not found');
      for (const one of found) {
        debits[row] = Number(one.debits_posted);
        credits[row] = Number(one.credits_posted);
        pending += Number(one.debits_pending + one.credits_pending);
        row++;
      }
    }
    return { debits, credits, pending };
  }

  /** Page after page: it has no count. */
  async countTransfers(): Promise<number> {
    let count = 0;
    for (let after = 0n; ;) {
      const filter = { ...ANY, timestamp_min: after + 1n };
      const page = await this.#ask(0, (connection) => connection.queryTransfers(filter));
      const last = page.at(-1);
      if (last === undefined) return count;
      count += page.length;
      after = last.timestamp;
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#close();
    await this.#server.stop();
  }
}

const UNUSED = { user_data_128: 0n, user_data_64: 0n, user_data_32: 0 };
const ANY = { ...UNUSED, ledger: 0, code: 0, timestamp_max: 0n, limit: REQUEST_MAX, flags: 0 };
const NO_BALANCES = {
  debits_pending: 0n,
  debits_posted: 0n,
  credits_pending: 0n,
  credits_posted: 0n,
};

const numberOf = (id: Buffer): bigint => (id.readBigUInt64BE(0) << 64n) | id.readBigUInt64BE(8);

function* requestsOf(ids: Buffer): Generator<bigint[]> {
  const count = ids.length / ID_BYTES;
  for (let from = 0; from < count; from += REQUEST_MAX) {
    const length = Math.min(REQUEST_MAX, count - from);
    yield Array.from({ length }, (_, i) => numberOf(idAt(ids, from + i)));
  }
}

/** Null when all were created. */
export function statusesOf(results: readonly Result[], asked: number): readonly number[] | null {
  if (results.length !== asked) {
    throw new Error(`TigerBeetle answered ${results.length} of ${asked} in a request`);
  }
  const statuses = results.map(({ status }) => (status === CREATED ? 0 : status));
  return statuses.every((status) => status === 0) ? null : statuses;
}
