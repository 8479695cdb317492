/**
 * The short way for plain transfers: single-phase, without flags but that of chains, on this shard, between two open accounts without limits and without a
 * history of balances. It refuses nothing: what is not plainly `created` is left to the rules in create-transfer.ts, row by row, and
 * for what is, both do the same (plain-transfers.test.ts). One loop, so that nothing is called or looked up twice: the rules take 1.3 times as long.
 */
import { HEAD_HIGH, HEAD_LOW } from './account-table.ts';
import { addTo, equals, isMax, isZero } from './arithmetic.ts';
import { assert } from './assert.ts';
import { Transfer, type Columns } from './batch.ts';
import { EventMark } from './event-marks.ts';
import { AccountFlags, TransferFlags } from './flags.ts';
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
export const UNUSUAL = (AccountFlags.closed | AccountFlags.history) << 16;
export const DEBIT_UNUSUAL = UNUSUAL | (AccountFlags.debitsMustNotExceedCredits << 16);
export const CREDIT_UNUSUAL = UNUSUAL | (AccountFlags.creditsMustNotExceedDebits << 16);
/** Where the upper words of two balances and of an amount are all below this, no sum of the three overflows. */
export const UPPER_WORD_MAX = 0x3fffffff;

export interface PlainParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly accounts: TransferAccounts;
  readonly outcomes: Outcomes;
  /** Of the transfer ids of the group's requests, by frame row. */
  readonly hashes: Int32Array;
  /** Of the open request, {low, high} by row: the timestamps of its outcomes. */
  readonly stamps: Uint32Array;
}

/** Legs of a chain that goes the short way, and the bound for their balances: as above, however often an account is among them. */
export const LEGS_MAX = 8;
export const CHAIN_UPPER_WORD_MAX = UPPER_WORD_MAX >>> 9;

/** Whether no row of the batch has a flag, a pending id, a timeout, or a timestamp. */
export function isPlainBatch(columns: Columns): boolean {
  const { halves, at, step } = columns;
  return step[Transfer.flags] === 0 && halves[at[Transfer.flags]!] === 0 && isUnmarked(columns);
}

/** The same of a batch in which rows are linked. */
export function isPlainChainBatch(columns: Columns): boolean {
  const { halves, at, step, n } = columns;
  for (let i = 0; i < n; i++) {
    const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
    if ((flags & ~TransferFlags.linked) !== 0) return false;
  }
  return isUnmarked(columns);
}

function isUnmarked({ words, at, step }: Columns): boolean {
  for (const column of [Transfer.pendingId, Transfer.timeout, Transfer.timestamp]) {
    if (step[column] !== 0) return false;
  }
  const timestamp = at[Transfer.timestamp]!;
  return (
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
  run(columns: Columns, firstRow: number, from: number, to: number): number {
    return this.#run(columns, firstRow, from, to, UPPER_WORD_MAX, false);
  }

  /**
   * The same for a batch in which rows are linked: whole units. Each row is looked at first, so that no leg of a chain takes effect unless all of
   * them will; what an earlier one could change of that are the ids that are free and the balances, whose bound leaves room for it.
   */
  // Hot path.
  // oxlint-disable-next-line max-params -- Rows of a batch in a frame, as above, and their marks.
  runChains(
    columns: Columns,
    marks: Uint8Array,
    firstRow: number,
    from: number,
    to: number,
  ): number {
    const sure = this.#run(columns, firstRow, from, to, CHAIN_UPPER_WORD_MAX, true);
    for (let start = from; ;) {
      let end = start + 1;
      while (end < sure && (marks[end - 1]! & EventMark.end) === 0) end++;
      if (end > sure || marks[end - 1] !== EventMark.end || end - start > LEGS_MAX) return start;
      if (end - start > 1 && !this.#areFree(columns, firstRow, start, end)) return start;
      const done = this.#run(columns, firstRow, start, end, UPPER_WORD_MAX, false);
      // A single row is left to the rules when its id was used a moment ago.
      if (done < end && end - start === 1) return start;
      assert(done === end, 'a chain takes effect as a whole');
      start = end;
    }
  }

  /** Whether the ids of the rows are free, and no two of them are the same. */
  #areFree(columns: Columns, firstRow: number, from: number, to: number): boolean {
    const { ledger, accounts, hashes } = this.#parts;
    const { freeAhead: free, aheadFrom: ahead } = accounts;
    const { transferIndex } = ledger;
    const { words } = columns;
    const start = columns.at[Transfer.id]!;
    const step = columns.step[Transfer.id]!;
    for (let i = from; i < to; i++) {
      const id = start + i * step;
      const hash = hashes[firstRow + i]!;
      if (transferIndex.searchFrom(free[i - ahead]!, words, id, hash) >= 0) return false;
      for (let other = from; other < i; other++) {
        if (equals(words, id, words, start + other * step)) return false;
      }
    }
    return true;
  }

  /** `isTrial`: only says how far it would go if each row were the first. */
  // Hot path.
  // oxlint-disable-next-line max-params, max-lines-per-function -- One loop, so that nothing is called or looked up twice.
  #run(
    columns: Columns,
    firstRow: number,
    from: number,
    to: number,
    upperMax: number,
    isTrial: boolean,
  ): number {
    const { ledger, group, accounts, outcomes, hashes, stamps } = this.#parts;
    const { words, halves, at, step } = columns;
    const { transferIndex, accounts: table, shards } = ledger;
    const balances = table.words;
    const { statuses, previous, sequence } = group;
    const { rowsAhead: rows, freeAhead: free, aheadFrom: ahead } = accounts;
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
      const unusual =
        (balances[drAt + CODE_FLAGS]! & DEBIT_UNUSUAL) |
        (balances[crAt + CODE_FLAGS]! & CREDIT_UNUSUAL);
      if (unusual !== 0 || halves[at[Transfer.code]! + i * step[Transfer.code]!] === 0) break;
      const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
      const upper = upperWords(balances, drAt, crAt) | words[amount + 3]!;
      if (upper < 0 || upper > upperMax) break;
      const hash = hashes[firstRow + i]!;
      const place = transferIndex.searchFrom(free[i - ahead]!, words, id, hash);
      if (place >= 0) break;
      if (isTrial) continue;
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
    if (!isTrial) countCreated(this.#parts, i - from, clockLow, clockHigh);
    return i;
  }
}

/** So many rows were created, the last one at that time. */
export function countCreated(
  { ledger, outcomes }: PlainParts,
  rows: number,
  low: number,
  high: number,
): void {
  if (rows === 0) return;
  outcomes.transfers[0] = outcomes.transfers[0]! + rows;
  ledger.clockLow = low;
  ledger.clockHigh = high;
  ledger.stampLow = low;
  ledger.stampHigh = high;
  ledger.newestTransfer[0] = low;
  ledger.newestTransfer[1] = high;
}

/** Of the balances that a transfer adds to, and of those that it has to fit in with. */
// Hot path.
export function upperWords(balances: Uint32Array, drAt: number, crAt: number): number {
  return (
    balances[drAt + DEBITS_POSTED + 3]! |
    balances[drAt + DEBITS_PENDING + 3]! |
    balances[crAt + CREDITS_POSTED + 3]! |
    balances[crAt + CREDITS_PENDING + 3]!
  );
}
