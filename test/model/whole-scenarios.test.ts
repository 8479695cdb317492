/**
 * As named-scenarios.test.ts, for chains over shards, pending transfers and what ends them, closing, balancing, accounts that are created together,
 * and imported events: every order of steps, the clock's included; the small ones also with a crash of any shard at any moment.
 */
import { describe, expect, test } from 'vitest';
import { TransferFlags } from '../../engine/flags.ts';
import { ExhaustiveWorld } from '../support/exhaustive-world.ts';
import { U128_MAX, type TransferInput } from '../support/model-ledger.ts';
import {
  account,
  batch,
  chain,
  create,
  createAs,
  one,
  scenarioOf,
  type EventPlan,
  type Named,
} from '../support/scenario-words.ts';

const STATES_MAX = 80_000;
const SECOND = 1_000_000_000n;
/** A pending transfer with a timeout of a second expires a few events after the first of these, and before the second. */
const AROUND_EXPIRY = [SECOND, 2n * SECOND];
const { pending, balancingDebit, balancingCredit, closingDebit, closingCredit } = TransferFlags;
const CLOSING = pending | closingDebit | closingCredit;
const TIMED: Partial<TransferInput> = { flags: pending, timeout: 1 };

/** All that is pending, by a post that names these accounts. */
const post = (id: number, pendingId: number, debit: string, credit: string): EventPlan => {
  const flags = TransferFlags.postPendingTransfer;
  const more = { flags, pendingId: BigInt(pendingId), amount: U128_MAX, ledger: 0, code: 0 };
  return [id, debit, credit, 0, more];
};
const voids = (id: number, pendingId: number, debit: string, credit: string): EventPlan => {
  const flags = TransferFlags.voidPendingTransfer;
  return [id, debit, credit, 0, { flags, pendingId: BigInt(pendingId), ledger: 0, code: 0 }];
};
const imports = (timestamp: bigint, more: Partial<TransferInput> = {}): Partial<TransferInput> => ({
  ...more,
  flags: (more.flags ?? 0) | TransferFlags.imported,
  timestamp: 3n * (SECOND / 2n) + timestamp,
});

const NAMED: readonly Named[] = [
  {
    name: 'two chains over the same accounts in opposite order',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc', 5), account('a0_y')],
    clients: [
      [chain([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a0_y', 10])],
      [chain([3, 'a1_x', 'a0_x', 5], [4, 'a0_x', 'a0_y', 10])],
    ],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'a chain over three shards whose last leg fails',
    shards: 3,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a2_x', 'dmc')],
    clients: [
      [
        chain([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a2_x', 5], [3, 'a2_x', 'a0_x', 6]),
        one(2, 'a1_x', 'a2_x', 0),
      ],
      [one(4, 'a1_x', 'a2_x', 5)],
    ],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'a chain over two shards that is left open, and its ids again',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x'), account('a0_y')],
    clients: [
      [
        batch([1, 'a0_x', 'a1_x', 5, { flags: 1 }], [2, 'a1_x', 'a0_y', 5, { flags: 1 }]),
        one(1, 'a0_x', 'a1_x', 5),
      ],
      [one(3, 'a0_x', 'a0_y', 5)],
    ],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'a failed chain and what waits behind it',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a1_y')],
    clients: [
      [chain([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a1_y', 6])],
      [one(1, 'a0_x', 'a1_y', 5)],
      [one(4, 'a1_y', 'a1_x', 1)],
    ],
    hasGroups: true,
  },
  {
    name: 'chains that walk together',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a1_y')],
    clients: [
      [chain([1, 'a0_x', 'a1_x', 3], [2, 'a1_x', 'a1_y', 4])],
      [chain([3, 'a0_x', 'a1_x', 3], [4, 'a1_x', 'a1_y', 3])],
      [one(5, 'a0_x', 'a1_x', 2)],
    ],
    hasGroups: true,
  },
  {
    name: 'a post and a void of one pending transfer',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a0_y')],
    before: [[10, 'a0_x', 'a1_x', 5, { flags: pending }]],
    clients: [
      [batch(post(11, 10, 'a0_x', 'a1_x'))],
      [batch(voids(12, 10, 'a0_x', 'a1_x'))],
      [one(13, 'a0_x', 'a0_y', 5)],
    ],
    hasGroups: true,
    withCrash: true,
    clientsWithCrash: 2,
  },
  {
    name: 'a post against an expiry',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x'), account('a0_y')],
    before: [[10, 'a0_x', 'a1_x', 5, TIMED]],
    clients: [[batch(post(11, 10, 'a0_x', 'a1_x'))], [one(12, 'a0_x', 'a0_y', 5)]],
    times: AROUND_EXPIRY,
    hasGroups: true,
    withCrash: true,
    clientsWithCrash: 1,
  },
  {
    name: 'a post against an expiry on one shard of two',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a0_y'), account('a1_x')],
    before: [[10, 'a0_x', 'a0_y', 5, TIMED]],
    clients: [[batch(post(11, 10, 'a0_x', 'a0_y'))], [one(12, 'a0_x', 'a1_x', 5)]],
    times: AROUND_EXPIRY,
    hasGroups: true,
    withCrash: true,
    clientsWithCrash: 1,
  },
  {
    name: 'an expiry whose credit shard is lower than the home',
    shards: 2,
    accounts: [account('a1_x', 'dmc', 5), account('a0_x'), account('a1_y')],
    before: [[10, 'a1_x', 'a0_x', 5, TIMED]],
    clients: [[batch(post(11, 10, 'a1_x', 'a0_x'))], [one(12, 'a1_x', 'a1_y', 5)]],
    times: AROUND_EXPIRY,
    hasGroups: true,
    withCrash: true,
    clientsWithCrash: 1,
  },
  {
    name: 'two expiries over two shards, both ways, and a post of one',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc', 5)],
    before: [
      [10, 'a0_x', 'a1_x', 5, TIMED],
      [20, 'a1_x', 'a0_x', 5, TIMED],
    ],
    clients: [[batch(post(11, 10, 'a0_x', 'a1_x'))]],
    times: AROUND_EXPIRY,
  },
  {
    name: 'a chain that posts against an expiry',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a0_y')],
    before: [[10, 'a0_x', 'a1_x', 5, TIMED]],
    clients: [
      [chain(post(11, 10, 'a0_x', 'a1_x'), [12, 'a1_x', 'a0_y', 6])],
      [batch(post(13, 10, 'a0_x', 'a1_x'))],
    ],
    times: AROUND_EXPIRY,
    withCrash: true,
    clientsWithCrash: 1,
  },
  {
    name: 'batch: a pending transfer and its post',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a0_y')],
    clients: [
      [
        batch(
          [10, 'a0_x', 'a1_x', 5, { flags: pending }],
          post(11, 10, '', ''),
          [12, 'a1_x', 'a0_y', 5],
          post(13, 10, '', ''),
        ),
      ],
    ],
    hasGroups: true,
  },
  {
    name: 'a pending transfer and its post in one batch, and a void of another client',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a0_y')],
    clients: [
      [batch([10, 'a0_x', 'a1_x', 5, { flags: pending }], post(11, 10, '', ''))],
      [batch(voids(12, 10, 'a0_x', 'a1_x')), one(13, 'a1_x', 'a0_y', 5)],
    ],
    hasGroups: true,
    withCrash: true,
    clientsWithCrash: 1,
  },
  {
    name: 'closing against transfers',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x'), account('a0_y'), account('a1_y')],
    clients: [
      [one(10, 'a0_x', 'a1_x', 0, { flags: CLOSING })],
      [one(11, 'a0_y', 'a0_x', 1)],
      [one(12, 'a1_x', 'a1_y', 1)],
    ],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'a void that opens accounts again against transfers',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x'), account('a0_y'), account('a1_y')],
    before: [[10, 'a0_x', 'a1_x', 1, { flags: CLOSING }]],
    clients: [
      [batch(voids(11, 10, 'a0_x', 'a1_x'))],
      [one(12, 'a0_y', 'a0_x', 1)],
      [one(13, 'a1_x', 'a1_y', 1)],
    ],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'an expiry that opens accounts again against transfers',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x'), account('a0_y'), account('a1_y')],
    before: [[10, 'a1_x', 'a0_x', 1, { flags: CLOSING, timeout: 1 }]],
    clients: [[one(12, 'a0_y', 'a0_x', 1)], [one(13, 'a1_x', 'a1_y', 1)]],
    times: AROUND_EXPIRY,
    withCrash: true,
  },
  {
    name: 'a balancing debit against a credit from another shard',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 2), account('a1_x'), account('a0_y')],
    clients: [
      [one(10, 'a0_x', 'a1_x', 9, { flags: balancingDebit })],
      [one(11, 'a1_x', 'a0_x', 3)],
      [one(12, 'a0_x', 'a0_y', 1)],
    ],
    hasGroups: true,
    withCrash: true,
    clientsWithCrash: 2,
  },
  {
    name: 'a pending balancing credit against debits of another shard',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x', 'cmd', 2), account('a1_y')],
    clients: [
      [
        one(10, 'a0_x', 'a1_x', 9, { flags: balancingCredit | pending }),
        one(11, 'a1_y', 'a1_x', 1),
      ],
      [one(12, 'a1_x', 'a0_x', 3)],
    ],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'accounts created together over two shards against transfers that use one',
    shards: 2,
    accounts: [account('a0_y'), account('a1_y')],
    clients: [[create('a0_n', 'a1_n')], [one(10, 'a0_y', 'a0_n', 1)], [one(11, 'a1_n', 'a1_y', 1)]],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'accounts that fail together over two shards against transfers that use one',
    shards: 2,
    accounts: [account('a0_y'), account('a1_y')],
    clients: [
      [createAs({ code: 0 }, 'a0_n', 'a1_n'), create('a0_n')],
      [one(10, 'a0_y', 'a0_n', 1)],
      [one(11, 'a1_n', 'a1_y', 1)],
    ],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'imported batches of two clients over one home',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x'), account('a0_y'), account('a0_z')],
    clients: [
      [batch([10, 'a0_x', 'a1_x', 1, imports(10n)], [11, 'a0_x', 'a0_y', 1, imports(30n)])],
      [batch([20, 'a0_z', 'a1_x', 1, imports(20n)])],
    ],
    times: [2n * SECOND],
    hasGroups: true,
    withCrash: true,
  },
];

describe('scenarios of the whole ledger', () => {
  for (const named of NAMED) {
    test(`${named.name}: every order of steps has a serial order`, () => {
      const explored = new ExhaustiveWorld(scenarioOf(named)).explore({ statesMax: STATES_MAX });
      expect(explored.ends).toBeGreaterThan(0);
    });
  }

  for (const named of NAMED.filter(({ withCrash }) => withCrash === true)) {
    test(`${named.name}: with one crash anywhere, every order of steps has a serial order`, () => {
      const clients = named.clients.slice(0, named.clientsWithCrash);
      const scenario = scenarioOf({ ...named, clients, hasGroups: false });
      const explored = new ExhaustiveWorld(scenario).explore({ crashes: 1, statesMax: STATES_MAX });
      expect(explored.ends).toBeGreaterThan(0);
    });
  }
});
