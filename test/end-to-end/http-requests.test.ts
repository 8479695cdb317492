/** Every route of a real process, each answer held against the process's own `/openapi.json`; and the lines that `serve` prints, executed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BATCH_EVENTS_MAX } from '../../engine/limits.ts';
import { Child, startProcess, type ServeProcess } from '../support/cluster.ts';
import { OpenapiChecks, type Answer } from '../support/openapi-checks.ts';

const stack = new AsyncDisposableStack();
let served: ServeProcess;
let checks: OpenapiChecks;

beforeAll(async () => {
  served = stack.use(await startProcess({ shards: 2 }));
  checks = await OpenapiChecks.of(served.url);
  await create('/v1/accounts', [
    { id: 1, ledger: 1, code: 1 },
    { id: 2, ledger: 1, code: 1 },
    { id: 3, ledger: 1, code: 1, flags: ['debits_must_not_exceed_credits'] },
    { id: 4, ledger: 2, code: 1 },
  ]);
});
afterAll(() => stack.disposeAsync());

const create = (route: string, body: unknown): Promise<Answer> =>
  checks.send({ method: 'POST', route, body });
const transfer = (id: number, changes: object = {}): object => ({
  id,
  debit_account_id: 1,
  credit_account_id: '2',
  amount: 5,
  ledger: 1,
  code: 1,
  ...changes,
});

test.each([
  ['created', 201, transfer(100)],
  ['exists', 200, transfer(100)],
  ['exists_with_different_amount', 409, transfer(100, { amount: 6 })],
  ['id_must_not_be_zero', 400, transfer(0)],
  ['accounts_must_be_different', 400, transfer(101, { credit_account_id: 1 })],
  ['code_must_not_be_zero', 400, transfer(102, { code: 0 })],
  ['reserved_flag', 400, transfer(103, { flags: 32768 })],
  ['debit_account_not_found', 404, transfer(104, { debit_account_id: 99 })],
  ['credit_account_not_found', 404, transfer(105, { credit_account_id: 99 })],
  ['id_already_failed', 409, transfer(105)],
  ['accounts_must_have_the_same_ledger', 422, transfer(106, { credit_account_id: 4 })],
  ['transfer_must_have_the_same_ledger_as_accounts', 422, transfer(107, { ledger: 2 })],
  ['exceeds_credits', 422, transfer(108, { debit_account_id: 3 })],
  [
    'created',
    201,
    transfer(109, {
      amount: String(2n ** 64n),
      user_data_128: String(2n ** 128n - 1n),
      user_data_64: '7',
      user_data_32: 9,
    }),
  ],
])('one transfer that is %s is answered with %i', async (status, http, body) => {
  const answer = await create('/v1/transfers', body);
  expect(answer).toMatchObject({
    status: http,
    body: { status, timestamp: expect.stringMatching(/^[0-9]+$/) },
  });
});

test.each([
  ['created', 201, { id: 50, ledger: 1, code: 1 }],
  ['exists', 200, { id: 50, ledger: 1, code: 1 }],
  ['exists_with_different_ledger', 409, { id: 50, ledger: 2, code: 1 }],
  ['ledger_must_not_be_zero', 400, { id: 51, code: 1 }],
  ['flags_are_mutually_exclusive', 400, { id: 52, ledger: 1, code: 1, flags: 6 }],
])('one account that is %s is answered with %i', async (status, http, body) => {
  expect(await create('/v1/accounts', body)).toMatchObject({ status: http, body: { status } });
});

test('arrays are answered with 200 and outcomes in request order', async () => {
  const events = [
    transfer(200),
    transfer(200),
    transfer(201, { amount: 0 }),
    transfer(202, { code: 0 }),
  ];
  const { status, body } = await create('/v1/transfers', events);
  expect(status).toBe(200);
  const { results } = body as { results: readonly { readonly status: string }[] };
  expect(results.map((one) => one.status)).toEqual([
    'created',
    'exists',
    'created',
    'code_must_not_be_zero',
  ]);
  const full = Array.from({ length: BATCH_EVENTS_MAX }, (_, i) =>
    transfer(10_000 + i, { amount: 1 }),
  );
  const answer = await create('/v1/transfers', full);
  expect((answer.body as { results: readonly unknown[] }).results).toHaveLength(BATCH_EVENTS_MAX);
});

test('what was created is found, one by one and by lists', async () => {
  await create('/v1/transfers', transfer(300, { amount: 12, user_data_64: 5 }));
  const one = await checks.send({ method: 'GET', route: '/v1/transfers/{id}', id: '300' });
  expect(one).toMatchObject({
    status: 200,
    body: { id: '300', amount: '12', user_data_64: '5', flags: [] },
  });
  const account = await checks.send({ method: 'GET', route: '/v1/accounts/{id}', id: '3' });
  expect(account).toMatchObject({
    status: 200,
    body: { id: '3', flags: ['debits_must_not_exceed_credits'] },
  });
  expect(await create('/v1/transfers/lookup', { ids: ['300', 998] })).toMatchObject({
    body: { transfers: [{ id: '300' }] },
  });
  expect(await create('/v1/accounts/lookup', { ids: [2, '998', 1] })).toMatchObject({
    body: { accounts: [{ id: '2' }, { id: '1' }] },
  });
});

test.each([
  ['/v1/accounts/{id}', '998', 404, 'not_found'],
  ['/v1/transfers/{id}', '998', 404, 'not_found'],
  ['/v1/accounts/{id}', 'x', 400, 'malformed_request'],
  ['/v1/transfers/{id}', '1.5', 400, 'malformed_request'],
])('GET %s of %s is %i %s', async (route, id, status, code) => {
  expect(await checks.send({ method: 'GET', route, id })).toMatchObject({
    status,
    type: 'application/problem+json',
    body: { code },
  });
});

test('refusals are the problems that the document names', async () => {
  for (const route of [
    '/v1/accounts',
    '/v1/transfers',
    '/v1/accounts/lookup',
    '/v1/transfers/lookup',
  ]) {
    expect(await create(route, '{')).toMatchObject({
      status: 400,
      body: { code: 'malformed_request' },
    });
    const typed = {
      method: 'POST',
      route,
      body: '{}',
      headers: { 'content-type': 'text/plain' },
    } as const;
    expect(await checks.send(typed)).toMatchObject({
      status: 415,
      body: { code: 'unsupported_media_type' },
    });
    expect(await create(route, ' '.repeat((4 << 20) + 1))).toMatchObject({
      status: 413,
      body: { code: 'too_large' },
    });
    const deadline = {
      method: 'POST',
      route,
      body: '{}',
      headers: { 'sycee-deadline-ms': 'soon' },
    } as const;
    expect(await checks.send(deadline)).toMatchObject({
      status: 400,
      body: { code: 'malformed_request' },
    });
  }
  const later = await create('/v1/transfers', transfer(400, { flags: ['pending'] }));
  expect(later).toMatchObject({
    status: 400,
    body: { code: 'malformed_request', detail: expect.stringContaining('pending') },
  });
});

test('the routes for operators are as the document says', async () => {
  expect(await checks.send({ method: 'GET', route: '/healthz' })).toMatchObject({
    status: 200,
    body: { status: 'live' },
  });
  expect(await checks.send({ method: 'GET', route: '/readyz' })).toMatchObject({
    status: 200,
    body: { status: 'ready' },
  });
  expect(await checks.send({ method: 'GET', route: '/v1/status' })).toMatchObject({
    body: { ready: true, shards: [{ shard: 0 }, { shard: 1 }] },
  });
  await checks.send({ method: 'GET', route: '/openapi.json' });
  const { body } = await checks.send({ method: 'GET', route: '/metrics' });
  for (const name of [
    'sycee_edge_requests_total',
    'sycee_edge_errors_total',
    'process_cpu_user_seconds_total',
  ])
    expect(body).toContain(name);
  expect(checks.unvisited).toEqual([]);
});

test('the lines that serve prints work as they stand', async (context) => {
  const curl = new Child('curl', ['--version']);
  const isThere = await curl.exit.then(
    ({ code }) => code === 0,
    () => false,
  );
  if (!isThere) context.skip('curl is not installed');
  await using fresh = await startProcess({ shards: 2 });
  await fresh.child.untilReady(() => Promise.resolve(fresh.stdout.includes('/v1/transfers')));
  const lines = fresh.stdout.split('\n').filter((line) => line.trim().startsWith('curl '));
  expect(lines).toHaveLength(2);
  const answers: unknown[] = [];
  for (const line of [...lines, ...lines]) {
    const child = new Child('sh', ['-c', line]);
    expect(await child.exit).toMatchObject({ code: 0 });
    answers.push(JSON.parse(child.stdout));
  }
  const both = (status: string): object => ({ results: [{ status }, { status }] });
  expect(answers).toMatchObject([
    both('created'),
    { status: 'created' },
    both('exists'),
    { status: 'exists' },
  ]);
});
