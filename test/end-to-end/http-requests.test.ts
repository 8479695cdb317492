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
    { id: 5, ledger: 1, code: 1, flags: ['history'] },
    { id: 6, ledger: 1, code: 7, flags: ['history'], user_data_64: 77 },
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

const ALL = String(2n ** 128n - 1n);
/** A post or void, which has the rest from its pending transfer. */
const end = (
  id: number,
  pendingId: number,
  kind: 'post' | 'void',
  changes: object = {},
): object => ({
  id,
  pending_id: pendingId,
  amount: kind === 'post' ? ALL : 0,
  flags: [`${kind}_pending_transfer`],
  ...changes,
});

test.each([
  ['created', 201, transfer(120, { flags: ['pending'], timeout: 3600 })],
  ['exists', 200, transfer(120, { flags: 2, timeout: 3600 })],
  ['exists_with_different_timeout', 409, transfer(120, { flags: ['pending'] })],
  ['timeout_reserved_for_pending_transfer', 400, transfer(121, { timeout: 1 })],
  ['flags_are_mutually_exclusive', 400, end(121, 120, 'post', { flags: 12 })],
  ['pending_id_must_not_be_zero', 400, end(121, 0, 'post')],
  ['pending_id_must_be_different', 400, end(121, 121, 'void')],
  ['pending_transfer_not_found', 404, end(122, 999, 'post')],
  ['id_already_failed', 409, end(122, 999, 'post')],
  ['pending_transfer_not_pending', 422, end(123, 100, 'post')],
  ['exceeds_pending_transfer_amount', 422, end(123, 120, 'post', { amount: 6 })],
  ['pending_transfer_has_different_amount', 422, end(123, 120, 'void', { amount: 4 })],
  [
    'pending_transfer_has_different_credit_account_id',
    422,
    end(123, 120, 'post', { credit_account_id: 5 }),
  ],
  ['created', 201, end(123, 120, 'post', { amount: 4 })],
  ['pending_transfer_already_posted', 409, end(124, 120, 'void')],
  ['linked_event_chain_open', 409, transfer(125, { flags: ['linked'] })],
  ['closing_transfer_must_be_pending', 400, transfer(125, { flags: ['closing_debit'] })],
  ['imported_event_timestamp_out_of_range', 400, transfer(125, { flags: ['imported'] })],
  [
    'imported_event_timestamp_must_not_advance',
    422,
    transfer(125, { flags: ['imported'], timestamp: String(2n ** 62n) }),
  ],
  ['created', 201, transfer(125, { flags: ['balancing_debit'], amount: ALL })],
])('of two phases and other flags: %s is answered with %i', async (status, http, body) => {
  expect(await create('/v1/transfers', body)).toMatchObject({ status: http, body: { status } });
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

test('a pending transfer shows what became of it', async () => {
  const three = [310, 311, 312].map((id) => transfer(id, { flags: ['pending'] }));
  await create('/v1/transfers', [...three, end(313, 311, 'post'), end(314, 312, 'void')]);
  expect(await create('/v1/transfers/lookup', { ids: [310, 311, 312, 313] })).toMatchObject({
    body: {
      transfers: [
        { id: '310', pending_status: 'pending' },
        { id: '311', pending_status: 'posted' },
        { id: '312', pending_status: 'voided' },
        { id: '313', pending_status: 'none', debit_account_id: '1', amount: '5' },
      ],
    },
  });
  const one = await checks.send({ method: 'GET', route: '/v1/transfers/{id}', id: '310' });
  expect(one.body).toMatchObject({ pending_status: 'pending', flags: ['pending'] });
});

interface Page {
  readonly next: string | null;
  readonly [list: string]: unknown;
}

/** All pages of a question, each asked for with the cursor of the one before. */
async function pagesOf(ask: (cursor: string | null) => Promise<Answer>): Promise<readonly Page[]> {
  const pages: Page[] = [];
  for (let cursor: string | null = null; pages.length === 0 || cursor !== null;) {
    const { status, body } = await ask(cursor);
    expect([status, body]).toEqual([200, expect.anything()]);
    const page = body as Page;
    pages.push(page);
    cursor = page.next;
  }
  return pages;
}

const withCursor = (query: string, cursor: string | null): string =>
  cursor === null ? query : `${query}&cursor=${cursor}`;

test('the history of an account comes in pages, with its balances, on either shard', async () => {
  const events = [1, 2, 3, 4, 5].map((amount) =>
    transfer(500 + amount, { debit_account_id: 5, credit_account_id: 6, amount, code: amount }),
  );
  await create('/v1/transfers', events);
  for (const [id, side, posted] of [
    ['5', 'debits', 'debits_posted'],
    ['6', 'credits', 'credits_posted'],
  ] as const) {
    const transfers = await pagesOf((cursor) => {
      const query = withCursor(`limit=2&flags=${side}`, cursor);
      return checks.send({ method: 'GET', route: '/v1/accounts/{id}/transfers', id, query });
    });
    const ids = transfers.flatMap(
      (page) => page['transfers'] as readonly { readonly id: string }[],
    );
    expect(ids.map((one) => one.id)).toEqual(['501', '502', '503', '504', '505']);
    const balances = await pagesOf((cursor) => {
      const query = withCursor('limit=3&flags=7', cursor);
      return checks.send({ method: 'GET', route: '/v1/accounts/{id}/balances', id, query });
    });
    const sums = balances.flatMap(
      (page) => page['balances'] as readonly Readonly<Record<string, string>>[],
    );
    expect(sums.map((one) => one[posted])).toEqual(['15', '10', '6', '3', '1']);
  }
  const nothing = { method: 'GET', route: '/v1/accounts/{id}/transfers', id: '998' } as const;
  expect(await checks.send(nothing)).toMatchObject({
    status: 200,
    body: { transfers: [], next: null },
  });
  const kept = { method: 'GET', route: '/v1/accounts/{id}/balances', id: '1' } as const;
  expect(await checks.send(kept)).toMatchObject({ body: { balances: [], next: null } });
});

test('queries find what has all of the given fields', async () => {
  const answer = await create('/v1/accounts/query', { code: 7, user_data_64: '77' });
  expect(answer).toMatchObject({ status: 200, body: { accounts: [{ id: '6' }], next: null } });
  const marked = [601, 602, 603].map((id) => transfer(id, { user_data_32: 600, code: id }));
  await create('/v1/transfers', marked);
  const pages = await pagesOf((cursor) =>
    create('/v1/transfers/query', {
      user_data_32: 600,
      limit: 2,
      flags: ['reversed'],
      ...(cursor === null ? {} : { cursor }),
    }),
  );
  const found = pages.flatMap((page) => page['transfers'] as readonly { readonly id: string }[]);
  expect(found.map(({ id }) => id)).toEqual(['603', '602', '601']);
  expect(await create('/v1/transfers/query', { user_data_32: 600, code: 602 })).toMatchObject({
    body: { transfers: [{ id: '602', pending_status: 'none' }], next: null },
  });
});

test('the changes tell every kind of change, in the order of their timestamps', async () => {
  await create('/v1/transfers', transfer(700, { user_data_32: 7 }));
  await create('/v1/transfers', transfer(701, { flags: ['pending'] }));
  await create('/v1/transfers', end(702, 701, 'post'));
  await create('/v1/transfers', transfer(703, { flags: ['pending'] }));
  await create('/v1/transfers', end(704, 703, 'void'));
  const pages = await pagesOf((cursor) => {
    const query = withCursor('limit=1000', cursor);
    return checks.send({ method: 'GET', route: '/v1/changes', query });
  });
  const changes = pages.flatMap(
    (page) =>
      page['changes'] as readonly {
        readonly type: string;
        readonly timestamp: string;
        readonly transfer: { readonly id: string };
      }[],
  );
  const times = changes.map(({ timestamp }) => BigInt(timestamp));
  expect(times).toEqual(times.toSorted((a, b) => Number(a - b)));
  const told = new Map(changes.map(({ type, transfer: { id } }) => [id, type]));
  expect(['700', '701', '702', '703', '704'].map((id) => told.get(id))).toEqual([
    'single_phase',
    'two_phase_pending',
    'two_phase_posted',
    'two_phase_pending',
    'two_phase_voided',
  ]);
});

test.each([
  ['limit=8190', 'limit', 'range'],
  ['limit=x', 'limit', 'number_form'],
  ['flags=nope', 'flags', 'unknown_flag'],
  ['ledger=1', 'ledger', 'unknown_field'],
  ['cursor=abc', 'cursor', 'cursor'],
])('a history asked for with %s is refused', async (query, field, rule) => {
  for (const route of ['/v1/accounts/{id}/transfers', '/v1/accounts/{id}/balances'] as const) {
    expect(await checks.send({ method: 'GET', route, id: '5', query })).toMatchObject({
      status: 400,
      type: 'application/problem+json',
      body: { code: 'malformed_request', field, rule },
    });
  }
});

test.each([
  ['5', 'limit=0'],
  ['5', 'flags=reversed'],
  ['5', 'flags=0'],
  ['5', 'timestamp_min=2&timestamp_max=1'],
  ['5', `timestamp_min=${2n ** 63n}`],
  ['0', 'limit=1'],
  [ALL, 'limit=1'],
])('what cannot be is an empty page: account %s, %s', async (id, query) => {
  const route = '/v1/accounts/{id}/transfers';
  expect(await checks.send({ method: 'GET', route, id, query })).toMatchObject({
    status: 200,
    body: { transfers: [], next: null },
  });
});

test('who follows the changes asks again with the last cursor', async () => {
  const { body } = await create('/v1/transfers', transfer(710));
  const since = `timestamp_min=${(body as { timestamp: string }).timestamp}`;
  const idsOf = (answer: Answer): readonly string[] =>
    (answer.body as { changes: { transfer: { id: string } }[] }).changes.map(
      (one) => one.transfer.id,
    );
  const ask = (more: string): Promise<Answer> =>
    checks.send({ method: 'GET', route: '/v1/changes', query: since + more });
  const first = await ask('&limit=1');
  expect(idsOf(first)).toEqual(['710']);
  const cursor = `&cursor=${(first.body as Page).next}`;
  expect(await ask(cursor)).toMatchObject({ body: { changes: [], next: null } });
  await create('/v1/transfers', [transfer(711), transfer(712)]);
  expect(idsOf(await ask(cursor))).toEqual(['711', '712']);
});

test('a cursor of another question is refused', async () => {
  const first = { method: 'GET', route: '/v1/accounts/{id}/transfers', id: '5', query: 'limit=1' };
  const { body } = await checks.send({ ...first, method: 'GET' });
  const cursor = (body as Page).next!;
  for (const answer of [
    await checks.send({ ...first, method: 'GET', id: '6', query: `cursor=${cursor}` }),
    await create('/v1/transfers/query', { cursor }),
    await checks.send({ method: 'GET', route: '/v1/changes', query: `cursor=${cursor}` }),
  ]) {
    expect(answer).toMatchObject({ status: 400, body: { field: 'cursor', rule: 'cursor' } });
  }
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
    '/v1/accounts/query',
    '/v1/transfers/query',
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
    expect(await create(route, ' '.repeat((8 << 20) + 1))).toMatchObject({
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
  for (const flags of [['nope'], ['pending', 'pending'], 65_536]) {
    expect(await create('/v1/transfers', transfer(400, { flags }))).toMatchObject({
      status: 400,
      body: { code: 'malformed_request', field: expect.stringContaining('flags') },
    });
  }
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
