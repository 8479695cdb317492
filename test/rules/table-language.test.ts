/** The language of the tables: it fails where a table and the ledger disagree, and refuses what is not a table. */
import { expect, test } from 'vitest';
import { Names, parseTable, runTable, type LedgerClient } from '../support/ledger-table.ts';
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
  const client = new ModelClient(new ModelLedger(RUN.shardOf));
  await runTable(text, client, { ...RUN, advance: client.advance });
};

const WHOLE = `
  accounts  | id    | flags   | timestamp | status
            | alice | history |           | created
            | bank  |         |           | created
  commit
  transfers | id | debit | credit | amount | flags   | timeout | user_data_128 | status
            | h1 | bank  | alice  | 5      | pending | 10      | red           | created
            | h2 | bank  | alice  | 6      | pending |         |               | created
  commit
  wait      | seconds
            | 10
  transfers | id | debit | credit | amount | flags | pending_id | status
            | p2 |       |        | 4      | post  | h2         | created
  commit
`;

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

test('what a table says of the past passes when it is right', async () => {
  await expect(
    run(`${WHOLE}
      balances  | account | debits | credits | debits_pending | credits_pending | state
                | alice   | 0      | 4       | 0              | 0               | open
      lookups   | transfer | pending_status | amount | pending_id | lookup
                | h1       | expired        | 5      |            | found
                | p2       | none           | 4      | h2         | found
      statement | account | transfer | amount | pending_status
                | alice   | h1       | 5      | expired
                |         | h2       | 6      | posted
                |         | p2       | 4      |
                | nobody  |          |        |
      history   | account | debits | credits | credits_pending
                | alice   | 0      | 0       | 5
                |         | 0      | 0       | 11
                |         | 0      | 4       | 0
                | bank    |        |         |
      queries   | of        | user_data_128 | limit | order        | found
                | transfers | red           |       |              | h1
                | transfers | blue          |       |              |
      changes   | type              | transfer | debits_pending
                | two_phase_pending | h1       | 5
                | two_phase_pending | h2       | 11
                | two_phase_expired | h1       | 6
                | two_phase_posted  | p2       | 0`),
  ).resolves.toBeUndefined();
});

test('what a table says of the past fails with its line when it is wrong', async () => {
  const wrong = [
    'balances | account | credits\n | alice | 4 \n | alice | 5',
    'balances | account | credits | credits_pending\n | alice | 4 | 1',
    'balances | account | credits | state\n | alice | 4 | closed',
    'lookups | transfer | pending_status | lookup\n | h1 | pending | found',
    'lookups | transfer | flags | lookup\n | h1 | post | found',
    'statement | account | transfer\n | alice | h1\n | | h2',
    'statement | account | transfer\n | alice | h2\n | | h1\n | | p2',
    'statement | account | transfer | side\n | alice | h1 | debits',
    'history | account | credits | credits_pending\n | alice | 0 | 5\n | | 0 | 11\n | | 4 | 1',
    'history | account | credits | credits_pending\n | bank | 0 | 5',
    'history | account | credits | credits_pending\n | | 0 | 5',
    'queries | of | user_data_128 | found\n | transfers | red | h1 h2',
    'queries | of | user_data_128 | found\n | accounts | red | alice',
    'changes | type | transfer\n | two_phase_pending | h1\n | two_phase_posted | p2',
    'changes | type | transfer\n | two_phase_pending | h1',
    'changes | type | transfer | credits_pending\n | two_phase_pending | h1 | 6',
  ];
  for (const one of wrong) {
    await expect(run(`${WHOLE}${one}`)).rejects.toThrow(/table line 1\d: the system says/);
  }
});

test('a table that needs a read or a clock fails where there is none', async () => {
  const model = new ModelClient(new ModelLedger(RUN.shardOf));
  await expect(runTable(WHOLE, model, RUN)).rejects.toThrow(/its clock cannot be turned/);
  const client: LedgerClient = {
    createAccounts: (events) => model.createAccounts(events),
    createTransfers: (events) => model.createTransfers(events),
    lookupAccounts: (ids) => model.lookupAccounts(ids),
    lookupTransfers: (ids) => model.lookupTransfers(ids),
  };
  const steps = [
    'statement | account | transfer\n | alice | ',
    'history | account | debits\n | alice | ',
    'queries | of | found\n | accounts | ',
    'queries | of | found\n | transfers | ',
    'changes | type | transfer\n | single_phase | t1',
  ];
  for (const [table, one] of steps.entries()) {
    const place = { ...RUN, table };
    await expect(runTable(one, client, place)).rejects.toThrow(/the system says nothing of/);
  }
});

test('an instant is counted from the first event that a table created', async () => {
  const imported = (timestamp: string): string => `
    accounts | id | status
             | notary | created
    commit
    wait | seconds
         | 5
    accounts | id | flags | timestamp | status
             | old | imported | ${timestamp} | created
    commit`;
  await expect(run(imported('start+4'))).resolves.toBeUndefined();
  await expect(run(imported('start+6'))).rejects.toThrow(/must_not_advance/);
  await expect(run(imported('1'))).resolves.toBeUndefined();
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
