/**
 * The ledger over NATS: one connection, requests on `PREFIX.v1.OPERATION`, columnar msgpack both ways.
 *
 * NATS delivers at most once: what was sent when a connection broke is gone, and nobody says so. Hence every try is bounded, a broken
 * connection ends all tries under way as `unknown`, and the caller's deadline loop sends the same bytes again.
 */
import {
  type ConnectionOptions,
  errors,
  headers as natsHeaders,
  type MsgHdrs,
  type MsgHdrsImpl,
  type NatsConnection,
} from '@nats-io/transport-node';
import { type Batch, BatchKind } from '../engine/batch.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import {
  decodeCreate,
  decodePage,
  decodeRows,
  encodeColumns,
  encodeFilter,
  encodeIds,
} from '../gateway/columnar-codec.ts';
import type { FilterOf, PageOf, QueryOperation } from '../gateway/wire-codec-filters.ts';
import { connectNats } from '../lib/nats-connection.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { type Client, type Transport, TransportClient } from './client.ts';
import { answerRowsMax, joinedRows, partsOfIds } from './lookup-parts.ts';
import { type NatsAnswer, NatsInbox } from './nats-inbox.ts';
import { decodeProblem } from './problem.ts';
import type { Attempt } from './retry.ts';
import type { RecordKind } from './rows.ts';

/** A try without an answer for this long is given up and sent again: a server may have died with the request. */
const TRY_MS_DEFAULT = 2_000;
/** What a NATS server takes in a message unless it is told otherwise. */
const PAYLOAD_BYTES_DEFAULT = 1 << 20;

export interface ConnectOptions {
  readonly servers: string | readonly string[];
  /** Of the subjects: `sycee` unless given. */
  readonly prefix?: string | undefined;
  readonly token?: string | undefined;
  readonly tryMs?: number | undefined;
  /** What else the connection needs: credentials, TLS. */
  readonly nats?: Partial<ConnectionOptions> | undefined;
}

export async function connect(options: ConnectOptions): Promise<Client> {
  const { servers, token } = options;
  const isGiven = typeof servers === 'string' ? servers !== '' : Array.isArray(servers);
  if (!isGiven) {
    const rule = 'one address or an array of them';
    throw new SyceeError('malformed_request', `servers: ${rule}`, { field: 'servers', rule });
  }
  const settings: ConnectionOptions = {
    name: 'sycee-client',
    noAsyncTraces: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    pingInterval: 5_000,
    maxPingOut: 2,
    ...options.nats,
    servers: typeof servers === 'string' ? servers : [...servers],
    ...(token === undefined ? {} : { token }),
  };
  try {
    return new TransportClient(new NatsTransport(await connectNats(settings), options));
  } catch (error: unknown) {
    throw new SyceeError('not_ready', `no NATS server answers at ${String(servers)}`, {
      cause: error,
    });
  }
}

class NatsTransport implements Transport {
  readonly #connection: NatsConnection;
  readonly #prefix: string;
  readonly #tryMs: number;
  readonly #inbox: NatsInbox;
  #headers = natsHeaders();
  #headersLeft = 0;
  #isConnected = true;

  constructor(connection: NatsConnection, options: ConnectOptions) {
    this.#connection = connection;
    this.#prefix = options.prefix ?? 'sycee';
    this.#tryMs = options.tryMs ?? TRY_MS_DEFAULT;
    this.#inbox = new NatsInbox(connection, options.nats?.inboxPrefix);
    void this.#watch();
  }

  prepareCreate(kind: RecordKind, batch: Batch): Attempt<CreateReply> {
    const subject = this.#subject(
      kind === BatchKind.accounts ? 'create_accounts' : 'create_transfers',
    );
    const bytes = encodeColumns(batch);
    return async (deadline) => decodeCreate(await this.#request(subject, bytes, deadline));
  }

  prepareLookup(kind: RecordKind, ids: Batch): Attempt<RowsReply> {
    const subject = this.#subject(
      kind === BatchKind.accounts ? 'lookup_accounts' : 'lookup_transfers',
    );
    const rowsMax = answerRowsMax(this.#connection.info?.max_payload ?? PAYLOAD_BYTES_DEFAULT);
    const parts = partsOfIds(ids, rowsMax).map((part) => encodeIds(part));
    return async (deadline) => {
      const answers = await Promise.all(
        parts.map((bytes) => this.#request(subject, bytes, deadline)),
      );
      return joinedRows(answers.map((answer) => decodeRows(kind, answer)));
    };
  }

  prepareQuery<O extends QueryOperation>(operation: O, filter: FilterOf<O>): Attempt<PageOf<O>> {
    const subject = this.#subject(operation);
    const bytes = encodeFilter(operation, filter);
    return async (deadline) => decodePage(operation, await this.#request(subject, bytes, deadline));
  }

  async close(): Promise<void> {
    this.#endAll('the client was closed');
    await this.#connection.close();
  }

  #subject(operation: string): string {
    return `${this.#prefix}.v1.${operation}`;
  }

  async #request(subject: string, bytes: Uint8Array, deadline: number): Promise<Uint8Array> {
    // What is published between two connections is dropped silently: nothing was sent, and a later try may do better.
    if (!this.#isConnected) {
      throw new SyceeError('not_ready', 'the connection to NATS is down at the moment');
    }
    const left = Math.max(1, Math.ceil(deadline - Date.now()));
    const timeoutMs = Math.min(this.#tryMs, left);
    const headers = this.#headersOf(left);
    let answer: NatsAnswer;
    try {
      answer = await this.#inbox.request({ subject, bytes, headers, timeoutMs });
    } catch (error: unknown) {
      throw requestFault(error);
    }
    return bytesOf(answer);
  }

  /** Nearly all requests have the same time left as the one before, and so the same bytes, which the library would make for each. */
  #headersOf(left: number): MsgHdrs {
    if (this.#headersLeft !== left) {
      this.#headers = natsHeaders();
      this.#headers.set('Sycee-Deadline-Ms', String(left));
      const bytes = (this.#headers as MsgHdrsImpl).encode();
      Object.assign(this.#headers, { encode: () => bytes });
      this.#headersLeft = left;
    }
    return this.#headers;
  }

  /** Follows the connection until it is closed. */
  async #watch(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect' || status.type === 'close') {
        this.#isConnected = false;
        this.#endAll('the connection to NATS was lost');
      } else if (status.type === 'reconnect') {
        this.#isConnected = true;
      } else if (status.type === 'error') {
        const { error } = status;
        if (error instanceof errors.PermissionViolationError) this.#inbox.refused(error);
      }
    }
  }

  #endAll(reason: string): void {
    this.#inbox.endAll(new SyceeError('unknown', reason));
  }
}

function bytesOf({ bytes, headers }: NatsAnswer): Uint8Array {
  const code = headers?.get('Nats-Service-Error-Code');
  if (code === undefined || code === '') return bytes;
  throw decodeProblem(bytes, headers!.get('Nats-Service-Error'));
}

function requestFault(error: unknown): SyceeError {
  if (error instanceof SyceeError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof errors.NoRespondersError) {
    return new SyceeError('not_ready', 'nobody serves this subject at the moment', {
      cause: error,
    });
  }
  if (error instanceof errors.InvalidArgumentError) {
    const message = `the NATS server does not take a request of this size: ${reason}`;
    return new SyceeError('too_large', message, { cause: error });
  }
  if (error instanceof errors.ClosedConnectionError) {
    return new SyceeError('not_ready', 'the connection to NATS is closed', { cause: error });
  }
  return new SyceeError('unknown', `no answer over NATS: ${reason}`, { cause: error });
}
