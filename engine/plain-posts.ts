/**
 * The short way for batches of posts, as plain-transfers.ts has one for single-phase transfers: of pending transfers of this shard that are open and
 * not over, in whole or in part, between two open accounts without a history of balances. What is not plainly `created` is left to the rules in
 * resolve-pending.ts, row by row, with the same results (plain-pendings.test.ts).
 */
import { HEAD_HIGH, HEAD_LOW } from './account-table.ts';
import { addTo, copy, equals, isGreater, isMax, isZero, subtractFrom } from './arithmetic.ts';
import { type Columns, Transfer } from './batch.ts';
import { TransferFlags } from './flags.ts';
import { HistorySide, positionHigh, TransferState } from './ledger.ts';
import { Entry, ENTRY_WORDS, USER_WORDS } from './pending-table.ts';
import { mayHaveUserData } from './plain-pendings.ts';
import { countCreated, type PlainParts, UNUSUAL } from './plain-transfers.ts';
import type { RecordShelf } from './record-shelf.ts';
import {
  CODE_FLAGS,
  CREDITS_PENDING,
  CREDITS_POSTED,
  DEBITS_PENDING,
  DEBITS_POSTED,
  LEDGER,
} from './transfer-accounts.ts';

/** Words of a record. */
const DEBIT = 4;
const CREDIT = 8;
const AMOUNT = 12;
const PENDING = 16;
const USER = 20;
const TIMEOUT = 27;
const CODE = 29;
const STAMP = 30;
const STATE_MASK = 0xff;
const NAMES = [
  Transfer.debitAccountId,
  Transfer.creditAccountId,
  Transfer.ledger,
  Transfer.code,
] as const;

export interface PostParts extends PlainParts {
  readonly shelf: RecordShelf;
}

/** Whether all rows of the batch are posts and nothing else, without a timeout or a timestamp. */
export function isPlainPostBatch({ words, halves, at, step }: Columns): boolean {
  for (const column of [Transfer.flags, Transfer.timeout, Transfer.timestamp]) {
    if (step[column] !== 0) return false;
  }
  const timestamp = at[Transfer.timestamp]!;
  return (
    halves[at[Transfer.flags]!] === TransferFlags.postPendingTransfer &&
    (words[at[Transfer.timeout]!]! | words[timestamp]! | words[timestamp + 1]!) === 0
  );
}

export class PlainPosts {
  readonly #parts: PostParts;

  constructor(parts: PostParts) {
    this.#parts = parts;
  }

  /** As `PlainTransfers.run`, of rows whose pending transfers have been looked ahead at. */
  // Hot path.
  // oxlint-disable-next-line max-lines-per-function -- One loop, so that nothing is called or looked up twice.
  run(columns: Columns, firstRow: number, from: number, to: number): number {
    const { ledger, group, accounts, outcomes, shelf, hashes, stamps } = this.#parts;
    const { words, at, step } = columns;
    const { transferIndex, pendings, accounts: table, shards } = ledger;
    const balances = table.words;
    const entries = pendings.words;
    const { statuses, sequence } = group;
    const { rowsAhead: rows, freeAhead: free, slotsAhead: slots, aheadFrom: ahead } = accounts;
    const names = namesSomething(columns);
    const hasUserData = mayHaveUserData(columns);
    const low = sequence >>> 0;
    const high = positionHigh(sequence, 0, 0);
    let { clockLow, clockHigh } = ledger;
    let i = from;
    for (; i < to; i++) {
      const drRow = rows[2 * (i - ahead)]!;
      const crRow = rows[2 * (i - ahead) + 1]!;
      if (drRow < 0 || crRow < 0) break;
      const id = at[Transfer.id]! + i * step[Transfer.id]!;
      if (isZero(words, id) || isMax(words, id)) break;
      const pendingId = at[Transfer.pendingId]! + i * step[Transfer.pendingId]!;
      if (slots[i - ahead] === -1) break;
      const slot = transferIndex.findFrom(slots[i - ahead]!, words, pendingId);
      if (slot === -1 || transferIndex.valueHigh(slot) !== TransferState.pending) break;
      const entry = transferIndex.valueLow(slot);
      const entryAt = entry * ENTRY_WORDS;
      const drAt = table.offset(drRow);
      const crAt = table.offset(crRow);
      if (entries[entryAt + Entry.debit] !== drRow) break;
      if (!equals(balances, crAt, entries, entryAt + Entry.credit)) break;
      if (((balances[drAt + CODE_FLAGS]! | balances[crAt + CODE_FLAGS]!) & UNUSUAL) !== 0) break;
      const codeFlags = entries[entryAt + Entry.codeFlags]!;
      if (names && !isNamed(columns, i, balances, drAt, crAt, codeFlags & 0xffff)) break;
      let amounts = words;
      let amount = at[Transfer.amount]! + i * step[Transfer.amount]!;
      if (isMax(words, amount)) {
        amounts = entries;
        amount = entryAt + Entry.amount;
      } else if (isGreater(words, amount, entries, entryAt + Entry.amount)) break;
      let stampLow = clockLow + shards;
      let stampHigh = clockHigh;
      if (stampLow > 0xffffffff) {
        stampLow -= 4294967296;
        stampHigh++;
      }
      const isTimed = entries[entryAt + Entry.timeout] !== 0;
      if (isTimed && pendings.isOver(entry, stampLow, stampHigh)) break;
      const hash = hashes[firstRow + i]!;
      const place = transferIndex.searchFrom(free[i - ahead]!, words, id, hash);
      if (place >= 0) break;
      // After this point the transfer must succeed.
      clockLow = stampLow;
      clockHigh = stampHigh;
      const kept = this.#keep(entryAt, drAt, words, pendingId);
      const derived = group.deriveBlank(clockLow, clockHigh);
      const records = group.derivedRecords;
      const recordAt = group.derivedRecordAt;
      const pendingRecords = shelf.rows;
      for (let w = 0; w < 30; w++) records[recordAt + w] = pendingRecords[kept + w]!;
      copy(records, recordAt, words, id);
      copy(records, recordAt + AMOUNT, amounts, amount);
      copy(records, recordAt + PENDING, words, pendingId);
      if (hasUserData) writeUserData(columns, i, records, recordAt);
      records[recordAt + TIMEOUT] = 0;
      records[recordAt + CODE] = (codeFlags & 0xffff) | (TransferFlags.postPendingTransfer << 16);
      records[recordAt + STAMP] = clockLow;
      records[recordAt + STAMP + 1] = clockHigh;
      table.beforeTransfer(drRow, crRow);
      subtractFrom(balances, drAt + DEBITS_PENDING, entries, entryAt + Entry.amount);
      subtractFrom(balances, crAt + CREDITS_PENDING, entries, entryAt + Entry.amount);
      addTo(balances, drAt + DEBITS_POSTED, amounts, amount);
      addTo(balances, crAt + CREDITS_POSTED, amounts, amount);
      const positionUpper = entries[entryAt + Entry.position + 1]! & ~STATE_MASK;
      transferIndex.set(
        slot,
        entries[entryAt + Entry.position]!,
        (positionUpper | TransferState.posted) >>> 0,
      );
      pendings.remove(entry);
      const rowHigh = (high | (derived << 8)) >>> 0;
      transferIndex.insertAt(place, words, id, hash, low, (rowHigh | TransferState.created) >>> 0);
      group.setPrevious(
        derived,
        HistorySide.debit,
        balances[drAt + HEAD_LOW]!,
        balances[drAt + HEAD_HIGH]!,
      );
      group.setPrevious(
        derived,
        HistorySide.credit,
        balances[crAt + HEAD_LOW]!,
        balances[crAt + HEAD_HIGH]!,
      );
      balances[drAt + HEAD_LOW] = low;
      balances[drAt + HEAD_HIGH] = rowHigh | HistorySide.debit;
      balances[crAt + HEAD_LOW] = low;
      balances[crAt + HEAD_HIGH] = rowHigh | HistorySide.credit;
      statuses[firstRow + i] = 0;
      stamps[2 * i] = clockLow;
      stamps[2 * i + 1] = clockHigh;
      outcomes.note(0, clockLow, clockHigh);
    }
    countCreated(this.#parts, i - from, clockLow, clockHigh);
    return i;
  }

  /** Puts the record of an open pending transfer on the shelf: another event of this group may ask for it. Says where it lies there. */
  // Hot path.
  #keep(entryAt: number, drAt: number, ids: Uint32Array, id: number): number {
    const { ledger, shelf } = this.#parts;
    const { pendings, accounts } = ledger;
    const at = shelf.keepNext();
    const { rows } = shelf;
    const entries = pendings.words;
    copy(rows, at, ids, id);
    copy(rows, at + DEBIT, accounts.words, drAt);
    copy(rows, at + CREDIT, entries, entryAt + Entry.credit);
    copy(rows, at + AMOUNT, entries, entryAt + Entry.amount);
    for (let w = PENDING; w < TIMEOUT; w++) rows[at + w] = 0;
    const user = entries[entryAt + Entry.user]!;
    if (user !== 0) {
      const from = (user - 1) * USER_WORDS;
      for (let w = 0; w < 7; w++) rows[at + USER + w] = pendings.userWords[from + w]!;
    }
    rows[at + TIMEOUT] = entries[entryAt + Entry.timeout]!;
    rows[at + LEDGER] = accounts.words[drAt + LEDGER]!;
    rows[at + CODE] = entries[entryAt + Entry.codeFlags]!;
    rows[at + STAMP] = entries[entryAt + Entry.timestamp]!;
    rows[at + STAMP + 1] = entries[entryAt + Entry.timestamp + 1]!;
    return at;
  }
}

/** Whether some row may say which accounts, ledger, or code its pending transfer has. */
function namesSomething({ words, halves, at, step }: Columns): boolean {
  for (const column of NAMES) if (step[column] !== 0) return true;
  return (
    !isZero(words, at[Transfer.debitAccountId]!) ||
    !isZero(words, at[Transfer.creditAccountId]!) ||
    words[at[Transfer.ledger]!] !== 0 ||
    halves[at[Transfer.code]!] !== 0
  );
}

/** Whether what row i says of its pending transfer is so. */
// Hot path.
// oxlint-disable-next-line max-params -- An object per transfer would cost more than it explains.
function isNamed(
  { words, halves, at, step }: Columns,
  i: number,
  balances: Uint32Array,
  drAt: number,
  crAt: number,
  pendingCode: number,
): boolean {
  const drId = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
  if (!isZero(words, drId) && !equals(words, drId, balances, drAt)) return false;
  const crId = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
  if (!isZero(words, crId) && !equals(words, crId, balances, crAt)) return false;
  const unit = words[at[Transfer.ledger]! + i * step[Transfer.ledger]!]!;
  if (unit !== 0 && unit !== balances[drAt + LEDGER]) return false;
  const code = halves[at[Transfer.code]! + i * step[Transfer.code]!]!;
  return code === 0 || code === pendingCode;
}

/** What the row says goes before what its pending transfer has. */
// Hot path.
function writeUserData(
  { words, at, step }: Columns,
  i: number,
  record: Uint32Array,
  recordAt: number,
): void {
  const user128 = at[Transfer.userData128]! + i * step[Transfer.userData128]!;
  if (!isZero(words, user128)) copy(record, recordAt + USER, words, user128);
  const user64 = at[Transfer.userData64]! + i * step[Transfer.userData64]!;
  if ((words[user64]! | words[user64 + 1]!) !== 0) {
    record[recordAt + USER + 4] = words[user64]!;
    record[recordAt + USER + 5] = words[user64 + 1]!;
  }
  const user32 = words[at[Transfer.userData32]! + i * step[Transfer.userData32]!]!;
  if (user32 !== 0) record[recordAt + USER + 6] = user32;
}
