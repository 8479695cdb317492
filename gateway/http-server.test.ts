import { gzipSync } from 'node:zlib';
// oxlint-disable-next-line import/extensions -- this package has no export map
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { Packr, Unpackr } from 'msgpackr';
import { afterEach, expect, test } from 'vitest';
import { TransferStatus } from '../engine/status.ts';
import { ERROR_CODES, ERROR_HTTP_STATUS, SyceeError } from '../lib/sycee-error.ts';
import { type HttpEdge, httpEdge, TRANSFER } from '../test/support/http-edge.ts';
import type { AdmissionLimits } from './admission.ts';
import { ROUTES } from './http-routes.ts';
import { createHttp, type HttpOptions } from './http-server.ts';
import { openapiDocument } from './openapi.ts';

interface Rig extends HttpEdge {
  readonly app: FastifyInstance;
}

const apps: FastifyInstance[] = [];
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

function rig(changes: Partial<HttpOptions> = {}, limits: AdmissionLimits = {}): Rig {
  const edge = httpEdge(changes, limits);
  const app = createHttp(edge.options);
  apps.push(app);
  return { ...edge, app };
}

const JSON_TYPE = { 'content-type': 'application/json' };

const post = (
  app: FastifyInstance,
  url: string,
  payload: unknown,
): Promise<LightMyRequestResponse> =>
  app.inject({
    method: 'POST',
    url,
    headers: JSON_TYPE,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });

const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(openapiDocument('1.2.3'), 'openapi');

function expectSchema(name: string, value: unknown): void {
  const validate = ajv.getSchema(`openapi#/components/schemas/${name}`)!;
  const isValid = validate(value);
  expect([isValid, validate.errors]).toEqual([true, null]);
}

function expectProblem(response: LightMyRequestResponse, status: number, code: string): void {
  expect(response.statusCode).toBe(status);
  expect(response.headers['content-type']).toContain('application/problem+json');
  const problem: unknown = response.json();
  expectSchema('Problem', problem);
  expect(problem).toMatchObject({ status, code });
  expect(response.body).not.toMatch(/\bat .*\.(?:ts|js):\d/);
}

const ACCOUNTS = [
  { id: 1, ledger: 1, code: 1 },
  { id: '2', ledger: 1, code: 1, flags: ['debits_must_not_exceed_credits'] },
];

test('an array of accounts is answered with one result each, in order', async () => {
  const { app } = rig();
  const response = await post(app, '/v1/accounts', ACCOUNTS);
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
  expectSchema('AccountResults', response.json());
  expect(response.json()).toMatchObject({
    results: [{ status: 'created' }, { status: 'created' }],
  });
});

test('one transfer is answered with its own result and 201', async () => {
  const { app } = rig();
  const response = await post(app, '/v1/transfers', TRANSFER);
  expect(response.statusCode).toBe(201);
  expectSchema('TransferResult', response.json());
});

test.each([
  ['created', 201],
  ['exists', 200],
  ['id_must_not_be_zero', 400],
  ['debit_account_not_found', 404],
  ['exists_with_different_amount', 409],
  ['id_already_failed', 409],
  ['exceeds_credits', 422],
] as const)('the outcome %s of one transfer is HTTP %i', async (name, http) => {
  const { app, router } = rig();
  router.outcome = TransferStatus[name];
  const response = await post(app, '/v1/transfers', TRANSFER);
  expect(response.statusCode).toBe(http);
  expect(response.json()).toMatchObject({ status: name });
  expectSchema('TransferResult', response.json());
});

test('accounts and transfers are found by their ids', async () => {
  const { app } = rig();
  await post(app, '/v1/accounts', ACCOUNTS);
  await post(app, '/v1/transfers', TRANSFER);
  const accounts = await post(app, '/v1/accounts/lookup', { ids: [2, 7, '1'] });
  expectSchema('Accounts', accounts.json());
  expect(accounts.json()).toMatchObject({ accounts: [{ id: '2' }, { id: '1' }] });
  const transfers = await post(app, '/v1/transfers/lookup', { ids: [9] });
  expectSchema('Transfers', transfers.json());
  const account = await app.inject('/v1/accounts/2');
  expect(account.statusCode).toBe(200);
  expectSchema('Account', account.json());
  expect(account.json()).toMatchObject({ id: '2', flags: ['debits_must_not_exceed_credits'] });
  const transfer = await app.inject('/v1/transfers/9');
  expectSchema('Transfer', transfer.json());
  expect(transfer.json()).toMatchObject({ id: '9', amount: '5', credit_account_id: '2' });
});

test('an id that nothing has is 404, and one that is no number is malformed', async () => {
  const { app, router } = rig();
  expectProblem(await app.inject('/v1/accounts/5'), 404, 'not_found');
  expectProblem(await app.inject('/v1/transfers/5'), 404, 'not_found');
  for (const id of ['x', '-1', '1.5', '1e3', String(2n ** 128n), '%E0%A4%A']) {
    expectProblem(await app.inject(`/v1/accounts/${id}`), 400, 'malformed_request');
  }
  expect(router.batches).toHaveLength(2);
});

test('msgpack is answered in msgpack', async () => {
  const { app } = rig();
  const payload = new Packr({ useRecords: false }).pack([{ id: 1, ledger: 1, code: 1 }]);
  for (const type of ['application/msgpack', 'application/vnd.msgpack']) {
    const headers = { 'content-type': type };
    const response = await app.inject({ method: 'POST', url: '/v1/accounts', headers, payload });
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toBe('application/msgpack');
    const answer: unknown = new Unpackr({ useRecords: false }).unpack(response.rawPayload);
    expect(answer).toMatchObject({ results: [{ status: 'created' }] });
  }
});

test.each([
  ['no JSON', '{'],
  ['an empty body', ''],
  ['an unknown field', '{"id":1,"color":"red"}'],
  ['a doubled field', '{"id":1,"id":1}'],
  ['a negative amount', '{"id":1,"amount":-1}'],
  ['an empty array', '[]'],
])('%s is a malformed request', async (_what, payload) => {
  const { app, admission } = rig();
  expectProblem(await post(app, '/v1/transfers', payload), 400, 'malformed_request');
  expect([admission.requests, admission.bytes]).toEqual([0, 0]);
});

test('what became of a pending transfer is told, and cannot be said', async () => {
  const { app } = rig();
  await post(app, '/v1/transfers', [TRANSFER, { ...TRANSFER, id: 10, flags: ['pending'] }]);
  const found = await post(app, '/v1/transfers/lookup', { ids: [9, 10] });
  expectSchema('Transfers', found.json());
  expect(found.json()).toMatchObject({
    transfers: [{ pending_status: 'none' }, { pending_status: 'pending', flags: ['pending'] }],
  });
  const said = await post(app, '/v1/transfers', { ...TRANSFER, pending_status: 'pending' });
  expectProblem(said, 400, 'malformed_request');
  expect(said.json()).toMatchObject({ field: 'pending_status', rule: 'unknown_field' });
});

test('other media types, and none, are refused', async () => {
  const { app, router } = rig();
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx']) {
    const headers = { 'content-type': type };
    const response = await app.inject({
      method: 'POST',
      url: '/v1/accounts',
      headers,
      payload: '{}',
    });
    expectProblem(response, 415, 'unsupported_media_type');
  }
  const none: InjectOptions = { method: 'POST', url: '/v1/accounts', payload: Buffer.from('{}') };
  expectProblem(await app.inject(none), 415, 'unsupported_media_type');
  expect(router.batches).toEqual([]);
});

test('a body that was compressed is of an unsupported type', async () => {
  const { app, router, admission } = rig();
  const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' };
  const payload = gzipSync(JSON.stringify(TRANSFER));
  const response = await app.inject({ method: 'POST', url: '/v1/transfers', headers, payload });
  expectProblem(response, 415, 'unsupported_media_type');
  expect([router.batches.length, admission.bytes]).toEqual([0, 0]);
});

test('a body in another encoding than its type says is refused', async () => {
  const { app, router } = rig();
  const headers = { 'content-type': 'application/msgpack' };
  const payload = JSON.stringify(TRANSFER);
  const response = await app.inject({ method: 'POST', url: '/v1/transfers', headers, payload });
  expectProblem(response, 400, 'malformed_request');
  expect(router.batches).toEqual([]);
});

test('a body over the bound is too large, whether it says so or not', async () => {
  const { app, admission } = rig();
  const response = await post(app, '/v1/accounts', ' '.repeat((8 << 20) + 1));
  expectProblem(response, 413, 'too_large');
  expect(response.json()).toMatchObject({ rule: 'body_bytes_max' });
  expect(admission.bytes).toBe(0);
});

test.each(ERROR_CODES.map((code) => [code, ERROR_HTTP_STATUS[code]] as const))(
  'the error %s of the router is HTTP %i',
  async (code, http) => {
    const { app, router } = rig();
    router.rejection = new SyceeError(code, 'a sentence');
    const response = await post(app, '/v1/transfers', TRANSFER);
    expectProblem(response, http, code);
    expect(response.headers['retry-after']).toBe(code === 'overloaded' ? '1' : undefined);
    expectProblem(await app.inject('/v1/accounts/1'), http, code);
  },
);

test('an unexpected error is unknown outside, and a line with its stack inside', async () => {
  const { app, router, lines } = rig();
  router.rejection = new TypeError('secret detail');
  const response = await post(app, '/v1/transfers', TRANSFER);
  expectProblem(response, 504, 'unknown');
  expect(response.body).not.toContain('secret');
  expect(lines.join('\n')).toContain('secret detail');
});

test('a full bound answers overloaded at once, and lets in again when it is free', async () => {
  const { app, router } = rig({}, { requestsMax: 1 });
  const gate = Promise.withResolvers<void>();
  router.gate = gate.promise;
  const first = post(app, '/v1/transfers', TRANSFER);
  while (router.batches.length === 0) await new Promise(setImmediate);
  const second = await post(app, '/v1/transfers', TRANSFER);
  expectProblem(second, 429, 'overloaded');
  expect(second.headers['retry-after']).toBe('1');
  gate.resolve();
  expect((await first).statusCode).toBe(201);
  expect((await post(app, '/v1/transfers', TRANSFER)).statusCode).toBe(201);
});

test('bytes in flight are bounded', async () => {
  const { app, admission } = rig({}, { bytesMax: 16 });
  expectProblem(await post(app, '/v1/transfers', TRANSFER), 429, 'overloaded');
  expect(admission.bytes).toBe(0);
});

test.each([
  ['POST', '/v1/nope', 404],
  ['POST', '/v1/accounts/', 404],
  ['PUT', '/v1/accounts', 405],
  ['DELETE', '/v1/transfers/9', 405],
] as const)('the bytes of a body to %s %s do not stay counted', async (method, url, status) => {
  const { app, admission } = rig();
  const payload = JSON.stringify(TRANSFER);
  const response = await app.inject({ method, url, headers: JSON_TYPE, payload });
  expect(response.statusCode).toBe(status);
  expect([admission.requests, admission.bytes]).toEqual([0, 0]);
});

test('the deadline header reaches the router as an absolute time', async () => {
  const { app, router } = rig();
  const send = (value: string): Promise<LightMyRequestResponse> =>
    app.inject({
      method: 'POST',
      url: '/v1/transfers',
      headers: { ...JSON_TYPE, 'sycee-deadline-ms': value },
      payload: JSON.stringify(TRANSFER),
    });
  const before = Date.now();
  expect((await send('2500')).statusCode).toBe(201);
  expect(router.deadlines[0]).toBeGreaterThanOrEqual(before + 2500);
  expect(router.deadlines[0]).toBeLessThanOrEqual(Date.now() + 2500);
  await post(app, '/v1/transfers', TRANSFER);
  expect(router.deadlines[1]).toBe(0);
  for (const wrong of ['0', '-1', '1.5', 'soon', '600001', '9'.repeat(30)]) {
    expectProblem(await send(wrong), 400, 'malformed_request');
  }
});

test('unknown paths are 404 and wrong methods 405 with what is allowed', async () => {
  const { app } = rig();
  expectProblem(await app.inject('/v1/nothing'), 404, 'not_found');
  expectProblem(await app.inject('/'), 404, 'not_found');
  const wrong = await app.inject({ method: 'DELETE', url: '/v1/accounts/1' });
  expectProblem(wrong, 405, 'method_not_allowed');
  expect(wrong.headers['allow']).toBe('GET');
  const put = await app.inject({
    method: 'PUT',
    url: '/v1/transfers',
    headers: JSON_TYPE,
    payload: '{}',
  });
  expectProblem(put, 405, 'method_not_allowed');
  expect(put.headers['allow']).toBe('POST');
});

test('with a token everything but /healthz asks for it', async () => {
  const { app } = rig({ token: 'correct-horse' });
  expect((await app.inject('/healthz')).statusCode).toBe(200);
  for (const authorization of [
    undefined,
    'Bearer wrong',
    'Bearer correct-horse2',
    'correct-horse',
  ]) {
    const headers = authorization === undefined ? {} : { authorization };
    for (const { method, path } of ROUTES.filter((one) => one.path !== '/healthz')) {
      expectProblem(await app.inject({ method, url: path, headers }), 401, 'unauthorized');
    }
    expectProblem(await app.inject({ url: '/nowhere', headers }), 401, 'unauthorized');
  }
  for (const authorization of ['Bearer correct-horse', 'bearer correct-horse']) {
    const status = await app.inject({ url: '/v1/status', headers: { authorization } });
    expect(status.statusCode).toBe(200);
  }
  expect((await app.inject('/healthz?probe=1')).statusCode).toBe(200);
});

test('health, readiness, status, metrics, and the OpenAPI document are served', async () => {
  const { app, router } = rig();
  await post(app, '/v1/transfers', TRANSFER);
  await post(app, '/v1/transfers', '{');
  expectSchema('Live', (await app.inject('/healthz')).json());
  expectSchema('Live', (await app.inject('/readyz')).json());
  const status = await app.inject('/v1/status');
  expectSchema('Status', status.json());
  expect(status.json()).toMatchObject({
    version: '1.2.3',
    statuses: { create_transfers: { created: 0, exceeds_credits: 54 } },
  });
  const metrics = await app.inject('/metrics');
  expect(metrics.headers['content-type']).toContain('text/plain');
  expect(metrics.body).toContain(
    'sycee_edge_requests_total{edge="http",operation="create_transfers"} 2',
  );
  expect(metrics.body).toContain(
    'sycee_edge_errors_total{edge="http",operation="create_transfers",code="malformed_request"} 1',
  );
  expect(metrics.body).toContain('process_cpu_user_seconds_total');
  expect((await app.inject('/openapi.json')).json()).toEqual(
    JSON.parse(JSON.stringify(openapiDocument('1.2.3'))),
  );
  router.state = 'recovering';
  const waiting = await app.inject('/readyz');
  expectProblem(waiting, 503, 'not_ready');
  expect(waiting.json()).toMatchObject({
    shards: [{ shard: 0, phase: 'replaying', sequence: 30, of: 120, fraction: 0.25 }],
  });
  router.state = 'running';
  router.isFull = true;
  const full = await app.inject('/readyz');
  expectProblem(full, 503, 'not_ready');
  expect(full.json()).toMatchObject({
    detail: expect.stringContaining('no room on the disk'),
    shards: [{ shard: 0, phase: 'running', storage_full: true, fraction: 1 }],
  });
  router.isFull = false;
  expectSchema('Live', (await app.inject('/readyz')).json());
});

test('the OpenAPI document names every route, and nothing else', () => {
  const paths = openapiDocument('1')['paths'] as Record<string, Record<string, unknown>>;
  const named = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(named.toSorted()).toEqual(
    ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
  const references = JSON.stringify(openapiDocument('1')).matchAll(
    /"#\/components\/(\w+)\/(\w+)"/g,
  );
  const components = openapiDocument('1')['components'] as Record<string, Record<string, unknown>>;
  for (const [, group, name] of references) expect(components[group!]).toHaveProperty(name!);
});
