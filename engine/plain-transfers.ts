/**
 * The short way for plain transfers: single-phase, without flags, on this shard, between two open accounts without limits and without a
 * history of balances. It refuses nothing: what is not plainly `created` is left to the rules in create-transfer.ts, row by row, and
 * for what is, both do the same (plain-transfers.test.ts). One loop, so that nothing is called or looked up twice: the rules take 1.3 times as long.
 */
import { HEAD_HIGH, HEAD_LOW } from './account-table.ts';
import { addTo, equals, isMax, isZero } from './arithmetic.ts';
import { Transfer, type Columns } from './batch.ts';
import { AccountFlags } from './flags.ts';
import type { Group } from './group.ts';
import { HistorySide, positionHigh, TransferState, type Ledger } from './ledger.ts';
import type { Outcomes } from './outcomes.ts';
import {
  CODE_FLAGS,
  CREDITS_PENDING,
  CREDITS_POSTED,
  DEBITS_PENDING,
  DEBITS_POSTED,
  LEDGER,
  type TransferAccounts,
} from './transfer-accounts.ts';

/** Accounts with one of these, on either side, are left to the rules. */
const UNUSUAL = (AccountFlags.closed | AccountFlags.history) << 16;
const DEBIT_UNUSUAL = UNUSUAL | (AccountFlags.debitsMustNotExceedCredits << 16);
const CREDIT_UNUSUAL = UNUSUAL | (AccountFlags.creditsMustNotExceedDebits << 16);
/** Where the upper words of two balances and of an amount are all below this, no sum of the three overflows. */
const UPPER_WORD_MAX = 0x3fffffff;

interface PlainParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly accounts: TransferAccounts;
  readonly outcomes: Outcomes;
  /** Of the transfer ids of the group's requests, by frame row. */
  readonly hashes: Int32Array;
  /** Of the open request, {low, high} by row: the timestamps of its outcomes. */
  readonly stamps: Uint32Array;
}

/** Whether no row of the batch has a flag, a pending id, a timeout, or a timestamp. */
export function isPlainBatch({ words, halves, at, step }: Columns): boolean {
  for (const column of [Transfer.pendingId, Transfer.timeout, Transfer.timestamp]) {
    if (step[column] !== 0) return false;
  }
  const timestamp = at[Transfer.timestamp]!;
  return (
    step[Transfer.flags] === 0 &&
    halves[at[Transfer.flags]!] === 0 &&
    isZero(words, at[Transfer.pendingId]!) &&
    (words[at[Transfer.timeout]!]! | words[timestamp]! | words[timestamp + 1]!) === 0
  );
}

export class PlainTransfers {
  readonly #parts: PlainParts;

  constructor(parts: PlainParts) {
    this.#parts = parts;
  }

  /**
   * Executes rows of an open plain batch from `from` on, up to `to`, as far as they are plainly created; all of them have been looked ahead at. Returns
   * the first row that is not done: nothing of it has happened.
   */
  // Hot path.
  run(columns: Columns, firstRow: number, from: number, to: number): number {
    const { ledger, group, accounts, outcomes, hashes, stamps } = this.#parts;
    const { words, halves, at, step } = columns;
    const { transferIndex, accounts: table, shards } = ledger;
    const balances = table.words;
    const { statuses, previous, sequence } = group;
    const { rowsAhead: rows, aheadFrom: ahead } = accounts;
    const low = sequence >>> 0;
    const high = positionHigh(sequence, 0, 0);
    let { clockLow, clockHigh } = ledger;
    let i = from;
    for (; i < to; i++) {
      const drRow = rows[2 * (i - ahead)]!;
      const crRow = rows[2 * (i - ahead) + 1]!;
      if (drRow < 0 || crRow < 0 || drRow === crRow) break;
      const id = at[Transfer.id]! + i * step[Transfer.id]!;
      if (isZero(words, id) || isMax(words, id)) break;
      const drAt = table.offset(drRow);
      const crAt = table.offset(crRow);
      const drId = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
      if (!equals(balances, drAt, words, drId)) break;
      const crId = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
      if (!equals(balances, crAt, words, crId)) break;
      const unit = words[at[Transfer.ledger]! + i * step[Transfer.ledger]!]!;
      if (balances[drAt + LEDGER] !== unit || balances[crAt + LEDGER] !== unit) break;
      if (halves[at[Transfer.code]! + i * step[Transfer.code]!] === 0) break;
      if ((balances[drAt + CODE_FLAGS]! & DEBIT_UNUSUAL) !== 0) break;
      if ((balances[crAt + CODE_FLAGS]! & CREDIT_UNUSUAL) !== 0) break;
      const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
      const upper =
        balances[drAt + DEBITS_POSTED + 3]! |
        balances[drAt + DEBITS_PENDING + 3]! |
        balances[crAt + CREDITS_POSTED + 3]! |
        balances[crAt + CREDITS_PENDING + 3]! |
        words[amount + 3]!;
      if (upper < 0 || upper > UPPER_WORD_MAX) break;
      const hash = hashes[firstRow + i]!;
      const place = transferIndex.search(words, id, hash);
      if (place >= 0) break;
      // After this point the transfer must succeed.
      clockLow += shards;
      if (clockLow > 0xffffffff) {
        clockLow -= 4294967296;
        clockHigh++;
      }
      table.beforeTransfer(drRow, crRow);
      addTo(balances, drAt + DEBITS_POSTED, words, amount);
      addTo(balances, crAt + CREDITS_POSTED, words, amount);
      const row = firstRow + i;
      const rowHigh = (high | (row << 8)) >>> 0;
      transferIndex.insertAt(place, words, id, hash, low, (rowHigh | TransferState.created) >>> 0);
      previous.setBoth(
        row,
        balances[drAt + HEAD_LOW]!,
        balances[drAt + HEAD_HIGH]!,
        balances[crAt + HEAD_LOW]!,
        balances[crAt + HEAD_HIGH]!,
      );
      balances[drAt + HEAD_LOW] = low;
      balances[drAt + HEAD_HIGH] = rowHigh | HistorySide.debit;
      balances[crAt + HEAD_LOW] = low;
      balances[crAt + HEAD_HIGH] = rowHigh | HistorySide.credit;
      statuses[row] = 0;
      stamps[2 * i] = clockLow;
      stamps[2 * i + 1] = clockHigh;
      outcomes.note(0, clockLow, clockHigh);
    }
    this.#count(i - from, clockLow, clockHigh);
    return i;
  }

  /** So many rows were created, the last one at that time. */
  #count(rows: number, low: number, high: number): void {
    if (rows === 0) return;
    const { ledger, outcomes } = this.#parts;
    outcomes.transfers[0] = outcomes.transfers[0]! + rows;
    ledger.clockLow = low;
    ledger.clockHigh = high;
    ledger.stampLow = low;
    ledger.stampHigh = high;
    ledger.newestTransfer[0] = low;
    ledger.newestTransfer[1] = high;
  }
}
