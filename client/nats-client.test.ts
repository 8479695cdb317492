import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { connect as connectNats } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { startNatsServer } from '../lib/nats-server.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { TempDirectory } from '../test/support/cluster.ts';
import { needNatsServer } from '../test/support/nats.ts';
import { connect } from './nats-client.ts';

const PERMISSIONS = `authorization {
  users = [{ user: reader, password: reader, permissions: { publish: { deny: "sycee.v1.create_transfers" } } }]
}`;
/** Tries are given up much later: what ends them is the server's word. */
const TRY_MS = 60_000;

test('a request that NATS does not let through ends at once, with what the server says', async (context) => {
  needNatsServer(context);
  await using directory = new TempDirectory();
  const file = path.join(directory.path, 'nats.conf');
  await writeFile(file, PERMISSIONS);
  await using stack = new AsyncDisposableStack();
  const server = await startNatsServer({ arguments: ['-c', file] });
  stack.defer(() => server.stop());
  const nats = { user: 'reader', pass: 'reader' };
  await using client = await connect({ servers: server.url, tryMs: TRY_MS, nats });
  const sides = { debitAccountId: 1n, creditAccountId: 2n };
  const transfer = { id: 1n, ...sides, amount: 1n, ledger: 1, code: 1 };
  await expect(
    client.createTransfers([transfer], { retries: 0, deadlineMs: TRY_MS }),
  ).rejects.toMatchObject({
    code: 'unknown',
    message: expect.stringContaining('Permissions Violation') as string,
  });
});

test('each request says how much time it has left', async (context) => {
  needNatsServer(context);
  await using stack = new AsyncDisposableStack();
  const server = await startNatsServer();
  stack.defer(() => server.stop());
  const listener = await connectNats({ servers: server.url });
  stack.defer(() => listener.close());
  const lefts: number[] = [];
  listener.subscribe('sycee.v1.lookup_accounts', {
    callback: (_, message) => {
      lefts.push(Number(message.headers?.get('Sycee-Deadline-Ms')));
      message.respond('not an answer');
    },
  });
  await listener.flush();
  await using client = await connect({ servers: server.url });
  const asked = [60_000, 60_000, 5_000, 60_000];
  for (const deadlineMs of asked) {
    const call = client.lookupAccounts([1n], { retries: 0, deadlineMs });
    await expect(call).rejects.toBeInstanceOf(SyceeError);
  }
  // A moment has passed when a request is sent.
  expect(lefts.map((left) => Math.round(left / 5_000) * 5_000)).toEqual(asked);
});
