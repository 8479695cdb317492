import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SyceeError } from '../lib/sycee-error.ts';
import { BatchingClient } from './batching-client.ts';
import { type Client, type Transport, TransportClient } from './client.ts';
import { connectHttp } from './http-client.ts';
import { open } from './in-process-client.ts';
import { connect } from './nats-client.ts';
import type { Attempt } from './retry.ts';

/** What a program without types may give. */
const NULL = null as never;
const NONE = undefined as never;

let temp: string;
beforeAll(() => {
  temp = mkdtempSync(join(tmpdir(), 'sycee-wrong-use-'));
});
afterAll(() => rmSync(temp, { recursive: true, force: true }));

async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error: unknown) {
    return error;
  }
}

/** Answers nothing, until it is closed: then what is under way ends as transports say it. */
class SilentTransport implements Transport {
  readonly #closing = Promise.withResolvers<void>();
  readonly #error: SyceeError;

  constructor(error = new SyceeError('unknown', 'the connection was lost')) {
    this.#error = error;
  }

  prepareCreate(): Attempt<never> {
    return () => this.#untilClosed();
  }

  prepareLookup(): Attempt<never> {
    return () => this.#untilClosed();
  }

  prepareQuery(): Attempt<never> {
    return () => this.#untilClosed();
  }

  async #untilClosed(): Promise<never> {
    await this.#closing.promise;
    throw this.#error;
  }

  close(): Promise<void> {
    this.#closing.resolve();
    return Promise.resolve();
  }
}

type WrongUse = readonly [string, (client: Client) => unknown, string, string];

const WRONG: readonly WrongUse[] = [
  ['createTransfers()', (one) => one.createTransfers(NONE), 'transfers', 'an array of transfers'],
  ['createAccounts(null)', (one) => one.createAccounts(NULL), 'accounts', 'an array of accounts'],
  [
    'createTransfers([null])',
    (one) => one.createTransfers([NULL]),
    '',
    'an object with its fields',
  ],
  ['lookupAccounts(1n)', (one) => one.lookupAccounts(1n as never), 'ids', 'an array of ids'],
  [
    'getAccountTransfers()',
    (one) => one.getAccountTransfers(NONE),
    '',
    'an object with its fields',
  ],
  ['queryAccounts(null)', (one) => one.queryAccounts(NULL), '', 'an object with its fields'],
  [
    'createTransfer(null)',
    (one) => new BatchingClient(one).createTransfer(NULL),
    '',
    'an object with its fields',
  ],
  [
    'createChain(null)',
    (one) => new BatchingClient(one).createChain(NULL),
    'transfers',
    'an array of transfers',
  ],
  ['connect({})', () => connect({} as never), 'servers', 'one address or an array of them'],
  ['connectHttp(nonsense)', () => connectHttp('nonsense'), 'url', 'http://HOST:PORT, or https'],
  ['connectHttp(ftp:)', () => connectHttp('ftp://host/'), 'url', 'http://HOST:PORT, or https'],
  [
    'connectHttp with a token of two lines',
    () => connectHttp('http://localhost', { token: 'x\ny' }),
    'token',
    'printable ASCII without blanks',
  ],
  [
    'connectHttp to a port that browsers block',
    () => connectHttp('http://127.0.0.1:1').lookupAccounts([1n]),
    'url',
    'a port that fetch connects to',
  ],
  ...['500', 0.5, Number.NaN, 600_001].map((deadlineMs): WrongUse => [
    `deadlineMs ${JSON.stringify(deadlineMs)}`,
    (one) => one.lookupAccounts([1n], { deadlineMs: deadlineMs as number }),
    'deadlineMs',
    'range',
  ]),
  ['open()', () => open(NONE), 'directory', 'the path of a directory'],
  [
    'open with 0 shards',
    () => open({ directory: join(temp, 'a'), shards: 0 }),
    'shards',
    'a whole number from 1 to 64',
  ],
  [
    'open with half a shard',
    () => open({ directory: join(temp, 'a'), shards: 1.5 }),
    'shards',
    'a whole number from 1 to 64',
  ],
];

test.each(WRONG)('%s is refused with field and rule', async (_name, call, field, rule) => {
  await using client = new TransportClient(new SilentTransport());
  const error = await errorOf(() => call(client));
  expect(error).toBeInstanceOf(SyceeError);
  expect(error).toMatchObject({ code: 'malformed_request', retryable: false, field, rule });
});

test('a directory that is in use, or nowhere, is a SyceeError too', async () => {
  const directory = join(temp, 'used');
  await using first = await open({ directory, shards: 1 });
  expect(first.shards).toBe(1);
  const inUse = await errorOf(() => open({ directory }));
  expect(inUse).toBeInstanceOf(SyceeError);
  expect(inUse).toMatchObject({
    code: 'not_ready',
    retryable: true,
    cause: { code: 'DATA_IN_USE' },
  });
  const nowhere = await errorOf(() => open({ directory: '/proc/nowhere/data' }));
  expect(nowhere).toBeInstanceOf(SyceeError);
  expect(nowhere).toMatchObject({ code: 'not_ready', retryable: false });
});

describe('a client that is closed while calls are under way ends them:', () => {
  const transfer = {
    id: 1n,
    debitAccountId: 1n,
    creditAccountId: 2n,
    amount: 1n,
    ledger: 1,
    code: 1,
  };

  test('a create may have happened, a look-up has not', async () => {
    const client = new TransportClient(new SilentTransport());
    const long = { deadlineMs: 600_000 };
    const create = errorOf(() => client.createTransfers([transfer], long));
    const lookup = errorOf(() => client.lookupAccounts([1n], long));
    await client.close();
    expect(await create).toMatchObject({ code: 'unknown', retryable: true });
    expect(await lookup).toMatchObject({ message: 'this client is closed', retryable: false });
  });

  test('a create that was never sent has not happened', async () => {
    const notSent = new SyceeError('not_ready', 'nobody is there');
    const client = new TransportClient(new SilentTransport(notSent));
    const create = errorOf(() => client.createTransfers([transfer], { deadlineMs: 600_000 }));
    await client.close();
    expect(await create).toMatchObject({ message: 'this client is closed', retryable: false });
  });
});
