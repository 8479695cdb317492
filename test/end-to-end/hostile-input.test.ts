/**
 * Bad input at both edges of a real process: each gets its typed refusal, nothing crashes or hangs, no prototype is touched, and the ledger
 * is afterwards as it was and serves.
 */
import { connect as connectSocket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node';
import { Unpackr } from 'msgpackr';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { connectHttp } from '../../client/http-client.ts';
import { findNatsServer, startNatsServer } from '../../lib/nats-server.ts';
import { startProcess, type ServeProcess } from '../support/cluster.ts';
import { HOSTILE_FILTERS, HOSTILE_INPUTS, HOSTILE_QUERIES } from '../support/hostile-inputs.ts';
import { needNatsServer } from '../support/nats.ts';

const ANSWER_MS_MAX = 1500;
const MEMORY_GROWTH_BYTES_MAX = 256 << 20;
const stack = new AsyncDisposableStack();
const unpackr = new Unpackr({ useRecords: false });
let served: ServeProcess;
let nats: NatsConnection;
let lastTransfer = 0n;

beforeAll(async () => {
  const server = findNatsServer() === undefined ? undefined : await startNatsServer();
  if (server !== undefined) stack.defer(() => server.stop());
  served = stack.use(
    await startProcess({ shards: 2, ...(server === undefined ? {} : { nats: server }) }),
  );
  if (server !== undefined) {
    nats = await connectNats({ servers: server.url });
    stack.defer(() => nats.close());
  }
  await using client = connectHttp(served.url);
  await client.createAccounts([1n, 2n, 3n].map((id) => ({ id, ledger: 1, code: 1 })));
});
afterAll(() => stack.disposeAsync());

// Whatever came before, the same process takes a transfer, and its balances are those of the sound transfers alone.
afterEach(expectToServe);

async function expectToServe(): Promise<void> {
  expect([served.child.hasExited, served.stderr]).toEqual([false, expect.any(String)]);
  await using client = connectHttp(served.url);
  const id = ++lastTransfer;
  const { results } = await client.createTransfers([
    { id, debitAccountId: 1n, creditAccountId: 2n, amount: 1n, ledger: 1, code: 1 },
  ]);
  expect(results).toMatchObject([{ status: 'created' }]);
  const { accounts } = await client.lookupAccounts([1n, 2n, 50n]);
  expect(accounts).toMatchObject([{ debitsPosted: lastTransfer }, { creditsPosted: lastTransfer }]);
  expect(({} as { x?: unknown }).x).toBeUndefined();
  // A stack in its log is a fault that the process did not foresee.
  expect(served.stderr).not.toMatch(/unexpected|\bat .*\.ts:\d/);
}

interface Refusal {
  readonly status: number;
  readonly problem: { readonly code: string; readonly status: number };
  readonly ms: number;
}

async function post(
  route: string,
  body: string | Uint8Array,
  headers: Record<string, string>,
): Promise<Refusal> {
  const began = performance.now();
  const answer = await fetch(`${served.url}${route}`, {
    method: 'POST',
    headers,
    body: body as string,
  });
  const text = await answer.text();
  expect([answer.headers.get('content-type'), text]).toEqual([
    expect.stringContaining('application/problem+json'),
    expect.any(String),
  ]);
  expect(text).not.toMatch(/\bat .*\.(?:ts|js):\d/);
  return {
    status: answer.status,
    problem: JSON.parse(text) as Refusal['problem'],
    ms: performance.now() - began,
  };
}

const statusOf = { malformed_request: 400, too_large: 413, unsupported_media_type: 415 } as const;

test('every hostile body is refused by HTTP with its problem', async () => {
  for (const { what, body, type, code = 'malformed_request' } of HOSTILE_INPUTS) {
    for (const route of ['/v1/transfers', '/v1/accounts']) {
      const { status, problem, ms } = await post(route, body, { 'content-type': type });
      expect([what, status, problem.code, problem.status]).toEqual([
        what,
        statusOf[code],
        code,
        statusOf[code],
      ]);
      expect([what, ms < ANSWER_MS_MAX]).toEqual([what, true]);
    }
    const { status } = await post('/v1/accounts/lookup', body, { 'content-type': type });
    expect([what, [400, statusOf[code]].includes(status)]).toEqual([what, true]);
  }
});

test('every hostile body is refused by NATS with its headers', async (context) => {
  needNatsServer(context);
  for (const { what, body, code = 'malformed_request' } of HOSTILE_INPUTS) {
    for (const operation of ['create_transfers', 'create_accounts']) {
      const answer = await nats.request(`sycee.v1.${operation}`, body, { timeout: 5000 });
      const told = answer.headers?.get('Nats-Service-Error-Code');
      expect([what, told]).toEqual([what, String(statusOf[code])]);
      expect(answer.headers?.get('Nats-Service-Error')).toMatch(new RegExp(`^${code}: [ -~]+$`));
      const isJson = answer.data[0] === 0x7b;
      const problem: unknown = isJson ? answer.json() : unpackr.unpack(answer.data);
      expect([what, problem]).toMatchObject([what, { code }]);
    }
    const looked = await nats.request('sycee.v1.lookup_transfers', body, { timeout: 5000 });
    const told = Number(looked.headers?.get('Nats-Service-Error-Code'));
    expect([what, [400, statusOf[code]].includes(told)]).toEqual([what, true]);
  }
});

test('every hostile filter is refused by HTTP with its problem', async () => {
  for (const { what, body, type } of HOSTILE_FILTERS) {
    const refusal = await post('/v1/transfers/query', body, { 'content-type': type });
    const { status, problem, ms } = refusal;
    expect([what, status, problem.code]).toEqual([what, 400, 'malformed_request']);
    expect([what, ms < ANSWER_MS_MAX]).toEqual([what, true]);
  }
  for (const query of HOSTILE_QUERIES) {
    const answer = await fetch(`${served.url}/v1/accounts/1/transfers?${query}`);
    const problem: unknown = await answer.json();
    expect([query, answer.status, problem]).toMatchObject([
      query,
      400,
      { code: 'malformed_request' },
    ]);
  }
});

test('every hostile filter is refused by NATS with its headers', async (context) => {
  needNatsServer(context);
  for (const { what, body } of HOSTILE_FILTERS) {
    const answer = await nats.request('sycee.v1.query_transfers', body, { timeout: 5000 });
    const told = answer.headers?.get('Nats-Service-Error-Code');
    expect([what, told]).toEqual([what, '400']);
  }
});

test('a cursor that was made up or altered is refused, and none makes the ledger read too far', async () => {
  const page = await fetch(`${served.url}/v1/accounts/1/transfers?limit=1`);
  const { next } = (await page.json()) as { next: string };
  const bytes = Buffer.from(next, 'base64url');
  const altered = [...bytes.keys()].map((at) => {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 1;
    return copy.toString('base64url');
  });
  for (const cursor of ['x', 'A'.repeat(4096), next.slice(1), `${next}AAAA`, ...altered]) {
    const answer = await fetch(`${served.url}/v1/accounts/1/transfers?limit=1&cursor=${cursor}`);
    expect([cursor, answer.status, await answer.json()]).toMatchObject([
      cursor,
      400,
      { code: 'malformed_request', field: 'cursor', rule: 'cursor' },
    ]);
  }
});

test('bodies of 64 MB are refused without being kept, announced or not, and whoever writes before he reads sees it', async () => {
  const before = await residentBytes();
  const body = new Uint8Array(64 << 20).fill(0x20);
  for (let i = 0; i < 4; i++) {
    expect(await headOfAnswer(body, i % 2 === 0)).toMatch(/^HTTP\/1\.1 413 /);
    const { status, problem } = await post('/v1/transfers', body, {
      'content-type': 'application/json',
    });
    expect([status, problem.code]).toEqual([413, 'too_large']);
  }
  expect((await residentBytes()) - before).toBeLessThan(MEMORY_GROWTH_BYTES_MAX);
});

/** Writes everything, and reads meanwhile. */
function headOfAnswer(body: Uint8Array, isAnnounced: boolean): Promise<string> {
  const { port } = new URL(served.url);
  const socket = connectSocket(Number(port), '127.0.0.1');
  const length = isAnnounced ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
  socket.write(
    `POST /v1/transfers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${length}\r\n\r\n`,
  );
  if (!isAnnounced) socket.write(`${body.length.toString(16)}\r\n`);
  socket.write(body);
  if (!isAnnounced) socket.write('\r\n0\r\n\r\n');
  return new Promise((resolve) => {
    let text = '';
    const end = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\r\n')) end();
    });
    socket.on('error', end).on('close', end);
  });
}

async function residentBytes(): Promise<number> {
  const text = await (await fetch(`${served.url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)![1]);
}

test('compressed bodies are not unpacked', async () => {
  const bomb = gzipSync(new Uint8Array(256 << 20));
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const { status, problem } = await post('/v1/transfers', bomb, headers);
  expect([status, problem.code]).toEqual([415, 'unsupported_media_type']);
  const small = gzipSync(JSON.stringify([{ id: 50, ledger: 1, code: 1 }]));
  expect((await post('/v1/accounts', small, headers)).status).toBe(415);
});

test.each([
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'application/jsonx',
  'application/xml',
])('the type %s is refused', async (type) => {
  const { status, problem } = await post('/v1/transfers', '{"id":50}', { 'content-type': type });
  expect([status, problem.code]).toEqual([415, 'unsupported_media_type']);
});

test.each([
  'acct.%3E',
  '*',
  '%00',
  '1%0d%0aX: y',
  '__proto__',
  'constructor',
  '..%2f..%2fetc',
  "1'--",
  '%F0%28',
  '1'.repeat(60),
  '-1',
  '1e3',
  '0x1',
])('the path /v1/accounts/%s names no account', async (id) => {
  const answer = await fetch(`${served.url}/v1/accounts/${id}`);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(await answer.json()).toMatchObject({
    code: expect.stringMatching(/^(malformed_request|not_found)$/),
  });
  expect([400, 404]).toContain(answer.status);
});

test('subjects with wildcards and answers to subjects of the server have no effect', async (context) => {
  needNatsServer(context);
  const body = JSON.stringify({ id: 50, ledger: 1, code: 1 });
  for (const reply of ['$SYS.REQ.SERVER.PING', '$JS.API.INFO', 'sycee.v1.create_transfers']) {
    nats.publish('sycee.v1.create_accounts', body, { reply });
  }
  nats.publish('sycee.v1.create_accounts', body);
  for (const subject of [
    'sycee.v1.shard.9.create_accounts.x',
    'sycee.v1.drop_accounts',
    'sycee.v2.create_accounts',
  ]) {
    await expect(nats.request(subject, body, { timeout: 2000 })).rejects.toThrow('no responders');
  }
  await nats.flush();
});

test('bytes that are no HTTP are answered and cut', async () => {
  const { port } = new URL(served.url);
  for (const [bytes, status] of [
    ['NONSENSE\r\n\r\n', 400],
    ['GET / HTTP/9.9\r\n\r\n', 400],
    [`GET /${'x'.repeat(40_000)} HTTP/1.1\r\n\r\n`, 431],
    [
      'POST /v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
  ] as const) {
    const socket = connectSocket(Number(port), '127.0.0.1');
    socket.write(bytes);
    let text = '';
    for await (const chunk of socket.setEncoding('latin1')) text += String(chunk);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  }
});
