import { expect, test } from 'vitest';
import type { AccountTransfer } from '../client/reads.ts';
import { Prng } from '../lib/prng.ts';
import { MarkedJournal } from './marked-journal.ts';
import { type Past, questionKinds } from './questions.ts';
import type { QuestionName } from './scenario-options.ts';
import { Workload } from './workload.ts';

const ACCOUNTS = 32;
const workload = new Workload({
  accounts: ACCOUNTS,
  shards: 1,
  batch: 10,
  crossShard: undefined,
  seed: 1,
  inFlight: 1,
  pairs: 10,
});

function transferOf(debitAccountId: bigint, effectTimestamp: bigint): AccountTransfer {
  return {
    id: 1n,
    debitAccountId,
    creditAccountId: 2n,
    amount: 1n,
    pendingId: 0n,
    userData128: 0n,
    userData64: 0n,
    userData32: 0,
    timeout: 0,
    ledger: 1,
    code: 1,
    flags: 0,
    timestamp: effectTimestamp,
    pendingStatus: 'none',
    effectTimestamp,
  };
}

const notAsked = (): never => {
  throw new Error('this is not asked');
};

async function complaintAbout(
  name: QuestionName,
  client: Partial<Past['client']>,
): Promise<string | null> {
  const kinds = questionKinds({
    client: {
      getAccountTransfers: notAsked,
      queryTransfers: notAsked,
      queryAccounts: notAsked,
      changeEvents: notAsked,
      ...client,
    },
    workload,
    journal: new MarkedJournal(100, 10),
    entries: new Uint32Array(ACCOUNTS).fill(2),
    accountsFrom: 1n,
    accountsTo: 2n,
    transfersTo: 3n,
  });
  const ask = kinds.find((kind) => kind.name === name)!.draw(new Prng(1));
  return (await ask()).complaint;
}

/** The history of the account asked for, with transfers at these times. */
const historyAt =
  (...times: bigint[]): Past['client']['getAccountTransfers'] =>
  ({ accountId }) => {
    const transfers = times.map((time) => transferOf(accountId, time));
    return Promise.resolve({ transfers, next: null, positions: [] });
  };

test('a history in its order passes, and one out of order or cut short is found', async () => {
  const newest = (getAccountTransfers: Past['client']['getAccountTransfers']) =>
    complaintAbout('history_10_newest_first', { getAccountTransfers });
  expect(await newest(historyAt(9n, 8n))).toBeNull();
  expect(await newest(historyAt(8n, 9n))).toContain('out of order');
  expect(await newest(historyAt(9n))).toContain('1 transfers only');
  const foreign = { transfers: [transferOf(7n, 9n), transferOf(7n, 8n)], next: null };
  expect(await newest(() => Promise.resolve({ ...foreign, positions: [] }))).toContain('foreign');
});

test('a search that finds too little, or something else, is found', async () => {
  const page = (transfers: readonly AccountTransfer[]): Partial<Past['client']> => ({
    queryTransfers: () => Promise.resolve({ transfers, next: null, positions: [] }),
  });
  const rare = 'transfers_by_rare_user_data_64';
  expect(await complaintAbout(rare, page([]))).toContain('0 transfers were found');
  expect(await complaintAbout(rare, page([transferOf(1n, 1n)]))).toContain('has not user_data_64');
});
