/**
 * The HTTP edge: listens, bounds connections and waiting, refuses what is no request of ours, and drains when it is closed.
 *
 * Ordering of `close`: stop listening, answer what was taken (with `Connection: close`), then cut connections that are still open after
 * CLOSE_GRACE_MS: a client that sends slowly cannot hold the server. No stack trace and no text of an unexpected error leaves the process.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders, RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { assert } from '../engine/assert.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { OTHER_INDEX } from './edge-meter.ts';
import { BODY_BYTES_MAX, tooLarge } from './field-rules.ts';
import { readBody } from './http-body.ts';
import { type RawRefusal, rawProblem, sendProblem } from './http-problem.ts';
import { addRoutes, answerUnknownRoute, type RouteContext } from './http-routes.ts';
import { hasHost, shortWay } from './http-short-way.ts';
import { asSyceeError } from './operation.ts';

export const CONNECTIONS_MAX_DEFAULT = 4096;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 60_000;
const TIMEOUT_CHECK_MS = 1_000;
const CLOSE_GRACE_MS = 5_000;
const IDLE_CHECK_MS = 20;
const HEADER_BYTES_MAX = 16 << 10;

export interface HttpOptions extends RouteContext {
  readonly token?: string | undefined;
  readonly connectionsMax?: number | undefined;
  /** Test knobs: how long a client may take for the head, and for the whole request. */
  readonly headersTimeoutMs?: number | undefined;
  readonly requestTimeoutMs?: number | undefined;
}

const noCompiler = (): never => {
  throw new Error('no route has a schema: bodies are read by wire-codec.ts');
};
/** Fastify loads its own compilers of schemas unless it is given others: 60 ms of every start. */
const NO_COMPILERS = { buildValidator: noCompiler, buildSerializer: noCompiler };

/** The server before it listens; tests inject requests into it. */
export function createHttp(options: HttpOptions): FastifyInstance {
  const { edge, meter, token } = options;
  const isAllowed = token === undefined ? () => true : allowing(token);
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    http: {
      requireHostHeader: false,
      headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    schemaController: { compilersFactory: NO_COMPILERS },
    clientErrorHandler: refuseNoHttp,
    frameworkErrors: (error, _request, reply) => {
      sendProblem(reply, problemOf(error, edge.log));
    },
  });
  addShortWay(options, isAllowed, app.server);
  app.server.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX_DEFAULT;
  addBodyReaders(app, options);
  requireHost(app);
  if (token !== undefined) requireToken(app, isAllowed);
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const started = meter.begin();
    const problem = problemOf(error, edge.log);
    meter.fail(OTHER_INDEX, problem);
    sendProblem(reply, problem);
    meter.end(OTHER_INDEX, started);
  });
  app.setNotFoundHandler((request, reply) => answerUnknownRoute(options, request, reply));
  addRoutes(app, options);
  return app;
}

function addBodyReaders(app: FastifyInstance, options: HttpOptions): void {
  app.removeAllContentTypeParsers();
  const types = ['application/json', 'application/msgpack', 'application/vnd.msgpack'];
  app.addContentTypeParser(types, (request, payload, done) => {
    const encoding = request.headers['content-encoding'];
    const refusal = encoding === undefined || encoding === 'identity' ? null : encoded();
    readBody(payload, options.edge.admission, done, refusal);
  });
}

const encoded = (): SyceeError =>
  new SyceeError(
    'unsupported_media_type',
    'send the body as it is, without the header Content-Encoding',
  );

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

type IsAllowed = (request: { readonly headers: IncomingHttpHeaders }) => boolean;

/**
 * What the server hears goes the short way first, and else to fastify. A server factory would say the same, but with one fastify listens on the first address
 * of `localhost` only.
 */
function addShortWay(options: HttpOptions, isAllowed: IsAllowed, server: Server): void {
  const [rest, ...others] = server.listeners('request') as RequestListener[];
  assert(rest !== undefined && others.length === 0, 'fastify alone listens for requests');
  server.removeListener('request', rest);
  const isOpen = (): boolean => server.listening;
  server.on('request', shortWay(options, { isOpen, isAllowed, rest }));
}

/** Hashes make the compared lengths equal, and the comparison takes the same time wherever the difference is. */
function allowing(token: string): IsAllowed {
  assert(token.length > 0, 'a token is not empty');
  const expected = sha256(`Bearer ${token}`);
  return ({ headers }) => {
    const given = (headers.authorization ?? '').replace(/^bearer /i, 'Bearer ');
    return timingSafeEqual(sha256(given), expected);
  };
}

function requireToken(app: FastifyInstance, isAllowed: IsAllowed): void {
  app.addHook('onRequest', (request, reply, done) => {
    const path = request.url.split('?', 1)[0];
    if (path === '/healthz' || isAllowed(request)) {
      done();
      return;
    }
    const why = 'this server wants the header Authorization: Bearer TOKEN';
    sendProblem(reply, new SyceeError('unauthorized', why));
  });
}

/** Our own errors as they are; fastify's by their code, with our sentences. */
function problemOf(error: unknown, log: (line: string) => void): SyceeError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new SyceeError(
        'unsupported_media_type',
        'send the header Content-Type: application/json or application/msgpack',
      );
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return tooLarge('body_bytes_max');
    case 'FST_ERR_BAD_URL':
      return malformed('path', 'the path is not well-formed');
    default:
  }
  if (code.startsWith('FST_ERR_') && clientsFault(error)) {
    return malformed('', 'the request is not well-formed');
  }
  return asSyceeError(error, log);
}

const clientsFault = (error: unknown): boolean => {
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  return status >= 400 && status < 500;
};

const malformed = (field: string, why: string): SyceeError =>
  new SyceeError('malformed_request', why, { field, rule: 'well-formed' });

/** By the parser's code: what is refused otherwise than as no valid HTTP. */
const RAW_REFUSALS: Readonly<Record<string, RawRefusal>> = {
  HPE_HEADER_OVERFLOW: { status: 431, detail: 'the header is too large' },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    detail: 'the request took too long to arrive',
    field: 'request',
    rule: 'in_time',
  },
};
/** And which part of the request is wrong; any other code says little of that. */
const RAW_FIELDS: Readonly<Record<string, string>> = {
  HPE_INVALID_METHOD: 'method',
  HPE_INVALID_URL: 'path',
  HPE_INVALID_CONSTANT: 'version',
  HPE_INVALID_VERSION: 'version',
  HPE_INVALID_HEADER_TOKEN: 'headers',
  HPE_INVALID_CONTENT_LENGTH: 'Content-Length',
  HPE_UNEXPECTED_CONTENT_LENGTH: 'Content-Length',
  HPE_INVALID_TRANSFER_ENCODING: 'Transfer-Encoding',
  HPE_INVALID_CHUNK_SIZE: 'body',
};

function refuseNoHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = error.code ?? '';
  const refusal = RAW_REFUSALS[code] ?? {
    status: 400,
    detail: 'this is not a valid HTTP request',
    field: RAW_FIELDS[code] ?? 'request',
    rule: 'well-formed',
  };
  socket.end(rawProblem(refusal), () => socket.destroy());
}

/** As RFC 9112 wants it. Node would answer without a word. */
function requireHost(app: FastifyInstance): void {
  app.addHook('onRequest', ({ raw }, reply, done) => {
    if (hasHost(raw)) {
      done();
      return;
    }
    const why = 'a request of HTTP/1.1 names the server in the header Host';
    reply.header('connection', 'close');
    const details = { field: 'Host', rule: 'required' };
    sendProblem(reply, new SyceeError('malformed_request', why, details));
  });
}

export interface HttpServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Listens. Rejects with the system's error, for example EADDRINUSE. */
export async function startHttp(
  options: HttpOptions,
  address: { readonly host: string; readonly port: number },
): Promise<HttpServer> {
  const app = createHttp(options);
  const url = await app.listen({ host: address.host, port: address.port, backlog: 1024 });
  const listening = app.server.address();
  assert(listening !== null && typeof listening === 'object', 'the server listens on a port');
  return { url, port: listening.port, close: () => closeHttp(app) };
}

/** A connection that was busy when the server closed stays open after its answer, if the client wants it to: it is cut when it is idle. */
async function closeHttp(app: FastifyInstance): Promise<void> {
  const idle = setInterval(() => app.server.closeIdleConnections(), IDLE_CHECK_MS);
  const cut = setTimeout(() => app.server.closeAllConnections(), CLOSE_GRACE_MS);
  try {
    await app.close();
  } finally {
    clearInterval(idle);
    clearTimeout(cut);
  }
}
