import {
  connect,
  headers as newHeaders,
  type Msg,
  type NatsConnection,
} from '@nats-io/transport-node';
import { Packr, Unpackr } from 'msgpackr';
import { afterEach, expect, test, type TestContext } from 'vitest';
import { type NatsServer, startNatsServer } from '../lib/nats-server.ts';
import { ERROR_CODES, ERROR_HTTP_STATUS, SyceeError } from '../lib/sycee-error.ts';
import { FakeRouter } from '../test/support/fake-router.ts';
import { TRANSFER } from '../test/support/http-edge.ts';
import { needNatsServer } from '../test/support/nats.ts';
import { Admission, type AdmissionLimits } from './admission.ts';
import { EdgeMeter } from './edge-meter.ts';
import { NatsService } from './nats-service.ts';

interface Rig {
  readonly router: FakeRouter;
  readonly meter: EdgeMeter;
  readonly server: NatsServer;
  readonly service: NatsService;
  readonly client: NatsConnection;
  readonly lines: string[];
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function rig(
  context: TestContext,
  limits: AdmissionLimits = {},
  prefix = 'sycee',
): Promise<Rig> {
  needNatsServer(context);
  const server = await startNatsServer();
  cleanups.push(() => server.stop());
  const router = new FakeRouter();
  const meter = new EdgeMeter('nats');
  const lines: string[] = [];
  const edge = {
    router,
    admission: new Admission(limits),
    version: '1.2.3',
    isReady: () => true,
    log: (line: string) => lines.push(line),
  };
  const service = await NatsService.start({ edge, meter, url: server.url, prefix });
  cleanups.push(() => service.close());
  const client = await connect({ servers: server.url, reconnectTimeWait: 50 });
  cleanups.push(() => client.close());
  return { router, meter, server, service, client, lines };
}

const ACCOUNT = { id: 1, ledger: 1, code: 1 };
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });
const TIMEOUT = { timeout: 2000 };

const ask = (client: NatsConnection, operation: string, body: unknown): Promise<Msg> =>
  client.request(`sycee.v1.${operation}`, JSON.stringify(body), TIMEOUT);

test('accounts and transfers are created and found over NATS, in JSON', async (context) => {
  const { client } = await rig(context);
  const accounts = await ask(client, 'create_accounts', [ACCOUNT, { ...ACCOUNT, id: 2 }]);
  expect(accounts.json()).toMatchObject({
    results: [{ status: 'created' }, { status: 'created' }],
  });
  const transfer = await ask(client, 'create_transfers', TRANSFER);
  expect(transfer.json()).toMatchObject({ status: 'created', positions: [{ shard: 0 }] });
  const found = await ask(client, 'lookup_accounts', { ids: [2, 5, 1] });
  expect(found.json()).toMatchObject({ accounts: [{ id: '2' }, { id: '1' }] });
  const transfers = await ask(client, 'lookup_transfers', { ids: [9] });
  expect(transfers.json()).toMatchObject({ transfers: [{ id: '9', amount: '5' }] });
});

test('msgpack is answered in msgpack, also on the subject of a shard', async (context) => {
  const { client } = await rig(context);
  for (const subject of ['sycee.v1.create_transfers', 'sycee.v1.shard.0.create_transfers']) {
    const answer = await client.request(subject, packr.pack(TRANSFER), TIMEOUT);
    expect(unpackr.unpack(answer.data)).toMatchObject({ status: 'created' });
  }
});

test('a shard that there is not is refused, whatever it is called', async (context) => {
  const { client, router } = await rig(context);
  for (const shard of ['7', 'x', '00', '-1']) {
    const subject = `sycee.v1.shard.${shard}.create_transfers`;
    const answer = await client.request(subject, JSON.stringify(TRANSFER), TIMEOUT);
    expect(answer.headers?.get('Nats-Service-Error-Code')).toBe('400');
    expect(answer.json()).toMatchObject({ code: 'malformed_request', field: 'shard' });
  }
  expect(router.batches).toEqual([]);
});

test('another prefix moves the subjects', async (context) => {
  const { client } = await rig(context, {}, 'pay.eu');
  const answer = await client.request(
    'pay.eu.v1.create_accounts',
    JSON.stringify(ACCOUNT),
    TIMEOUT,
  );
  expect(answer.json()).toMatchObject({ status: 'created' });
  await expect(ask(client, 'create_accounts', ACCOUNT)).rejects.toThrow('no responders');
});

test('problems have headers and a body in the form of the request', async (context) => {
  const { client, router } = await rig(context);
  const malformed = await client.request('sycee.v1.create_transfers', '{', TIMEOUT);
  expect(malformed.headers?.get('Nats-Service-Error-Code')).toBe('400');
  expect(malformed.headers?.get('Nats-Service-Error')).toMatch(/^malformed_request: /);
  expect(malformed.json()).toMatchObject({ code: 'malformed_request', status: 400 });
  const packed = await client.request(
    'sycee.v1.create_transfers',
    packr.pack({ id: 1.5 }),
    TIMEOUT,
  );
  expect(unpackr.unpack(packed.data)).toMatchObject({ code: 'malformed_request' });
  const empty = await client.request('sycee.v1.create_transfers', '', TIMEOUT);
  expect(empty.json()).toMatchObject({ code: 'malformed_request' });
  for (const code of ERROR_CODES) {
    router.rejection = new SyceeError(code, 'two\r\nlines');
    const answer = await ask(client, 'create_transfers', TRANSFER);
    expect(answer.headers?.get('Nats-Service-Error-Code')).toBe(String(ERROR_HTTP_STATUS[code]));
    expect(answer.headers?.get('Nats-Service-Error')).toBe(`${code}: two lines`);
    expect(answer.json()).toMatchObject({ code });
  }
});

test('a refusal that comes late is in the encoding of its request, though others have come since', async (context) => {
  const { client, router } = await rig(context);
  let open = (): void => undefined;
  router.gate = new Promise((resolve) => {
    open = resolve;
  });
  router.rejection = new SyceeError('overloaded', 'late');
  const late = client.request('sycee.v1.create_transfers', packr.pack(TRANSFER), TIMEOUT);
  for (let i = 0; i < 5; i++) await ask(client, 'status', { padding: '{'.repeat(300) });
  open();
  expect(unpackr.unpack((await late).data)).toMatchObject({ code: 'overloaded' });
});

test('the deadline header reaches the router, and a wrong one is refused', async (context) => {
  const { client, router } = await rig(context);
  const send = (name: string, value: string): Promise<Msg> => {
    const headers = newHeaders();
    headers.set(name, value);
    return client.request('sycee.v1.create_transfers', JSON.stringify(TRANSFER), {
      ...TIMEOUT,
      headers,
    });
  };
  const before = Date.now();
  await send('Sycee-Deadline-Ms', '1500');
  await send('sycee-deadline-ms', '1500');
  expect(router.deadlines).toHaveLength(2);
  for (const deadline of router.deadlines) expect(deadline).toBeGreaterThanOrEqual(before + 1500);
  expect((await send('Sycee-Deadline-Ms', 'soon')).json()).toMatchObject({
    code: 'malformed_request',
  });
});

test('a full bound answers overloaded at once', async (context) => {
  const { client, router } = await rig(context, { requestsMax: 1 });
  const gate = Promise.withResolvers<void>();
  router.gate = gate.promise;
  const first = ask(client, 'create_transfers', TRANSFER);
  const second = await ask(client, 'create_transfers', TRANSFER);
  expect(second.headers?.get('Nats-Service-Error-Code')).toBe('429');
  gate.resolve();
  expect((await first).json()).toMatchObject({ status: 'created' });
});

test('what cannot be answered safely is not carried out', async (context) => {
  const { client, router, meter } = await rig(context);
  const body = JSON.stringify(TRANSFER);
  client.publish('sycee.v1.create_transfers', body);
  for (const reply of [
    '$SYS.REQ.SERVER.PING',
    '$JS.API.INFO',
    'sycee.v1.create_transfers',
    'sycee.x',
  ]) {
    client.publish('sycee.v1.create_transfers', body, { reply });
  }
  await ask(client, 'lookup_transfers', { ids: [9] });
  expect(router.batches).toHaveLength(1);
  expect(meter.ignored).toBe(5);
});

test('a create whose answer could not be sent is refused before it happens', async (context) => {
  const { client, router } = await rig(context);
  const { max_payload: bytesMax } = client.info!;
  expect(bytesMax).toBe(1 << 20);
  const accounts = Array.from({ length: 8189 }, (_, i) => ({ id: i + 1, ledger: 1, code: 1 }));
  expect((await ask(client, 'create_accounts', accounts)).json()).toHaveProperty('results');
  const found = await ask(client, 'lookup_accounts', { ids: accounts.map(({ id }) => id) });
  expect(found.json()).toMatchObject({ code: 'too_large' });
  expect(router.batches).toHaveLength(2);
});

test('the status of the server is served', async (context) => {
  const { client } = await rig(context);
  const status = await client.request('sycee.v1.status', '', TIMEOUT);
  expect(status.json()).toMatchObject({
    version: '1.2.3',
    statuses: { create_accounts: { exists: 21 } },
  });
  const packed = await client.request('sycee.v1.status', packr.pack({}), TIMEOUT);
  expect(unpackr.unpack(packed.data)).toMatchObject({ version: '1.2.3' });
});

test('service discovery answers as ADR-32 says', async (context) => {
  const { client, service } = await rig(context);
  await ask(client, 'create_transfers', TRANSFER);
  await client.request('sycee.v1.create_transfers', '{', TIMEOUT);
  for (const suffix of ['', '.sycee', `.sycee.${service.id}`]) {
    const ping = await client.request(`$SRV.PING${suffix}`, '', TIMEOUT);
    expect(ping.json()).toEqual({
      type: 'io.nats.micro.v1.ping_response',
      name: 'sycee',
      id: service.id,
      version: '1.2.3',
      metadata: {},
    });
  }
  const details = await client.request('$SRV.INFO.sycee', '', TIMEOUT);
  expect(details.json()).toMatchObject({
    type: 'io.nats.micro.v1.info_response',
    endpoints: expect.arrayContaining([
      {
        name: 'create_transfers',
        subject: 'sycee.v1.create_transfers',
        queue_group: 'sycee',
        metadata: {},
      },
    ]) as unknown,
  });
  const stats = (await client.request('$SRV.STATS', '', TIMEOUT)).json<{
    readonly type: string;
    readonly endpoints: readonly { readonly name: string }[];
  }>();
  expect(stats.type).toBe('io.nats.micro.v1.stats_response');
  expect(stats.endpoints.find(({ name }) => name === 'create_transfers')).toMatchObject({
    num_requests: 2,
    num_errors: 1,
    last_error: expect.stringContaining('malformed_request') as string,
  });
  expect(stats.endpoints.find(({ name }) => name === 'create_accounts')).toMatchObject({
    last_error: '',
  });
});

test('closing answers what was taken', async (context) => {
  const { client, router, service } = await rig(context);
  const gate = Promise.withResolvers<void>();
  router.gate = gate.promise;
  const taken = ask(client, 'create_transfers', TRANSFER);
  while (router.batches.length === 0) await client.flush();
  const closed = service.close();
  gate.resolve();
  expect((await taken).json()).toMatchObject({ status: 'created' });
  await closed;
  await expect(ask(client, 'create_transfers', TRANSFER)).rejects.toThrow('no responders');
});

test('a NATS server that was killed and comes back is found again', async (context) => {
  const { server, client } = await rig(context);
  await server.kill();
  const again = await startNatsServer({ port: server.port });
  cleanups.push(() => again.stop());
  const giveUp = Date.now() + 10_000;
  let answer: Msg | undefined;
  while (answer === undefined && Date.now() < giveUp) {
    answer = await client
      .request('sycee.v1.create_transfers', JSON.stringify(TRANSFER), { timeout: 200 })
      .catch(() => undefined);
  }
  expect(answer?.json()).toMatchObject({ status: 'created' });
});

test('a NATS server that is not there is a sentence', async () => {
  const edge = {
    router: new FakeRouter(),
    admission: new Admission(),
    version: '1',
    isReady: () => true,
    log: () => {},
  };
  const meter = new EdgeMeter('nats');
  const start = NatsService.start({
    edge,
    meter,
    url: 'nats://user:secret@127.0.0.1:1',
    prefix: 'sycee',
  });
  await expect(start).rejects.toThrow(
    /^no NATS server answers at 127.0.0.1:1 .*--nats auto or --nats off/,
  );
  await expect(start).rejects.not.toThrow('secret');
});
