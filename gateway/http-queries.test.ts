/** Questions about the past over HTTP: URLs and bodies to filters, pages to answers, each held against the document of the server itself. */
import { Packr, Unpackr } from 'msgpackr';
import { afterEach, expect, test } from 'vitest';
import { FakeRouter } from '../test/support/fake-router.ts';
import { HOSTILE_FILTERS, HOSTILE_QUERIES } from '../test/support/hostile-inputs.ts';
import { type Answer, OpenapiChecks, type Request } from '../test/support/openapi-checks.ts';
import { Admission } from './admission.ts';
import { EdgeMeter } from './edge-meter.ts';
import { type HttpServer, startHttp } from './http-server.ts';
import { Metrics } from './metrics.ts';

const servers: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

interface Rig {
  readonly router: FakeRouter;
  readonly admission: Admission;
  readonly url: string;
  readonly send: (request: Request) => Promise<Answer>;
}

async function rig(): Promise<Rig> {
  const router = new FakeRouter();
  const admission = new Admission();
  const meter = new EdgeMeter('http');
  const metrics = new Metrics({ version: '1', shards: () => [], meters: [meter], admission });
  const edge = { router, admission, version: '1', isReady: () => true, log: () => {} };
  const server = await startHttp({ edge, meter, metrics }, { host: '127.0.0.1', port: 0 });
  servers.push(server);
  const checks = await OpenapiChecks.of(server.url);
  const send = (request: Request): Promise<Answer> => checks.send(request);
  await send({ method: 'POST', route: '/v1/accounts', body: ACCOUNTS });
  await send({ method: 'POST', route: '/v1/transfers', body: TRANSFERS });
  return { router, admission, url: server.url, send };
}

const ACCOUNTS = [1, 2, 3].map((id) => ({ id, ledger: 1, code: id, user_data_64: '7' }));
const transfer = (id: number, from: number, to: number, more: object = {}): object => ({
  id,
  debit_account_id: from,
  credit_account_id: to,
  amount: id,
  ledger: 1,
  code: 1,
  ...more,
});
const TRANSFERS = [
  transfer(10, 1, 2),
  transfer(11, 2, 1, { code: 5 }),
  transfer(12, 1, 3, { flags: ['pending'], timeout: 9 }),
  transfer(13, 1, 2, { user_data_128: '99' }),
];
const OF_ACCOUNT = { method: 'GET', route: '/v1/accounts/{id}/transfers', id: '1' } as const;
const idsOf = ({ body }: Answer): string[] =>
  (body as { transfers: { id: string }[] }).transfers.map(({ id }) => id);

test('the transfers of an account are told, with what became of them and when', async () => {
  const { send, router } = await rig();
  const all = await send(OF_ACCOUNT);
  expect(all).toMatchObject({
    status: 200,
    body: {
      transfers: [
        { id: '10', pending_status: 'none' },
        { id: '11' },
        {
          id: '12',
          pending_status: 'pending',
          effect_timestamp: expect.stringMatching(/^[0-9]+$/),
        },
        { id: '13' },
      ],
      next: null,
      positions: [{ shard: 0 }],
    },
  });
  expect(idsOf(await send({ ...OF_ACCOUNT, query: 'flags=credits' }))).toEqual(['11']);
  expect(idsOf(await send({ ...OF_ACCOUNT, query: 'flags=debits,reversed' }))).toEqual([
    '13',
    '12',
    '10',
  ]);
  expect(idsOf(await send({ ...OF_ACCOUNT, query: 'flags=5&code=1&user_data_128=99' }))).toEqual([
    '13',
  ]);
  expect(router.filters.at(-1)).toMatchObject({ accountId: 1n, code: 1, userData128: 99n });
});

test('pages follow each other by their cursors', async () => {
  const { send } = await rig();
  const told: string[] = [];
  let query = 'limit=3';
  for (;;) {
    const page = await send({ ...OF_ACCOUNT, query });
    told.push(...idsOf(page));
    const { next } = page.body as { next: string | null };
    if (next === null) break;
    query = `limit=3&cursor=${encodeURIComponent(next)}`;
  }
  expect(told).toEqual(['10', '11', '12', '13']);
  expect(await send({ ...OF_ACCOUNT, query: 'cursor=nonsense' })).toMatchObject({
    status: 400,
    body: { code: 'malformed_request', field: 'cursor' },
  });
});

test('the balances of an account are told', async () => {
  const { send } = await rig();
  const route = '/v1/accounts/{id}/balances';
  const answer = await send({ method: 'GET', route, id: '2', query: 'limit=1' });
  expect(answer).toMatchObject({
    status: 200,
    body: { balances: [{ debits_pending: '0', credits_posted: '0' }], next: '1' },
  });
});

test('accounts and transfers are found by their fields', async () => {
  const { send, router } = await rig();
  const accounts = { method: 'POST', route: '/v1/accounts/query' } as const;
  expect(await send({ ...accounts, body: { code: 2, user_data_64: 7 } })).toMatchObject({
    body: { accounts: [{ id: '2' }], next: null },
  });
  expect(await send({ ...accounts, body: {} })).toMatchObject({
    body: { accounts: [{ id: '1' }, { id: '2' }, { id: '3' }] },
  });
  const transfers = { method: 'POST', route: '/v1/transfers/query' } as const;
  const reversed = await send({ ...transfers, body: { flags: ['reversed'], limit: 2 } });
  expect(idsOf(reversed)).toEqual(['13', '12']);
  expect(router.filters.at(-1)).toMatchObject({ reversed: true, limit: 2, ledger: 0 });
});

test('changes are told with both accounts', async () => {
  const { send } = await rig();
  const changes = { method: 'GET', route: '/v1/changes' } as const;
  expect(await send({ ...changes, query: 'limit=3' })).toMatchObject({
    body: {
      changes: [
        {
          type: 'single_phase',
          transfer: { id: '10', amount: '10' },
          debit_account: { id: '1', code: 1 },
          credit_account: { id: '2', code: 2 },
        },
        { type: 'single_phase' },
        { type: 'two_phase_pending', transfer: { flags: ['pending'] } },
      ],
      next: '3',
    },
  });
  expect(await send({ ...changes, query: 'timestamp_min=1800000000000000000' })).toMatchObject({
    body: { changes: [], next: null },
  });
});

test('an invalid filter is answered with an empty page, and nobody is asked', async () => {
  const { send, router } = await rig();
  for (const query of ['flags=0', 'flags=reversed', 'limit=0', 'timestamp_min=2&timestamp_max=1']) {
    const answer = await send({ ...OF_ACCOUNT, query });
    expect(answer).toMatchObject({
      status: 200,
      body: { transfers: [], next: null, positions: [] },
    });
  }
  for (const id of ['0', String(2n ** 128n - 1n)]) {
    expect(await send({ ...OF_ACCOUNT, id })).toMatchObject({ body: { transfers: [] } });
  }
  const body = { timestamp_min: 9, timestamp_max: 8 };
  expect(await send({ method: 'POST', route: '/v1/accounts/query', body })).toMatchObject({
    body: { accounts: [], next: null },
  });
  expect(router.filters).toEqual([]);
});

test('every hostile filter is refused, whether it is a body or stands in the URL', async () => {
  const { url, send, router, admission } = await rig();
  for (const { what, body, type } of HOSTILE_FILTERS) {
    for (const path of ['/v1/transfers/query', '/v1/accounts/query']) {
      const answer = await fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': type },
        body: body as string,
      });
      expect([what, answer.status, await answer.json()]).toMatchObject([
        what,
        400,
        { code: 'malformed_request' },
      ]);
    }
  }
  for (const query of HOSTILE_QUERIES) {
    const answer = await send({ ...OF_ACCOUNT, query });
    expect([query, answer]).toMatchObject([
      query,
      { status: 400, body: { code: 'malformed_request' } },
    ]);
  }
  for (const id of ['x', '-1', '1.5', String(2n ** 128n)]) {
    expect(await send({ ...OF_ACCOUNT, id })).toMatchObject({ status: 400 });
  }
  const changes = { method: 'GET', route: '/v1/changes', query: 'flags=reversed' } as const;
  expect(await send(changes)).toMatchObject({ body: { field: 'flags', rule: 'unknown_field' } });
  expect(router.filters).toEqual([]);
  expect([admission.requests, admission.bytes]).toEqual([0, 0]);
});

test('a filter in msgpack is answered in msgpack, in columns when it asks for them', async () => {
  const { url } = await rig();
  const ask = async (filter: object): Promise<unknown> => {
    const answer = await fetch(`${url}/v1/transfers/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/msgpack' },
      body: new Packr({ useRecords: false }).pack(filter),
    });
    expect(answer.headers.get('content-type')).toBe('application/msgpack');
    return new Unpackr({ useRecords: false }).unpack(new Uint8Array(await answer.arrayBuffer()));
  };
  expect(await ask({ code: 5 })).toMatchObject({
    transfers: [{ code: 5, pending_status: 'none' }],
    next: null,
  });
  expect(await ask({ columns: true, limit: 2 })).toMatchObject({
    n: 2,
    pending_status: Uint8Array.of(0, 0),
    next: '2',
  });
});

test('the deadline reaches the router, and each operation is counted', async () => {
  const { send, router, url } = await rig();
  const before = Date.now();
  await send({ ...OF_ACCOUNT, headers: { 'sycee-deadline-ms': '2500' } });
  expect(router.deadlines.at(-1)).toBeGreaterThanOrEqual(before + 2500);
  const text = await (await fetch(`${url}/metrics`)).text();
  expect(text).toContain(
    'sycee_edge_requests_total{edge="http",operation="get_account_transfers"} 1',
  );
  expect(text).toContain('sycee_edge_requests_total{edge="http",operation="get_change_events"} 0');
});
