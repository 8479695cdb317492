/**
 * The short way of the request that there is most of: transfers to create, in a body that is announced and of a type that is named as such. It goes from
 * Node's server to the ledger and back; fastify would cost a fifth of the request. Everything else, and whatever is unusual about such a request,
 * goes to fastify, and is answered alike (http-short-way.test.ts).
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { ERROR_HTTP_STATUS, type SyceeError } from '../lib/sycee-error.ts';
import { admit } from './admitted-request.ts';
import { OTHER_INDEX } from './edge-meter.ts';
import { readBody } from './http-body.ts';
import { PROBLEM_TYPE, problemHeader } from './http-problem.ts';
import { answerType, deadlineOfHeaders, type RouteContext } from './http-routes.ts';
import { type Answer, asSyceeError, OPERATIONS, startOperation } from './operation.ts';
import { encodeProblem } from './wire-codec.ts';

const PATH = '/v1/transfers';
/** As fastify completes it. */
const PROBLEM_ANSWER_TYPE = `${PROBLEM_TYPE}; charset=utf-8`;
const INDEX = OPERATIONS.indexOf('create_transfers');

interface ShortWay {
  /** Whether the server takes new requests. */
  readonly isOpen: () => boolean;
  /** Whether the request has the token, if one is wanted. */
  readonly isAllowed: (request: IncomingMessage) => boolean;
  /** Where everything else goes. */
  readonly rest: RequestListener;
}

export function shortWay(context: RouteContext, { isOpen, isAllowed, rest }: ShortWay) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const isNamed = request.method === 'POST' && request.url === PATH;
    const isShort = isNamed && hasHost(request) && isUsual(request);
    if (!isShort || !isOpen() || !isAllowed(request)) {
      rest(request, response);
      return;
    }
    readBody(request, context.edge.admission, (error, body) => {
      if (body === undefined) refuseBody(context, response, error);
      else answer(context, request, response, body);
    });
  };
}

/** Whether it names the server, as HTTP/1.1 has to. */
export function hasHost({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.host !== undefined || httpVersion === '1.0';
}

function isUsual({ headers }: IncomingMessage): boolean {
  const type = headers['content-type'];
  return (
    (type === 'application/json' || type === 'application/msgpack') &&
    Number(headers['content-length']) > 0 &&
    headers['content-encoding'] === undefined
  );
}

/** Hot path. */
function answer(
  context: RouteContext,
  { headers }: IncomingMessage,
  response: ServerResponse,
  body: Uint8Array,
): void {
  const { router } = context.edge;
  const encoding = headers['content-type'] === 'application/json' ? 'json' : 'msgpack';
  admit(
    context,
    { index: INDEX, bytes: body.byteLength, to: response, refuse: writeProblem },
    () => {
      const deadlineMs = deadlineOfHeaders(headers);
      return startOperation(router, 'create_transfers', body, { deadlineMs, encoding });
    },
    writeAnswer,
  );
}

/** As fastify does it, which ends the connection, since the body may not have been read to its end. */
function refuseBody(
  { edge, meter }: RouteContext,
  response: ServerResponse,
  error: Error | null,
): void {
  const started = meter.begin();
  const problem = asSyceeError(error, edge.log);
  meter.fail(OTHER_INDEX, problem);
  response.setHeader('connection', 'close');
  writeProblem(response, problem);
  meter.end(OTHER_INDEX, started);
}

function writeAnswer(response: ServerResponse, { httpStatus, encoding, payload }: Answer): void {
  write(response, httpStatus, ['content-type', answerType(encoding)], payload);
}

function writeProblem(response: ServerResponse, error: SyceeError): void {
  const headers = [...(problemHeader(error) ?? []), 'content-type', PROBLEM_ANSWER_TYPE];
  write(response, ERROR_HTTP_STATUS[error.code], headers, encodeProblem('json', error));
}

function write(
  response: ServerResponse,
  status: number,
  headers: string[],
  payload: string | Uint8Array,
): void {
  const length = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.byteLength;
  headers.push('content-length', String(length));
  response.writeHead(status, headers);
  response.end(payload);
}
