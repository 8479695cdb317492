import { describe, expect, test } from 'vitest';
import { type Transport, TransportClient } from '../client/client.ts';
import { Account, COLUMN_OFFSETS, HEADER_BYTES, ROW_WORDS } from '../engine/batch.ts';
import { Books } from './books.ts';
import { makeReport } from './report.ts';
import { scenarioOptionsOf } from './scenario-options.ts';
import type { ScenarioResult } from './scenario.ts';
import { compareDigests, verifyBalances } from './verify.ts';
import { Workload } from './workload.ts';

const workloadOptions = {
  accounts: 32,
  shards: 1,
  batch: 8,
  crossShard: undefined,
  seed: 3,
  inFlight: 1,
  pairs: 64,
};

/** A ledger that executes a workload in a map, and can be made to lie. */
class MapLedger implements Transport {
  readonly debits = new Map<string, bigint>();
  readonly credits = new Map<string, bigint>();
  /** Debits pending, beside those posted. */
  readonly pending = new Map<string, bigint>();

  move(from: string, to: string, amount: bigint): void {
    this.debits.set(from, (this.debits.get(from) ?? 0n) + amount);
    this.credits.set(to, (this.credits.get(to) ?? 0n) + amount);
  }

  prepareCreate(): never {
    throw new Error('nothing is created here');
  }

  prepareQuery(): never {
    throw new Error('nothing is asked about the past here');
  }

  prepareLookup(...[, ids]: Parameters<Transport['prepareLookup']>) {
    const rows = new Uint32Array(ids.n * ROW_WORDS);
    const view = new DataView(rows.buffer);
    for (let row = 0; row < ids.n; row++) {
      const at = HEADER_BYTES / 4 + row * 4;
      const key = ids.words.subarray(at, at + 4).join('.');
      const from = row * ROW_WORDS * 4;
      const debit = this.debits.get(key) ?? 0n;
      const credit = this.credits.get(key) ?? 0n;
      const pending = this.pending.get(key) ?? 0n;
      view.setBigUint64(from + COLUMN_OFFSETS[Account.debitsPending]!, pending, true);
      view.setBigUint64(from + COLUMN_OFFSETS[Account.debitsPosted]!, debit, true);
      view.setBigUint64(from + COLUMN_OFFSETS[Account.creditsPosted]!, credit, true);
    }
    return () => Promise.resolve({ n: ids.n, rows, positions: [] });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function acknowledged(): { workload: Workload; books: Books; ledger: MapLedger } {
  const workload = new Workload(workloadOptions);
  const books = new Books(workload);
  const ledger = new MapLedger();
  const key = (account: number): string =>
    workload.accountIds.subarray(account * 4, account * 4 + 4).join('.');
  for (let use = 0; use < 20; use++) {
    const slot = workload.take();
    for (const [row, amount] of slot.amounts.entries()) {
      ledger.move(key(slot.debits[row]!), key(slot.credits[row]!), BigInt(amount));
    }
    books.acknowledge(slot, new Uint16Array(8), 8);
    workload.giveBack(slot);
  }
  return { workload, books, ledger };
}

describe('verifyBalances', () => {
  test('balances that hold what was acknowledged pass', async () => {
    const { workload, books, ledger } = acknowledged();
    await using client = new TransportClient(ledger);
    expect(await verifyBalances(client, workload, books)).toEqual([]);
  });

  test('a transfer that was never acknowledged, or was lost, is found', async () => {
    const { workload, books, ledger } = acknowledged();
    const [from, to] = ledger.debits.keys();
    ledger.move(from!, to!, 1n);
    await using client = new TransportClient(ledger);
    const complaints = await verifyBalances(client, workload, books);
    expect(complaints.join('\n')).toMatch(/account \d+ has posted debits/);
    expect(complaints.join('\n')).toContain('acknowledged amounts are');
  });

  test('what is still pending is found', async () => {
    const { workload, books, ledger } = acknowledged();
    const [from] = ledger.debits.keys();
    ledger.pending.set(from!, 2n ** 64n - 1n);
    await using client = new TransportClient(ledger);
    const complaints = await verifyBalances(client, workload, books);
    expect(complaints.join('\n')).toMatch(/^account \d+ has \d+ pending, and should have nothing$/);
  });

  test('amounts that should be pending and are posted are found', async () => {
    const { workload, books, ledger } = acknowledged();
    await using client = new TransportClient(ledger);
    const complaints = await verifyBalances(client, workload, books, 'pending');
    expect(complaints.join('\n')).toMatch(/account \d+ has \d+ posted, and should have nothing/);
  });

  test('money on the wrong account is found even when the sums are right', async () => {
    const { workload, books, ledger } = acknowledged();
    const [one, other] = ledger.debits.keys();
    ledger.debits.set(one!, ledger.debits.get(one!)! + 1n);
    ledger.debits.set(other!, ledger.debits.get(other!)! - 1n);
    await using client = new TransportClient(ledger);
    expect(await verifyBalances(client, workload, books)).toHaveLength(2);
  });
});

test('a replay that ends elsewhere than the live state is found', () => {
  const end = { sequence: 5, digest: 'aa', events: 1, seconds: 1 };
  const live = { shard: 0, sequence: 5, digest: 'aa' };
  expect(compareDigests([live], [end])).toEqual([]);
  expect(compareDigests([{ ...live, sequence: 4 }], [end])).toEqual([]);
  expect(compareDigests([{ ...live, digest: 'ab' }], [end])).toHaveLength(1);
  expect(compareDigests([{ ...live, sequence: 6 }], [end])).toHaveLength(1);
  expect(compareDigests([], [end])).toHaveLength(1);
});

test('a run that does not verify reports no throughput', () => {
  const result: ScenarioResult = {
    transfers: 100,
    seconds: 1,
    latency: { p50: 1, p99: 1, p999: 1, max: 1 },
    http: undefined,
    replay: undefined,
    memory: {
      before: 1,
      afterFirst: 1,
      firstAccounts: 0,
      afterAccounts: 2,
      accounts: 1,
      after: 3,
      transfers: 1,
    },
    complaints: ['a balance is off'],
  };
  const options = {
    scenario: 'uniform' as const,
    scenarioOptions: scenarioOptionsOf('uniform', {}, (line) => new Error(line)),
    transport: 'in-process' as const,
    warmUpSeconds: 0,
    connections: 1,
    workers: 1,
    directory: undefined,
    json: true,
    seconds: 1,
    ...workloadOptions,
  };
  const refused = makeReport(options, result);
  expect(refused).toMatchObject({ verified: false, complaints: ['a balance is off'] });
  expect(refused).not.toHaveProperty('transfers_per_second');
  expect(makeReport(options, { ...result, complaints: [] })).toMatchObject({
    verified: true,
    transfers_per_second: 100,
    durability: 'FULL fsync before reply',
  });
});
