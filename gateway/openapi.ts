/** The document of `/openapi.json`: every route with every answer that it can give. */
import { ERROR_HTTP_STATUS, type ErrorCode } from '../lib/sycee-error.ts';
import { DEADLINE_HEADER, DEADLINE_MS_MAX } from './admission.ts';
import { ACCOUNT_INPUTS, IDS, PAGES, TRANSFER_INPUTS } from './openapi-examples.ts';
import { QUERY_PATHS, type QueryPath } from './openapi-queries.ts';
import { ref, type Schema, SCHEMAS } from './openapi-schemas.ts';

type Responses = Record<string, Schema>;

export function openapiDocument(version: string): Schema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sycee',
      version,
      description:
        'A durable double-entry ledger. Outcomes of the ledger are data; a request that never reached it gets a problem document (RFC 9457).',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{}, { token: [] }],
    paths: {
      '/v1/accounts': { post: createOf('Account') },
      '/v1/transfers': { post: createOf('Transfer') },
      '/v1/accounts/{id}': { get: readOf('Account') },
      '/v1/transfers/{id}': { get: readOf('Transfer') },
      '/v1/accounts/lookup': { post: lookupOf('Account') },
      '/v1/transfers/lookup': { post: lookupOf('Transfer') },
      ...queryPaths(),
      '/v1/status': {
        get: plainOf('status', 'Shards, queues, limits, and the number of each status', 'Status'),
      },
      '/healthz': { get: { ...plainOf('live', 'This process answers', 'Live'), security: [{}] } },
      '/readyz': {
        get: plainOf('ready', 'Every shard has recovered and can write its journal', 'Live', [
          'not_ready',
        ]),
      },
      '/metrics': {
        get: textOf('metrics', 'Prometheus metrics', 'text/plain', { type: 'string' }),
      },
      '/openapi.json': {
        get: textOf('openapi', 'This document', 'application/json', { type: 'object' }),
      },
    },
    components: {
      schemas: SCHEMAS,
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      parameters: {
        deadline: {
          name: DEADLINE_HEADER,
          in: 'header',
          required: false,
          description:
            'How long to wait, in milliseconds. What has not started by then is not started.',
          schema: { type: 'integer', minimum: 1, maximum: DEADLINE_MS_MAX },
        },
        id: {
          name: 'id',
          in: 'path',
          required: true,
          description: 'a decimal number up to 2^128 - 1',
          schema: ref('U128'),
        },
      },
    },
  };
}

type Kind = 'Account' | 'Transfer';

const DEADLINE: Schema = { $ref: '#/components/parameters/deadline' };
const ID: Schema = { $ref: '#/components/parameters/id' };
const ROUTED: readonly ErrorCode[] = [
  'malformed_request',
  'unauthorized',
  'overloaded',
  'not_ready',
  'shard_unavailable',
  'segment_archived',
  'storage_full',
  'deadline_exceeded',
  'unknown',
];
const WITH_BODY: readonly ErrorCode[] = [...ROUTED, 'too_large', 'unsupported_media_type'];

const plural = (kind: Kind): string => `${kind.toLowerCase()}s`;

function createOf(kind: Kind): Schema {
  const one = ref(`${kind}Result`);
  const outcome = (description: string): Schema => eitherOf(description, one);
  const responses: Responses = {
    200: eitherOf(
      'Outcomes in request order; or one object that exists already as it was asked for',
      {
        oneOf: [one, ref(`${kind}Results`)],
      },
    ),
    201: outcome('One object, created'),
    400: outcome('One object, refused for what can be seen from the request alone'),
    404: outcome('One object that names something that is not there'),
    409: outcome('One object in conflict with what happened before'),
    422: outcome('One object, refused by the state of the ledger'),
  };
  addProblems(responses, WITH_BODY);
  const content = {
    schema: { oneOf: [ref(`${kind}Input`), ref(`${kind}Inputs`)] },
    example: kind === 'Account' ? ACCOUNT_INPUTS : TRANSFER_INPUTS,
  };
  return {
    operationId: `create_${plural(kind)}`,
    summary: `Create one of the ${plural(kind)}, or up to 8,189 in order`,
    parameters: [DEADLINE],
    requestBody: {
      required: true,
      content: {
        'application/json': content,
        'application/msgpack': {},
        'application/vnd.msgpack': {},
      },
    },
    responses,
  };
}

function lookupOf(kind: Kind): Schema {
  const responses: Responses = {
    200: eitherOf('What was found, in request order', ref(`${kind}s`)),
  };
  addProblems(responses, WITH_BODY);
  return {
    operationId: `lookup_${plural(kind)}`,
    summary: `Find ${plural(kind)} by their ids`,
    parameters: [DEADLINE],
    requestBody: {
      required: true,
      content: {
        'application/json': { schema: ref('Ids'), example: IDS },
        'application/msgpack': {},
        'application/vnd.msgpack': {},
      },
    },
    responses,
  };
}

function readOf(kind: Kind): Schema {
  const responses: Responses = {
    200: bodyOf(`The ${kind.toLowerCase()}`, ref(kind)),
    404: problemOf('not_found'),
  };
  addProblems(responses, ROUTED);
  return {
    operationId: `get_${kind.toLowerCase()}`,
    summary: `One ${kind.toLowerCase()}`,
    parameters: [ID, DEADLINE],
    responses,
  };
}

function queryPaths(): Schema {
  return Object.fromEntries(
    Object.entries(QUERY_PATHS).map(([path, query]) => [path, { [query.method]: queryOf(query) }]),
  );
}

function queryOf(query: QueryPath): Schema {
  const { operationId, summary, page, parameters, body } = query;
  const responses: Responses = {
    200: {
      description: 'A page of rows, and where the next begins',
      content: {
        'application/json': { schema: ref(page), example: PAGES[page] },
        ...(body === undefined ? {} : MSGPACK),
      },
    },
  };
  addProblems(responses, body === undefined ? ROUTED : WITH_BODY);
  const requestBody = body === undefined ? {} : { requestBody: { required: true, content: body } };
  return { operationId, summary, parameters: [...parameters, DEADLINE], ...requestBody, responses };
}

function plainOf(
  operationId: string,
  summary: string,
  schema: string,
  codes: readonly ErrorCode[] = [],
): Schema {
  const responses: Responses = { 200: bodyOf(summary, ref(schema)) };
  addProblems(responses, operationId === 'live' ? codes : ['unauthorized', ...codes]);
  return { operationId, summary, responses };
}

function textOf(operationId: string, summary: string, type: string, schema: Schema): Schema {
  const responses: Responses = { 200: { description: summary, content: { [type]: { schema } } } };
  addProblems(responses, ['unauthorized']);
  return { operationId, summary, responses };
}

const bodyOf = (description: string, schema: Schema): Schema => ({
  description,
  content: { 'application/json': { schema } },
});

/** An answer is in the encoding of the request. */
const eitherOf = (description: string, schema: Schema): Schema => ({
  description,
  content: { 'application/json': { schema }, ...MSGPACK },
});

const MSGPACK: Schema = { 'application/msgpack': {} };

const PROBLEM = { 'application/problem+json': { schema: ref('Problem') } };

const problemOf = (codes: string): Schema => ({ description: codes, content: PROBLEM });

/** Adds the problem to the answers of its HTTP status; several codes share one. */
function addProblems(responses: Responses, codes: readonly ErrorCode[]): void {
  for (const code of codes) {
    const status = String(ERROR_HTTP_STATUS[code]);
    const there = responses[status];
    const described = there === undefined ? code : `${String(there['description'])}; or ${code}`;
    const headers = code === 'overloaded' ? { headers: { 'Retry-After': RETRY_AFTER } } : {};
    const content = { ...(there?.['content'] as Schema | undefined), ...PROBLEM };
    responses[status] = { description: described, ...headers, content };
  }
  responses['default'] = problemOf(
    'Where the request is none of this: 404, 405 with Allow, 408, or 431',
  );
}

const RETRY_AFTER: Schema = { description: 'seconds', schema: { type: 'integer', minimum: 0 } };
