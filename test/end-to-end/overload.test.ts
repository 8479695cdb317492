/** More events at once than the ledger takes: what is too much is refused at once, what is taken is done, memory does not grow, and it recovers. */
import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { connectHttp } from '../../client/http-client.ts';
import { BATCH_EVENTS_MAX, SHARD_EVENTS_IN_FLIGHT_MAX } from '../../engine/limits.ts';
import { decodeCreate } from '../../gateway/columnar-codec.ts';
import { startProcess, type ServeProcess } from '../support/cluster.ts';

const ACCOUNTS = 64;
const ROUNDS = 3;
/** Requests at once: three times what the bound lets in. */
const REQUESTS = 3 * Math.ceil(SHARD_EVENTS_IN_FLIGHT_MAX / BATCH_EVENTS_MAX);
const MEMORY_GROWTH_BYTES_MAX = 200 << 20;
const packr = new Packr({ useRecords: false });

/** A full batch of transfers of 1, between accounts of both shards, as columns. */
function fullBatch(firstId: number): Uint8Array {
  const n = BATCH_EVENTS_MAX;
  const column = (value: (i: number) => number): Uint8Array => {
    const view = new DataView(new ArrayBuffer(n * 16));
    for (let i = 0; i < n; i++) view.setBigUint64(i * 16, BigInt(value(i)), true);
    return new Uint8Array(view.buffer);
  };
  const debit = (i: number): number => 1 + (i % ACCOUNTS);
  return packr.pack({
    n,
    id: column((i) => firstId + i),
    debit_account_id: column(debit),
    credit_account_id: column((i) => 1 + ((i + 1 + ((i >> 7) % (ACCOUNTS - 1))) % ACCOUNTS)),
    amount: column(() => 1),
    ledger: 1,
    code: 1,
  });
}

interface Outcome {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly code?: string;
  readonly created: number;
  readonly ms: number;
}

async function post(served: ServeProcess, body: Uint8Array): Promise<Outcome> {
  const began = performance.now();
  const headers = { 'content-type': 'application/msgpack', 'sycee-deadline-ms': '30000' };
  const answer = await fetch(`${served.url}/v1/transfers`, {
    method: 'POST',
    headers,
    body: body as Uint8Array<ArrayBuffer>,
  });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const ms = performance.now() - began;
  const retryAfter = answer.headers.get('retry-after');
  if (answer.status !== 200) {
    const { code } = JSON.parse(Buffer.from(bytes).toString()) as { code: string };
    return { status: answer.status, retryAfter, code, created: 0, ms };
  }
  const { statuses } = decodeCreate(bytes);
  return { status: 200, retryAfter, created: statuses.filter((status) => status === 0).length, ms };
}

async function residentBytes(served: ServeProcess): Promise<number> {
  const text = await (await fetch(`${served.url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)![1]);
}

test('beyond the bound of events in flight the answer is overloaded with Retry-After, and afterwards everything is as before', async () => {
  await using served = await startProcess({ shards: 2 });
  await using client = connectHttp(served.url);
  await client.createAccounts(
    Array.from({ length: ACCOUNTS }, (_, i) => ({ id: BigInt(i + 1), ledger: 1, code: 1 })),
  );
  let created = 0;
  let refused = 0;
  let nextId = 1;
  const bodies: Uint8Array[] = [];
  let memory = 0;
  for (let round = 0; round < ROUNDS; round++) {
    while (bodies.length < REQUESTS) {
      bodies.push(fullBatch(nextId));
      nextId += BATCH_EVENTS_MAX;
    }
    const sent = bodies.splice(0);
    const outcomes = await Promise.all(sent.map((body) => post(served, body)));
    // What was refused had no effect: in the next round it is created.
    for (const [i, outcome] of outcomes.entries()) {
      created += outcome.created;
      if (outcome.status === 200) continue;
      refused++;
      expect(outcome).toMatchObject({ status: 429, code: 'overloaded', retryAfter: '1' });
      bodies.push(sent[i]!);
    }
    const done = outcomes.filter(({ status }) => status === 200);
    expect(done.length).toBeGreaterThan(0);
    const told = outcomes.filter(({ status }) => status !== 200).map(({ ms }) => ms);
    // Nobody waits for those who were taken, to be told that he is too much.
    expect(Math.min(...told)).toBeLessThan(Math.max(...done.map(({ ms }) => ms)));
    expect(created % BATCH_EVENTS_MAX).toBe(0);
    // The tables grow by what is created; the first round warms up.
    if (round === 0) memory = await residentBytes(served);
  }
  expect(refused).toBeGreaterThan(0);
  expect((await residentBytes(served)) - memory).toBeLessThan(MEMORY_GROWTH_BYTES_MAX);
  for (const body of bodies) created += (await post(served, body)).created;
  const { accounts } = await client.lookupAccounts(
    Array.from({ length: ACCOUNTS }, (_, i) => BigInt(i + 1)),
  );
  const sum = (field: 'debitsPosted' | 'creditsPosted'): bigint =>
    accounts.reduce((total, one) => total + one[field], 0n);
  expect([sum('debitsPosted'), sum('creditsPosted')]).toEqual([BigInt(created), BigInt(created)]);
  expect(created).toBe(nextId - 1);
  expect(await served.isReady()).toBe(true);
});
