/** The NATS server dies and comes back on its port, under load: clients and the service find it again, and no transfer is lost or doubled. */
import { expect, test } from 'vitest';
import { connectHttp } from '../../client/http-client.ts';
import { connect } from '../../client/nats-client.ts';
import { type NatsServer, startNatsServer } from '../../lib/nats-server.ts';
import { Prng } from '../../lib/prng.ts';
import { startProcess } from '../support/cluster.ts';
import { needNatsServer } from '../support/nats.ts';
import { placementOf } from '../support/placement.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const SHARDS = 2;
const RESTARTS = 3;
const LOADS = 4;
const TRY_MS = 500;

test('a NATS server that is killed under load and comes back loses and doubles nothing', async (context) => {
  needNatsServer(context);
  await using stack = new AsyncDisposableStack();
  let server: NatsServer = await startNatsServer();
  stack.defer(() => server.stop());
  await using served = await startProcess({ shards: SHARDS, nats: server });
  await using observer = connectHttp(served.url);
  const prng = new Prng(Number(process.env['SEED'] ?? 17));
  const books = new TransferBooks({
    prng,
    shards: SHARDS,
    shardOf: placementOf(SHARDS),
    accountCount: 12,
  });
  await books.createAccounts(observer);
  const clients = await Promise.all(
    Array.from({ length: LOADS }, () =>
      connect({ servers: server.url, tryMs: TRY_MS, nats: { reconnectTimeWait: 50 } }),
    ),
  );
  for (const client of clients) stack.use(client);

  let answers = 0;
  const load = { isEnding: false };
  let onAnswer = (): void => undefined;
  const loads = Promise.all(
    clients.map(async (client) => {
      while (!load.isEnding) {
        // The client asks again with the same ids until it is answered: every one of them is, in the end.
        const batch = books.next(prng.between(1, 25));
        const { results } = await client.createTransfers(
          batch.map(({ transfer }) => transfer),
          { deadlineMs: 30_000 },
        );
        for (const [i, entry] of batch.entries()) books.learn(entry, results[i]!);
        answers++;
        onAnswer();
      }
    }),
  );
  const more = async (count: number): Promise<void> => {
    const goal = answers + count;
    await Promise.race([
      loads,
      new Promise<void>((resolve) => (onAnswer = () => (answers >= goal ? resolve() : undefined))),
    ]);
  };
  for (let i = 0; i < RESTARTS; i++) {
    await more(prng.between(20, 80));
    await server.kill();
    // Without NATS the ledger serves on over HTTP.
    expect(await observer.lookupAccounts([books.accounts[0]!.id])).toMatchObject({
      accounts: [{}],
    });
    server = await startNatsServer({ port: server.port });
  }
  await more(50);
  load.isEnding = true;
  await loads;
  expect(books.openIds).toEqual([]);
  await books.audit(observer, 'all');
  expect(served.child.hasExited).toBe(false);
  expect(served.stderr).toContain('connected again');
});

test('a process outlives a NATS server that stays away, and still ends in order', async (context) => {
  needNatsServer(context);
  const server = await startNatsServer();
  await using served = await startProcess({ shards: 1, nats: server });
  await server.kill();
  await using client = connectHttp(served.url);
  const { results } = await client.createAccounts([{ id: 1n, ledger: 1, code: 1 }]);
  expect(results).toMatchObject([{ status: 'created' }]);
  served.kill('SIGTERM');
  expect({ ...(await served.exit), said: served.stderr }).toMatchObject({ code: 0 });
});
