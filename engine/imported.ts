/**
 * The rules by which a batch is imported, the same for accounts and transfers: the first event decides for all, and each brings its own
 * timestamp, which lies in the past.
 */
import { BatchKind } from './batch.ts';
import { EventMark } from './event-marks.ts';
import { AccountFlags, TransferFlags } from './flags.ts';
import type { Ledger } from './ledger.ts';
import { AccountStatus, TransferStatus } from './status.ts';

/** What the rules find, in both lists of statuses. */
const ACCOUNT = {
  isImported: AccountFlags.imported,
  expected: AccountStatus.imported_event_expected,
  notExpected: AccountStatus.imported_event_not_expected,
  mustBeZero: AccountStatus.timestamp_must_be_zero,
  outOfRange: AccountStatus.imported_event_timestamp_out_of_range,
  mustNotAdvance: AccountStatus.imported_event_timestamp_must_not_advance,
} as const;
const TRANSFER = {
  isImported: TransferFlags.imported,
  expected: TransferStatus.imported_event_expected,
  notExpected: TransferStatus.imported_event_not_expected,
  mustBeZero: TransferStatus.timestamp_must_be_zero,
  outOfRange: TransferStatus.imported_event_timestamp_out_of_range,
  mustNotAdvance: TransferStatus.imported_event_timestamp_must_not_advance,
} as const;

type Statuses = typeof ACCOUNT | typeof TRANSFER;

/** Of an event with these flags, and a timestamp in two words at `at`; 0 when nothing is wrong. */
// oxlint-disable-next-line max-params -- An object per event would cost more than it explains.
export function judgeTimestamp(
  ledger: Ledger,
  kind: BatchKind,
  flags: number,
  mark: number,
  words: Uint32Array,
  at: number,
): number {
  const statuses: Statuses = kind === BatchKind.accounts ? ACCOUNT : TRANSFER;
  const low = words[at]!;
  const high = words[at + 1]!;
  const isImported = (flags & statuses.isImported) !== 0;
  if (isImported !== ((mark & EventMark.imported) !== 0)) {
    return isImported ? statuses.notExpected : statuses.expected;
  }
  if (!isImported) return (low | high) === 0 ? 0 : statuses.mustBeZero;
  if ((low | high) === 0 || high > 0x7fffffff) return statuses.outOfRange;
  const { clockLow, clockHigh } = ledger;
  const isPast = high < clockHigh || (high === clockHigh && low < clockLow);
  return isPast ? 0 : statuses.mustNotAdvance;
}
