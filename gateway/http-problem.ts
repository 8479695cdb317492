/** Problem documents (RFC 9457) of the HTTP edge, also for what has no error code of the ledger: unknown routes and wrong methods. */
import type { FastifyReply } from 'fastify';
import { ERROR_HTTP_STATUS, type SyceeError } from '../lib/sycee-error.ts';
import { RETRY_AFTER_SECONDS } from './admission.ts';
import { STATUS_CODES } from './node-http.ts';
import { encodeProblem } from './wire-codec.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export function sendProblem(reply: FastifyReply, error: SyceeError): void {
  const extra = problemHeader(error);
  if (extra !== undefined) reply.header(extra[0], extra[1]);
  reply
    .code(ERROR_HTTP_STATUS[error.code])
    .header('content-type', PROBLEM_TYPE)
    .send(encodeProblem('json', error));
}

/** The header that some problems have besides. */
export function problemHeader({ code }: SyceeError): readonly [string, string] | undefined {
  if (code === 'overloaded') return ['retry-after', String(RETRY_AFTER_SECONDS)];
  return code === 'unauthorized' ? ['www-authenticate', 'Bearer'] : undefined;
}

/** Codes that only HTTP knows. */
export type HttpOnlyCode = 'not_found' | 'method_not_allowed';

export function sendHttpProblem(reply: FastifyReply, code: HttpOnlyCode, detail: string): void {
  const status = code === 'not_found' ? 404 : 405;
  reply
    .code(status)
    .header('content-type', PROBLEM_TYPE)
    .send(JSON.stringify({ ...problemHead(code, status), detail, retryable: false }));
}

export interface RawRefusal {
  readonly status: number;
  readonly detail: string;
  /** The part of the request that is wrong, and its rule; nothing where it is too large. */
  readonly field?: string;
  readonly rule?: string;
}

/** The answer to bytes that are no HTTP, written to the socket as it is. */
export function rawProblem({ status, ...refusal }: RawRefusal): string {
  const code = status === 413 || status === 431 ? 'too_large' : 'malformed_request';
  const body = JSON.stringify({ ...problemHead(code, status), ...refusal, retryable: false });
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Bad Request'}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

const problemHead = (code: string, status: number): object => ({
  type: `urn:sycee:problem:${code}`,
  title: code.replaceAll('_', ' '),
  status,
  code,
});
