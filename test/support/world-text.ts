/** What state machines say, in the words of the model and its digest. */
import { BatchKind } from '../../engine/batch.ts';
import { AccountFlags } from '../../engine/flags.ts';
import { TransferState } from '../../engine/ledger.ts';
import { REPLY_HEAD_WORDS } from '../../engine/open-requests.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../../engine/status.ts';
import type { Result, StoredAccount } from './model-ledger.ts';

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
