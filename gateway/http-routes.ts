/**
 * The routes of the HTTP edge. Handlers are plain callbacks: an async function per request would cost more than the request.
 *
 * Transfers to create mostly do not come by here, see http-short-way.ts. For what does: no schema, no hook but the token's, one promise, and a string as the
 * answer.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BatchKind } from '../engine/batch.ts';
import type { RowsReply } from '../engine/reply.ts';
import { ERROR_HTTP_STATUS } from '../lib/sycee-error.ts';
import { DEADLINE_HEADER, deadlineOf } from './admission.ts';
import { admit } from './admitted-request.ts';
import { type EdgeMeter, OTHER_INDEX, STATUS_INDEX } from './edge-meter.ts';
import type { Edge } from './edge.ts';
import { PROBLEM_TYPE, sendHttpProblem, sendProblem } from './http-problem.ts';
import { openapiDocument } from './openapi.ts';
import {
  type Answer,
  batchOfOneId,
  idOfPath,
  OPERATIONS,
  type Operation,
  startOperation,
} from './operation.ts';
import { startUrlQuery } from './query-operation.ts';
import { notReadyText } from './readiness.ts';
import { statusDocument } from './status-document.ts';
import type { QueryOperation } from './wire-codec-filters.ts';
import { type Encoding, encodeRows } from './wire-codec.ts';

export interface RouteContext {
  readonly edge: Edge;
  readonly meter: EdgeMeter;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

const JSON_TYPE = 'application/json; charset=utf-8';
const MSGPACK_TYPE = 'application/msgpack';
const DEADLINE_KEY = DEADLINE_HEADER.toLowerCase();

/** Every route, for what says 405 and for the test that holds `/openapi.json` to it. */
export const ROUTES: readonly { readonly method: 'GET' | 'POST'; readonly path: string }[] = [
  { method: 'POST', path: '/v1/accounts' },
  { method: 'POST', path: '/v1/transfers' },
  { method: 'GET', path: '/v1/accounts/{id}' },
  { method: 'GET', path: '/v1/transfers/{id}' },
  { method: 'POST', path: '/v1/accounts/lookup' },
  { method: 'POST', path: '/v1/transfers/lookup' },
  { method: 'GET', path: '/v1/accounts/{id}/transfers' },
  { method: 'GET', path: '/v1/accounts/{id}/balances' },
  { method: 'POST', path: '/v1/accounts/query' },
  { method: 'POST', path: '/v1/transfers/query' },
  { method: 'GET', path: '/v1/changes' },
  { method: 'GET', path: '/v1/status' },
  { method: 'GET', path: '/healthz' },
  { method: 'GET', path: '/readyz' },
  { method: 'GET', path: '/metrics' },
  { method: 'GET', path: '/openapi.json' },
];

export function addRoutes(app: FastifyInstance, context: RouteContext): void {
  app.post('/v1/accounts', (request, reply) => {
    answerOperation(context, 'create_accounts', request, reply);
  });
  app.post('/v1/transfers', (request, reply) => {
    answerOperation(context, 'create_transfers', request, reply);
  });
  app.post('/v1/accounts/lookup', (request, reply) => {
    answerOperation(context, 'lookup_accounts', request, reply);
  });
  app.post('/v1/transfers/lookup', (request, reply) => {
    answerOperation(context, 'lookup_transfers', request, reply);
  });
  app.get<IdRoute>('/v1/accounts/:id', (request, reply) => {
    answerOne(context, 'lookup_accounts', request, reply);
  });
  app.get<IdRoute>('/v1/transfers/:id', (request, reply) => {
    answerOne(context, 'lookup_transfers', request, reply);
  });
  addQueryRoutes(app, context);
  addOperatorRoutes(app, context);
}

function addQueryRoutes(app: FastifyInstance, context: RouteContext): void {
  app.get<IdRoute>('/v1/accounts/:id/transfers', (request, reply) => {
    answerUrlQuery(context, 'get_account_transfers', request, reply);
  });
  app.get<IdRoute>('/v1/accounts/:id/balances', (request, reply) => {
    answerUrlQuery(context, 'get_account_balances', request, reply);
  });
  app.get('/v1/changes', (request, reply) => {
    answerUrlQuery(context, 'get_change_events', request, reply);
  });
  app.post('/v1/accounts/query', (request, reply) => {
    answerOperation(context, 'query_accounts', request, reply);
  });
  app.post('/v1/transfers/query', (request, reply) => {
    answerOperation(context, 'query_transfers', request, reply);
  });
}

interface IdRoute {
  readonly Params: { readonly id: string };
}

/** Hot path. Bytes in, bytes out; the body's bytes were counted by the body reader and are given back by `admit`. */
function answerOperation(
  context: RouteContext,
  operation: Operation,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const body = bodyOf(request);
  const index = OPERATIONS.indexOf(operation);
  admit(
    context,
    { index, bytes: body.byteLength, to: reply, refuse: sendProblem },
    () =>
      startOperation(context.edge.router, operation, body, {
        deadlineMs: deadlineOfRequest(request),
        encoding: encodingOfRequest(request),
      }),
    sendAnswer,
  );
}

const NO_BODY = new Uint8Array(0);

/** Its bytes are counted until the route gives them back, whichever that is. */
function bodyOf({ body }: FastifyRequest): Uint8Array {
  return body instanceof Uint8Array ? body : NO_BODY;
}

function sendAnswer(reply: FastifyReply, answer: Answer): void {
  reply
    .code(answer.httpStatus)
    .header('content-type', answerType(answer.encoding))
    .send(answer.payload);
}

export const answerType = (encoding: Encoding): string =>
  encoding === 'json' ? JSON_TYPE : MSGPACK_TYPE;

const deadlineOfRequest = ({ headers }: FastifyRequest): number => deadlineOfHeaders(headers);

export function deadlineOfHeaders(headers: IncomingHttpHeaders): number {
  const header = headers[DEADLINE_KEY];
  if (header === undefined) return 0;
  return deadlineOf(String(header), Date.now());
}

function encodingOfRequest(request: FastifyRequest): 'json' | 'msgpack' | undefined {
  const type = request.headers['content-type'];
  if (type === 'application/json') return 'json';
  if (type === undefined) return undefined;
  return type.toLowerCase().includes('msgpack') ? 'msgpack' : 'json';
}

function answerOne(
  context: RouteContext,
  operation: 'lookup_accounts' | 'lookup_transfers',
  request: FastifyRequest<IdRoute>,
  reply: FastifyReply,
): void {
  const { router } = context.edge;
  const { id } = request.params;
  const isAccount = operation === 'lookup_accounts';
  admit(
    context,
    { index: OPERATIONS.indexOf(operation), bytes: 0, to: reply, refuse: sendProblem },
    () => {
      const ids = batchOfOneId(idOfPath(id));
      const deadline = deadlineOfRequest(request);
      return isAccount
        ? router.lookupAccounts(ids, deadline)
        : router.lookupTransfers(ids, deadline);
    },
    (to, rows) => sendRow(isAccount ? 'account' : 'transfer', id, rows, to),
  );
}

function sendRow(
  what: 'account' | 'transfer',
  id: string,
  rows: RowsReply,
  reply: FastifyReply,
): void {
  if (rows.n === 0) {
    sendHttpProblem(reply, 'not_found', `no ${what} has the id ${id}`);
    return;
  }
  const kind = what === 'account' ? BatchKind.accounts : BatchKind.transfers;
  const payload = encodeRows(kind, { shape: 'one', encoding: 'json' }, rows);
  reply.header('content-type', JSON_TYPE).send(payload);
}

/** The filter stands behind the `?`, but for the account, which the path names. */
function answerUrlQuery(
  context: RouteContext,
  operation: QueryOperation,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { id } = request.params as { readonly id?: string };
  const mark = request.url.indexOf('?');
  const query = mark < 0 ? '' : request.url.slice(mark + 1);
  admit(
    context,
    { index: OPERATIONS.indexOf(operation), bytes: 0, to: reply, refuse: sendProblem },
    () => {
      const account = id === undefined ? undefined : idOfPath(id);
      const deadline = deadlineOfRequest(request);
      return startUrlQuery(context.edge.router, operation, { query, account }, deadline);
    },
    sendAnswer,
  );
}

function addOperatorRoutes(app: FastifyInstance, context: RouteContext): void {
  const { edge, meter, metrics } = context;
  const openapi = JSON.stringify(openapiDocument(edge.version));
  const live = JSON.stringify({ status: 'live', version: edge.version });
  app.get('/healthz', (_request, reply) => {
    reply.header('content-type', JSON_TYPE).header('cache-control', 'no-store').send(live);
  });
  app.get('/readyz', (_request, reply) => {
    if (!edge.isReady()) {
      reply.code(ERROR_HTTP_STATUS.not_ready).header('content-type', PROBLEM_TYPE);
      reply.send(notReadyText(edge.router.status()));
      return;
    }
    const ready = JSON.stringify({ status: 'ready', version: edge.version });
    reply.header('content-type', JSON_TYPE).header('cache-control', 'no-store').send(ready);
  });
  app.get('/v1/status', (_request, reply) => {
    const started = meter.begin();
    const text = JSON.stringify(statusDocument(edge));
    reply.header('content-type', JSON_TYPE).header('cache-control', 'no-store').send(text);
    meter.end(STATUS_INDEX, started);
  });
  app.get('/openapi.json', (_request, reply) => {
    reply.header('content-type', JSON_TYPE).send(openapi);
  });
  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.text();
    return reply.header('content-type', metrics.contentType).send(text);
  });
}

const MATCHERS = ROUTES.map(({ method, path }) => ({
  method,
  pattern: new RegExp(`^${path.replace('{id}', '[^/]+').replaceAll('.', '\\.')}$`),
}));

/** 405 with `Allow` where the path has other methods, else 404. */
export function answerUnknownRoute(
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const started = context.meter.begin();
  context.edge.admission.giveBytes(bodyOf(request).byteLength);
  const path = request.url.split('?', 1)[0]!;
  const allowed = MATCHERS.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
  if (allowed.length > 0) {
    const methods = [...new Set(allowed)].join(', ');
    reply.header('allow', methods);
    sendHttpProblem(reply, 'method_not_allowed', `this path takes ${methods} only`);
  } else {
    sendHttpProblem(reply, 'not_found', 'there is no such path; GET /openapi.json lists them');
  }
  context.meter.end(OTHER_INDEX, started);
}
