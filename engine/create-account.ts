/** The rules for one account: validation in order of precedence, then the row. */
import { equals, isMax, isZero } from './arithmetic.ts';
import { Account, type Columns } from './batch.ts';
import type { Ledger } from './ledger.ts';
import { AccountStatus } from './status.ts';

export const AccountFlags = {
  linked: 1,
  debitsMustNotExceedCredits: 2,
  creditsMustNotExceedDebits: 4,
  history: 8,
  imported: 16,
  closed: 32,
} as const;
/** What this version serves; the edges refuse the other names, the engine any other bit. */
export const ACCOUNT_FLAGS_SERVED =
  AccountFlags.debitsMustNotExceedCredits | AccountFlags.creditsMustNotExceedDebits;

/** Executes row i at the ledger's clock. On `exists` the ledger's outcome timestamp is the stored account's. */
// Hot path.
export function createAccount(ledger: Ledger, columns: Columns, i: number): AccountStatus {
  const { words, halves, at, step } = columns;
  const idAt = at[Account.id]! + i * step[Account.id]!;
  const stampAt = at[Account.timestamp]! + i * step[Account.timestamp]!;
  const flags = halves[at[Account.flags]! + i * step[Account.flags]!]!;
  if ((words[stampAt]! | words[stampAt + 1]!) !== 0) return AccountStatus.timestamp_must_be_zero;
  if (words[at[Account.reserved]! + i * step[Account.reserved]!] !== 0) {
    return AccountStatus.reserved_field;
  }
  if ((flags & ~ACCOUNT_FLAGS_SERVED) !== 0) return AccountStatus.reserved_flag;
  if (isZero(words, idAt)) return AccountStatus.id_must_not_be_zero;
  if (isMax(words, idAt)) return AccountStatus.id_must_not_be_int_max;
  const hash = ledger.accountIndex.hash(words, idAt);
  const known = ledger.accountIndex.find(words, idAt, hash);
  if (known !== -1) return existingAccount(ledger, columns, i, known);
  if (flags === ACCOUNT_FLAGS_SERVED) return AccountStatus.flags_are_mutually_exclusive;
  for (let column: number = Account.debitsPending; column <= Account.creditsPosted; column++) {
    if (isZero(words, at[column]! + i * step[column]!)) continue;
    // The four statuses and the four columns are in the same order.
    return (AccountStatus.debits_pending_must_be_zero + column - 1) as AccountStatus;
  }
  if (words[at[Account.ledger]! + i * step[Account.ledger]!] === 0) {
    return AccountStatus.ledger_must_not_be_zero;
  }
  if (halves[at[Account.code]! + i * step[Account.code]!] === 0) {
    return AccountStatus.code_must_not_be_zero;
  }
  // After this point the account must be created.
  const row = ledger.accounts.add();
  const chunk = ledger.accounts.chunk(row);
  const to = ledger.accounts.offset(row);
  columns.copyRow(i, chunk, to);
  chunk[to + 30] = ledger.clockLow;
  chunk[to + 31] = ledger.clockHigh;
  ledger.accountIndex.insert(hash, row);
  return AccountStatus.created;
}

function existingAccount(ledger: Ledger, columns: Columns, i: number, row: number): AccountStatus {
  const { words, halves, at, step } = columns;
  const old = ledger.accounts.chunk(row);
  const from = ledger.accounts.offset(row);
  const oldCode = old[from + 29]! & 0xffff;
  const oldFlags = old[from + 29]! >>> 16;
  const ud64 = at[Account.userData64]! + i * step[Account.userData64]!;
  if (halves[at[Account.flags]! + i * step[Account.flags]!] !== oldFlags) {
    return AccountStatus.exists_with_different_flags;
  }
  if (!equals(words, at[Account.userData128]! + i * step[Account.userData128]!, old, from + 20)) {
    return AccountStatus.exists_with_different_user_data_128;
  }
  if (words[ud64] !== old[from + 24] || words[ud64 + 1] !== old[from + 25]) {
    return AccountStatus.exists_with_different_user_data_64;
  }
  if (words[at[Account.userData32]! + i * step[Account.userData32]!] !== old[from + 26]) {
    return AccountStatus.exists_with_different_user_data_32;
  }
  if (words[at[Account.ledger]! + i * step[Account.ledger]!] !== old[from + 28]) {
    return AccountStatus.exists_with_different_ledger;
  }
  if (halves[at[Account.code]! + i * step[Account.code]!] !== oldCode) {
    return AccountStatus.exists_with_different_code;
  }
  ledger.stampLow = old[from + 30]!;
  ledger.stampHigh = old[from + 31]!;
  return AccountStatus.exists;
}
