/**
 * The rules of the naive ledger: one line for each status, in order of precedence. The status of an event is the first rule that it breaks.
 *
 * Every rule is asked of every event, so that a test can also see which later ones it breaks. A rule that makes no sense for an event (an
 * account that is not there has no ledger) is not broken.
 */
import {
  ACCOUNT_FLAGS_ALL,
  AccountFlags,
  BALANCING,
  CLOSING,
  RESOLVING,
  TRANSFER_FLAGS_ALL,
  TransferFlags,
} from '../../engine/flags.ts';
import { SECOND, TIMESTAMP_MAX, U128_MAX } from './ledger-records.ts';
import type {
  Account,
  AccountStatusName,
  PendingStatusName,
  StatusName,
  Transfer,
  TransferStatusName,
} from './ledger-records.ts';

export type Rule<Name> = readonly [name: Name, isBroken: boolean];

/** What an event's batch says of it. */
export interface Place {
  /** An earlier event of its chain failed. */
  readonly isChainBroken: boolean;
  /** It is linked, and the last of its batch. */
  readonly isChainOpen: boolean;
  /** The first event of its batch is imported. */
  readonly isBatchImported: boolean;
}

export const ALONE: Place = { isChainBroken: false, isChainOpen: false, isBatchImported: false };

/** What the ledger says of an account to be created. */
export interface AccountView {
  readonly place: Place;
  readonly now: bigint;
  /** What is stored under its id. */
  readonly old: Account | undefined;
  /** The newest timestamp of an account on its shard. */
  readonly newest: bigint;
}

/** What the ledger says of a transfer to be created. */
export interface TransferView {
  readonly place: Place;
  readonly now: bigint;
  /** What is stored under its id on its home shard. */
  readonly old: Transfer | undefined;
  readonly isBurnt: boolean;
  /** Of a post or void: what its pending_id names. */
  readonly named: NamedTransfer | undefined;
  /** Of a post or void: those of the pending transfer. */
  readonly debit: Account | undefined;
  readonly credit: Account | undefined;
  /** The newest timestamp of a transfer on its home shard. */
  readonly newest: bigint;
}

export interface NamedTransfer {
  readonly transfer: Transfer;
  readonly status: PendingStatusName;
  /** Null: never. */
  readonly expiresAt: bigint | null;
}

const has = (flags: number, some: number): boolean => (flags & some) !== 0;
export const isPending = (t: Transfer): boolean => has(t.flags, TransferFlags.pending);
export const isResolving = (t: Transfer): boolean => has(t.flags, RESOLVING);
export const isVoid = (t: Transfer): boolean => has(t.flags, TransferFlags.voidPendingTransfer);
export const isClosed = (a: Account | undefined): boolean =>
  a !== undefined && has(a.flags, AccountFlags.closed);
const LIMITS = AccountFlags.debitsMustNotExceedCredits | AccountFlags.creditsMustNotExceedDebits;
const NOT_WITH_RESOLVING = TransferFlags.pending | BALANCING | CLOSING;

export function firstBroken<Name extends StatusName>(
  rules: readonly Rule<Name>[],
): Name | 'created' {
  return rules.find(([, isBroken]) => isBroken)?.[0] ?? 'created';
}

export function accountRules(a: Account, view: AccountView): readonly Rule<AccountStatusName>[] {
  const { old } = view;
  const both = old !== undefined;
  return [
    ...batchRules(a, view),
    ['reserved_field', a.reserved !== 0],
    ['reserved_flag', has(a.flags, ~ACCOUNT_FLAGS_ALL)],
    ['id_must_not_be_zero', a.id === 0n],
    ['id_must_not_be_int_max', a.id === U128_MAX],
    ['exists_with_different_flags', both && old.flags !== a.flags],
    ['exists_with_different_user_data_128', both && old.userData128 !== a.userData128],
    ['exists_with_different_user_data_64', both && old.userData64 !== a.userData64],
    ['exists_with_different_user_data_32', both && old.userData32 !== a.userData32],
    ['exists_with_different_ledger', both && old.ledger !== a.ledger],
    ['exists_with_different_code', both && old.code !== a.code],
    ['exists', both],
    ['flags_are_mutually_exclusive', (a.flags & LIMITS) === LIMITS],
    ['debits_pending_must_be_zero', a.debitsPending !== 0n],
    ['debits_posted_must_be_zero', a.debitsPosted !== 0n],
    ['credits_pending_must_be_zero', a.creditsPending !== 0n],
    ['credits_posted_must_be_zero', a.creditsPosted !== 0n],
    ['ledger_must_not_be_zero', a.ledger === 0],
    ['code_must_not_be_zero', a.code === 0],
    [
      'imported_event_timestamp_must_not_regress',
      has(a.flags, AccountFlags.imported) && a.timestamp <= view.newest,
    ],
  ];
}

export function transferRules(
  t: Transfer,
  view: TransferView,
): readonly Rule<TransferStatusName>[] {
  return [
    ...batchRules(t, view),
    ['reserved_flag', has(t.flags, ~TRANSFER_FLAGS_ALL)],
    ['id_must_not_be_zero', t.id === 0n],
    ['id_must_not_be_int_max', t.id === U128_MAX],
    ...existsRules(t, view),
    ['id_already_failed', view.isBurnt],
    ...fieldRules(t),
    ...accountsOfTransferRules(t, view),
    ...namedTransferRules(t, view),
    ...importedRules(t, view),
    ...closedRules(t, view),
    ...balanceRules(t, view),
  ];
}

/** What comes of the event's place in its batch. The flag `imported` is another bit in accounts and in transfers. */
function batchRules(
  event: Account | Transfer,
  { place, now }: { readonly place: Place; readonly now: bigint },
): readonly Rule<AccountStatusName & TransferStatusName>[] {
  const bit = 'amount' in event ? TransferFlags.imported : AccountFlags.imported;
  const isImported = has(event.flags, bit);
  const { timestamp } = event;
  return [
    // An open chain is told at its last event, even when an earlier one failed.
    ['linked_event_failed', place.isChainBroken && !place.isChainOpen],
    ['linked_event_chain_open', place.isChainOpen],
    ['imported_event_expected', place.isBatchImported && !isImported],
    ['imported_event_not_expected', !place.isBatchImported && isImported],
    ['timestamp_must_be_zero', !isImported && timestamp !== 0n],
    [
      'imported_event_timestamp_out_of_range',
      isImported && (timestamp === 0n || timestamp > TIMESTAMP_MAX),
    ],
    ['imported_event_timestamp_must_not_advance', isImported && timestamp >= now],
  ];
}

/** A post or void that leaves a field 0 says the same as its pending transfer. */
function existsRules(
  t: Transfer,
  { old, named }: TransferView,
): readonly Rule<TransferStatusName>[] {
  const both = old !== undefined;
  const pending = named?.transfer;
  const differs = (field: 'debitAccountId' | 'creditAccountId' | 'ledger' | 'code'): boolean =>
    both && old[field] !== t[field] && !(isResolving(t) && BigInt(t[field]) === 0n);
  const userDataDiffers = (field: 'userData128' | 'userData64' | 'userData32'): boolean => {
    if (!both) return false;
    const isInherited = isResolving(t) && BigInt(t[field]) === 0n;
    return old[field] !== (isInherited ? pending?.[field] : t[field]);
  };
  return [
    ['exists_with_different_flags', both && old.flags !== t.flags],
    ['exists_with_different_pending_id', both && old.pendingId !== t.pendingId],
    ['exists_with_different_timeout', both && old.timeout !== t.timeout],
    ['exists_with_different_debit_account_id', differs('debitAccountId')],
    ['exists_with_different_credit_account_id', differs('creditAccountId')],
    ['exists_with_different_amount', both && amountDiffers(t, old, pending)],
    ['exists_with_different_user_data_128', userDataDiffers('userData128')],
    ['exists_with_different_user_data_64', userDataDiffers('userData64')],
    ['exists_with_different_user_data_32', userDataDiffers('userData32')],
    ['exists_with_different_ledger', differs('ledger')],
    ['exists_with_different_code', differs('code')],
    ['exists', both],
  ];
}

function amountDiffers(t: Transfer, old: Transfer, pending: Transfer | undefined): boolean {
  if (isVoid(t) && t.amount === 0n) return old.amount !== pending?.amount;
  if (isResolving(t) && !isVoid(t) && t.amount === U128_MAX) return old.amount !== pending?.amount;
  if (has(t.flags, BALANCING)) return t.amount < old.amount;
  return t.amount !== old.amount;
}

function fieldRules(t: Transfer): readonly Rule<TransferStatusName>[] {
  const isEnd = isResolving(t);
  const resolvesTwice = (t.flags & RESOLVING) === RESOLVING;
  const { debitAccountId: debit, creditAccountId: credit } = t;
  return [
    ['flags_are_mutually_exclusive', resolvesTwice || (isEnd && has(t.flags, NOT_WITH_RESOLVING))],
    ['debit_account_id_must_not_be_zero', !isEnd && debit === 0n],
    ['debit_account_id_must_not_be_int_max', !isEnd && debit === U128_MAX],
    ['credit_account_id_must_not_be_zero', !isEnd && credit === 0n],
    ['credit_account_id_must_not_be_int_max', !isEnd && credit === U128_MAX],
    ['accounts_must_be_different', !isEnd && debit === credit],
    ['pending_id_must_be_zero', !isEnd && t.pendingId !== 0n],
    ['pending_id_must_not_be_zero', isEnd && t.pendingId === 0n],
    ['pending_id_must_not_be_int_max', isEnd && t.pendingId === U128_MAX],
    ['pending_id_must_be_different', isEnd && t.pendingId === t.id],
    ['timeout_reserved_for_pending_transfer', !isPending(t) && t.timeout !== 0],
    ['closing_transfer_must_be_pending', !isEnd && !isPending(t) && has(t.flags, CLOSING)],
    ['ledger_must_not_be_zero', !isEnd && t.ledger === 0],
    ['code_must_not_be_zero', !isEnd && t.code === 0],
  ];
}

function accountsOfTransferRules(
  t: Transfer,
  { debit, credit }: TransferView,
): readonly Rule<TransferStatusName>[] {
  const isNew = !isResolving(t);
  const isOther = (a: Account | undefined): boolean => a !== undefined && a.ledger !== t.ledger;
  return [
    ['debit_account_not_found', isNew && debit === undefined],
    ['credit_account_not_found', isNew && credit === undefined],
    [
      'accounts_must_have_the_same_ledger',
      isNew && !!debit && !!credit && debit.ledger !== credit.ledger,
    ],
    [
      'transfer_must_have_the_same_ledger_as_accounts',
      isNew && (isOther(debit) || isOther(credit)),
    ],
  ];
}

/** What a post or void breaks that does not fit its pending transfer. */
function namedTransferRules(
  t: Transfer,
  { named, now }: TransferView,
): readonly Rule<TransferStatusName>[] {
  const isEnd = isResolving(t);
  const p = isEnd ? named?.transfer : undefined;
  const differs = (field: 'debitAccountId' | 'creditAccountId' | 'ledger' | 'code'): boolean =>
    p !== undefined && BigInt(t[field]) !== 0n && t[field] !== p[field];
  const amount = p === undefined ? 0n : amountMoved(t, p);
  const status = isEnd ? named?.status : undefined;
  const isLate = status === 'pending' && named!.expiresAt !== null && named!.expiresAt <= now;
  return [
    ['pending_transfer_not_found', isEnd && named === undefined],
    ['pending_transfer_not_pending', p !== undefined && !isPending(p)],
    ['pending_transfer_has_different_debit_account_id', differs('debitAccountId')],
    ['pending_transfer_has_different_credit_account_id', differs('creditAccountId')],
    ['pending_transfer_has_different_ledger', differs('ledger')],
    ['pending_transfer_has_different_code', differs('code')],
    ['exceeds_pending_transfer_amount', p !== undefined && amount > p.amount],
    ['pending_transfer_has_different_amount', p !== undefined && isVoid(t) && amount < p.amount],
    ['pending_transfer_already_posted', status === 'posted'],
    ['pending_transfer_already_voided', status === 'voided'],
    ['pending_transfer_expired', status === 'expired' || isLate],
  ];
}

/** What a post or void moves of its pending transfer; a void moves all of it back. */
export function amountMoved(t: Transfer, pending: Transfer): bigint {
  if (isVoid(t)) return t.amount === 0n ? pending.amount : t.amount;
  return t.amount === U128_MAX ? pending.amount : t.amount;
}

function importedRules(t: Transfer, view: TransferView): readonly Rule<TransferStatusName>[] {
  const isImported = has(t.flags, TransferFlags.imported);
  const isNew = isImported && !isResolving(t);
  const isBefore = (a: Account | undefined): boolean =>
    a !== undefined && t.timestamp <= a.timestamp;
  return [
    ['imported_event_timestamp_must_not_regress', isImported && t.timestamp <= view.newest],
    ['imported_event_timestamp_must_postdate_debit_account', isNew && isBefore(view.debit)],
    ['imported_event_timestamp_must_postdate_credit_account', isNew && isBefore(view.credit)],
    ['imported_event_timeout_must_be_zero', isNew && t.timeout !== 0],
  ];
}

/** On a closed account only a void is done. */
function closedRules(t: Transfer, view: TransferView): readonly Rule<TransferStatusName>[] {
  return [
    ['debit_account_already_closed', !isVoid(t) && isClosed(view.debit)],
    ['credit_account_already_closed', !isVoid(t) && isClosed(view.credit)],
  ];
}

/** The amount that a transfer moves: a balancing one no more than what is there. */
export function amountBalanced(t: Transfer, debit: Account, credit: Account): bigint {
  const zeroAtLeast = (left: bigint): bigint => (left < 0n ? 0n : left);
  let { amount } = t;
  if (has(t.flags, TransferFlags.balancingDebit)) {
    const left = debit.creditsPosted - (debit.debitsPending + debit.debitsPosted);
    if (zeroAtLeast(left) < amount) amount = zeroAtLeast(left);
  }
  if (has(t.flags, TransferFlags.balancingCredit)) {
    const left = credit.debitsPosted - (credit.creditsPending + credit.creditsPosted);
    if (zeroAtLeast(left) < amount) amount = zeroAtLeast(left);
  }
  return amount;
}

const NOBODY = { debitsPending: 0n, debitsPosted: 0n, creditsPending: 0n, creditsPosted: 0n };

/** The end of a pending transfer breaks none of these: all of it was counted when it was made. */
function balanceRules(t: Transfer, view: TransferView): readonly Rule<TransferStatusName>[] {
  const isNew = !isResolving(t);
  const { debit = NOBODY, credit = NOBODY, now } = view;
  const hasBoth = view.debit !== undefined && view.credit !== undefined;
  const amount = hasBoth ? amountBalanced(t, view.debit, view.credit) : t.amount;
  const overflows = (sum: bigint): boolean => isNew && sum + amount > U128_MAX;
  const debits = debit.debitsPending + debit.debitsPosted;
  const credits = credit.creditsPending + credit.creditsPosted;
  const isLimited = (a: Account | undefined, flag: number): boolean =>
    isNew && a !== undefined && has(a.flags, flag);
  return [
    ['overflows_debits_pending', isPending(t) && overflows(debit.debitsPending)],
    ['overflows_credits_pending', isPending(t) && overflows(credit.creditsPending)],
    ['overflows_debits_posted', overflows(debit.debitsPosted)],
    ['overflows_credits_posted', overflows(credit.creditsPosted)],
    ['overflows_debits', overflows(debits)],
    ['overflows_credits', overflows(credits)],
    ['overflows_timeout', isNew && now + BigInt(t.timeout) * SECOND > TIMESTAMP_MAX],
    [
      'exceeds_credits',
      isLimited(view.debit, AccountFlags.debitsMustNotExceedCredits) &&
        debits + amount > debit.creditsPosted,
    ],
    [
      'exceeds_debits',
      isLimited(view.credit, AccountFlags.creditsMustNotExceedDebits) &&
        credits + amount > credit.debitsPosted,
    ],
  ];
}
