/**
 * PostgreSQL as a peer: postgresql.sql behind prepared statements, arguments in binary. One call of `create_transfer` for one transfer, one
 * of `create_transfers` for more. Every connection has one call under way.
 *
 * The settings are those that the manual's chapters on resources and on WAL advise for a machine that does this alone. Nothing that makes an
 * answer durable is weakened.
 */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
// oxlint-disable-next-line import/extensions -- a package, which resolves to a file of another ending
import { Client } from 'pg';
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
import {
  findPostgresql,
  type RunningServer,
  startServer,
  type SystemUser,
  unprivilegedUser,
} from './servers.ts';

export const NO_POSTGRESQL =
  'no PostgreSQL was found: apt-get install postgresql (any version; its own service is not used)';

const MIB = 2 ** 20;
const run = promisify(execFile);

/** With the reason of each. */
export function postgresqlSettings(memoryBytes: number): Readonly<Record<string, string>> {
  return {
    // What makes it durable, all of them the defaults.
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    // "A reasonable starting value is 25% of the memory", and what the system is likely to cache.
    shared_buffers: `${Math.round(memoryBytes / 4 / MIB)}MB`,
    effective_cache_size: `${Math.round((memoryBytes / 4) * (3 / MIB))}MB`,
    huge_pages: 'try',
    // No replicas are fed, which Sycee has none of either.
    wal_level: 'minimal',
    max_wal_senders: '0',
    // Checkpoints are to come by time, and none falls into a run.
    max_wal_size: '32GB',
    checkpoint_timeout: '1h',
    // Short statements are not worth compiling.
    jit: 'off',
  };
}

export async function startPostgresql({ directory, clients }: PeerStart): Promise<PeerLedger> {
  const binaries = findPostgresql();
  if (binaries === undefined) throw new Error(NO_POSTGRESQL);
  const user = unprivilegedUser();
  const store = await makeCluster(binaries, directory, user);
  const port = await freePort();
  const settings = {
    ...postgresqlSettings(totalmem()),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
  };
  const server = await startServer({
    name: 'PostgreSQL',
    command: [
      path.join(binaries, 'postgres'),
      '-D',
      store,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    ready: /database system is ready to accept connections/,
    // At once, without a checkpoint.
    stopSignal: 'SIGQUIT',
    user,
  });
  const connections = Array.from(
    { length: clients },
    () => new Client({ host: '127.0.0.1', port, user: 'bench', database: 'postgres' }),
  );
  // A lost connection rejects what is under way, which is where it is noticed.
  for (const connection of connections) connection.on('error', () => undefined);
  try {
    await Promise.all(connections.map((connection) => connection.connect()));
    const schema = await readFile(new URL('postgresql.sql', import.meta.url), 'utf8');
    await connections[0]!.query(schema);
  } catch (error: unknown) {
    await stop(connections, server);
    throw error;
  }
  return new PostgresqlLedger(connections, server);
}

/** As the user that the server will run as, who has to be able to reach it. */
async function makeCluster(
  binaries: string,
  directory: string,
  user: SystemUser | undefined,
): Promise<string> {
  const store = path.join(directory, 'postgresql');
  await mkdir(store, { mode: 0o700 });
  if (user !== undefined) {
    for (const above of [directory, path.dirname(directory)]) await chmod(above, 0o711);
    await chown(store, user.uid, user.gid);
  }
  try {
    await run(
      path.join(binaries, 'initdb'),
      ['-D', store, '-U', 'bench', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
      { cwd: '/', ...user },
    );
  } catch (error: unknown) {
    const said = (error as { stderr?: string }).stderr ?? '';
    throw new Error(`initdb failed in ${store}: ${said.trim()}`, { cause: error });
  }
  return store;
}

async function stop(connections: readonly Client[], server: RunningServer): Promise<void> {
  await Promise.allSettled(connections.map((connection) => connection.end()));
  await server.stop();
}

class PostgresqlLedger implements PeerLedger {
  readonly #connections: readonly Client[];
  readonly #server: RunningServer;

  constructor(connections: readonly Client[], server: RunningServer) {
    this.#connections = connections;
    this.#server = server;
  }

  async createAccounts({ ids, ledger, code, flags }: AccountRows): Promise<void> {
    const [connection] = this.#connections;
    await connection!.query({
      text: 'insert into accounts (id, ledger, code, flags) select id, $2, $3, $4 from unnest($1::uuid[]) as one (id)',
      values: [uuidArray(ids), ledger, code, flags],
    });
    // The planner knows the table, and what was just written is not written back during the run.
    await connection!.query('vacuum analyze accounts');
    await connection!.query('checkpoint');
  }

  prepare(transfers: TransferRows): Call {
    return transfers.amounts.length === 1 ? this.#one(transfers) : this.#many(transfers);
  }

  #one({ debits, credits, amounts, ledger, code, flags }: TransferRows): Call {
    const rest = [debits, credits, int8(amounts[0]!), int4(ledger), int4(code), int4(flags)];
    return async (client, id) => {
      try {
        const { rows } = await this.#connections[client]!.query<[number]>({
          name: 'one',
          text: 'select create_transfer($1, $2, $3, $4, $5, $6, $7)',
          values: [id, ...rest],
          rowMode: 'array',
        });
        const status = rows[0]![0];
        return status === 0 ? null : [status];
      } catch (error: unknown) {
        // A refusal has taken back the whole call; its message is the status.
        if ((error as { code?: string }).code === 'SY001')
          return [Number((error as Error).message)];
        throw error;
      }
    };
  }

  #many({ debits, credits, amounts, ledger, code, flags }: TransferRows): Call {
    const rest = [
      uuidArray(debits),
      uuidArray(credits),
      int8Array(amounts),
      int4(ledger),
      int4(code),
      int4(flags),
    ];
    const ids = uuidArray(debits);
    return async (client, fresh) => {
      for (let row = 0; row < amounts.length; row++) {
        fresh.copy(ids, elementAt(row, ID_BYTES), row * ID_BYTES, (row + 1) * ID_BYTES);
      }
      const { rows } = await this.#connections[client]!.query<[number[] | null]>({
        name: 'many',
        text: 'select create_transfers($1, $2, $3, $4, $5, $6, $7)',
        values: [ids, ...rest],
        rowMode: 'array',
      });
      return rows[0]![0];
    };
  }

  async balances(ids: Buffer): Promise<Balances> {
    const accounts = ids.length / ID_BYTES;
    const debits = new Float64Array(accounts);
    const credits = new Float64Array(accounts);
    const { rows } = await this.#connections[0]!.query<[string, string, string]>({
      text: `select debits_posted, credits_posted, debits_pending + credits_pending
        from unnest($1::uuid[]) with ordinality as asked (id, place) left join accounts using (id) order by place`,
      values: [uuidArray(ids)],
      rowMode: 'array',
    });
    let pending = 0;
    for (const [row, [debit, credit, rest]] of rows.entries()) {
      debits[row] = Number(debit);
      credits[row] = Number(credit);
      pending += Number(rest);
    }
    return { debits, credits, pending };
  }

  async countTransfers(): Promise<number> {
    const { rows } = await this.#connections[0]!.query<[string]>({
      text: 'select count(*) from transfers',
      rowMode: 'array',
    });
    return Number(rows[0]![0]);
  }

  stop(): Promise<void> {
    return stop(this.#connections, this.#server);
  }
}

const UUID_OID = 2950;
const INT8_OID = 20;
const ARRAY_HEADER_BYTES = 20;
const LENGTH_BYTES = 4;

/** Where the bytes of an element are in the binary form of an array. */
const elementAt = (row: number, bytes: number): number =>
  ARRAY_HEADER_BYTES + row * (LENGTH_BYTES + bytes) + LENGTH_BYTES;

/** One dimension, no nulls: flags and bounds, then each element behind its length. */
function binaryArray(oid: number, count: number, bytes: number): Buffer {
  const array = Buffer.alloc(ARRAY_HEADER_BYTES + count * (LENGTH_BYTES + bytes));
  array.writeInt32BE(1, 0);
  array.writeInt32BE(oid, 8);
  array.writeInt32BE(count, 12);
  array.writeInt32BE(1, 16);
  for (let row = 0; row < count; row++) {
    array.writeInt32BE(bytes, elementAt(row, bytes) - LENGTH_BYTES);
  }
  return array;
}

function uuidArray(ids: Buffer): Buffer {
  const count = ids.length / ID_BYTES;
  const array = binaryArray(UUID_OID, count, ID_BYTES);
  for (let row = 0; row < count; row++) idAt(ids, row).copy(array, elementAt(row, ID_BYTES));
  return array;
}

function int8Array(values: readonly number[]): Buffer {
  const array = binaryArray(INT8_OID, values.length, 8);
  for (const [row, value] of values.entries()) {
    array.writeBigInt64BE(BigInt(value), elementAt(row, 8));
  }
  return array;
}

function int8(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

function int4(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
