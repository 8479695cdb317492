/**
 * The words of named scenarios: accounts by names that say where they live (`a1_x` is on shard 1), and what clients ask about them.
 */
import { TransferFlags } from '../../engine/flags.ts';
import {
  CREDITS_MUST_NOT_EXCEED_DEBITS,
  DEBITS_MUST_NOT_EXCEED_CREDITS,
  type AccountInput,
  type TransferInput,
} from './model-ledger.ts';
import { placementOf } from './placement.ts';
import type { Ask, Scenario } from './scenario-plans.ts';

const NAMES = 'fnxyzcde';

interface AccountPlan {
  readonly name: string;
  readonly flags: number;
  readonly debits: bigint;
  readonly credits: bigint;
}

/** An account with the balances that it has at first. */
export function account(name: string, limit: 'dmc' | 'cmd' | '' = '', has = 0): AccountPlan {
  const flags = { dmc: DEBITS_MUST_NOT_EXCEED_CREDITS, cmd: CREDITS_MUST_NOT_EXCEED_DEBITS, '': 0 };
  const amount = BigInt(has);
  return limit === 'cmd'
    ? { name, flags: flags.cmd, debits: amount, credits: 0n }
    : { name, flags: flags[limit], debits: 0n, credits: amount };
}

export type AskPlan = (idOf: (name: string) => bigint) => Ask;
/** An empty name is no account. */
export type EventPlan = readonly [
  id: number,
  debit: string,
  credit: string,
  amount: number,
  more?: Partial<TransferInput>,
];

export const batch =
  (...events: readonly EventPlan[]): AskPlan =>
  (idOf) => ({ type: 'transfers', events: events.map((one) => transferOf(one, idOf)) });
export const one = (...event: EventPlan): AskPlan => batch(event);
/** The same, and they happen together or not at all. */
export const chain = (...events: readonly EventPlan[]): AskPlan => {
  const { linked } = TransferFlags;
  const plans = events.map(([id, debit, credit, amount, more], i): EventPlan => {
    const flags = (more?.flags ?? 0) | (i < events.length - 1 ? linked : 0);
    return [id, debit, credit, amount, { ...more, flags }];
  });
  return batch(...plans);
};
export const create = (...names: readonly string[]): AskPlan => createAs({}, ...names);
/** Several are a chain. `last` is what is different in the last one. */
export const createAs =
  (last: Partial<AccountInput>, ...names: readonly string[]): AskPlan =>
  (idOf) => {
    const events = names.map((name, i) => {
      const isLast = i === names.length - 1;
      const more = isLast ? last : { flags: TransferFlags.linked };
      return { id: idOf(name), ledger: 1, code: 1, ...more };
    });
    return { type: 'accounts', events };
  };
export const look =
  (name: string): AskPlan =>
  (idOf) => ({ type: 'look', id: idOf(name) });

function transferOf(
  [id, debit, credit, amount, more]: EventPlan,
  idOf: (name: string) => bigint,
): TransferInput {
  return {
    id: BigInt(id),
    debitAccountId: debit === '' ? 0n : idOf(debit),
    creditAccountId: credit === '' ? 0n : idOf(credit),
    amount: BigInt(amount),
    ledger: 1,
    code: 1,
    ...more,
  };
}

export interface Named {
  readonly name: string;
  readonly shards: number;
  readonly accounts: readonly AccountPlan[];
  readonly clients: readonly (readonly AskPlan[])[];
  /** What has happened already. */
  readonly before?: readonly EventPlan[];
  /** See `Scenario`. */
  readonly times?: readonly bigint[];
  readonly hasGroups?: boolean;
  readonly withCrash?: boolean;
  /** With a crash only the first of the clients ask. */
  readonly clientsWithCrash?: number;
}

export function scenarioOf(named: Named): Scenario {
  const { shards, accounts, clients, before = [], times = [], hasGroups = false } = named;
  const shardOf = placementOf(shards);
  const idOf = (name: string): bigint => {
    const shard = Number(name[1]);
    let id = 1000n * BigInt(1 + NAMES.indexOf(name[3]!)) + 100n * BigInt(shard);
    while (shardOf(id) !== shard) id++;
    return id;
  };
  const inputs: AccountInput[] = accounts.map(({ name, flags }) => {
    return { id: idOf(name), ledger: 1, code: 1, flags };
  });
  const mints = Array.from({ length: shards }, (_, shard) => `a${shard}_f`);
  const funded = accounts.filter(({ debits, credits }) => debits + credits > 0n);
  const funding = funded.map(({ name, debits, credits }, i): TransferInput => {
    const mint = idOf(`a${name[1]!}_f`);
    const [debitAccountId, creditAccountId] = debits > 0n ? [idOf(name), mint] : [mint, idOf(name)];
    return {
      id: BigInt(900_000 + i),
      debitAccountId,
      creditAccountId,
      amount: debits + credits,
      ledger: 1,
      code: 1,
    };
  });
  const known = new Set(inputs.map(({ id }) => id));
  for (const name of mints) {
    const id = idOf(name);
    if (!known.has(id)) inputs.push({ id, ledger: 1, code: 1, flags: 0 });
  }
  return {
    shards,
    accounts: inputs,
    funding: [...funding, ...before.map((event) => transferOf(event, idOf))],
    times,
    clients: clients.map((asks) => asks.map((ask) => ask(idOf))),
    hasGroups,
  };
}
