import { connect } from '@nats-io/transport-node';
import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../config.ts';
import { startNatsServer } from '../lib/nats-server.ts';
import { exampleLines } from '../serve.ts';
import { FakeRouter } from '../test/support/fake-router.ts';
import { needNatsServer } from '../test/support/nats.ts';
import { type Gateway, type RunningLedger, startGateway } from './gateway.ts';

const open: Gateway[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((edges) => edges.close()));
});

function ledger(): RunningLedger & { readonly router: FakeRouter } {
  return { router: new FakeRouter(), shards: 1, state: () => 'ready', metrics: () => [] };
}

async function start(
  args: readonly string[],
  running: RunningLedger = ledger(),
): Promise<{
  readonly edges: Gateway;
  readonly lines: string[];
  readonly examples: readonly string[];
}> {
  const { config } = loadConfig({ arguments: args, environment: {}, directory: '/' });
  const lines: string[] = [];
  const edges = await startGateway(config, running, {
    version: '1.2.3',
    log: (line) => lines.push(line),
  });
  open.push(edges);
  return { edges, lines, examples: exampleLines(config, edges) };
}

/** Sends what an example line of curl sends. */
async function sendExample(line: string): Promise<Response> {
  const match = /^ {2}curl -s (\S+) -H content-type:application\/json -d '(.*)'$/.exec(line);
  const [, url, body] = match!;
  const headers = { 'content-type': 'application/json' };
  return fetch(`http://${url}`, { method: 'POST', headers, body: body! });
}

test('the printed lines create two accounts and a transfer', async () => {
  const { edges, examples } = await start(['--http', '0']);
  expect(edges.http?.url).toBe(`http://127.0.0.1:${edges.http?.port}`);
  expect(examples).toHaveLength(5);
  expect(examples[4]).toBe('  ./sycee inspect /data');
  const accounts = await sendExample(examples[1]!);
  expect(await accounts.json()).toMatchObject({
    results: [{ status: 'created' }, { status: 'created' }],
  });
  const transfer = await sendExample(examples[2]!);
  expect(transfer.status).toBe(201);
});

test('with a token the printed lines send it', async () => {
  const { examples } = await start(['--http', '0', '--token', 'long-enough']);
  expect(examples[1]).toContain('-H "authorization: Bearer $SYCEE_TOKEN"');
  expect(examples.join()).not.toContain('long-enough');
});

test('closing answers what was taken, then nothing listens', async () => {
  const running = ledger();
  const gate = Promise.withResolvers<void>();
  running.router.gate = gate.promise;
  const { edges, examples } = await start(['--http', '0'], running);
  const taken = sendExample(examples[1]!);
  while (running.router.batches.length === 0) await new Promise(setImmediate);
  const closed = edges.close();
  gate.resolve();
  expect((await taken).status).toBe(200);
  await closed;
  await expect(sendExample(examples[1]!)).rejects.toThrow('fetch failed');
});

test('a bound of the configuration reaches the admission', async () => {
  const running = ledger();
  const gate = Promise.withResolvers<void>();
  running.router.gate = gate.promise;
  const { examples } = await start(['--http', '0', '--requests-max', '1'], running);
  const taken = sendExample(examples[1]!);
  while (running.router.batches.length === 0) await new Promise(setImmediate);
  expect((await sendExample(examples[2]!)).status).toBe(429);
  gate.resolve();
  expect((await taken).status).toBe(200);
});

test('over NATS the same ledger answers', async (context) => {
  needNatsServer(context);
  const server = await startNatsServer();
  const { edges, examples } = await start(['--http', 'off', '--nats', server.url]);
  expect(edges.natsUrl).toBe(server.url);
  const client = await connect({ servers: server.url });
  for (const line of examples.filter((one) => one.startsWith('  nats'))) {
    const [, subject, body] = /request (\S+) '(.*)'$/.exec(line)!;
    const answer = await client.request(subject!, body, { timeout: 2000 });
    expect(JSON.stringify(answer.json())).toContain('"created"');
  }
  await client.close();
  await edges.close();
  await server.stop();
});

test('--nats auto brings a server of its own, and takes it away again', async (context) => {
  needNatsServer(context);
  const { edges } = await start(['--http', 'off', '--nats', 'auto']);
  const client = await connect({ servers: edges.natsUrl! });
  expect((await client.request('sycee.v1.status', '', { timeout: 2000 })).json()).toMatchObject({
    ready: true,
  });
  await client.close();
  await edges.close();
  await expect(connect({ servers: edges.natsUrl!, reconnect: false })).rejects.toThrow('refused');
});

test('when one edge cannot open, the other is closed again', async () => {
  await expect(start(['--http', '0', '--nats', 'nats://127.0.0.1:1'])).rejects.toThrow(
    /^no NATS server answers at 127.0.0.1:1/,
  );
  const { edges } = await start(['--http', '0']);
  await expect(start(['--http', String(edges.http?.port)])).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});
