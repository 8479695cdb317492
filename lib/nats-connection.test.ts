import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  connect as connectAsLibrary,
  headers as newHeaders,
  type Msg,
  type NatsConnection,
} from '@nats-io/transport-node';
import { afterEach, expect, test } from 'vitest';
import { needNatsServer } from '../test/support/nats.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../test/support/tls-certificate.ts';
import { connectNats } from './nats-connection.ts';
import { startNatsServer } from './nats-server.ts';
import { Prng } from './prng.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const INFO = (more: object = {}): string =>
  `INFO ${JSON.stringify({ server_id: 'x', version: '2.11.0', max_payload: 1_048_576, headers: true, ...more })}\r\n`;

/** A server that says INFO, answers PING, and sends what a test tells it. */
class FakeServer {
  readonly url: string;
  readonly sockets: Socket[] = [];
  readonly #server: ReturnType<typeof createServer>;

  static async start(info = INFO()): Promise<FakeServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const fake = new FakeServer(server, info);
    cleanups.push(() => fake.stop());
    return fake;
  }

  private constructor(server: ReturnType<typeof createServer>, info: string) {
    this.#server = server;
    const address = server.address();
    this.url = typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : '';
    server.on('connection', (socket) => {
      this.sockets.push(socket.setNoDelay(true));
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        for (const _ of bytes.toString('latin1').matchAll(/PING\r\n/g)) socket.write('PONG\r\n');
      });
      socket.write(info);
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

async function closedAtEnd(connection: Promise<NatsConnection>): Promise<NatsConnection> {
  const opened = await connection;
  cleanups.push(() => opened.close());
  return opened;
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('messages come whole however the socket cuts them', async () => {
  const server = await FakeServer.start();
  const connection = await closedAtEnd(connectNats({ servers: server.url }));
  const prng = new Prng(11);
  const sent: Buffer[] = [];
  const received: Buffer[] = [];
  let isWrong = false;
  connection.subscribe('a', {
    callback: (_error, { data, subject, reply, headers }) => {
      received.push(Buffer.from(data));
      isWrong ||= subject !== 'a' || reply !== `r.${received.length}` || headers?.get('K') !== 'V';
    },
  });
  await connection.flush();
  const head = Buffer.from('NATS/1.0\r\nK: V\r\n\r\n');
  const stream = Buffer.concat(
    Array.from({ length: 200 }, (_, i) => {
      const length = prng.below(i % 20 === 0 ? 900_000 : 3000);
      const payload = Buffer.alloc(length, String(i));
      sent.push(payload);
      const sizes = `${head.length} ${head.length + length}`;
      return Buffer.concat([
        Buffer.from(`HMSG a 1 r.${i + 1} ${sizes}\r\n`),
        head,
        payload,
        Buffer.from(i % 7 === 0 ? '\r\nPING\r\n' : '\r\n'),
      ]);
    }),
  );
  for (let at = 0; at < stream.length;) {
    const end = at + 1 + prng.below(prng.below(3) === 0 ? 200_000 : 2000);
    await new Promise((resolve) => server.sockets[0]!.write(stream.subarray(at, end), resolve));
    at = end;
  }
  while (received.length < sent.length) await soon();
  expect(isWrong).toBe(false);
  expect(received.every((payload, i) => payload.equals(sent[i]!))).toBe(true);
});

test('memory is used again', async () => {
  const server = await FakeServer.start();
  const connection = await closedAtEnd(connectNats({ servers: server.url }));
  const received: ArrayBufferLike[] = [];
  connection.subscribe('a', { callback: (_error, { data }) => void received.push(data.buffer) });
  await connection.flush();
  for (let i = 1; i <= 50; i++) {
    server.sockets[0]!.write(`MSG a 1 5\r\nhello\r\n`);
    while (received.length < i) await soon();
  }
  expect(new Set(received).size).toBe(2);
});

test('where a callback throws, the connection is made anew', async () => {
  const server = await FakeServer.start();
  const options = { servers: server.url, reconnectTimeWait: 10, maxReconnectAttempts: -1 };
  const connection = await closedAtEnd(connectNats(options));
  const received: string[] = [];
  connection.subscribe('a', {
    callback: (_error, message) => {
      received.push(message.string());
      if (received.length === 1) throw new Error('thrown by a test');
    },
  });
  await connection.flush();
  server.sockets[0]!.write('MSG a 1 2\r\n10\r\n');
  while (server.sockets.length < 2) await soon();
  await connection.flush();
  server.sockets[1]!.write('MSG a 1 2\r\n11\r\n');
  while (received.length < 2) await soon();
  expect(received).toEqual(['10', '11']);
});

test('a connection that somebody else makes in this process keeps its messages, also when it is made again', async () => {
  const server = await FakeServer.start();
  const theirs = await closedAtEnd(
    connectAsLibrary({ servers: server.url, reconnectTimeWait: 10, maxReconnectAttempts: -1 }),
  );
  await closedAtEnd(connectNats({ servers: server.url }));
  const kept: Msg[] = [];
  theirs.subscribe('a', { callback: (_error, message) => void kept.push(message) });
  await theirs.flush();
  const statuses = theirs.status()[Symbol.asyncIterator]();
  server.sockets[0]!.destroy();
  let isBack = false;
  while (!isBack) isBack = (await statuses.next()).value?.type === 'reconnect';
  await theirs.flush();
  for (let i = 0; i < 20; i++) {
    server.sockets.at(-1)!.write(`MSG a 1 2\r\n${10 + i}\r\n`);
    while (kept.length <= i) await soon();
  }
  expect(kept.map((message) => message.string())).toEqual(
    Array.from({ length: 20 }, (_, i) => String(10 + i)),
  );
});

test('a server that is not there, that says nothing sensible, or that goes is said, and nothing is left', async () => {
  const server = await FakeServer.start('HELLO\r\n');
  const lastTry = { maxReconnectAttempts: 0, reconnect: false, timeout: 500 };
  const { url } = server;
  await expect(connectNats({ servers: url, ...lastTry })).rejects.toThrow(
    'does not begin with INFO',
  );
  server.sockets.length = 0;
  const mute = await FakeServer.start('');
  const waiting = connectNats({ servers: mute.url, ...lastTry, timeout: 5000 });
  while (mute.sockets.length === 0) await soon();
  mute.sockets[0]!.destroy();
  await expect(waiting).rejects.toThrow('the connection was closed');
  await expect(connectNats({ servers: 'ws://127.0.0.1:1' })).rejects.toThrow('no websockets');
  const gone = await FakeServer.start();
  await gone.stop();
  cleanups.pop();
  await expect(connectNats({ servers: gone.url, ...lastTry })).rejects.toThrow(
    'connection refused',
  );
});

test('with TLS it is read as the library does, and works', async (context) => {
  needNatsServer(context);
  const directory = mkdtempSync(path.join(tmpdir(), 'sycee-tls-'));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  writeFileSync(path.join(directory, 'cert.pem'), CERTIFICATE);
  writeFileSync(path.join(directory, 'key.pem'), PRIVATE_KEY, { mode: 0o600 });
  writeFileSync(
    path.join(directory, 'tls.conf'),
    `tls { cert_file: "${directory}/cert.pem", key_file: "${directory}/key.pem" }`,
  );
  const server = await startNatsServer({ arguments: ['-c', path.join(directory, 'tls.conf')] });
  cleanups.push(() => server.stop());
  const connection = await closedAtEnd(
    connectNats({ servers: `127.0.0.1:${server.port}`, tls: { ca: CERTIFICATE } }),
  );
  const received: string[] = [];
  connection.subscribe('a', {
    callback: (_error, message) => {
      received.push(`${message.string().length} ${message.headers?.get('K')}`);
      message.respond(message.data);
    },
  });
  const headers = newHeaders();
  headers.set('K', 'V');
  const answer = await connection.request('a', 'x'.repeat(300_000), { headers, timeout: 5000 });
  expect(answer.data.length).toBe(300_000);
  expect(received).toEqual(['300000 V']);
});
