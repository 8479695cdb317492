/**
 * Outcome codes of the two create operations. The numbers are TigerBeetle's and never change, because they are in journals and on wires;
 * the arrays below give the order of precedence (the first status that applies is returned), which the numbers do not.
 */
export const AccountStatus = {
  created: 0,
  linked_event_failed: 1,
  linked_event_chain_open: 2,
  timestamp_must_be_zero: 3,
  reserved_field: 4,
  reserved_flag: 5,
  id_must_not_be_zero: 6,
  id_must_not_be_int_max: 7,
  flags_are_mutually_exclusive: 8,
  debits_pending_must_be_zero: 9,
  debits_posted_must_be_zero: 10,
  credits_pending_must_be_zero: 11,
  credits_posted_must_be_zero: 12,
  ledger_must_not_be_zero: 13,
  code_must_not_be_zero: 14,
  exists_with_different_flags: 15,
  exists_with_different_user_data_128: 16,
  exists_with_different_user_data_64: 17,
  exists_with_different_user_data_32: 18,
  exists_with_different_ledger: 19,
  exists_with_different_code: 20,
  exists: 21,
} as const;
export type AccountStatus = (typeof AccountStatus)[keyof typeof AccountStatus];

export const TransferStatus = {
  created: 0,
  linked_event_failed: 1,
  linked_event_chain_open: 2,
  timestamp_must_be_zero: 3,
  reserved_flag: 4,
  id_must_not_be_zero: 5,
  id_must_not_be_int_max: 6,
  debit_account_id_must_not_be_zero: 8,
  debit_account_id_must_not_be_int_max: 9,
  credit_account_id_must_not_be_zero: 10,
  credit_account_id_must_not_be_int_max: 11,
  accounts_must_be_different: 12,
  pending_id_must_be_zero: 13,
  timeout_reserved_for_pending_transfer: 17,
  ledger_must_not_be_zero: 19,
  code_must_not_be_zero: 20,
  debit_account_not_found: 21,
  credit_account_not_found: 22,
  accounts_must_have_the_same_ledger: 23,
  transfer_must_have_the_same_ledger_as_accounts: 24,
  exists_with_different_flags: 36,
  exists_with_different_debit_account_id: 37,
  exists_with_different_credit_account_id: 38,
  exists_with_different_amount: 39,
  exists_with_different_pending_id: 40,
  exists_with_different_user_data_128: 41,
  exists_with_different_user_data_64: 42,
  exists_with_different_user_data_32: 43,
  exists_with_different_timeout: 44,
  exists_with_different_code: 45,
  exists: 46,
  overflows_debits_pending: 47,
  overflows_credits_pending: 48,
  overflows_debits_posted: 49,
  overflows_credits_posted: 50,
  overflows_debits: 51,
  overflows_credits: 52,
  exceeds_credits: 54,
  exceeds_debits: 55,
  exists_with_different_ledger: 67,
  id_already_failed: 68,
} as const;
export type TransferStatus = (typeof TransferStatus)[keyof typeof TransferStatus];

/** Not ledger outcomes: what an event is while it waits, and one that never started because its deadline had passed. Never on a wire. */
export const EventState = { notStarted: 0xffff, waiting: 0xfffe } as const;

export const ACCOUNT_STATUS_PRECEDENCE: readonly (keyof typeof AccountStatus)[] = [
  'created',
  'linked_event_failed',
  'linked_event_chain_open',
  'timestamp_must_be_zero',
  'reserved_field',
  'reserved_flag',
  'id_must_not_be_zero',
  'id_must_not_be_int_max',
  'exists_with_different_flags',
  'exists_with_different_user_data_128',
  'exists_with_different_user_data_64',
  'exists_with_different_user_data_32',
  'exists_with_different_ledger',
  'exists_with_different_code',
  'exists',
  'flags_are_mutually_exclusive',
  'debits_pending_must_be_zero',
  'debits_posted_must_be_zero',
  'credits_pending_must_be_zero',
  'credits_posted_must_be_zero',
  'ledger_must_not_be_zero',
  'code_must_not_be_zero',
];

export const TRANSFER_STATUS_PRECEDENCE: readonly (keyof typeof TransferStatus)[] = [
  'created',
  'linked_event_failed',
  'linked_event_chain_open',
  'timestamp_must_be_zero',
  'reserved_flag',
  'id_must_not_be_zero',
  'id_must_not_be_int_max',
  'exists_with_different_flags',
  'exists_with_different_pending_id',
  'exists_with_different_timeout',
  'exists_with_different_debit_account_id',
  'exists_with_different_credit_account_id',
  'exists_with_different_amount',
  'exists_with_different_user_data_128',
  'exists_with_different_user_data_64',
  'exists_with_different_user_data_32',
  'exists_with_different_ledger',
  'exists_with_different_code',
  'exists',
  'id_already_failed',
  'debit_account_id_must_not_be_zero',
  'debit_account_id_must_not_be_int_max',
  'credit_account_id_must_not_be_zero',
  'credit_account_id_must_not_be_int_max',
  'accounts_must_be_different',
  'pending_id_must_be_zero',
  'timeout_reserved_for_pending_transfer',
  'ledger_must_not_be_zero',
  'code_must_not_be_zero',
  'debit_account_not_found',
  'credit_account_not_found',
  'accounts_must_have_the_same_ledger',
  'transfer_must_have_the_same_ledger_as_accounts',
  'overflows_debits_pending',
  'overflows_credits_pending',
  'overflows_debits_posted',
  'overflows_credits_posted',
  'overflows_debits',
  'overflows_credits',
  'exceeds_credits',
  'exceeds_debits',
];

/** A transient failure burns the transfer's id: trying again with it gives `id_already_failed` for ever. */
export function isTransient(status: number): boolean {
  return (
    status === TransferStatus.debit_account_not_found ||
    status === TransferStatus.credit_account_not_found ||
    status === TransferStatus.exceeds_credits ||
    status === TransferStatus.exceeds_debits
  );
}

const namesOf = (table: Readonly<Record<string, number>>): readonly (string | undefined)[] => {
  const names: (string | undefined)[] = [];
  for (const [name, code] of Object.entries(table)) names[code] = name;
  return names;
};

/** Status names by number; a hole where this version has no such status. */
export const ACCOUNT_STATUS_NAMES = namesOf(AccountStatus);
export const TRANSFER_STATUS_NAMES = namesOf(TransferStatus);
