import { expect, test } from 'vitest';
import { ACCOUNT_STATUS_PRECEDENCE, TRANSFER_STATUS_PRECEDENCE } from '../../engine/status.ts';
import { placementOf } from '../support/cluster.ts';
import { ModelLedger } from '../support/model-ledger.ts';
import { RandomBatches, eachSeed } from '../support/random-batches.ts';

const NEVER = /^(linked_event|overflows_(debits|credits)(_pending)?$)/;

test('random batches reach every status of single-phase transfers', () => {
  const accounts = new Set<string>();
  const transfers = new Set<string>();
  for (let seed = 1; seed <= 30; seed++) {
    const model = new ModelLedger(placementOf(1));
    const batches = new RandomBatches({ seed, hasOverflows: true });
    for (let i = 0; i < 60; i++) {
      const batch = batches.next();
      if (batch.type === 'accounts') {
        for (const { status } of model.createAccounts(batch.events)) accounts.add(status);
      } else {
        for (const { status } of model.createTransfers(batch.events)) transfers.add(status);
      }
    }
  }
  const isDue = (status: string): boolean => !NEVER.test(status);
  expect([...accounts].toSorted()).toEqual(ACCOUNT_STATUS_PRECEDENCE.filter(isDue).toSorted());
  // A stored transfer has no flags, and the edge refuses defined ones.
  const due = TRANSFER_STATUS_PRECEDENCE.filter(isDue);
  const reachable = due.filter((status) => status !== 'exists_with_different_flags');
  expect([...transfers].toSorted()).toEqual(reachable.toSorted());
});

test('a good part of the transfers of random batches is created', () => {
  let created = 0;
  let all = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const model = new ModelLedger(placementOf(2));
    const batches = new RandomBatches({ seed });
    for (let i = 0; i < 40; i++) {
      const batch = batches.next();
      if (batch.type === 'accounts') model.createAccounts(batch.events);
      else {
        const results = model.createTransfers(batch.events);
        all += results.length;
        created += results.filter(({ status }) => status === 'created').length;
      }
    }
  }
  expect(created / all).toBeGreaterThan(0.25);
  expect(created / all).toBeLessThan(0.75);
});

test('one seed gives the same batches', () => {
  const one = new RandomBatches({ seed: 4 });
  const again = new RandomBatches({ seed: 4 });
  for (let i = 0; i < 20; i++) expect(again.next()).toEqual(one.next());
});

test('a failing seed is named with the command that runs it again', async () => {
  const fail = (): Promise<void> => Promise.reject(new Error('wrong balance'));
  const command = /seed \d+: wrong balance\nrun it again: SEED=\d+ npx vitest run .* test\/model/;
  await expect(eachSeed(2, 'test/model/x.test.ts', fail)).rejects.toThrow(command);
});
