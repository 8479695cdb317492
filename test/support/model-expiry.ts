/**
 * The naive model where expiry is an event with a place of its own in an order, and the order that is tried is not always that of time. The model's
 * own clock lets all that is due expire at once; here each expiry is done as a void under an id that nobody else uses, and is told from
 * one afterwards.
 */
import { TransferFlags } from '../../engine/flags.ts';
import { SECOND } from './ledger-records.ts';
import type {
  AccountInput,
  ModelLedger,
  ShardOf,
  StatusName,
  TransferInput,
} from './model-ledger.ts';

/** A pending transfer, by its home and id, that expires. */
export interface Expiry {
  readonly home: number;
  readonly id: bigint;
  readonly shardOf: ShardOf;
}

const EXPIRY_IDS = 1n << 127n;
/** Where an id may be one of those: as many digits as they have. */
const EXPIRY_ID = new RegExp(`[0-9]{${`${EXPIRY_IDS}`.length}}`, 'u');

/** The time that the next unit finds, be it before that of the last one. */
export function turnClock(ledger: ModelLedger, now: bigint): void {
  Object.defineProperty(ledger, 'now', { value: now, configurable: true });
}

export function expire(
  ledger: ModelLedger,
  { home, id, shardOf }: Expiry,
  time: bigint,
): string | null {
  const pending = ledger.lookupTransfers([id]).find((one) => shardOf(one.debitAccountId) === home);
  if (pending === undefined) return 'nothing is there that could expire';
  const { debitAccountId, creditAccountId, timeout, timestamp } = pending;
  const isOver = timeout > 0 && timestamp + BigInt(timeout) * SECOND <= time;
  if (!isOver) return 'its time is not over';
  turnClock(ledger, 0n);
  const end = { id: EXPIRY_IDS + id, debitAccountId, creditAccountId, pendingId: id, amount: 0n };
  const flags = TransferFlags.voidPendingTransfer;
  const { status } = ledger.createTransfer({ ...end, ledger: 0, code: 0, flags });
  return status === 'created' ? null : `its end is ${status}`;
}

/** What the model takes for voided may have expired. */
export function statusDue(
  ledger: ModelLedger,
  status: StatusName,
  event: AccountInput | TransferInput,
): StatusName {
  if (status !== 'pending_transfer_already_voided' || !('pendingId' in event)) return status;
  const ends = ledger.lookupTransfers([EXPIRY_IDS + (event.pendingId ?? 0n)]);
  return ends.length > 0 ? 'pending_transfer_expired' : status;
}

/**
 * The digest of the model, with what has expired named as such, and burnt ids without their home: that of a post whose pending transfer is nowhere
 * depends on where the router has looked.
 */
export function digestOf(ledger: ModelLedger): string {
  const [accounts, transfers, burnt] = ledger.digest().split(';') as [string, string, string];
  const ids = burnt === '' ? [] : burnt.split(',').map((key) => key.replace(/^[0-9]+[/]/u, ''));
  return [accounts, withExpired(transfers), [...new Set(ids)].toSorted().join()].join(';');
}

/** A search asks for thousands of digests, and hardly any has an expiry: texts are cut up only where there is one. */
function withExpired(transfers: string): string {
  if (!EXPIRY_ID.test(transfers)) return transfers;
  const keys = transfers.split(',');
  const expired = new Set<string>();
  for (const key of keys) {
    const number = idOf(key);
    if (number >= EXPIRY_IDS) expired.add(key.replace(`${number}`, `${number - EXPIRY_IDS}`));
  }
  const named = keys.flatMap((key) => {
    if (idOf(key) >= EXPIRY_IDS) return [];
    const [own] = key.split(' ') as [string];
    return [expired.has(own) ? `${own} expired` : key];
  });
  return named.toSorted().join();
}

/** The id in `home/id status`. */
function idOf(key: string): bigint {
  return BigInt(key.split('/')[1]?.split(' ')[0] ?? 0);
}
