/** Both remote clients against the real edges, in front of a router that only remembers. */
import { afterEach, expect, test } from 'vitest';
import { BatchKind } from '../engine/batch.ts';
import { TransferStatus } from '../engine/status.ts';
import { Admission } from '../gateway/admission.ts';
import { EdgeMeter } from '../gateway/edge-meter.ts';
import { startHttp } from '../gateway/http-server.ts';
import { Metrics } from '../gateway/metrics.ts';
import { NatsService } from '../gateway/nats-service.ts';
import { type NatsServer, startNatsServer } from '../lib/nats-server.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { FakeRouter } from '../test/support/fake-router.ts';
import { needNatsServer } from '../test/support/nats.ts';
import { type Client, type TransferInput, TransportClient } from './client.ts';
import { connectHttp } from './http-client.ts';
import { id } from './id.ts';
import { connect } from './nats-client.ts';
import { RouterTransport } from './router-transport.ts';
import { batchOfIds, batchOfObjects, objectsOfRows } from './rows.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const edgeOf = (router: FakeRouter) => ({
  router,
  admission: new Admission(),
  version: '1.2.3',
  isReady: () => true,
  log: () => {},
});

async function overHttp(router: FakeRouter): Promise<Client> {
  const edge = edgeOf(router);
  const meter = new EdgeMeter('http');
  const { admission } = edge;
  const metrics = new Metrics({ version: '1.2.3', shards: () => [], meters: [meter], admission });
  const server = await startHttp({ edge, meter, metrics }, { host: '127.0.0.1', port: 0 });
  cleanups.push(() => server.close());
  const client = connectHttp(server.url);
  cleanups.push(() => client.close());
  return client;
}

async function overNats(router: FakeRouter): Promise<{ client: Client; server: NatsServer }> {
  const server = await startNatsServer();
  cleanups.push(() => server.stop());
  const meter = new EdgeMeter('nats');
  const service = await NatsService.start({
    edge: edgeOf(router),
    meter,
    url: server.url,
    prefix: 'sycee',
  });
  cleanups.push(() => service.close());
  const client = await connect({ servers: server.url });
  cleanups.push(() => client.close());
  return { client, server };
}

const transfers: readonly TransferInput[] = [
  { id: id(), debitAccountId: 1n, creditAccountId: 2n, amount: 5n, ledger: 1, code: 1 },
  {
    id: id(),
    debitAccountId: 2n ** 127n,
    creditAccountId: 2n,
    amount: 2n ** 100n,
    ledger: 1,
    code: 65_535,
    userData128: 7n,
    userData64: 2n ** 64n - 1n,
    userData32: 9,
  },
];

/** Objects and columns both ways. Constant columns of every width are among them. */
async function roundTrip(client: Client, router: FakeRouter): Promise<void> {
  const made = await client.createTransfers(transfers);
  expect(made.results.map((one) => one.status)).toEqual(['created', 'created']);
  expect(made.results[0]!.timestamp).toBe(made.positions[0]!.timestamp);
  const ids = transfers.map((one) => one.id);
  const found = await client.lookupTransfers([...ids, 1n]);
  expect(found.transfers).toMatchObject(transfers);
  expect(found.transfers).toHaveLength(2);

  const alike = transfers.map((one, i) => ({
    ...transfers[1]!,
    id: one.id + 1n + BigInt(i),
    userData128: 2n ** 90n,
  }));
  const batch = batchOfObjects(BatchKind.transfers, alike);
  router.outcome = TransferStatus.exceeds_debits;
  const reply = await client.createTransfers(batch);
  router.outcome = 0;
  expect([...reply.statuses]).toEqual([55, 55]);
  const rows = await client.lookupTransfers(batchOfIds(alike.map((one) => one.id)));
  expect(objectsOfRows(BatchKind.transfers, rows.rows, rows.n)).toMatchObject(alike);

  const accounts = [{ id: id(), ledger: 1, code: 2, flags: 4 }];
  await client.createAccounts(accounts);
  expect((await client.lookupAccounts([accounts[0]!.id])).accounts).toMatchObject(accounts);
  expect((await client.lookupAccounts([0n])).accounts).toEqual([]);
}

test('objects and columns go through the HTTP edge and come back', async () => {
  const router = new FakeRouter();
  await roundTrip(await overHttp(router), router);
  expect(router.batches).toHaveLength(7);
});

test('objects and columns go through the NATS edge and come back', async (context) => {
  needNatsServer(context);
  const router = new FakeRouter();
  const { client } = await overNats(router);
  await roundTrip(client, router);
  expect(router.batches).toHaveLength(7);
});

test('a full look-up is answered over NATS, though one message has no room for it', async (context) => {
  needNatsServer(context);
  const { client } = await overNats(new FakeRouter());
  const many = Array.from({ length: 8189 }, (_, i) => ({ ...transfers[1]!, id: BigInt(i + 1) }));
  const ids = many.map((one) => one.id);
  await client.createTransfers(batchOfObjects(BatchKind.transfers, many));
  const found = await client.lookupTransfers(ids);
  expect(found.transfers.map((one) => one.id)).toEqual(ids);
});

async function refusals(client: Client, router: FakeRouter): Promise<void> {
  router.rejection = new SyceeError('overloaded', 'the shard has enough to do');
  const call = client.createTransfers(transfers, { deadlineMs: 800 });
  await expect(call).rejects.toMatchObject({ code: 'overloaded', retryable: true });
  expect(router.batches.length).toBeGreaterThan(1);
  expect(router.deadlines.every((one) => one > 0 && one <= Date.now() + 800)).toBe(true);
  router.rejection = undefined;
  // What never answers is unknown when the deadline has passed.
  const { promise, resolve } = Promise.withResolvers<void>();
  router.gate = promise;
  const silent = client.createTransfers(transfers, { deadlineMs: 200 });
  await expect(silent).rejects.toMatchObject({ code: 'unknown', retryable: true });
  resolve();
}

test('a refusal of the HTTP edge is retried, and silence is unknown', async () => {
  const router = new FakeRouter();
  await refusals(await overHttp(router), router);
  expect(router.rejection).toBeUndefined();
});

test('a refusal of the NATS edge is retried, and silence is unknown', async (context) => {
  needNatsServer(context);
  const router = new FakeRouter();
  const { client } = await overNats(router);
  await refusals(client, router);
  expect(router.rejection).toBeUndefined();
});

test('a call outlives its NATS server: it is sent again to the next one', async (context) => {
  needNatsServer(context);
  const router = new FakeRouter();
  const { client, server } = await overNats(router);
  await client.createTransfers(transfers);
  await server.kill();
  const call = client.createTransfers(transfers, { deadlineMs: 15_000 });
  const next = await startNatsServer({ port: server.port });
  cleanups.push(() => next.stop());
  expect((await call).results).toHaveLength(2);
});

test('where nobody serves, a call ends as not ready', async (context) => {
  needNatsServer(context);
  const server = await startNatsServer();
  cleanups.push(() => server.stop());
  const client = await connect({ servers: server.url });
  cleanups.push(() => client.close());
  const call = client.createTransfers(transfers, { deadlineMs: 300 });
  await expect(call).rejects.toMatchObject({ code: 'not_ready', retryable: true });
});

test('where no NATS server is, connecting is refused', async () => {
  await expect(connect({ servers: 'nats://127.0.0.1:1' })).rejects.toMatchObject({
    code: 'not_ready',
  });
});

const parties = [1n, 2n].map((one) => ({ id: one, ledger: 1, code: Number(one), flags: 8 }));
const history: readonly TransferInput[] = Array.from({ length: 5 }, (_, i) => ({
  id: 10n + BigInt(i),
  debitAccountId: i === 3 ? 2n : 1n,
  creditAccountId: i === 3 ? 1n : 2n,
  amount: 2n ** 100n + BigInt(i),
  ledger: 1,
  code: 7,
  flags: i === 4 ? 2 : 0,
  userData128: BigInt(i) << 100n,
}));

/** Every question about the past, as objects. */
async function readPast(client: Client, router: FakeRouter): Promise<void> {
  await client.createAccounts(parties);
  await client.createTransfers(history);
  const ofOne = await client.getAccountTransfers({ accountId: 1n, credits: true });
  expect(ofOne).toMatchObject({ transfers: [{ id: 13n, pendingStatus: 'none' }], next: null });
  const all = await client.getAccountTransfers({ accountId: 2n, reversed: true, limit: 2 });
  expect(all.transfers).toMatchObject([{ id: 14n, pendingStatus: 'pending' }, { id: 13n }]);
  expect(all.transfers[0]!.effectTimestamp).toBe(all.transfers[0]!.timestamp + 1n);
  const older = await client.getAccountTransfers({
    accountId: 2n,
    reversed: true,
    cursor: all.next,
  });
  expect(older.transfers.map((one) => one.id)).toEqual([12n, 11n, 10n]);
  expect(older.positions).toMatchObject([{ shard: 0 }]);

  const { balances } = await client.getAccountBalances({ accountId: 1n, limit: 1 });
  const none = { debitsPending: 0n, debitsPosted: 0n, creditsPending: 0n, creditsPosted: 0n };
  expect(balances).toMatchObject([none]);
  const { accounts } = await client.queryAccounts({ code: 2, ledger: 1 });
  expect(accounts).toMatchObject([parties[1]!]);
  const { transfers: found } = await client.queryTransfers({ userData128: 3n << 100n });
  expect(found).toMatchObject([{ ...history[3]!, pendingStatus: 'none' }]);

  const told: bigint[] = [];
  for await (const change of client.changeEvents({ limit: 2 })) {
    told.push(change.transfer.id);
    expect(change.type).toBe(change.transfer.id === 14n ? 'two_phase_pending' : 'single_phase');
    expect([change.debitAccount.ledger, change.creditAccount.ledger]).toEqual([1, 1]);
  }
  expect(told).toEqual(history.map((one) => one.id));

  const asked = router.filters.length;
  expect(await client.getAccountTransfers({ accountId: 0n })).toEqual({
    transfers: [],
    next: null,
    positions: [],
  });
  expect(router.filters).toHaveLength(asked);
  await expect(client.queryAccounts({ limit: 9000 })).rejects.toMatchObject({ field: 'limit' });
  const wrong = client.queryAccounts({ cursor: 'nonsense' });
  await expect(wrong).rejects.toMatchObject({ code: 'malformed_request', field: 'cursor' });
}

test('the past is read over the HTTP edge', async () => {
  const router = new FakeRouter();
  await readPast(await overHttp(router), router);
  expect(router.filters).not.toEqual([]);
});

test('the past is read over the NATS edge', async (context) => {
  needNatsServer(context);
  const router = new FakeRouter();
  const { client } = await overNats(router);
  await readPast(client, router);
  expect(router.filters).not.toEqual([]);
});

test('the past is read from a router in this process', async () => {
  const router = new FakeRouter();
  const transport = new RouterTransport(router, () => Promise.resolve());
  await using client = new TransportClient(transport);
  await readPast(client, router);
  expect(router.filters).not.toEqual([]);
});

test('who follows the changes hears of a transfer that is made later', async () => {
  const router = new FakeRouter();
  const client = await overHttp(router);
  const changes = client.changeEvents({}, { follow: true, waitMsMax: 20 });
  const first = changes.next();
  await client.createTransfers(history.slice(0, 1));
  expect((await first).value).toMatchObject({ transfer: { id: 10n } });
  const second = changes.next();
  await client.createTransfers(history.slice(1, 2));
  expect((await second).value).toMatchObject({ transfer: { id: 11n } });
  const last = changes.next();
  await client.close();
  await expect(last).rejects.toMatchObject({ code: expect.any(String) as string });
});
