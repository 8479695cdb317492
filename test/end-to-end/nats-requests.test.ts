/** Every operation of a real process over a real NATS server, in every form: JSON and msgpack, one, many, and columns. */
import {
  connect as connectNats,
  headers as newHeaders,
  type Msg,
  type NatsConnection,
} from '@nats-io/transport-node';
import { Packr, Unpackr } from 'msgpackr';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connect } from '../../client/nats-client.ts';
import { BATCH_EVENTS_MAX } from '../../engine/limits.ts';
import { findNatsServer, startNatsServer } from '../../lib/nats-server.ts';
import { startProcess, type ServeProcess } from '../support/cluster.ts';
import { needNatsServer } from '../support/nats.ts';
import { placementOf } from '../support/placement.ts';

const SHARDS = 2;
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });
const stack = new AsyncDisposableStack();
let served: ServeProcess;
let url: string;
let nats: NatsConnection;
let lastId = 1000;

beforeAll(async () => {
  if (findNatsServer() === undefined) return;
  const server = await startNatsServer();
  ({ url } = server);
  stack.defer(() => server.stop());
  served = stack.use(await startProcess({ shards: SHARDS, nats: server }));
  nats = await connectNats({ servers: url });
  stack.defer(() => nats.close());
  await json(
    'create_accounts',
    Array.from({ length: 8 }, (_, i) => account(i + 1)),
  );
});
afterAll(() => stack.disposeAsync());
beforeEach((context) => needNatsServer(context));

const account = (id: number | string): object => ({ id, ledger: 1, code: 1 });
const transfer = (id: number, amount = 5): object => ({
  id,
  debit_account_id: 1,
  credit_account_id: '2',
  amount,
  ledger: 1,
  code: 1,
});
const nextId = (): number => ++lastId;

const ask = (operation: string, body: string | Uint8Array): Promise<Msg> =>
  nats.request(`sycee.v1.${operation}`, body, { timeout: 5000 });

async function json(operation: string, body: unknown): Promise<unknown> {
  return (await ask(operation, JSON.stringify(body))).json();
}

async function packed(operation: string, body: unknown): Promise<unknown> {
  return unpackr.unpack((await ask(operation, packr.pack(body))).data);
}

/** A column of u128, little-endian. */
function u128s(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 16);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setBigUint64(i * 16, BigInt(value), true);
  return bytes;
}

const POSITION = {
  shard: expect.any(Number) as number,
  sequence: expect.anything() as unknown,
  timestamp: expect.anything() as unknown,
};
const NANOSECONDS = expect.stringMatching(/^[0-9]{19}$/) as string;

test('one object is answered with its result, in JSON and in msgpack', async () => {
  const [one, two, three] = [nextId(), nextId(), nextId()];
  expect(await json('create_accounts', account(one))).toEqual({
    status: 'created',
    timestamp: NANOSECONDS,
    positions: [POSITION],
  });
  expect(await json('create_transfers', transfer(one))).toEqual({
    status: 'created',
    timestamp: NANOSECONDS,
    positions: [POSITION],
  });
  expect(await packed('create_accounts', account(two))).toMatchObject({
    status: 'created',
    timestamp: expect.any(BigInt) as bigint,
  });
  expect(await packed('create_transfers', transfer(two))).toMatchObject({ status: 'created' });
  expect(
    await packed('create_transfers', { ...transfer(three), id: u128s(three), amount: '7' }),
  ).toMatchObject({ status: 'created' });
});

test('many objects are answered in request order, with outcomes as data', async () => {
  const id = nextId();
  const events = [
    transfer(id),
    transfer(id),
    transfer(id, 6),
    { ...transfer(nextId()), credit_account_id: 999_999 },
    { ...transfer(nextId()), code: 0 },
  ];
  const statuses = [
    'created',
    'exists',
    'exists_with_different_amount',
    'credit_account_not_found',
    'code_must_not_be_zero',
  ];
  const answer = (await json('create_transfers', events)) as {
    results: { status: string; timestamp: string }[];
  };
  expect(answer.results.map(({ status }) => status)).toEqual(statuses);
  expect(answer.results[1]!.timestamp).toBe(answer.results[0]!.timestamp);
  const again = (await packed('create_transfers', events)) as { results: { status: string }[] };
  expect(again.results.map(({ status }) => status)).toEqual([
    'exists',
    'exists',
    statuses[2],
    'id_already_failed',
    statuses[4],
  ]);
});

test('columns are answered in columns', async () => {
  const ids = [nextId(), nextId(), nextId()];
  const columns = {
    n: 3,
    id: u128s(...ids),
    debit_account_id: u128s(1, 3, 5),
    credit_account_id: u128s(2, 4, 6),
    amount: u128s(10, 20, 30),
    ledger: 1,
    code: 1,
  };
  const answer = (await packed('create_transfers', columns)) as {
    n: number;
    status: Uint8Array;
    timestamp: Uint8Array;
  };
  expect(answer).toMatchObject({ n: 3, positions: expect.arrayContaining([POSITION]) as unknown });
  expect([...answer.status]).toEqual([0, 0, 0, 0, 0, 0]);
  expect(answer.timestamp).toHaveLength(24);
  const found = (await packed('lookup_transfers', { n: 3, id: u128s(...ids) })) as {
    n: number;
    id: Uint8Array;
    amount: Uint8Array;
    timestamp: Uint8Array;
  };
  expect(found.n).toBe(3);
  expect(Buffer.from(found.id)).toEqual(Buffer.from(columns.id));
  expect(Buffer.from(found.amount)).toEqual(Buffer.from(columns.amount));
  expect(Buffer.from(found.timestamp)).toEqual(Buffer.from(answer.timestamp));
});

test('look-ups find what is there, in request order', async () => {
  const id = nextId();
  await json('create_transfers', transfer(id, 9));
  expect(await json('lookup_accounts', { ids: [2, 777_777, '1'] })).toMatchObject({
    accounts: [{ id: '2' }, { id: '1' }],
  });
  expect(await json('lookup_transfers', { ids: [id, 888_888] })).toMatchObject({
    transfers: [{ id: String(id), amount: '9' }],
  });
  expect(await packed('lookup_accounts', { ids: [1] })).toMatchObject({
    accounts: [{ ledger: 1 }],
  });
  expect(await packed('lookup_accounts', { ids: [777_777] })).toMatchObject({ accounts: [] });
});

const PENDING = 2;
const POST = 4;
const LINKED = 1;

test('a pending transfer is made and posted in every form', async () => {
  const ids = [nextId(), nextId(), nextId()];
  const ends = ids.map(() => nextId());
  const hold = (id: number): object => ({
    ...transfer(id, 8),
    credit_account_id: 4,
    flags: PENDING,
  });
  expect(await json('create_transfers', hold(ids[0]!))).toMatchObject({ status: 'created' });
  expect(await packed('create_transfers', [hold(ids[1]!)])).toMatchObject({
    results: [{ status: 'created' }],
  });
  const columns = {
    n: 1,
    id: u128s(ids[2]!),
    debit_account_id: 1,
    credit_account_id: 4,
    amount: 8,
    ledger: 1,
    code: 1,
    flags: PENDING,
  };
  expect(await packed('create_transfers', columns)).toMatchObject({ status: Buffer.alloc(2) });
  const post = { id: ends[0], pending_id: ids[0], amount: 5, flags: ['post_pending_transfer'] };
  expect(await json('create_transfers', post)).toMatchObject({ status: 'created' });
  const posts = { n: 2, id: u128s(ends[1]!, ends[2]!), pending_id: u128s(ids[1]!, ids[0]!) };
  const answer = (await packed('create_transfers', { ...posts, amount: 8, flags: POST })) as {
    status: Uint8Array;
  };
  // created, and pending_transfer_already_posted: 8 is over what the first one took, but not over what was pending.
  expect([...answer.status]).toEqual([0, 0, 33, 0]);
  expect(await json('lookup_transfers', { ids: [...ids, ends[0]] })).toMatchObject({
    transfers: [
      { pending_status: 'posted' },
      { pending_status: 'posted' },
      { pending_status: 'pending' },
      { pending_status: 'none', amount: '5', credit_account_id: '4', ledger: 1 },
    ],
  });
  const found = await packed('lookup_transfers', { n: 3, id: u128s(...ids) });
  expect(found).toMatchObject({ n: 3, pending_status: Buffer.of(2, 2, 1) });
});

test('a chain over two shards happens as a whole or not at all', async () => {
  const chain = (amount: number, last: object): readonly object[] => [
    { ...transfer(nextId(), amount), credit_account_id: 4, flags: LINKED },
    { ...transfer(nextId(), amount), debit_account_id: 4, flags: LINKED },
    { ...transfer(nextId(), amount), ...last },
  ];
  const before = await json('lookup_accounts', { ids: [4] });
  const broken = await json('create_transfers', chain(3, { code: 0 }));
  expect(broken).toMatchObject({
    results: [
      { status: 'linked_event_failed' },
      { status: 'linked_event_failed' },
      { status: 'code_must_not_be_zero' },
    ],
  });
  expect(await json('lookup_accounts', { ids: [4] })).toMatchObject({
    accounts: (before as { accounts: object[] }).accounts,
  });
  const whole = (await json('create_transfers', chain(3, {}))) as { results: object[] };
  expect(whole.results).toMatchObject(whole.results.map(() => ({ status: 'created' })));
});

test('reads are answered in maps and in columns, page by page', async () => {
  const [from, to] = [nextId(), nextId()];
  const kept = { flags: 8, user_data_32: from };
  await json('create_accounts', [
    { ...account(from), ...kept },
    { ...account(to), ...kept },
  ]);
  const between = { debit_account_id: from, credit_account_id: to, user_data_32: from };
  const ids = [nextId(), nextId(), nextId()];
  for (const [i, id] of ids.entries()) {
    await json('create_transfers', { ...transfer(id, i + 1), ...between });
  }
  const first = (await json('get_account_transfers', { account_id: to, limit: 2 })) as {
    next: string;
  };
  expect(first).toMatchObject({
    transfers: ids.slice(0, 2).map((id) => ({ id: String(id), effect_timestamp: NANOSECONDS })),
  });
  const rest = { account_id: to, limit: 2, cursor: first.next };
  expect(await packed('get_account_transfers', rest)).toMatchObject({
    transfers: [{ id: Buffer.from(u128s(ids[2]!)), pending_status: 'none' }],
    next: null,
  });
  const columns = { account_id: from, columns: true, flags: ['debits', 'reversed'] };
  expect(await packed('get_account_transfers', columns)).toMatchObject({
    n: 3,
    id: Buffer.from(u128s(...ids.toReversed())),
    amount: Buffer.from(u128s(3, 2, 1)),
    pending_status: Buffer.alloc(3),
  });
  expect(await packed('get_account_balances', { account_id: to, columns: true })).toMatchObject({
    n: 3,
    credits_posted: Buffer.from(u128s(1, 3, 6)),
    debits_posted: Buffer.from(u128s(0, 0, 0)),
  });
  const accounts = (await json('query_accounts', { user_data_32: from, ledger: 1 })) as {
    accounts: { id: string; credits_posted: string }[];
  };
  const credits = new Map(accounts.accounts.map((one) => [one.id, one.credits_posted]));
  expect(credits).toEqual(new Map([`${from}`, `${to}`].map((id, i) => [id, i === 0 ? '0' : '6'])));
  expect(await packed('query_transfers', { user_data_32: from, columns: true })).toMatchObject({
    n: 3,
    id: Buffer.from(u128s(...ids)),
    next: null,
  });
});

test('the changes are told in maps and in columns, and an empty page ends them', async () => {
  const id = nextId();
  const answer = (await json('create_transfers', transfer(id, 4))) as { timestamp: string };
  const since = { timestamp_min: answer.timestamp };
  expect(await json('get_change_events', since)).toMatchObject({
    changes: [
      {
        type: 'single_phase',
        timestamp: answer.timestamp,
        transfer: { id: String(id), amount: '4' },
        debit_account: { id: '1' },
        credit_account: { id: '2' },
      },
    ],
    next: null,
  });
  expect(await packed('get_change_events', { ...since, columns: true })).toMatchObject({
    n: 1,
    type: Buffer.of(0),
    transfer: { id: Buffer.from(u128s(id)) },
    debit_account: { id: Buffer.from(u128s(1)) },
  });
  const later = { timestamp_min: String(BigInt(answer.timestamp) + 1n) };
  expect(await json('get_change_events', later)).toMatchObject({ changes: [], next: null });
});

test('a page that is too long for a message is shorter, and nothing is left out', async () => {
  const [from, to] = [nextId(), nextId()];
  await json('create_accounts', [account(from), account(to)]);
  const n = BATCH_EVENTS_MAX;
  const ids = Array.from({ length: n }, () => nextId());
  const columns = {
    n,
    id: u128s(...ids),
    debit_account_id: from,
    credit_account_id: to,
    amount: 1,
    ledger: 1,
    code: 1,
  };
  await packed('create_transfers', columns);
  const found: string[] = [];
  let pages = 0;
  for (let cursor: string | null | undefined; cursor !== null; pages++) {
    const filter = { account_id: to, limit: n, ...(cursor === undefined ? {} : { cursor }) };
    const page = (await json('get_account_transfers', filter)) as {
      transfers: { id: string }[];
      next: string | null;
    };
    found.push(...page.transfers.map((one) => one.id));
    cursor = page.next;
  }
  expect(pages).toBeGreaterThan(1);
  expect(new Set(found)).toEqual(new Set(ids.map(String)));
  expect(found).toHaveLength(n);
});

test('the subjects of a shard take the same requests', async () => {
  const shardOf = placementOf(SHARDS);
  for (let shard = 0; shard < SHARDS; shard++) {
    let id = BigInt(nextId());
    while (shardOf(id) !== shard) id = BigInt(nextId());
    const answer = await json(`shard.${shard}.create_accounts`, account(String(id)));
    expect(answer).toMatchObject({ status: 'created', positions: [{ shard }] });
    expect(await json(`shard.${shard}.lookup_accounts`, { ids: [String(id)] })).toMatchObject({
      accounts: [{ id: String(id) }],
    });
  }
});

test('a full batch of columns and of objects goes through, and an answer that does not fit is refused', async () => {
  const ids = Array.from({ length: BATCH_EVENTS_MAX }, (_, i) => 1_000_000 + i);
  await using client = await connect({ servers: url });
  const transfers = ids.map((id) => ({
    id: BigInt(id),
    debitAccountId: 1n,
    creditAccountId: 2n,
    amount: 1n,
    ledger: 1,
    code: 1,
  }));
  const { results } = await client.createTransfers(transfers, { deadlineMs: 20_000 });
  expect(results.every(({ status }) => status === 'created')).toBe(true);
  const refused = await ask('lookup_transfers', JSON.stringify({ ids }));
  expect(refused.headers?.get('Nats-Service-Error-Code')).toBe('413');
  expect(refused.json()).toMatchObject({ code: 'too_large' });
});

test('refusals are told in headers and as a problem in the form of the request', async () => {
  for (const [operation, body] of [
    ['create_transfers', '{"id":1.5}'],
    ['create_accounts', '[]'],
    ['lookup_accounts', '{"ids":[]}'],
    ['create_transfers', ''],
    ['create_transfers', 'hello'],
  ] as const) {
    const answer = await ask(operation, body);
    expect(answer.headers?.get('Nats-Service-Error-Code')).toBe('400');
    expect(answer.headers?.get('Nats-Service-Error')).toMatch(/^malformed_request: /);
    expect(answer.json()).toMatchObject({
      code: 'malformed_request',
      status: 400,
      type: expect.any(String) as string,
    });
  }
  const answer = await ask('create_transfers', packr.pack({ amount: 0.5 }));
  expect(answer.headers?.get('Nats-Service-Error-Code')).toBe('400');
  expect(unpackr.unpack(answer.data)).toMatchObject({ code: 'malformed_request', field: 'amount' });
});

test('a deadline header that is wrong is refused, and one that is long enough changes nothing', async () => {
  const headers = newHeaders();
  headers.set('Sycee-Deadline-Ms', '3000');
  const body = JSON.stringify(transfer(nextId()));
  const answer = await nats.request('sycee.v1.create_transfers', body, { timeout: 5000, headers });
  expect(answer.json()).toMatchObject({ status: 'created' });
  headers.set('Sycee-Deadline-Ms', '-3');
  const refused = await nats.request('sycee.v1.create_transfers', body, { timeout: 5000, headers });
  expect(refused.headers?.get('Nats-Service-Error-Code')).toBe('400');
});

test('the service is discovered, and counts', async () => {
  const ping = (await nats.request('$SRV.PING.sycee', '', { timeout: 5000 })).json<{
    id: string;
  }>();
  expect(ping).toMatchObject({ type: 'io.nats.micro.v1.ping_response', name: 'sycee' });
  const described = (await nats.request(`$SRV.INFO.sycee.${ping.id}`, '', { timeout: 5000 })).json<{
    endpoints: { subject: string }[];
  }>();
  expect(described.endpoints.map(({ subject }) => subject)).toEqual(
    expect.arrayContaining([
      'sycee.v1.create_accounts',
      'sycee.v1.create_transfers',
      'sycee.v1.lookup_accounts',
      'sycee.v1.lookup_transfers',
      'sycee.v1.get_account_transfers',
      'sycee.v1.get_account_balances',
      'sycee.v1.query_accounts',
      'sycee.v1.query_transfers',
      'sycee.v1.get_change_events',
      'sycee.v1.status',
    ]),
  );
  const count = async (): Promise<number> => {
    const stats = (await nats.request('$SRV.STATS.sycee', '', { timeout: 5000 })).json<{
      endpoints: { name: string; num_requests: number }[];
    }>();
    return stats.endpoints.find(({ name }) => name === 'create_transfers')!.num_requests;
  };
  const before = await count();
  await json('create_transfers', transfer(nextId()));
  expect(await count()).toBe(before + 1);
});

test('the status says how many shards run', async () => {
  const status = await json('status', {});
  expect(status).toMatchObject({
    name: 'sycee',
    ready: true,
    shards: [
      { shard: 0, state: 'running' },
      { shard: 1, state: 'running' },
    ],
  });
  expect(served.child.hasExited).toBe(false);
});
