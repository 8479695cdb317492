import { describe, expect, test } from 'vitest';
import { Batch, BatchKind } from '../engine/batch.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { connectHttp } from './http-client.ts';
import { batchOfObjects } from './rows.ts';

interface Seen {
  readonly path: string;
  readonly query: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: unknown;
}

const POSITIONS = [{ shard: 0, sequence: 4, timestamp: '1700000000000000001' }];
const CREATED = {
  results: [{ status: 'created', timestamp: '1700000000000000001' }],
  positions: POSITIONS,
};
const problem = (status: number, document: object): Response =>
  Response.json(document, { status, headers: { 'content-type': 'application/problem+json' } });

/** A fetch that answers from a list, and keeps what it was asked. */
function fakeFetch(answers: (() => Response)[]): { fetch: typeof fetch; seen: Seen[] } {
  const seen: Seen[] = [];
  return {
    seen,
    fetch: async (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      const { pathname: path, search: query } = url;
      const { method = 'GET', body } = init ?? {};
      seen.push({ path, query, method, headers: new Headers(init?.headers), body });
      return answers.shift()!();
    },
  };
}

const transfer = {
  id: 2n ** 100n,
  debitAccountId: 1n,
  creditAccountId: 2n,
  amount: 5n,
  ledger: 1,
  code: 1,
};

describe('connectHttp', () => {
  test('a ledger below a path of a proxy is asked there', async () => {
    for (const url of ['http://127.0.0.1:7411/ledger', 'http://127.0.0.1:7411/ledger/']) {
      const { fetch, seen } = fakeFetch([() => Response.json(CREATED)]);
      await using client = connectHttp(url, { fetch });
      await client.createTransfers([transfer]);
      expect(seen[0]!.path).toBe('/ledger/v1/transfers');
    }
  });

  test('objects travel as JSON with wide numbers as strings, and outcomes come back by name', async () => {
    const { fetch, seen } = fakeFetch([() => Response.json(CREATED)]);
    await using client = connectHttp('http://127.0.0.1:7411', { fetch, token: 'secret' });
    const made = await client.createTransfers([transfer], { deadlineMs: 1_000 });
    expect(made).toEqual({
      results: [{ status: 'created', timestamp: 1_700_000_000_000_000_001n }],
      positions: [{ shard: 0, sequence: 4, timestamp: 1_700_000_000_000_000_001n }],
    });
    expect(seen[0]!.path).toBe('/v1/transfers');
    expect(JSON.parse(seen[0]!.body as string)).toEqual([
      {
        id: String(2n ** 100n),
        debit_account_id: '1',
        credit_account_id: '2',
        amount: '5',
        ledger: 1,
        code: 1,
      },
    ]);
    expect(seen[0]!.headers.get('authorization')).toBe('Bearer secret');
    const deadline = Number(seen[0]!.headers.get('sycee-deadline-ms'));
    expect(deadline).toBeGreaterThan(900);
    expect(deadline).toBeLessThanOrEqual(1_000);
  });

  test('filters of an account and of changes stand in the URL, the others in a body', async () => {
    const page = (list: string) => () =>
      Response.json({ [list]: [], next: null, positions: POSITIONS });
    const { fetch, seen } = fakeFetch([page('balances'), page('changes'), page('accounts')]);
    await using client = connectHttp('http://127.0.0.1:7411/', { fetch, token: 'secret' });
    await client.getAccountBalances({ accountId: 2n ** 100n, code: 3, cursor: 'a+b' });
    for await (const _ of client.changeEvents({ timestampMin: 5n })) throw new Error('no change');
    await client.queryAccounts({ ledger: 1, limit: 7, reversed: true });
    expect(seen).toMatchObject([
      {
        method: 'GET',
        path: `/v1/accounts/${2n ** 100n}/balances`,
        query: '?code=3&limit=100&cursor=a%2Bb&flags=3',
        body: undefined,
      },
      { method: 'GET', path: '/v1/changes', query: '?timestamp_min=5&limit=1000' },
      { method: 'POST', path: '/v1/accounts/query', query: '' },
    ]);
    expect(JSON.parse(seen[2]!.body as string)).toEqual({ ledger: 1, limit: 7, flags: 1 });
    expect(seen[0]!.headers.get('content-type')).toBeNull();
    expect(seen[0]!.headers.get('authorization')).toBe('Bearer secret');
  });

  test('a refusal that may be retried is retried with the same bytes', async () => {
    const overloaded = () => problem(429, { code: 'overloaded', detail: 'full' });
    const { fetch, seen } = fakeFetch([overloaded, overloaded, () => Response.json(CREATED)]);
    await using client = connectHttp('http://127.0.0.1:7411', { fetch });
    await client.createTransfers([transfer]);
    expect(seen).toHaveLength(3);
    expect(new Set(seen.map((one) => one.body)).size).toBe(1);
  });

  test('a malformed request rejects at once with field and rule', async () => {
    const { fetch, seen } = fakeFetch([
      () => problem(400, { code: 'malformed_request', detail: 'no', field: 'id', rule: 'range' }),
    ]);
    await using client = connectHttp('http://127.0.0.1:7411', { fetch });
    const call = client.createTransfers([transfer]);
    await expect(call).rejects.toMatchObject({
      code: 'malformed_request',
      field: 'id',
      rule: 'range',
    });
    expect(seen).toHaveLength(1);
  });

  test('a refused connection is not ready, a broken one is unknown', async () => {
    const broken = (code: string) => () => {
      throw new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
    };
    const { fetch } = fakeFetch([broken('ECONNREFUSED'), broken('ECONNRESET')]);
    await using client = connectHttp('http://127.0.0.1:7411', { fetch });
    const call = () => client.createTransfers([transfer], { retries: 0 });
    await expect(call()).rejects.toMatchObject({ code: 'not_ready', retryable: true });
    await expect(call()).rejects.toMatchObject({ code: 'unknown', retryable: true });
  });

  test('an answer that is no problem document leaves the outcome open', async () => {
    const { fetch } = fakeFetch([() => new Response('<html>', { status: 502 })]);
    await using client = connectHttp('http://127.0.0.1:7411', { fetch });
    const call = client.createTransfers([transfer], { retries: 0 });
    await expect(call).rejects.toMatchObject({ code: 'unknown' });
    await expect(call).rejects.toBeInstanceOf(SyceeError);
  });

  test('found accounts come back with flags as bits', async () => {
    const account = {
      id: '7',
      debits_pending: '0',
      debits_posted: '30',
      credits_pending: '0',
      credits_posted: String(2n ** 127n),
      user_data_128: '0',
      user_data_64: String(2n ** 64n - 1n),
      user_data_32: 5,
      reserved: 0,
      ledger: 700,
      code: 10,
      flags: ['credits_must_not_exceed_debits'],
      timestamp: '1700000000000000001',
    };
    const { fetch, seen } = fakeFetch([
      () => Response.json({ accounts: [account], positions: POSITIONS }),
    ]);
    await using client = connectHttp('http://127.0.0.1:7411', { fetch });
    const { accounts } = await client.lookupAccounts([7n, 8n]);
    expect(accounts).toEqual([
      {
        id: 7n,
        debitsPending: 0n,
        debitsPosted: 30n,
        creditsPending: 0n,
        creditsPosted: 2n ** 127n,
        userData128: 0n,
        userData64: 2n ** 64n - 1n,
        userData32: 5,
        ledger: 700,
        code: 10,
        flags: 4,
        timestamp: 1_700_000_000_000_000_001n,
      },
    ]);
    expect(JSON.parse(seen[0]!.body as string)).toEqual({ ids: ['7', '8'] });
  });

  test('a batch travels as columnar msgpack', async () => {
    const { fetch, seen } = fakeFetch([() => problem(429, { code: 'overloaded', detail: 'full' })]);
    await using client = connectHttp('http://127.0.0.1:7411', { fetch });
    const batch = batchOfObjects(BatchKind.transfers, [transfer]);
    expect(batch).toBeInstanceOf(Batch);
    await expect(client.createTransfers(batch, { retries: 0 })).rejects.toMatchObject({
      code: 'overloaded',
    });
    expect(seen[0]!.headers.get('content-type')).toBe('application/msgpack');
    expect(seen[0]!.body).toBeInstanceOf(Uint8Array);
  });
});
