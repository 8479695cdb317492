/**
 * The rules by which a batch is imported, the same for accounts and transfers: the first event decides for all, and each brings its own
 * timestamp, which lies in the past.
 */
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

/** Of an event with these flags and timestamp; 0 when nothing is wrong. */
export function judgeTimestamp(
  ledger: Ledger,
  event: {
    readonly flags: number;
    readonly mark: number;
    readonly low: number;
    readonly high: number;
  },
  isAccount: boolean,
): number {
  const statuses: Statuses = isAccount ? ACCOUNT : TRANSFER;
  const { flags, low, high } = event;
  const isImported = (flags & statuses.isImported) !== 0;
  if (isImported !== ((event.mark & EventMark.imported) !== 0)) {
    return isImported ? statuses.notExpected : statuses.expected;
  }
  if (!isImported) return (low | high) === 0 ? 0 : statuses.mustBeZero;
  if ((low | high) === 0 || high > 0x7fffffff) return statuses.outOfRange;
  const { clockLow, clockHigh } = ledger;
  const isPast = high < clockHigh || (high === clockHigh && low < clockLow);
  return isPast ? 0 : statuses.mustNotAdvance;
}
