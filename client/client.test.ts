import { describe, expect, test } from 'vitest';
import { type Batch, BatchKind, Columns, ROW_WORDS } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import { AccountStatus, TransferStatus } from '../engine/status.ts';
import { emptyPage, type PageOf, type QueryOperation } from '../gateway/wire-codec-filters.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { type CallForm, type Transport, type TransferInput, TransportClient } from './client.ts';
import type { Attempt } from './retry.ts';
import { batchOfIds, batchOfObjects, objectsOfRows } from './rows.ts';

const POSITION = { shard: 0, sequence: 7, timestamp: 70n };

interface Sent {
  readonly batch: Batch;
  readonly form: CallForm;
}

/** Answers every create with one status, and every lookup with the rows of the last create. */
class FakeTransport implements Transport {
  readonly sent: Sent[] = [];
  readonly tries: Batch[] = [];
  refusals: SyceeError[] = [];
  status = 0;
  isClosed = false;

  prepareCreate(_kind: number, batch: Batch, form: CallForm): Attempt<CreateReply> {
    this.sent.push({ batch, form });
    return async () => {
      this.tries.push(batch);
      const refused = this.refusals.shift();
      if (refused !== undefined) throw refused;
      const { n } = batch;
      return {
        n,
        statuses: new Uint16Array(n).fill(this.status),
        timestamps: new BigUint64Array(n).fill(9n),
        positions: [POSITION],
      };
    };
  }

  prepareLookup(_kind: number, _ids: Batch): Attempt<RowsReply> {
    const { batch } = this.sent.at(-1)!;
    return async () => ({ n: batch.n, rows: rowsOf(batch), positions: [POSITION] });
  }

  prepareQuery<O extends QueryOperation>(operation: O): Attempt<PageOf<O>> {
    return async () => emptyPage(operation);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

function rowsOf(batch: Batch): Uint32Array {
  const words = new Uint32Array(batch.words.length + 4);
  words.set(batch.words);
  const columns = new Columns();
  columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
  const rows = new Uint32Array(batch.n * ROW_WORDS);
  for (let i = 0; i < batch.n; i++) columns.copyRow(i, rows, i * ROW_WORDS);
  return rows;
}

const transfer = (fields: Partial<TransferInput> = {}): TransferInput => ({
  id: 1n,
  debitAccountId: 2n,
  creditAccountId: 3n,
  amount: 100n,
  ledger: 1,
  code: 1,
  ...fields,
});

async function refusalOf(call: Promise<unknown>): Promise<SyceeError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SyceeError);
  return error as SyceeError;
}

describe('objects and rows', () => {
  const widest = transfer({
    id: 2n ** 128n - 1n,
    debitAccountId: (5n << 64n) | 6n,
    amount: 2n ** 127n,
    userData128: 1n << 100n,
    userData64: 2n ** 64n - 1n,
    userData32: 2 ** 32 - 1,
    timeout: 0xfedcba98,
    ledger: 2 ** 32 - 1,
    code: 65_535,
    flags: 0x8000,
    timestamp: 2n ** 63n,
  });

  test('objects become a batch and come back unchanged', () => {
    const batch = batchOfObjects(BatchKind.transfers, [widest, transfer()]);
    const back = objectsOfRows(BatchKind.transfers, rowsOf(batch), batch.n);
    const zeros = { flags: 0, pendingId: 0n, timeout: 0, userData128: 0n, userData64: 0n };
    expect(back).toEqual([
      { ...widest, pendingId: 0n },
      { ...transfer(), ...zeros, userData32: 0, timestamp: 0n },
    ]);
  });

  test('ids of a lookup keep their order', () => {
    const batch = batchOfIds([3n, 1n << 127n, 0n]);
    const back = objectsOfRows(BatchKind.transfers, rowsOf(batch), 3) as { id: bigint }[];
    expect(back.map((one) => one.id)).toEqual([3n, 1n << 127n, 0n]);
  });

  test.each([
    ['a negative id', { id: -1n }, 'id'],
    ['an id of 129 bits', { id: 1n << 128n }, 'id'],
    ['an amount that is a float', { amount: 1.5 }, 'amount'],
    ['an amount that is a number', { amount: 1 }, 'amount'],
    ['a code of 17 bits', { code: 65_536 }, 'code'],
    ['a fractional ledger', { ledger: 0.5 }, 'ledger'],
    ['a ledger that is a string', { ledger: '1' }, 'ledger'],
    ['an unknown field', { debit_account_id: 1n }, 'debit_account_id'],
  ])('%s is refused with its field and rule', (_name, fields, field) => {
    const bad = { ...transfer(), ...fields };
    const expected: object = { code: 'malformed_request', field, retryable: false };
    expect(() => batchOfObjects(BatchKind.transfers, [transfer(), bad])).toThrow(
      expect.objectContaining({ ...expected, rule: expect.stringMatching(/./u) as string }),
    );
  });
});

describe('TransportClient', () => {
  test('outcomes are data with the names of their statuses', async () => {
    const transport = new FakeTransport();
    await using client = new TransportClient(transport);
    transport.status = TransferStatus.exceeds_credits;
    const made = await client.createTransfers([transfer(), transfer({ id: 2n })]);
    expect(made.results).toEqual([
      { status: 'exceeds_credits', timestamp: 9n },
      { status: 'exceeds_credits', timestamp: 9n },
    ]);
    expect(made.positions).toEqual([POSITION]);
    transport.status = AccountStatus.exists;
    const accounts = await client.createAccounts([{ id: 1n, ledger: 1, code: 1 }]);
    expect(accounts.results[0]!.status).toBe('exists');
  });

  test('a batch goes through as it is, and its reply has columns', async () => {
    const transport = new FakeTransport();
    await using client = new TransportClient(transport);
    const batch = batchOfObjects(BatchKind.transfers, [transfer()]);
    const reply = await client.createTransfers(batch);
    expect(reply.statuses).toEqual(new Uint16Array([0]));
    expect(transport.sent).toEqual([{ batch, form: 'columns' }]);
  });

  test('a retry sends the same bytes, and so the same ids', async () => {
    const transport = new FakeTransport();
    await using client = new TransportClient(transport);
    transport.refusals = [
      new SyceeError('overloaded', 'full'),
      new SyceeError('unknown', 'lost'),
      new SyceeError('shard_unavailable', 'rebuilt'),
    ];
    const made = await client.createTransfers([transfer()]);
    expect(made.results[0]!.status).toBe('created');
    expect(transport.tries).toHaveLength(4);
    expect(new Set(transport.tries).size).toBe(1);
    expect(transport.sent).toHaveLength(1);
  });

  test('found rows become objects', async () => {
    const transport = new FakeTransport();
    await using client = new TransportClient(transport);
    await client.createTransfers([transfer({ userData64: 4n })]);
    const found = await client.lookupTransfers([1n]);
    expect(found.transfers[0]).toMatchObject({ id: 1n, amount: 100n, userData64: 4n, timeout: 0 });
    const rows = await client.lookupTransfers(batchOfIds([1n]));
    expect(rows.rows).toHaveLength(ROW_WORDS);
  });

  test('no events need no request', async () => {
    const transport = new FakeTransport();
    await using client = new TransportClient(transport);
    expect(await client.createTransfers([])).toEqual({ results: [], positions: [] });
    expect(transport.sent).toHaveLength(0);
  });

  test('more events than a request takes are refused with a sentence', async () => {
    await using client = new TransportClient(new FakeTransport());
    const many = Array.from({ length: BATCH_EVENTS_MAX + 1 }, () => transfer());
    const error = await refusalOf(client.createTransfers(many));
    expect(error.code).toBe('too_large');
    expect(error.message).toContain('8189');
  });

  test.each([1, 2, 256, 0x1ff, 0x8000])('the flags %i are the ledger’s to judge', async (flags) => {
    const transport = new FakeTransport();
    await using client = new TransportClient(transport);
    const { results } = await client.createTransfers([transfer({ flags })]);
    expect(results).toMatchObject([{ status: 'created' }]);
  });

  test('a found transfer says what became of it, and is not an event as it is', async () => {
    const transport = new FakeTransport();
    await using client = new TransportClient(transport);
    await client.createTransfers([transfer()]);
    const [found] = (await client.lookupTransfers([1n])).transfers;
    expect(found).toMatchObject({ pendingStatus: 'none' });
    const again = await refusalOf(client.createTransfers([found!]));
    expect(again).toMatchObject({ code: 'malformed_request', field: 'pendingStatus' });
  });

  test('a batch of another kind is refused', async () => {
    await using client = new TransportClient(new FakeTransport());
    const batch = batchOfObjects(BatchKind.transfers, [transfer()]);
    expect((await refusalOf(client.createAccounts(batch))).field).toBe('kind');
  });

  test('leaving the scope closes the transport, and a closed client refuses', async () => {
    const transport = new FakeTransport();
    const client = new TransportClient(transport);
    {
      await using scoped = client;
      await scoped.createTransfers([transfer()]);
    }
    expect(transport.isClosed).toBe(true);
    expect((await refusalOf(client.createTransfers([transfer()]))).retryable).toBe(false);
  });
});
