import { describe, expect, test } from 'vitest';
import type { Batch } from '../engine/batch.ts';
import type { CreateReply } from '../engine/reply.ts';
import { TransferStatus } from '../engine/status.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { BatchingClient } from './batching-client.ts';
import type { Client, TransferInput } from './client.ts';
import { encodeJson } from './json-codec.ts';

interface Asked {
  readonly ids: readonly bigint[];
  readonly answer: () => void;
  readonly fail: (error: unknown) => void;
}

/** Answers when it is told to; a transfer's timestamp is its id, and those with an even amount exist. */
class FakeLedger {
  readonly asked: Asked[] = [];

  readonly client = {
    createTransfers: (batch: Batch): Promise<CreateReply> =>
      new Promise((resolve, reject) => {
        const rows = JSON.parse(encodeJson(batch)) as {
          readonly id: string;
          readonly amount: string;
        }[];
        const reply: CreateReply = {
          n: batch.n,
          statuses: Uint16Array.from(rows, ({ amount }) =>
            BigInt(amount) % 2n === 0n ? TransferStatus.exists : TransferStatus.created,
          ),
          timestamps: BigUint64Array.from(rows, ({ id }) => BigInt(id)),
          positions: [],
        };
        const ids = rows.map(({ id }) => BigInt(id));
        this.asked.push({ ids, answer: () => resolve(reply), fail: reject });
      }),
  } as unknown as Client;

  /** Answers the batches one after the other, until there is none. */
  async answerAll(): Promise<number[]> {
    const sizes: number[] = [];
    for (let at = 0; at < this.asked.length; at++) {
      sizes.push(this.asked[at]!.ids.length);
      this.asked[at]!.answer();
      await turn();
    }
    return sizes;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const transferOf = (id: bigint, flags = 0): TransferInput => ({
  id,
  debitAccountId: 1n,
  creditAccountId: 2n,
  amount: id,
  ledger: 1,
  code: 1,
  flags,
});

describe('a batching client', () => {
  test('sends what comes in one go together, and what comes meanwhile when that is answered', async () => {
    const ledger = new FakeLedger();
    const batching = new BatchingClient(ledger.client);
    const first = [1n, 2n, 3n].map((id) => batching.createTransfer(transferOf(id)));
    await turn();
    const second = [4n, 5n].map((id) => batching.createTransfer(transferOf(id)));
    await turn();
    const third = batching.createTransfer(transferOf(6n));
    await turn();
    expect(ledger.asked.map(({ ids }) => ids)).toEqual([[1n, 2n, 3n]]);
    expect(await ledger.answerAll()).toEqual([3, 3]);
    const results = await Promise.all([...first, ...second, third]);
    expect(results.map(({ timestamp }) => timestamp)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
    expect(results.map(({ status }) => status)).toEqual(
      [1, 2, 3, 4, 5, 6].map((id) => (id % 2 === 0 ? 'exists' : 'created')),
    );
  });

  test('an input that breaks a rule rejects its own call, and leaves no trace in the batch', async () => {
    const ledger = new FakeLedger();
    const batching = new BatchingClient(ledger.client);
    const good = batching.createTransfer(transferOf(1n));
    const bad = batching.createTransfer({ ...transferOf(2n), userData128: 7n, code: 65_536 });
    const unknown = batching.createTransfer({ ...transferOf(2n), what: 1n } as TransferInput);
    const bigFlags = batching.createTransfer({ ...transferOf(2n), flags: 1n as never });
    const next = batching.createTransfer({ ...transferOf(3n), code: 0 });
    await expect(bad).rejects.toMatchObject({ code: 'malformed_request', field: 'code' });
    await expect(unknown).rejects.toMatchObject({ code: 'malformed_request', field: 'what' });
    await expect(bigFlags).rejects.toMatchObject({ code: 'malformed_request', field: 'flags' });
    expect(await ledger.answerAll()).toEqual([2]);
    expect(ledger.asked[0]!.ids).toEqual([1n, 3n]);
    expect([(await good).timestamp, (await next).timestamp]).toEqual([1n, 3n]);
    const alone = new BatchingClient(new FakeLedger().client);
    await expect(alone.createTransfer({ ...transferOf(1n), code: -1 })).rejects.toThrow('code');
    await alone.close();
  });

  test('a batch without an answer rejects all its calls, and the next one goes all the same', async () => {
    const ledger = new FakeLedger();
    const batching = new BatchingClient(ledger.client);
    const lost = [1n, 2n].map((id) => batching.createTransfer(transferOf(id)));
    await turn();
    const next = batching.createTransfer(transferOf(3n));
    ledger.asked[0]!.fail(new SyceeError('unknown', 'nobody knows'));
    for (const { status, reason } of (await Promise.allSettled(lost)) as PromiseRejectedResult[]) {
      expect([status, (reason as SyceeError).code]).toEqual(['rejected', 'unknown']);
    }
    await turn();
    ledger.asked[1]!.answer();
    expect((await next).timestamp).toBe(3n);
  });

  test('a chain stays together, also where a batch is full', async () => {
    const ledger = new FakeLedger();
    const batching = new BatchingClient(ledger.client);
    void batching.createTransfer(transferOf(1n));
    await turn();
    const singles = Array.from({ length: 8188 }, (_, i) =>
      batching.createTransfer(transferOf(BigInt(10 + i))),
    );
    const chain = batching.createChain([transferOf(2n, 1), transferOf(3n)]);
    const after = batching.createTransfer(transferOf(4n));
    expect(await ledger.answerAll()).toEqual([1, 8188, 3]);
    expect((await chain).map(({ timestamp }) => timestamp)).toEqual([2n, 3n]);
    await Promise.all([...singles, after]);
    expect(await batching.createChain([])).toEqual([]);
    const open = [transferOf(5n, 1), transferOf(6n, 1)];
    const broken = [transferOf(5n), transferOf(6n)];
    for (const wrong of [open, broken]) {
      await expect(batching.createChain(wrong)).rejects.toMatchObject({ field: 'flags' });
    }
    await expect(batching.createTransfer(transferOf(7n, 1))).rejects.toThrow('createChain');
    await expect(batching.createTransfer(transferOf(7n, 256))).rejects.toThrow('imported');
    const long = Array.from({ length: 8190 }, (_, i) =>
      transferOf(BigInt(i + 1), i < 8189 ? 1 : 0),
    );
    await expect(batching.createChain(long)).rejects.toMatchObject({ code: 'too_large' });
  });

  test('what waits is bounded, and what is refused disturbs nobody', async () => {
    const ledger = new FakeLedger();
    const batching = new BatchingClient(ledger.client, { waitingMax: 3 });
    const calls = [1n, 2n, 3n, 4n].map((id) => batching.createTransfer(transferOf(id)));
    await expect(calls[3]).rejects.toMatchObject({ code: 'overloaded', retryable: true });
    expect(await ledger.answerAll()).toEqual([3]);
    await Promise.all(calls.slice(0, 3));
    for (const options of [{ inFlight: 0 }, { waitingMax: 1.5 }]) {
      expect(() => new BatchingClient(ledger.client, options)).toThrow('whole number');
    }
  });

  test('so many batches may be under way, and closing waits for all of them', async () => {
    const ledger = new FakeLedger();
    const batching = new BatchingClient(ledger.client, { inFlight: 2 });
    const calls: Promise<unknown>[] = [];
    for (const id of [1n, 2n, 3n, 4n]) {
      calls.push(batching.createTransfer(transferOf(id)));
      await turn();
    }
    expect(ledger.asked.map(({ ids }) => ids)).toEqual([[1n], [2n]]);
    let isClosed = false;
    const closing = batching.close().then(() => (isClosed = true));
    await expect(batching.createTransfer(transferOf(5n))).rejects.toThrow('closed');
    await turn();
    expect(isClosed).toBe(false);
    expect(await ledger.answerAll()).toEqual([1, 1, 2]);
    await closing;
    await Promise.all(calls);
    await batching.close();
  });
});
