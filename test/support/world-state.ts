/** What the state machines of a world hold and say, in the words of the model and its digest. */
import { objectsOfRows } from '../../client/rows.ts';
import { assert } from '../../engine/assert.ts';
import { BatchKind, ROW_WORDS } from '../../engine/batch.ts';
import { AccountFlags } from '../../engine/flags.ts';
import { positionState, TransferState } from '../../engine/ledger.ts';
import { REPLY_HEAD_WORDS } from '../../engine/open-requests.ts';
import type { StateMachine } from '../../engine/state-machine.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../../engine/status.ts';
import type { Result, ShardOf, StoredAccount } from './model-ledger.ts';
import { wordsOf } from './one-shard.ts';

/** No account with a limit is beyond it. */
export function checkLimits({ ledger }: StateMachine): void {
  const copy = new Uint32Array(ROW_WORDS);
  for (let row = 0; row < ledger.accounts.rows; row++) {
    ledger.accounts.copyRow(row, copy, 0);
    const [one] = objectsOfRows(BatchKind.accounts, copy, 1) as [StoredAccount];
    const debits = one.debitsPending + one.debitsPosted;
    const credits = one.creditsPending + one.creditsPosted;
    const mayNotOwe = (one.flags & AccountFlags.debitsMustNotExceedCredits) !== 0;
    const mayOnlyOwe = (one.flags & AccountFlags.creditsMustNotExceedDebits) !== 0;
    assert(!mayNotOwe || debits <= one.creditsPosted, 'debits keep to their limit');
    assert(!mayOnlyOwe || credits <= one.debitsPosted, 'credits keep to their limit');
  }
}

/** Those of the accounts that there are. */
export function storedAccounts(
  machines: readonly StateMachine[],
  shardOf: ShardOf,
  ids: readonly bigint[],
): readonly StoredAccount[] {
  return ids.flatMap((id) => {
    const { accountIndex, accounts } = machines[shardOf(id)]!.ledger;
    const words = wordsOf(id);
    const row = accountIndex.find(words, 0, accountIndex.hash(words, 0));
    if (row === -1) return [];
    const copy = new Uint32Array(ROW_WORDS);
    accounts.copyRow(row, copy, 0);
    return objectsOfRows(BatchKind.accounts, copy, 1) as readonly StoredAccount[];
  });
}

/** The same text as `digestOf` a model with these accounts and transfer ids. */
export function digestText(
  machines: readonly StateMachine[],
  accounts: readonly StoredAccount[],
  transferIds: readonly bigint[],
): string {
  const balances = accounts.map((one) => accountText(one));
  const created: string[] = [];
  const burnt = new Set<string>();
  for (const [index, { ledger }] of machines.entries()) {
    const { transferIndex } = ledger;
    for (const id of new Set(transferIds)) {
      const words = wordsOf(id);
      const slot = transferIndex.find(words, 0, transferIndex.hash(words, 0));
      if (slot === -1) continue;
      const state = positionState(transferIndex.valueHigh(slot));
      if (state === TransferState.failed) burnt.add(`${id}`);
      else created.push(transferText(`${index}/${id}`, state));
    }
  }
  return [balances.toSorted(), created.toSorted(), [...burnt].toSorted()]
    .map((one) => one.join())
    .join(';');
}

/** As the digest of a model has an account. */
export function accountText(one: StoredAccount): string {
  const isOpen = (one.flags & AccountFlags.closed) === 0;
  const isPlain = isOpen && one.debitsPending === 0n && one.creditsPending === 0n;
  const posted = `${one.id} ${one.debitsPosted} ${one.creditsPosted}`;
  const rest = ` ${one.debitsPending} ${one.creditsPending} ${isOpen ? 'open' : 'closed'}`;
  return isPlain ? posted : posted + rest;
}

/** As the digest of a model has a transfer: with what became of it, when it was pending once. */
export function transferText(key: string, state: number): string {
  const names = Object.entries(TransferState);
  const name = names.find(([, value]) => value === state)![0];
  return state === TransferState.created ? key : `${key} ${name}`;
}

/** Row i of n of a reply that begins at a word. */
export function resultOf(
  words: Uint32Array,
  at: number,
  { kind, i, n }: { readonly kind: BatchKind; readonly i: number; readonly n: number },
): Result {
  const stamp = at + REPLY_HEAD_WORDS + 2 * i;
  const timestamp = (BigInt(words[stamp + 1]!) << 32n) | BigInt(words[stamp]!);
  const pair = words[at + REPLY_HEAD_WORDS + 2 * n + (i >> 1)]!;
  const number = (i & 1) === 0 ? pair & 0xffff : pair >>> 16;
  const names = kind === BatchKind.accounts ? ACCOUNT_STATUS_NAMES : TRANSFER_STATUS_NAMES;
  return { status: names[number] ?? `status ${number}`, timestamp };
}
