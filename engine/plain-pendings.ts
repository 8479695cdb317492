/**
 * The short way for batches of pending transfers, as plain-transfers.ts has one for those that are not: between two open accounts of this shard
 * without limits and without a history of balances. What is not plainly `created` is left to the rules, row by row, with the same results
 * (plain-pendings.test.ts).
 */
import { HEAD_HIGH, HEAD_LOW } from './account-table.ts';
import { addTo, copy, equals, isMax, isZero } from './arithmetic.ts';
import { type Columns, ROW_WORDS, Transfer } from './batch.ts';
import { TransferFlags } from './flags.ts';
import { HistorySide, positionHigh, TransferState } from './ledger.ts';
import { Entry, ENTRY_WORDS } from './pending-table.ts';
import {
  countCreated,
  CREDIT_UNUSUAL,
  DEBIT_UNUSUAL,
  type PlainParts,
  UPPER_WORD_MAX,
  upperWords,
} from './plain-transfers.ts';
import { CODE_FLAGS, CREDITS_PENDING, DEBITS_PENDING, LEDGER } from './transfer-accounts.ts';

/** While the upper word of the clock is below this (until 2116), no timeout of 32 bits goes beyond 2^63 - 1 nanoseconds. */
const CLOCK_HIGH_MAX = 0x40000000;

/** Whether all rows of the batch are pending and nothing else, without a pending id or a timestamp. */
export function isPlainPendingBatch({ words, halves, at, step }: Columns): boolean {
  for (const column of [Transfer.flags, Transfer.pendingId, Transfer.timestamp]) {
    if (step[column] !== 0) return false;
  }
  const timestamp = at[Transfer.timestamp]!;
  return (
    halves[at[Transfer.flags]!] === TransferFlags.pending &&
    isZero(words, at[Transfer.pendingId]!) &&
    (words[timestamp]! | words[timestamp + 1]!) === 0
  );
}

export class PlainPendings {
  readonly #parts: PlainParts;
  /** Where user data lies as in a record. */
  readonly #record = new Uint32Array(ROW_WORDS);

  constructor(parts: PlainParts) {
    this.#parts = parts;
  }

  /** As `PlainTransfers.run`. */
  // Hot path.
  // oxlint-disable-next-line max-lines-per-function -- One loop, so that nothing is called or looked up twice.
  run(columns: Columns, firstRow: number, from: number, to: number): number {
    const { ledger, group, accounts, outcomes, hashes, stamps } = this.#parts;
    const { words, halves, at, step } = columns;
    const { transferIndex, pendings, accounts: table, shards } = ledger;
    const balances = table.words;
    const { statuses, previous, sequence } = group;
    const { rowsAhead: rows, freeAhead: free, aheadFrom: ahead } = accounts;
    const hasUserData = mayHaveUserData(columns);
    const low = sequence >>> 0;
    const high = positionHigh(sequence, 0, 0);
    let { clockLow, clockHigh } = ledger;
    if (clockHigh >= CLOCK_HIGH_MAX) return from;
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
      const code = halves[at[Transfer.code]! + i * step[Transfer.code]!]!;
      if (unusual !== 0 || code === 0) break;
      const amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
      const upper = upperWords(balances, drAt, crAt) | words[amount + 3]!;
      if (upper < 0 || upper > UPPER_WORD_MAX) break;
      const hash = hashes[firstRow + i]!;
      const place = transferIndex.searchFrom(free[i - ahead]!, words, id, hash);
      if (place >= 0) break;
      // After this point the transfer must succeed.
      clockLow += shards;
      if (clockLow > 0xffffffff) {
        clockLow -= 4294967296;
        clockHigh++;
      }
      table.beforeTransfer(drRow, crRow);
      addTo(balances, drAt + DEBITS_PENDING, words, amount);
      addTo(balances, crAt + CREDITS_PENDING, words, amount);
      const row = firstRow + i;
      const rowHigh = (high | (row << 8)) >>> 0;
      const entry = pendings.take();
      const entryAt = entry * ENTRY_WORDS;
      const entries = pendings.words;
      const timeout = words[at[Transfer.timeout]! + i * step[Transfer.timeout]!]!;
      copy(entries, entryAt + Entry.amount, words, amount);
      copy(entries, entryAt + Entry.credit, words, crId);
      entries[entryAt + Entry.debit] = drRow;
      entries[entryAt + Entry.codeFlags] = code | (TransferFlags.pending << 16);
      entries[entryAt + Entry.timestamp] = clockLow;
      entries[entryAt + Entry.timestamp + 1] = clockHigh;
      entries[entryAt + Entry.timeout] = timeout;
      entries[entryAt + Entry.position] = low;
      entries[entryAt + Entry.position + 1] = rowHigh | TransferState.pending;
      entries[entryAt + Entry.hash] = hash;
      entries[entryAt + Entry.heap] = 0;
      entries[entryAt + Entry.user] = hasUserData ? this.#addUserData(columns, i) : 0;
      if (timeout !== 0) pendings.schedule(entry);
      transferIndex.insertAt(place, words, id, hash, entry, TransferState.pending);
      const drLow = balances[drAt + HEAD_LOW]!;
      const drHigh = balances[drAt + HEAD_HIGH]!;
      const crLow = balances[crAt + HEAD_LOW]!;
      const crHigh = balances[crAt + HEAD_HIGH]!;
      // The frame leaves the section out when no row has anything before it.
      if ((drHigh | crHigh) !== 0) previous.setBoth(row, drLow, drHigh, crLow, crHigh);
      balances[drAt + HEAD_LOW] = low;
      balances[drAt + HEAD_HIGH] = rowHigh | HistorySide.debit;
      balances[crAt + HEAD_LOW] = low;
      balances[crAt + HEAD_HIGH] = rowHigh | HistorySide.credit;
      statuses[row] = 0;
      stamps[2 * i] = clockLow;
      stamps[2 * i + 1] = clockHigh;
      outcomes.note(0, clockLow, clockHigh);
    }
    countCreated(this.#parts, i - from, clockLow, clockHigh);
    return i;
  }

  #addUserData({ words, at, step }: Columns, i: number): number {
    const record = this.#record;
    copy(record, 20, words, at[Transfer.userData128]! + i * step[Transfer.userData128]!);
    const user64 = at[Transfer.userData64]! + i * step[Transfer.userData64]!;
    record[24] = words[user64]!;
    record[25] = words[user64 + 1]!;
    record[26] = words[at[Transfer.userData32]! + i * step[Transfer.userData32]!]!;
    return this.#parts.ledger.pendings.addUserData(record, 0);
  }
}

/** Whether some row may have user data. */
export function mayHaveUserData({ words, at, step }: Columns): boolean {
  for (const column of [Transfer.userData128, Transfer.userData64, Transfer.userData32]) {
    if (step[column] !== 0) return true;
  }
  const user64 = at[Transfer.userData64]!;
  return (
    !isZero(words, at[Transfer.userData128]!) ||
    (words[user64]! | words[user64 + 1]! | words[at[Transfer.userData32]!]!) !== 0
  );
}
