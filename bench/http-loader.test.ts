import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Client, TransferInput } from '../client/client.ts';
import { Books } from './books.ts';
import { ask, HttpLoader } from './http-loader.ts';
import { parseBenchArguments } from './options.ts';
import type { Target } from './target.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

const ROWS = 10;
const workloadOptions: WorkloadOptions = {
  accounts: 50,
  shards: 1,
  batch: ROWS,
  crossShard: undefined,
  seed: 1,
  inFlight: 1,
};

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Ids by how often they came, of a server that answers each `every`th request with 503 and knows nothing of it. */
async function startLoader(every: number) {
  const ids = new Map<string, number>();
  let requests = 0;
  const take = (id: string): void => void ids.set(id, (ids.get(id) ?? 0) + 1);
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const isRefused = ++requests % every === 0;
      if (!isRefused) for (const { id } of JSON.parse(body) as { id: string }[]) take(id);
      return response.writeHead(isRefused ? 503 : 200).end('{}');
    });
  }).listen(0, '127.0.0.1');
  ends.push(() => server.close());
  await new Promise((resolve) => {
    server.once('listening', resolve);
  });
  const client = {
    createTransfers: (transfers: readonly TransferInput[]) => {
      for (const { id } of transfers) take(String(id));
      return Promise.resolve({ results: transfers.map(() => ({ status: 'created' })) });
    },
  };
  const asked = parseBenchArguments(
    `growth --transport http --batch ${ROWS} --connections 3 --workers 2`.split(' '),
  );
  if (asked.type !== 'run') throw new Error('no scenario');
  const workload = new Workload(workloadOptions);
  const books = new Books(workload);
  const loader = await HttpLoader.start({
    options: asked.all[0]!,
    target: {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      client: client as unknown as Client,
    } as Target,
    workload,
    workloadOptions,
    books,
    signal: new AbortController().signal,
  });
  ends.unshift(() => loader.stop());
  return { loader, ids, books };
}

test('two processes send every transfer once, and all of them are in the books', async () => {
  const { loader, ids, books } = await startLoader(Infinity);
  const { transfers, latency } = await loader.create(1_005);
  // In whole requests.
  expect([transfers, latency.count]).toEqual([1_010, 101]);
  expect(await loader.closeBooks()).toEqual([]);
  expect([...ids.values()].filter((times) => times !== 1)).toEqual([]);
  expect([ids.size, books.created]).toEqual([1_010, 1_010]);
});

test('what is refused is said with its status, and asked again for the books', async () => {
  const { loader, ids, books } = await startLoader(20);
  expect(await loader.create(1_000)).toMatchObject({ transfers: 950 });
  expect(await loader.closeBooks()).toEqual([
    '5 requests were not answered well, the first with status 503',
  ]);
  expect([ids.size, books.created]).toEqual([1_000, 1_000]);
});

/** Ends when it is asked, and only then is it found that it could not be: Node says so to who sent, or else as an event. */
class EndingChild extends EventEmitter {
  readonly exitCode = null;
  readonly signalCode = null;

  async send(_request: object, told?: (error: Error) => void): Promise<void> {
    await turn();
    this.emit('exit', null);
    await turn();
    const error = new Error('write EPIPE');
    if (told === undefined) this.emit('error', error);
    else told(error);
  }
}

test('a child that ends while it is asked is said to have ended, and nothing more', async () => {
  const child = new EndingChild() as unknown as ChildProcess;
  await expect(ask(child, { type: 'tally' })).rejects.toThrow(
    'a child process of the bench ended with null',
  );
  await turn();
  await turn();
});
