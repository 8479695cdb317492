/** Questions about the past over NATS: maps and columns, pages that fit into a message, and what is refused. */
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { Packr, Unpackr } from 'msgpackr';
import { afterEach, expect, test, type TestContext } from 'vitest';
import { startNatsServer } from '../lib/nats-server.ts';
import { FakeRouter } from '../test/support/fake-router.ts';
import { HOSTILE_FILTERS } from '../test/support/hostile-inputs.ts';
import { needNatsServer } from '../test/support/nats.ts';
import { Admission } from './admission.ts';
import { decodePage } from './columnar-codec.ts';
import { EdgeMeter } from './edge-meter.ts';
import { NatsService } from './nats-service.ts';
import { QUERY_OPERATIONS } from './wire-codec-filters.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function rig(context: TestContext): Promise<{
  readonly router: FakeRouter;
  readonly client: NatsConnection;
}> {
  needNatsServer(context);
  const server = await startNatsServer();
  cleanups.push(() => server.stop());
  const router = new FakeRouter();
  const admission = new Admission();
  const edge = { router, admission, version: '1', isReady: () => true, log: () => {} };
  const meter = new EdgeMeter('nats');
  const service = await NatsService.start({ edge, meter, url: server.url, prefix: 'sycee' });
  cleanups.push(() => service.close());
  const client = await connect({ servers: server.url });
  cleanups.push(() => client.close());
  return { router, client };
}

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

const ask = (client: NatsConnection, operation: string, body: string | Uint8Array): Promise<Msg> =>
  client.request(`sycee.v1.${operation}`, body, { timeout: 5000 });

async function fill(client: NatsConnection, n: number): Promise<void> {
  const columns = {
    n,
    id: new Uint8Array(
      new BigUint64Array(
        Array.from({ length: n * 2 }, (_, i) => (i % 2 === 0 ? 10n + BigInt(i / 2) : 2n ** 60n)),
      ).buffer,
    ),
    debit_account_id: 1,
    credit_account_id: 2,
    amount: 3,
    ledger: 1,
    code: 1,
  };
  const answer = await ask(client, 'create_transfers', packr.pack(columns));
  expect(unpackr.unpack(answer.data)).toMatchObject({ n });
}

test('one map is the filter, and the answer is a map of rows', async (context) => {
  const { client } = await rig(context);
  await ask(
    client,
    'create_accounts',
    '[{"id":1,"ledger":1,"code":1},{"id":2,"ledger":1,"code":2}]',
  );
  await fill(client, 3);
  const rows = { next: null, positions: [{ shard: 0 }] };
  const transfers = await ask(client, 'get_account_transfers', '{"account_id":1}');
  expect(transfers.json()).toMatchObject({
    ...rows,
    transfers: Array.from({ length: 3 }, () => ({ amount: '3', pending_status: 'none' })),
  });
  const balances = await ask(client, 'get_account_balances', '{"account_id":"2","limit":1}');
  expect(balances.json()).toMatchObject({ balances: [{ credits_posted: '0' }], next: '1' });
  const accounts = await ask(client, 'query_accounts', packr.pack({ code: 2 }));
  expect(unpackr.unpack(accounts.data)).toMatchObject({ ...rows, accounts: [{ code: 2 }] });
  const found = await ask(client, 'query_transfers', packr.pack({ flags: ['reversed'], limit: 1 }));
  expect(unpackr.unpack(found.data)).toMatchObject({ transfers: [{ amount: expect.anything() }] });
  const changes = await ask(client, 'get_change_events', '{}');
  expect(changes.json()).toMatchObject({
    ...rows,
    changes: Array.from({ length: 3 }, () => ({
      type: 'single_phase',
      debit_account: { id: '1' },
    })),
  });
});

test('with columns the rows come as a look-up’s do', async (context) => {
  const { client } = await rig(context);
  await fill(client, 3);
  const filters = {
    get_account_transfers: { account_id: 1 },
    get_account_balances: { account_id: 1 },
    query_accounts: {},
    query_transfers: {},
    get_change_events: {},
  };
  for (const operation of QUERY_OPERATIONS) {
    const body = packr.pack({ ...filters[operation], columns: true });
    const page = decodePage(operation, (await ask(client, operation, body)).data);
    expect([operation, page.n]).toEqual([operation, operation === 'query_accounts' ? 0 : 3]);
  }
});

test('a page is as long as a message may be, and its cursor leads on', async (context) => {
  const { client, router } = await rig(context);
  await fill(client, 8189);
  const { max_payload: bytesMax } = client.info!;
  for (const isJson of [true, false]) {
    let told = 0;
    let cursor = '';
    for (;;) {
      const filter = { limit: 8189, ...(cursor === '' ? {} : { cursor }) };
      const body = isJson ? JSON.stringify(filter) : packr.pack(filter);
      const { data } = await ask(client, 'get_change_events', body);
      expect(data.length).toBeLessThanOrEqual(bytesMax);
      const page = (isJson ? JSON.parse(new TextDecoder().decode(data)) : unpackr.unpack(data)) as {
        readonly changes: readonly unknown[];
        readonly next: string | null;
      };
      told += page.changes.length;
      if (page.next === null) break;
      cursor = page.next;
    }
    expect(told).toBe(8189);
  }
  expect(router.filters.every(({ limit }) => limit > 100 && limit < 8189)).toBe(true);
  const columns = packr.pack({ limit: 5000, columns: true });
  const page = decodePage('query_transfers', (await ask(client, 'query_transfers', columns)).data);
  expect(page.n).toBe(5000);
});

test('every hostile filter is refused, in the form of the request', async (context) => {
  const { client, router } = await rig(context);
  for (const { what, body } of HOSTILE_FILTERS) {
    const answer = await ask(client, 'query_transfers', body);
    expect([what, answer.headers?.get('Nats-Service-Error-Code')]).toEqual([what, '400']);
    const isJson = answer.data[0] === 0x7b;
    const problem: unknown = isJson ? answer.json() : unpackr.unpack(answer.data);
    expect([what, problem]).toMatchObject([what, { code: 'malformed_request' }]);
  }
  const missing = await ask(client, 'get_account_transfers', '{}');
  expect(missing.json()).toMatchObject({ field: 'account_id', rule: 'missing_field' });
  expect(router.filters).toEqual([]);
});

test('an invalid filter is an empty page, in rows and in columns', async (context) => {
  const { client, router } = await rig(context);
  const rows = await ask(client, 'get_account_transfers', '{"account_id":0}');
  expect(rows.json()).toEqual({ transfers: [], next: null, positions: [] });
  const filter = packr.pack({ timestamp_min: 2, timestamp_max: 1, columns: true });
  const columns = await ask(client, 'get_change_events', filter);
  expect(decodePage('get_change_events', columns.data)).toMatchObject({ n: 0, next: null });
  expect(router.filters).toEqual([]);
});

test('discovery lists every operation, and counts each for itself', async (context) => {
  const { client } = await rig(context);
  await ask(client, 'query_accounts', '{}');
  const answer = (await client.request('$SRV.STATS', '', { timeout: 2000 })).json<{
    readonly endpoints: readonly { readonly name: string; readonly num_requests: number }[];
  }>();
  const names = answer.endpoints.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([...QUERY_OPERATIONS]));
  expect(answer.endpoints.find(({ name }) => name === 'query_accounts')).toMatchObject({
    num_requests: 1,
    num_errors: 0,
  });
});
