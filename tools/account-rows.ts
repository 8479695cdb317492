/** Rows of accounts as 32 words each, as replay leaves them: their fields by name, their order by id, and where one is. */
import { Account, COLUMN_OFFSETS, ROW_WORDS } from '../engine/batch.ts';
import { AccountFlags, TransferFlags } from '../engine/flags.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';

export interface Balances {
  readonly debitsPending: bigint;
  readonly debitsPosted: bigint;
  readonly creditsPending: bigint;
  readonly creditsPosted: bigint;
}

export const BALANCE_NAMES = [
  'debits_pending',
  'debits_posted',
  'credits_pending',
  'credits_posted',
] as const;

export const ZERO_BALANCES: Balances = {
  debitsPending: 0n,
  debitsPosted: 0n,
  creditsPending: 0n,
  creditsPosted: 0n,
};

const wordOf = (column: number): number => COLUMN_OFFSETS[column]! >> 2;
const LEDGER_WORD = wordOf(Account.ledger);
const CODE_WORD = wordOf(Account.code);

/** The four balances that lie in the words of an account from `at` on: its row, or from word 4 of it. */
export function balancesOf(words: Uint32Array, at: number): Balances {
  return {
    debitsPending: bigintOfUint128(words, at + wordOf(Account.debitsPending)),
    debitsPosted: bigintOfUint128(words, at + wordOf(Account.debitsPosted)),
    creditsPending: bigintOfUint128(words, at + wordOf(Account.creditsPending)),
    creditsPosted: bigintOfUint128(words, at + wordOf(Account.creditsPosted)),
  };
}

/** In the order of BALANCE_NAMES. */
export function balanceList(balances: Balances): readonly bigint[] {
  const { debitsPending, debitsPosted, creditsPending, creditsPosted } = balances;
  return [debitsPending, debitsPosted, creditsPending, creditsPosted];
}

export const ledgerOf = (rows: Uint32Array, at: number): number => rows[at + LEDGER_WORD]!;
export const codeOf = (rows: Uint32Array, at: number): number => rows[at + CODE_WORD]! & 0xffff;
export const flagsOf = (rows: Uint32Array, at: number): number => rows[at + CODE_WORD]! >>> 16;

const snakeCase = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const namesOf = (all: Readonly<Record<string, number>>, flags: number): readonly string[] =>
  Object.entries(all)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => snakeCase(name));

export const accountFlagNames = (flags: number): readonly string[] => namesOf(AccountFlags, flags);
export const transferFlagNames = (flags: number): readonly string[] =>
  namesOf(TransferFlags, flags);

/** Words that go from thread to thread without being copied. */
export function sharedWords(count: number): Uint32Array<SharedArrayBuffer> {
  return new Uint32Array(new SharedArrayBuffer(count * 4));
}

/** All accounts of a machine, in order of creation. */
export function copyAccounts({ ledger }: StateMachine): Uint32Array {
  const { accounts } = ledger;
  const rows = sharedWords(accounts.rows * ROW_WORDS);
  for (let row = 0; row < accounts.rows; row++) accounts.copyRow(row, rows, row * ROW_WORDS);
  return rows;
}

/** Row numbers in ascending order of ids. */
export function orderById(rows: Uint32Array): Uint32Array {
  const order = sharedWords(rows.length / ROW_WORDS);
  for (let row = 0; row < order.length; row++) order[row] = row;
  order.sort((one, two) => compareIds(rows, one * ROW_WORDS, rows, two * ROW_WORDS));
  return order;
}

// oxlint-disable-next-line max-params -- Two places in two buffers.
export function compareIds(a: Uint32Array, at: number, b: Uint32Array, bAt: number): number {
  for (let w = 3; w >= 0; w--) {
    const difference = a[at + w]! - b[bAt + w]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Accounts of one shard, to be looked up. */
export interface AccountSet {
  readonly accounts: Uint32Array;
  readonly order: Uint32Array;
}

/** Word offset of the account with the id at `ids[at]`, or -1. */
export function findAccount({ accounts, order }: AccountSet, ids: Uint32Array, at: number): number {
  let low = 0;
  let high = order.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = order[middle]! * ROW_WORDS;
    const difference = compareIds(accounts, found, ids, at);
    if (difference === 0) return found;
    if (difference < 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** Goes through the accounts of all shards in ascending order of ids: which shard, and where in its rows. */
export function* inOrder(
  shards: readonly AccountSet[],
): Generator<{ readonly shard: number; readonly at: number }, void> {
  const next = new Uint32Array(shards.length);
  for (;;) {
    let best = -1;
    let bestAt = 0;
    for (const [shard, { accounts, order }] of shards.entries()) {
      if (next[shard]! >= order.length) continue;
      const at = order[next[shard]!]! * ROW_WORDS;
      if (best !== -1 && compareIds(accounts, at, shards[best]!.accounts, bestAt) >= 0) continue;
      best = shard;
      bestAt = at;
    }
    if (best === -1) return;
    next[best]!++;
    yield { shard: best, at: bestAt };
  }
}
