/**
 * The ledger over HTTP: JSON for objects, columnar msgpack for batches. Connections are kept alive by Node's own fetch.
 *
 * A refused connection is `not_ready`: nothing was sent. Anything that breaks later is `unknown`, and the deadline loop asks again with
 * the same bytes.
 */
import { type Batch, BatchKind } from '../engine/batch.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import { decodeCreate, decodeRows, encodeColumns, encodeIds } from '../gateway/columnar-codec.ts';
import {
  fieldsOfFilter,
  type FilterFields,
  type FilterOf,
  type PageOf,
  type QueryOperation,
} from '../gateway/wire-codec-filters.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { type CallForm, type Client, type Transport, TransportClient } from './client.ts';
import { decodeJsonCreate, decodeJsonRows, encodeJson, encodeJsonIds } from './json-codec.ts';
import { decodeJsonPage } from './json-pages.ts';
import { decodeProblem } from './problem.ts';
import type { Attempt } from './retry.ts';
import type { RecordKind } from './rows.ts';

export interface HttpClientOptions {
  readonly token?: string | undefined;
  /** For tests, and for those who bring their own agent. */
  readonly fetch?: typeof fetch | undefined;
}

/** Does not connect yet: the first call does. Throws a SyceeError when the URL is none of HTTP. */
export function connectHttp(url: string | URL, options: HttpClientOptions = {}): Client {
  const parsed = URL.parse(String(url));
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    const rule = 'http://HOST:PORT, or https';
    throw new SyceeError('malformed_request', `url: ${rule}, not ${JSON.stringify(String(url))}`, {
      field: 'url',
      rule,
    });
  }
  checkToken(options.token);
  return new TransportClient(new HttpTransport(parsed, options));
}

/** What would be refused before each request leaves is refused once. The sentence does not tell the token. */
function checkToken(token: string | undefined): void {
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return;
  const rule = 'printable ASCII without blanks';
  throw new SyceeError('malformed_request', `token: ${rule}`, { field: 'token', rule });
}

/** Without a body it is a GET. */
interface Outgoing {
  readonly path: string;
  readonly type?: 'application/json' | 'application/msgpack';
  readonly body?: string | Uint8Array;
}

class HttpTransport implements Transport {
  readonly #url: URL;
  /** The path at which the ledger is, without a slash at its end: a proxy may have it beside others. */
  readonly #root: string;
  readonly #token: string | undefined;
  readonly #fetch: typeof fetch;
  readonly #closing = new AbortController();

  constructor(url: URL, options: HttpClientOptions) {
    this.#url = url;
    this.#root = url.pathname.replace(/\/+$/, '');
    this.#token = options.token;
    this.#fetch = options.fetch ?? fetch;
  }

  prepareCreate(kind: RecordKind, batch: Batch, form: CallForm): Attempt<CreateReply> {
    const path = kind === BatchKind.accounts ? '/v1/accounts' : '/v1/transfers';
    if (form === 'columns') {
      const outgoing = msgpack(path, encodeColumns(batch));
      return async (deadline) => decodeCreate(await this.#send(outgoing, deadline));
    }
    const outgoing = json(path, encodeJson(batch));
    return async (deadline) => decodeJsonCreate(kind, await this.#send(outgoing, deadline));
  }

  prepareLookup(kind: RecordKind, ids: Batch, form: CallForm): Attempt<RowsReply> {
    const path = kind === BatchKind.accounts ? '/v1/accounts/lookup' : '/v1/transfers/lookup';
    if (form === 'columns') {
      const outgoing = msgpack(path, encodeIds(ids));
      return async (deadline) => decodeRows(kind, await this.#send(outgoing, deadline));
    }
    const outgoing = json(path, encodeJsonIds(ids));
    return async (deadline) => decodeJsonRows(kind, await this.#send(outgoing, deadline));
  }

  prepareQuery<O extends QueryOperation>(operation: O, filter: FilterOf<O>): Attempt<PageOf<O>> {
    const outgoing = questionOf(operation, fieldsOfFilter(operation, filter));
    return async (deadline) => decodeJsonPage(operation, await this.#send(outgoing, deadline));
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  async #send(outgoing: Outgoing, deadline: number): Promise<Uint8Array> {
    const wait = Math.max(1, Math.ceil(deadline - Date.now()));
    const signal = AbortSignal.any([AbortSignal.timeout(wait), this.#closing.signal]);
    const { path, type, body } = outgoing;
    const headers: Record<string, string> = { 'sycee-deadline-ms': String(wait) };
    if (type !== undefined) headers['content-type'] = type;
    if (this.#token !== undefined) headers['authorization'] = `Bearer ${this.#token}`;
    let response: Response;
    let bytes: Uint8Array;
    try {
      const isGet = body === undefined;
      response = await this.#fetch(new URL(`${this.#root}${path}`, this.#url), {
        method: isGet ? 'GET' : 'POST',
        headers,
        ...(isGet ? {} : { body: body as NonNullable<RequestInit['body']> }),
        signal,
      });
      bytes = new Uint8Array(await response.arrayBuffer());
    } catch (error: unknown) {
      throw requestFault(error);
    }
    if (response.ok) return bytes;
    throw decodeProblem(bytes, `the server answered ${response.status} ${response.statusText}`);
  }
}

const json = (path: string, body: string): Outgoing => ({ path, type: 'application/json', body });
const msgpack = (path: string, body: Uint8Array): Outgoing => ({
  path,
  type: 'application/msgpack',
  body,
});

const POSTED: Partial<Record<QueryOperation, string>> = {
  query_accounts: '/v1/accounts/query',
  query_transfers: '/v1/transfers/query',
};

/** Filters of an account and of changes stand in the URL, the others in a body. */
function questionOf(operation: QueryOperation, fields: FilterFields): Outgoing {
  const posted = POSTED[operation];
  if (posted !== undefined) return json(posted, JSON.stringify(fields));
  const { account_id: id, ...rest } = fields;
  const query = new URLSearchParams(
    Object.entries(rest).map(([name, value]) => [name, String(value)]),
  );
  const list = operation === 'get_account_transfers' ? 'transfers' : 'balances';
  const path = operation === 'get_change_events' ? '/v1/changes' : `/v1/accounts/${id}/${list}`;
  return { path: `${path}?${query.toString()}` };
}

/** Faults before the request could leave. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** What fetch says of a port to which it connects nobody. */
const BAD_PORT = 'bad port';

function requestFault(error: unknown): SyceeError {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && cause.message === BAD_PORT) {
    const rule = 'a port that fetch connects to';
    throw new SyceeError('malformed_request', `url: ${rule}`, { field: 'url', rule, cause: error });
  }
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const reason = code || (error instanceof Error ? error.message : String(error));
  return NOT_SENT.has(code)
    ? new SyceeError('not_ready', `cannot connect: ${reason}`, { cause: error })
    : new SyceeError('unknown', `no answer over HTTP: ${reason}`, { cause: error });
}
