/**
 * TigerBeetle as a peer: one replica of a given binary, and its own Node client, which is not a dependency and is loaded only when it is asked
 * for. Settings are the server's own. Its file grows, and it slows with it: so it is compared at equal numbers of transfers (contenders.ts).
 */
import { execFile } from 'node:child_process';
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

const PACKAGE = 'tigerbeetle-node';
const REQUEST_MAX = 8_189;
/** Its number for what this ledger answers with 0. */
const CREATED = 0xffff_ffff;
const run = promisify(execFile);

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

/** Rejects with a sentence that says what is missing, before anything is started. */
export async function loadTigerbeetle(binary: string): Promise<TigerbeetleModule> {
  if (!isExecutable(binary)) {
    throw new Error(`--tigerbeetle ${binary} is not a binary that can be run`);
  }
  const version = /[0-9]+\.[0-9]+\.[0-9]+/.exec(versionOf(binary, 'version'))?.[0];
  const wanted = `npm install --no-save ${PACKAGE}@${version ?? 'VERSION'}`;
  try {
    return (await import(PACKAGE)) as TigerbeetleModule;
  } catch (error: unknown) {
    throw new Error(`${PACKAGE} is not installed. Of the server's version: ${wanted}`, {
      cause: error,
    });
  }
}

export async function startTigerbeetle(
  { directory, clients }: PeerStart,
  binary: string,
): Promise<PeerLedger> {
  const { createClient } = await loadTigerbeetle(binary);
  const file = path.join(directory, '0_0.tigerbeetle');
  const cluster = ['--cluster=0', '--replica=0', '--replica-count=1'];
  await run(binary, ['format', ...cluster, file]);
  const address = `127.0.0.1:${await freePort()}`;
  const server = await startServer({
    name: 'TigerBeetle',
    command: [binary, 'start', `--addresses=${address}`, file],
    ready: /listening on/,
    stopSignal: 'SIGKILL',
  });
  const connections = Array.from({ length: clients }, () =>
    createClient({ cluster_id: 0n, replica_addresses: [address] }),
  );
  return new TigerbeetleLedger(connections, server);
}

class TigerbeetleLedger implements PeerLedger {
  readonly #connections: readonly TigerbeetleClient[];
  readonly #server: RunningServer;

  constructor(connections: readonly TigerbeetleClient[], server: RunningServer) {
    this.#connections = connections;
    this.#server = server;
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
      const results = await this.#connections[0]!.createAccounts(
        some.map((id) => ({ id, ...rest })),
      );
      const refused = statusesOf(results);
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
      return statusesOf(await this.#connections[client]!.createTransfers(transfers));
    };
  }

  async balances(ids: Buffer): Promise<Balances> {
    const accounts = ids.length / ID_BYTES;
    const debits = new Float64Array(accounts);
    const credits = new Float64Array(accounts);
    let [row, pending] = [0, 0];
    for (const some of requestsOf(ids)) {
      const found = await this.#connections[0]!.lookupAccounts(some);
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
      const page = await this.#connections[0]!.queryTransfers({
        ...UNUSED,
        ledger: 0,
        code: 0,
        timestamp_min: after + 1n,
        timestamp_max: 0n,
        limit: REQUEST_MAX,
        flags: 0,
      });
      const last = page.at(-1);
      if (last === undefined) return count;
      count += page.length;
      after = last.timestamp;
    }
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await this.#server.stop();
  }
}

const UNUSED = { user_data_128: 0n, user_data_64: 0n, user_data_32: 0 };
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
export function statusesOf(results: readonly Result[]): readonly number[] | null {
  const statuses = results.map(({ status }) => (status === CREATED ? 0 : status));
  return statuses.every((status) => status === 0) ? null : statuses;
}
