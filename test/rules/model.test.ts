/** The tables of the rules against the naive model: what judges the system obeys the rules itself. */
import { describe, expect, test } from 'vitest';
import {
  ACCOUNT_STATUS_PRECEDENCE,
  TRANSFER_STATUS_PRECEDENCE,
  type AccountStatus,
  type TransferStatus,
} from '../../engine/status.ts';
import { isBatch, parseTable, runTable } from '../support/ledger-table.ts';
import { ModelClient, ModelLedger } from '../support/model-ledger.ts';
import type { AccountInput, TransferInput } from '../support/model-ledger.ts';
import { placementOf } from '../support/placement.ts';
import { EVERY_TABLE } from './every-table.ts';
import { holdsAt } from './rule-table.ts';

const ACCOUNT: AccountInput = { id: 1n, ledger: 1, code: 1 };
const TRANSFER: TransferInput = {
  ...ACCOUNT,
  debitAccountId: 1n,
  creditAccountId: 2n,
  amount: 1n,
};

for (const shards of [1, 2, 5, 16]) {
  describe(`the model with ids per debit shard, ${shards} shards`, () => {
    const shardOf = placementOf(shards);
    const client = new ModelClient(new ModelLedger(shardOf));
    for (const [table, { title, text }] of EVERY_TABLE.entries()) {
      if (!holdsAt(EVERY_TABLE[table]!, shards)) continue;
      test(`table: ${title}`, async () => {
        const run = runTable(text, client, { table, shards, shardOf, advance: client.advance });
        await expect(run).resolves.toBeUndefined();
      });
    }
  });
}

test('the rules of the model stand in order of precedence', () => {
  const model = new ModelLedger(() => 0);
  const accountRules = model.accountRules(ACCOUNT).map(([name]) => name);
  const transferRules = model.transferRules(TRANSFER).map(([name]) => name);
  const isAccountRule = (name: keyof typeof AccountStatus): boolean => accountRules.includes(name);
  const isTransferRule = (name: keyof typeof TransferStatus): boolean =>
    transferRules.includes(name);
  expect(accountRules).toEqual(ACCOUNT_STATUS_PRECEDENCE.filter(isAccountRule));
  expect(transferRules).toEqual(TRANSFER_STATUS_PRECEDENCE.filter(isTransferRule));
});

test('an event that is said to break two rules does break both', async () => {
  for (const [table, { title, text, only }] of EVERY_TABLE.entries()) {
    const shards = only === 'several shards' ? 2 : 1;
    const shardOf = placementOf(shards);
    const model = new ModelLedger(shardOf);
    const client = new ModelClient(model);
    await runTable(text, client, { table, shards, shardOf, advance: client.advance });
    const events = parseTable(text).flatMap((one) => (isBatch(one) ? one.rows : []));
    expect(events.length).toBe(client.answered.length);
    for (const [i, { cells, text: line }] of events.entries()) {
      const due = [cells['status']!, cells['beats'] ?? ''].filter((one) =>
        /^(?!created$)./.test(one),
      );
      expect(client.answered[i]!.broken, `${title}: ${line}`).toEqual(expect.arrayContaining(due));
    }
  }
});
