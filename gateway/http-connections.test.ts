/** The server on real sockets: ports, connections, what is no HTTP, and closing. What requests are answered is in http-server.test.ts. */
import dns, { type LookupOptions } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { expect, test } from 'vitest';
import { httpEdge, TRANSFER } from '../test/support/http-edge.ts';
import { startHttp } from './http-server.ts';

test('closing answers what was taken, and takes nothing more', async () => {
  const { options, router } = httpEdge();
  const server = await startHttp(options, { host: '127.0.0.1', port: 0 });
  const gate = Promise.withResolvers<void>();
  router.gate = gate.promise;
  const taken = postOver(server.port, TRANSFER);
  while (router.batches.length === 0) await new Promise(setImmediate);
  const closed = server.close();
  await expect(postOver(server.port, TRANSFER)).rejects.toThrow('ECONNREFUSED');
  gate.resolve();
  expect(await taken).toBe(201);
  await closed;
});

test('a port that is taken rejects the start', async () => {
  const { options } = httpEdge();
  const server = await startHttp(options, { host: '127.0.0.1', port: 0 });
  const second = startHttp(httpEdge().options, { host: '127.0.0.1', port: server.port });
  await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await server.close();
});

test('a client who stops in the middle of a body holds no bytes afterwards', async () => {
  const { options, admission } = httpEdge();
  const server = await startHttp(options, { host: '127.0.0.1', port: 0 });
  const socket = connectSocket(server.port, '127.0.0.1');
  socket.on('error', () => {});
  const head =
    'POST /v1/transfers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"id"';
  socket.write(head);
  while (admission.bytes === 0) await new Promise(setImmediate);
  socket.destroy();
  while (admission.bytes > 0) await new Promise(setImmediate);
  expect(admission.requests).toBe(0);
  await server.close();
});

test('what is no HTTP, and a head that does not end, are answered and cut', async () => {
  const { options } = httpEdge({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
  const server = await startHttp(options, { host: '127.0.0.1', port: 0 });
  expect(await rawOver(server.port, 'NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*problem\+json/s);
  expect(await rawOver(server.port, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`)).toMatch(
    /^HTTP\/1.1 431 /,
  );
  expect(await rawOver(server.port, 'GET / HTTP/1.1\r\nHost: x\r\n')).toMatch(
    /^HTTP\/1.1 408 .*problem\+json/s,
  );
  await server.close();
});

test.each([
  ['NONSENSE\r\n\r\n', 400, 'method'],
  ['GET /\u0001 HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'path'],
  ['GET / FTP/1.1\r\n\r\n', 400, 'version'],
  ['GET / HTTP/9.1\r\n\r\n', 400, 'version'],
  ['GET / HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n', 400, 'headers'],
  ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: much\r\n\r\n', 400, 'Content-Length'],
  [
    'POST /v1/transfers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nxyz\r\n',
    400,
    'body',
  ],
  ['GET / HTTP/1.1\r\nHost: x\r\n', 408, 'request'],
])('%j is refused with the part of the request that is wrong', async (bytes, status, field) => {
  const { options } = httpEdge({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
  const server = await startHttp(options, { host: '127.0.0.1', port: 0 });
  const { head, problem } = answerOf(await rawOver(server.port, bytes));
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `, 's'));
  expect(problem).toMatchObject({ code: 'malformed_request', status, field });
  expect(problem['rule']).toMatch(/^(well-formed|in_time)$/);
  await server.close();
});

test('HTTP/1.1 without the header Host is refused with a problem, whatever it asks for; HTTP/1.0 is not', async () => {
  const { options, router } = httpEdge();
  const server = await startHttp(options, { host: '127.0.0.1', port: 0 });
  const body = JSON.stringify(TRANSFER);
  const create = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  for (const bytes of [
    'GET /healthz HTTP/1.1\r\n\r\n',
    'GET /nowhere HTTP/1.1\r\n\r\n',
    `POST /v1/transfers HTTP/1.1\r\n${create}`,
  ]) {
    const { head, problem } = answerOf(await rawOver(server.port, bytes));
    expect(head).toMatch(/^HTTP\/1.1 400 .*connection: close/is);
    expect(problem).toMatchObject({
      code: 'malformed_request',
      status: 400,
      field: 'Host',
      rule: 'required',
    });
  }
  expect(router.batches).toEqual([]);
  expect(await rawOver(server.port, 'GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
  expect(await rawOver(server.port, `POST /v1/transfers HTTP/1.0\r\n${create}`)).toMatch(
    /^HTTP\/1.1 201 /,
  );
  await server.close();
});

function answerOf(text: string): { head: string; problem: Record<string, unknown> } {
  const end = text.indexOf('\r\n\r\n');
  const problem = JSON.parse(text.slice(end)) as Record<string, unknown>;
  return { head: text.slice(0, end), problem };
}

test('a name of several addresses is listened to on all of them', async () => {
  const { lookup } = dns;
  const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
  const asked = (name: string, _: LookupOptions, done: (...answer: unknown[]) => void): void => {
    const found = name === 'localhost' ? addresses : [{ address: name, family: 4 }];
    process.nextTick(done, null, found);
  };
  dns.lookup = asked as unknown as typeof lookup;
  try {
    const server = await startHttp(httpEdge().options, { host: 'localhost', port: 0 });
    const health = 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    for (const { address } of addresses) {
      expect(await rawOver(server.port, health, address)).toMatch(/^HTTP\/1.1 200 /);
    }
    await server.close();
  } finally {
    dns.lookup = lookup;
  }
});

test('connections over the bound are dropped', async () => {
  const { options } = httpEdge({ connectionsMax: 1 });
  const server = await startHttp(options, { host: '127.0.0.1', port: 0 });
  const first = connectSocket(server.port, '127.0.0.1');
  await new Promise((resolve) => first.once('connect', resolve));
  expect(await rawOver(server.port, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('');
  first.destroy();
  await server.close();
});

function postOver(port: number, body: unknown): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = {
      port,
      host: '127.0.0.1',
      path: '/v1/transfers',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    };
    const request = httpRequest(options, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

/** Sends bytes and gives back all that is answered until the server closes. */
function rawOver(port: number, bytes: string, address = '127.0.0.1'): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, address, () => socket.write(bytes));
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('error', () => resolve(answer));
    socket.on('close', () => resolve(answer));
  });
}
