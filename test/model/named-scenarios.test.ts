/**
 * Small scenarios that were hard to get right, each with every order of its steps, on the real state machines; the small ones also with a
 * crash of any shard at any moment. Names of accounts say where they live: `a1_x` is on shard 1.
 */
import { describe, expect, test } from 'vitest';
import { ExhaustiveWorld } from '../support/exhaustive-world.ts';
import {
  account,
  batch,
  create,
  look,
  one,
  scenarioOf,
  type Named,
} from '../support/scenario-words.ts';

const STATES_MAX = 60_000;
const NAMED: readonly Named[] = [
  {
    name: 'two debits, money for one',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x'), account('a0_y')],
    clients: [
      [one(1, 'a0_x', 'a1_x', 5)],
      [one(2, 'a0_x', 'a0_y', 5)],
      [one(3, 'a1_x', 'a0_x', 3)],
    ],
  },
  {
    name: 'a walk against a new account',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a0_y')],
    clients: [
      [one(1, 'a0_x', 'a1_n', 9), one(4, 'a0_y', 'a0_x', 1)],
      [create('a1_n'), one(2, 'a0_y', 'a0_x', 9)],
    ],
    withCrash: true,
  },
  {
    name: 'ring of three waits',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc', 5)],
    clients: [[one(1, 'a0_x', 'a1_x', 5), one(2, 'a0_x', 'a1_x', 5)], [one(3, 'a1_x', 'a0_x', 10)]],
    withCrash: true,
  },
  {
    name: 'one id, three clients',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x')],
    clients: [
      [one(1, 'a0_x', 'a1_x', 5)],
      [one(1, 'a0_x', 'a1_x', 5)],
      [one(1, 'a0_x', 'a1_x', 4)],
    ],
  },
  {
    name: 'one id, three clients, as groups',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x')],
    clients: [
      [one(1, 'a0_x', 'a1_x', 5)],
      [one(1, 'a0_x', 'a1_x', 5)],
      [one(1, 'a0_x', 'a1_x', 4)],
    ],
    hasGroups: true,
  },
  {
    name: 'one id, a walk and a transfer of one shard',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x'), account('a0_y'), account('a0_z')],
    clients: [
      [one(1, 'a0_x', 'a1_x', 5)],
      [one(1, 'a0_y', 'a0_z', 5)],
      [one(1, 'a1_x', 'a0_x', 5)],
    ],
    hasGroups: true,
  },
  {
    name: 'one id, its home above',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x', 'dmc'), account('a1_y'), account('a1_z')],
    clients: [[one(1, 'a1_x', 'a0_x', 5), one(1, 'a1_x', 'a0_x', 5)], [one(1, 'a1_y', 'a1_z', 5)]],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'a burnt id, asked again',
    shards: 2,
    accounts: [account('a0_x', 'dmc'), account('a1_x'), account('a0_y')],
    clients: [
      [one(1, 'a0_x', 'a1_x', 5), one(1, 'a0_x', 'a1_x', 5)],
      [one(2, 'a0_y', 'a0_x', 5), one(1, 'a0_x', 'a1_x', 5)],
    ],
    hasGroups: true,
  },
  {
    name: 'walks, crossed, over three shards',
    shards: 3,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a2_x', 'dmc')],
    clients: [
      [batch([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a2_x', 5])],
      [batch([3, 'a2_x', 'a0_x', 5], [4, 'a0_x', 'a1_x', 5])],
    ],
  },
  {
    name: 'merged walks of two clients',
    shards: 2,
    accounts: [account('a0_f'), account('a1_x', 'dmc', 5), account('a1_y', 'dmc', 5)],
    clients: [
      [one(1, 'a1_x', 'a0_f', 5)],
      [one(3, 'a1_y', 'a0_f', 5)],
      [one(5, 'a0_f', 'a1_x', 5)],
    ],
    hasGroups: true,
  },
  {
    name: 'merged walks that spend one balance',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x'), account('a0_y')],
    clients: [
      [one(1, 'a0_x', 'a1_x', 4)],
      [one(2, 'a0_x', 'a1_x', 3), one(5, 'a0_x', 'a1_x', 1)],
      [one(3, 'a0_x', 'a0_y', 1)],
    ],
    hasGroups: true,
  },
  {
    name: 'two walks that spend one balance',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x')],
    clients: [[one(1, 'a0_x', 'a1_x', 4)], [one(2, 'a0_x', 'a1_x', 3)]],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'what waits holds back later walks',
    shards: 3,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x'), account('a0_y', 'dmc'), account('a2_x')],
    clients: [[one(1, 'a0_x', 'a1_x', 5)], [batch([2, 'a0_x', 'a0_y', 5], [3, 'a0_y', 'a2_x', 5])]],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'a batch and its rest',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a0_y')],
    clients: [
      [batch([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a0_y', 5], [3, 'a0_y', 'a1_x', 2])],
      [one(4, 'a1_x', 'a0_x', 3)],
    ],
    hasGroups: true,
  },
  {
    name: 'money held, then released',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a0_y')],
    clients: [[one(1, 'a0_x', 'a1_n', 5)], [one(2, 'a0_x', 'a0_y', 5)]],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'credit that rests on a debit',
    shards: 3,
    accounts: [account('a0_c', 'cmd'), account('a1_z', 'dmc'), account('a2_y')],
    clients: [[one(1, 'a0_c', 'a1_z', 5)], [one(2, 'a1_z', 'a2_y', 5), one(3, 'a2_y', 'a0_c', 5)]],
    withCrash: true,
  },
  {
    name: 'a walk against money and a new account',
    shards: 3,
    accounts: [account('a0_x', 'dmc'), account('a2_y')],
    clients: [[one(1, 'a0_x', 'a1_n', 9)], [one(2, 'a2_y', 'a0_x', 9), create('a1_n')]],
    withCrash: true,
  },
  {
    name: 'accounts created while a walk has claimed their names',
    shards: 2,
    accounts: [account('a0_y')],
    clients: [
      [one(1, 'a0_n', 'a1_n', 0)],
      [create('a0_n'), one(2, 'a0_y', 'a0_n', 1)],
      [create('a1_n')],
    ],
    hasGroups: true,
    withCrash: true,
  },
  {
    name: 'a walk over three shards and what it passes',
    shards: 3,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc', 5), account('a2_x')],
    clients: [[batch([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a2_x', 5])], [one(3, 'a1_x', 'a2_x', 6)]],
    hasGroups: true,
  },
  {
    name: 'look-ups',
    shards: 3,
    accounts: [account('a0_x'), account('a1_x'), account('a2_x')],
    clients: [
      [batch([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a2_x', 5]), look('a1_x')],
      [one(3, 'a1_x', 'a2_x', 1), look('a1_x')],
    ],
  },
  {
    name: 'look-ups after a walk over three shards',
    shards: 3,
    accounts: [account('a0_x'), account('a1_x'), account('a2_x')],
    clients: [
      [batch([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a2_x', 3], [3, 'a0_x', 'a2_x', 1]), look('a1_x')],
      [one(4, 'a1_x', 'a2_x', 2)],
    ],
  },
  {
    name: 'look-ups between walks',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x')],
    clients: [
      [one(1, 'a0_x', 'a1_x', 5), look('a0_x')],
      [look('a0_x'), one(2, 'a1_x', 'a0_x', 1)],
      [look('a1_x')],
    ],
    hasGroups: true,
  },
  {
    name: 'batch: a failure before money',
    shards: 2,
    accounts: [account('a0_x', 'dmc'), account('a0_y')],
    clients: [[create('a1_n'), batch([1, 'a0_x', 'a1_n', 9], [2, 'a0_y', 'a0_x', 9])]],
    hasGroups: true,
  },
  {
    name: 'batch: a walk keeps its place',
    shards: 3,
    accounts: [account('a0_c'), account('a1_x', 'dmc', 5), account('a1_y'), account('a2_z')],
    clients: [
      [
        batch(
          [1, 'a0_c', 'a2_z', 1],
          [2, 'a2_z', 'a0_c', 1],
          [3, 'a1_x', 'a0_c', 5],
          [4, 'a1_x', 'a1_y', 5],
        ),
      ],
    ],
    hasGroups: true,
  },
  {
    name: 'batch: merged walks',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x'), account('a1_y')],
    clients: [
      [
        batch(
          [1, 'a0_x', 'a1_x', 5],
          [2, 'a0_x', 'a1_x', 0],
          [3, 'a0_x', 'a1_y', 5],
          [4, 'a0_x', 'a1_y', 0],
          [5, 'a0_x', 'a1_x', 3],
        ),
      ],
    ],
    hasGroups: true,
  },
  {
    name: 'batch: first wave and rest',
    shards: 2,
    accounts: [account('a0_x', 'dmc', 5), account('a1_x', 'dmc'), account('a0_y')],
    clients: [
      [
        batch(
          [1, 'a0_x', 'a1_x', 5],
          [2, 'a1_x', 'a0_y', 5],
          [3, 'a0_y', 'a1_x', 2],
          [4, 'a1_x', 'a0_y', 1],
        ),
      ],
    ],
    hasGroups: true,
  },
  {
    name: 'batch: credit after failure',
    shards: 2,
    accounts: [account('a0_x', 'dmc'), account('a0_y'), account('a1_z')],
    clients: [[batch([1, 'a0_x', 'a0_y', 5], [2, 'a1_z', 'a0_x', 5])]],
    hasGroups: true,
  },
  {
    name: 'batch: after the rest',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x', 'dmc'), account('a0_y', 'dmc'), account('a0_z')],
    clients: [[batch([1, 'a0_x', 'a1_x', 5], [2, 'a1_x', 'a0_y', 5], [3, 'a0_y', 'a0_z', 5])]],
    hasGroups: true,
  },
  {
    name: 'batch: the rest waits',
    shards: 2,
    accounts: [account('a1_x'), account('a0_x', 'dmc'), account('a1_y')],
    clients: [[batch([1, 'a1_x', 'a0_x', 5], [2, 'a0_x', 'a1_y', 5])]],
    hasGroups: true,
  },
  {
    name: 'batch: what waits keeps its place',
    shards: 2,
    accounts: [account('a0_x'), account('a1_x'), account('a0_y', 'dmc'), account('a0_z')],
    clients: [[batch([1, 'a0_x', 'a1_x', 1], [2, 'a0_x', 'a0_y', 5], [3, 'a0_y', 'a0_z', 5])]],
    hasGroups: true,
  },
  {
    name: 'batch: an id twice in a walk',
    shards: 3,
    accounts: [account('a0_x'), account('a1_x', 'dmc', 5), account('a2_x')],
    clients: [
      [
        batch(
          [1, 'a0_x', 'a2_x', 1],
          [2, 'a1_x', 'a2_x', 9],
          [1, 'a0_x', 'a2_x', 1],
          [2, 'a1_x', 'a2_x', 1],
          [1, 'a0_x', 'a2_x', 2],
        ),
      ],
    ],
    hasGroups: true,
  },
];

describe('named scenarios', () => {
  for (const named of NAMED) {
    test(`${named.name}: every order of steps has a serial order`, () => {
      const explored = new ExhaustiveWorld(scenarioOf(named)).explore({ statesMax: STATES_MAX });
      expect(explored.ends).toBeGreaterThan(0);
    });
  }

  for (const named of NAMED.filter(({ withCrash }) => withCrash === true)) {
    test(`${named.name}: with one crash anywhere, every order of steps has a serial order`, () => {
      const scenario = scenarioOf({ ...named, hasGroups: false });
      const explored = new ExhaustiveWorld(scenario).explore({ crashes: 1, statesMax: STATES_MAX });
      expect(explored.ends).toBeGreaterThan(0);
    });
  }
});
