/**
 * An event whose id is taken, held against the record of its id: what differs first, in order of precedence, or `exists`. A post or void may
 * leave fields to its pending transfer, and a balancing transfer may ask for more than it moved.
 */
import { equals, isGreater, isMax, isZero } from './arithmetic.ts';
import { Transfer, type Columns } from './batch.ts';
import { EventMark } from './event-marks.ts';
import { BALANCING, RESOLVING, TransferFlags } from './flags.ts';
import { TransferStatus } from './status.ts';

/** Word offsets in a record. */
const DEBIT = 4;
const CREDIT = 8;
const AMOUNT = 12;
const PENDING = 16;
const USER_128 = 20;
const USER_64 = 24;
const USER_32 = 26;
const TIMEOUT = 27;
const LEDGER = 28;
const CODE_FLAGS = 29;

/** Row i against the record `old`. `pending` is the record of the pending transfer when `old` is a post or void of it. */
// oxlint-disable-next-line max-params -- An object per event would cost more than it explains.
export function compareExisting(
  columns: Columns,
  i: number,
  mark: number,
  old: Uint32Array,
  pending: Uint32Array,
): TransferStatus {
  const { words, halves, at, step } = columns;
  const offset = (column: number): number => at[column]! + i * step[column]!;
  const flags = halves[offset(Transfer.flags)]!;
  if (flags !== old[CODE_FLAGS]! >>> 16) return TransferStatus.exists_with_different_flags;
  if (!equals(words, offset(Transfer.pendingId), old, PENDING)) {
    return TransferStatus.exists_with_different_pending_id;
  }
  if (words[offset(Transfer.timeout)] !== old[TIMEOUT]) {
    return TransferStatus.exists_with_different_timeout;
  }
  if ((flags & RESOLVING) !== 0) {
    return compareResolving(columns, i, mark, old, pending);
  }
  if (!equals(words, offset(Transfer.debitAccountId), old, DEBIT)) {
    return TransferStatus.exists_with_different_debit_account_id;
  }
  if (!equals(words, offset(Transfer.creditAccountId), old, CREDIT)) {
    return TransferStatus.exists_with_different_credit_account_id;
  }
  const amount = offset(Transfer.amount);
  const isOther =
    (flags & BALANCING) === 0
      ? !equals(words, amount, old, AMOUNT)
      : isGreater(old, AMOUNT, words, amount);
  if (isOther) return TransferStatus.exists_with_different_amount;
  return compareUserData(columns, i, old, old) ?? compareCodes(columns, i, old, false);
}

// oxlint-disable-next-line max-params -- As above.
function compareResolving(
  columns: Columns,
  i: number,
  mark: number,
  old: Uint32Array,
  pending: Uint32Array,
): TransferStatus {
  const { words, halves, at, step } = columns;
  const debit = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
  const credit = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
  const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
  const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
  const isDifferent = (named: number, stored: number, other: number): boolean =>
    (mark & other) !== 0 || (!isZero(words, named) && !equals(words, named, old, stored));
  if (isDifferent(debit, DEBIT, EventMark.otherDebit)) {
    return TransferStatus.exists_with_different_debit_account_id;
  }
  if (isDifferent(credit, CREDIT, EventMark.otherCredit)) {
    return TransferStatus.exists_with_different_credit_account_id;
  }
  const isVoid = (flags & TransferFlags.voidPendingTransfer) !== 0;
  const takesAll = isVoid ? isZero(words, amount) : isMax(words, amount);
  const isSame = takesAll
    ? equals(old, AMOUNT, pending, AMOUNT)
    : equals(words, amount, old, AMOUNT);
  if (!isSame) return TransferStatus.exists_with_different_amount;
  return compareUserData(columns, i, old, pending) ?? compareCodes(columns, i, old, true);
}

/** Where the event says 0, the stored user data must be that of `inherited`. */
function compareUserData(
  columns: Columns,
  i: number,
  old: Uint32Array,
  inherited: Uint32Array,
): TransferStatus | null {
  const { words, at, step } = columns;
  const user128 = at[Transfer.userData128]! + i * step[Transfer.userData128]!;
  const user64 = at[Transfer.userData64]! + i * step[Transfer.userData64]!;
  const user32 = at[Transfer.userData32]! + i * step[Transfer.userData32]!;
  const is128 =
    isZero(words, user128) && inherited !== old
      ? equals(inherited, USER_128, old, USER_128)
      : equals(words, user128, old, USER_128);
  if (!is128) return TransferStatus.exists_with_different_user_data_128;
  const from64 = (words[user64]! | words[user64 + 1]!) === 0 && inherited !== old;
  const is64 = from64
    ? inherited[USER_64] === old[USER_64] && inherited[USER_64 + 1] === old[USER_64 + 1]
    : words[user64] === old[USER_64] && words[user64 + 1] === old[USER_64 + 1];
  if (!is64) return TransferStatus.exists_with_different_user_data_64;
  const due32 = words[user32] === 0 && inherited !== old ? inherited[USER_32] : words[user32];
  return due32 === old[USER_32] ? null : TransferStatus.exists_with_different_user_data_32;
}

function compareCodes(
  columns: Columns,
  i: number,
  old: Uint32Array,
  mayInherit: boolean,
): TransferStatus {
  const { words, halves, at, step } = columns;
  const ledger = words[at[Transfer.ledger]! + i * step[Transfer.ledger]!]!;
  const code = halves[at[Transfer.code]! + i * step[Transfer.code]!]!;
  if (ledger !== old[LEDGER] && !(mayInherit && ledger === 0)) {
    return TransferStatus.exists_with_different_ledger;
  }
  if (code !== (old[CODE_FLAGS]! & 0xffff) && !(mayInherit && code === 0)) {
    return TransferStatus.exists_with_different_code;
  }
  return TransferStatus.exists;
}
