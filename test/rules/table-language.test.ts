/** The language of the tables: it fails where a table and the ledger disagree, and refuses what is not a table. */
import { expect, test } from 'vitest';
import { Names, parseTable, runTable } from '../support/ledger-table.ts';
import { ModelClient, ModelLedger, U128_MAX, type Result } from '../support/model-ledger.ts';
import { placementOf } from '../support/placement.ts';

const RUN = { table: 0, shards: 3, shardOf: placementOf(3) };
const ACCOUNTS = `
  accounts | id    | status
           | alice | created
           | bank  | created
  commit
  transfers | id | debit | credit | amount | status
            | t1 | bank  | alice  | 5      | created
  commit
`;

const run = async (text: string): Promise<void> => {
  await runTable(text, new ModelClient(new ModelLedger(RUN.shardOf)), RUN);
};

test('a table that is right passes', async () => {
  const balances = 'balances | account | debits | credits\n | alice | 0 | 5\n | bank | 5 | 0';
  const lookups = 'lookups | transfer | debit | amount | lookup\n | t1 | bank | 5 | found\n';
  await expect(run(`${ACCOUNTS}${balances}\n${lookups}`)).resolves.toBeUndefined();
});

test('a wrong status, balance or lookup fails with its line', async () => {
  const wrong = [
    'transfers | id | debit | credit | status\n | t2 | bank | alice | exists\n commit',
    'transfers | id | debit | credit | status\n | t1 | bank | alice | exists\n commit',
    'balances | account | debits | credits\n | alice | 0 | 6',
    'balances | account | debits | credits\n | bank | 4 | 0',
    'balances | account | debits | credits\n | nobody | 0 | 0',
    'lookups | transfer | lookup\n | t1 | missing',
    'lookups | transfer | lookup\n | t2 | found',
    'lookups | transfer | credit | lookup\n | t1 | bank | found',
    'lookups | transfer | amount | lookup\n | t1 | 6 | found',
  ];
  for (const one of wrong) {
    await expect(run(`${ACCOUNTS}${one}`)).rejects.toThrow(/table line 1\d: the system says/);
  }
});

test('exists with a timestamp other than the original one fails', async () => {
  const model = new ModelClient(new ModelLedger(RUN.shardOf));
  const original = model.createTransfers.bind(model);
  model.createTransfers = async (events) => {
    const { results } = await original(events);
    const later = (one: Result): Result => ({ ...one, timestamp: one.timestamp + 1n });
    return { results: results.map((one) => (one.status === 'exists' ? later(one) : one)) };
  };
  const again = '| t1 | bank | alice | 5 | exists\n commit';
  await expect(runTable(`${ACCOUNTS}${again}`, model, RUN)).rejects.toThrow(/the original has/);
});

test('what is not a table is refused', () => {
  expect(() => parseTable('transfer | id | status')).toThrow(/unknown section/);
  expect(() => parseTable('transfers | id | status | debit')).toThrow(/status stands last/);
  expect(() => parseTable('accounts | id | colour | status')).toThrow(/no column colour/);
  expect(() => parseTable('accounts | id | status\n | alice')).toThrow(/a cell per column/);
  expect(() => parseTable('accounts | id | status\n | alice | created')).toThrow(
    /ends with commit/,
  );
  expect(() => parseTable(' | alice | created')).toThrow(/a cell per column/);
});

test('names become ids on the shards of their owners, others for each table', () => {
  const names = new Names({ ...RUN, firstShard: 1 });
  const owners = ['bank', 'bank.fees', 'alice', 'shop.till'];
  expect(owners.map((name) => RUN.shardOf(names.account(name)))).toEqual([1, 1, 2, 0]);
  expect(names.account('bank')).toBe(names.account('bank'));
  const others = new Names({ ...RUN, table: 1 });
  expect(others.account('bank')).not.toBe(names.account('bank'));
  expect(others.transfer('t1')).not.toBe(names.transfer('t1'));
  expect(names.account('0')).toBe(0n);
  expect(names.account('max')).toBe(U128_MAX);
  expect(names.transfer('max-1')).toBe(U128_MAX - 1n);
});
