/** SIGTERM in the middle of a load over both edges: what was taken is answered, what was answered stays, and the process ends with 0. */
import { expect, test } from 'vitest';
import type { Client } from '../../client/client.ts';
import { connectHttp } from '../../client/http-client.ts';
import { connect } from '../../client/nats-client.ts';
import { findNatsServer, startNatsServer } from '../../lib/nats-server.ts';
import { Prng } from '../../lib/prng.ts';
import { startProcess, TempDirectory } from '../support/cluster.ts';
import { placementOf } from '../support/placement.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const SHARDS = 2;
const ROUNDS = 2;
const LOADS = 4;
const EXIT_MS_MAX = 8000;

test('SIGTERM under load loses nothing that was acknowledged, leaves no effect without an answer, and ends with 0', async () => {
  await using directory = new TempDirectory();
  await using nats = new AsyncDisposableStack();
  const server = findNatsServer() === undefined ? undefined : await startNatsServer();
  nats.defer(async () => server?.stop());
  const options = {
    directory: directory.path,
    shards: SHARDS,
    ...(server === undefined ? {} : { nats: server }),
  };
  const prng = new Prng(Number(process.env['SEED'] ?? 5));
  const books = new TransferBooks({
    prng,
    shards: SHARDS,
    shardOf: placementOf(SHARDS),
    accountCount: 12,
  });
  for (let round = 0; round < ROUNDS; round++) {
    await using served = await startProcess(options);
    const clients: Client[] = Array.from({ length: LOADS }, () => connectHttp(served.url));
    if (server !== undefined) {
      for (let i = 0; i < LOADS; i++) clients.push(await connect({ servers: server.url }));
    }
    await books.createAccounts(clients[0]!);
    const left = books.openIds;
    const { transfers } = await clients[0]!.lookupTransfers(left.length === 0 ? [0n] : left);
    // What has an effect was answered.
    expect(transfers).toEqual([]);
    await books.settle(clients[0]!);
    await books.audit(clients[0]!);

    const enough = prng.between(20, 200);
    let answers = 0;
    const load = async (client: Client): Promise<void> => {
      while (await books.send(client, books.next(prng.between(1, 30))))
        if (++answers === enough) served.kill('SIGTERM');
    };
    const began = performance.now();
    const loads = Promise.all(clients.map(load));
    expect({ ...(await served.exit), said: served.stderr }).toMatchObject({ code: 0 });
    expect(performance.now() - began).toBeLessThan(EXIT_MS_MAX);
    await Promise.all(clients.map((client) => client.close()));
    await loads;
    expect(served.stderr).toContain('closed');
  }
  await using served = await startProcess(options);
  await using client = connectHttp(served.url);
  await books.settle(client);
  await books.audit(client, 'all');
});

test('SIGTERM at rest ends with 0, and a connection that is kept alive does not hold it up', async () => {
  await using served = await startProcess({ shards: 1 });
  await using client = connectHttp(served.url);
  await client.createAccounts([{ id: 1n, ledger: 1, code: 1 }]);
  const began = performance.now();
  served.kill('SIGTERM');
  expect(await served.exit).toMatchObject({ code: 0 });
  expect(performance.now() - began).toBeLessThan(EXIT_MS_MAX);
});
