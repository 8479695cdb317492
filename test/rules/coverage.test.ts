/** Every status that single-phase transfers can reach is in a table, and so is every pair of neighbors that one event can break. */
import { expect, test } from 'vitest';
import { ACCOUNT_STATUS_PRECEDENCE, TRANSFER_STATUS_PRECEDENCE } from '../../engine/status.ts';
import { parseTable } from '../support/ledger-table.ts';
import { EVERY_TABLE } from './every-table.ts';

const CHAINS = 'chains are refused at the edge';
/** Statuses that no table can reach, each with its reason. */
const UNREACHABLE_ACCOUNT_STATUSES: Readonly<Record<string, string>> = {
  linked_event_failed: CHAINS,
  linked_event_chain_open: CHAINS,
};
const NOTHING_PENDING = 'no single-phase transfer makes a pending balance';
const UNREACHABLE_TRANSFER_STATUSES: Readonly<Record<string, string>> = {
  linked_event_failed: CHAINS,
  linked_event_chain_open: CHAINS,
  exists_with_different_flags:
    'a stored transfer has no flags, and the edge refuses every defined one',
  overflows_debits_pending: NOTHING_PENDING,
  overflows_credits_pending: NOTHING_PENDING,
  overflows_debits: `${NOTHING_PENDING}, so overflows_debits_posted always comes first`,
  overflows_credits: `${NOTHING_PENDING}, so overflows_credits_posted always comes first`,
};

/** Neighbors in the order of precedence that one event cannot break both, each with its reason. */
const ONE_VALUE = 'one field cannot have both values';
const IMPOSSIBLE_ACCOUNT_PAIRS: Readonly<Record<string, string>> = {
  'id_must_not_be_zero > id_must_not_be_int_max': ONE_VALUE,
  'id_must_not_be_int_max > exists_with_different_flags': 'no account has that id',
  'exists > flags_are_mutually_exclusive': 'no account has both flags, so they differ first',
};
const IMPOSSIBLE_TRANSFER_PAIRS: Readonly<Record<string, string>> = {
  'id_must_not_be_zero > id_must_not_be_int_max': ONE_VALUE,
  'id_must_not_be_int_max > exists_with_different_pending_id': 'no transfer has that id',
  'exists > id_already_failed': 'an id that was used is never burnt, a burnt one never used',
  'debit_account_id_must_not_be_zero > debit_account_id_must_not_be_int_max': ONE_VALUE,
  'credit_account_id_must_not_be_zero > credit_account_id_must_not_be_int_max': ONE_VALUE,
  'credit_account_id_must_not_be_int_max > accounts_must_be_different':
    'the debit account has that id too, which comes before both',
  'credit_account_not_found > accounts_must_have_the_same_ledger':
    'a missing account has no ledger',
};

interface Covered {
  readonly statuses: Set<string>;
  readonly pairs: Set<string>;
}

function coveredBy(type: 'accounts' | 'transfers'): Covered {
  const steps = EVERY_TABLE.flatMap(({ text }) => parseTable(text));
  const rows = steps.filter((step) => step.type === type).flatMap((step) => step.rows);
  const pairs = rows.filter(({ cells }) => cells['beats']);
  return {
    statuses: new Set(rows.map(({ cells }) => cells['status']!)),
    pairs: new Set(pairs.map(({ cells }) => `${cells['status']} > ${cells['beats']}`)),
  };
}

/** Neighbors among the statuses that can be reached; `created` breaks nothing. */
function neighbors(reachable: readonly string[]): readonly string[] {
  const rules = reachable.filter((status) => status !== 'created');
  return rules.slice(1).map((status, i) => `${rules[i]} > ${status}`);
}

const KINDS = [
  {
    type: 'accounts',
    precedence: ACCOUNT_STATUS_PRECEDENCE,
    unreachable: UNREACHABLE_ACCOUNT_STATUSES,
    impossible: IMPOSSIBLE_ACCOUNT_PAIRS,
  },
  {
    type: 'transfers',
    precedence: TRANSFER_STATUS_PRECEDENCE,
    unreachable: UNREACHABLE_TRANSFER_STATUSES,
    impossible: IMPOSSIBLE_TRANSFER_PAIRS,
  },
] as const;

for (const { type, precedence, unreachable, impossible } of KINDS) {
  const { statuses, pairs } = coveredBy(type);
  const reachable = precedence.filter((status) => !(status in unreachable));

  test(`every status of create_${type} that can be reached stands in a table`, () => {
    expect([...statuses].toSorted()).toEqual(reachable.toSorted());
  });

  test(`every neighbors of the precedence of create_${type} that can meet stand in a table`, () => {
    const due = neighbors(reachable).filter((pair) => !(pair in impossible));
    expect(due.filter((pair) => !pairs.has(pair))).toEqual([]);
    expect(Object.keys(impossible).filter((pair) => pairs.has(pair))).toEqual([]);
    expect(Object.keys(impossible).filter((pair) => !neighbors(reachable).includes(pair))).toEqual(
      [],
    );
  });

  test(`what a table of create_${type} says about precedence agrees with the list`, () => {
    const rank = (status: string): number => (precedence as readonly string[]).indexOf(status);
    const isWrong = (pair: string): boolean => {
      const [earlier, later] = pair.split(' > ').map(rank);
      return earlier! < 1 || later! <= earlier!;
    };
    expect([...pairs].filter(isWrong)).toEqual([]);
  });
}
