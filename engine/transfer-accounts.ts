/**
 * The two accounts of the transfer at hand: finds their rows, in this shard's table or, in a walk, among what was brought along, and guards every
 * change of them. Owned by the rules of transfers; nothing is allocated per transfer. `dr` and `cr` stand for debit and credit.
 */
import { HEAD_HIGH, HEAD_LOW } from './account-table.ts';
import { equals } from './arithmetic.ts';
import { ROW_WORDS, Transfer, type Columns } from './batch.ts';
import type { Carried } from './carried.ts';
import type { EventShards } from './event-shards.ts';
import { AccountFlags, RESOLVING } from './flags.ts';
import type { Group } from './group.ts';
import { HistorySide, positionHigh, TransferState, type Ledger } from './ledger.ts';
import { BLOCK_ROWS } from './look-ahead.ts';
import { shardOf } from './placement.ts';
import type { UndoLog } from './undo-log.ts';

/** Word offsets in an account row. */
export const DEBITS_PENDING = 4;
export const DEBITS_POSTED = 8;
export const CREDITS_PENDING = 12;
export const CREDITS_POSTED = 16;
export const LEDGER = 28;
export const CODE_FLAGS = 29;

export const CLOSED = AccountFlags.closed << 16;
const HISTORY = AccountFlags.history << 16;

/** In place of a row's number: no block has it. */
export const NOT_AHEAD = -2;
/** In place of an account's row: this one less the number of a row that the walk has brought along. */
const BROUGHT = -3;

/** Whether a row that was looked ahead at is one that the walk has brought along. */
// Hot path.
export function isBrought(row: number): boolean {
  return row <= BROUGHT;
}

/** Where such a row lies in `Carried.rows`. */
// Hot path.
export function placeOfBrought(row: number): number {
  return (BROUGHT - row) * ROW_WORDS;
}

interface AccountParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly carried: Carried;
  readonly undo: UndoLog;
}

export class TransferAccounts {
  readonly #ledger: Ledger;
  readonly #group: Group;
  readonly #carried: Carried;
  readonly #undo: UndoLog;
  #columns: Columns | null = null;
  #isWalk = false;
  /** Where the last search has found its row: a chunk and an offset, and the row's number, -1 for one that was brought along. */
  #chunk: Uint32Array;
  #offset = 0;
  #row = -1;
  dr: Uint32Array;
  drAt = 0;
  drRow = -1;
  cr: Uint32Array;
  crAt = 0;
  crRow = -1;
  /** Of the block that was looked ahead at: likely rows of debit and credit account, -1 where there is none; and their hashes. */
  #block = -1;
  #blockEnd = -1;
  readonly #rows = new Int32Array(2 * BLOCK_ROWS);
  readonly #hashes = new Int32Array(2 * BLOCK_ROWS);
  readonly #entries = new Int32Array(2 * BLOCK_ROWS);
  readonly #guesses = new Int32Array(2 * BLOCK_ROWS);
  /** The row that the walk has brought along next, in the order of its events. */
  #brought = 0;
  /**
   * Where `lookAheadPosts` has found the pending transfer of each row from `aheadFrom` on: its slot in the transfer index, -1 for none that is open.
   * An insert may have moved it since.
   */
  readonly slotsAhead = new Int32Array(BLOCK_ROWS);
  /** For each row from `aheadFrom` on the slot of the transfer index where its id belongs, see `IdIndex.seekFree`. */
  readonly freeAhead = new Int32Array(BLOCK_ROWS);
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;

  constructor(parts: AccountParts) {
    this.#ledger = parts.ledger;
    this.#group = parts.group;
    this.#carried = parts.carried;
    this.#undo = parts.undo;
    this.#chunk = parts.carried.rows;
    this.dr = this.#chunk;
    this.cr = this.#chunk;
  }

  open(columns: Columns, isWalk: boolean): void {
    this.#columns = columns;
    this.#isWalk = isWalk;
    this.#brought = 0;
    this.#block = -1;
    this.#blockEnd = -1;
  }

  /** {debit, credit} for each row from `aheadFrom` on: the account's likely row, -1 for none. */
  get rowsAhead(): Int32Array {
    return this.#rows;
  }

  get aheadFrom(): number {
    return this.#block;
  }

  /** Rows of the open batch from here on have not been looked ahead at. */
  get aheadTo(): number {
    return this.#blockEnd;
  }

  /**
   * Looks up the accounts of the rows from..to-1 of the open batch, so that their cache misses overlap. Accounts do not come or go while a
   * batch of transfers is executed, so the searches rely on what was found. `shards`: of the events of the batch, where there are several.
   */
  // Hot path.
  lookAhead(from: number, to: number, shards: EventShards | null): void {
    this.#block = from;
    this.#blockEnd = to;
    if (shards === null) this.#lookAheadAtBoth(from, to);
    else {
      this.#lookAheadHere(from, to, shards);
      if (this.#isWalk) this.#lookAheadAtBrought(from, to, shards);
    }
  }

  // Hot path.
  #lookAheadAtBoth(from: number, to: number): void {
    const { words, at, step } = this.#columns!;
    const { accounts, accountIndex: index } = this.#ledger;
    const hashes = this.#hashes;
    const drStep = step[Transfer.debitAccountId]!;
    const crStep = step[Transfer.creditAccountId]!;
    const drStart = at[Transfer.debitAccountId]! + from * drStep;
    const crStart = at[Transfer.creditAccountId]! + from * crStep;
    // One short loop for each step: the shorter it is, the more of its cache misses the processor has under way.
    const n = to - from;
    for (let i = 0; i < n; i++) {
      hashes[2 * i] = index.hash(words, drStart + i * drStep);
      hashes[2 * i + 1] = index.hash(words, crStart + i * crStep);
    }
    this.touched ^= index.guessAll(hashes, this.#rows, 2 * n);
    this.touched ^= accounts.touchAll(this.#rows, 2 * n);
  }

  /** Only at the accounts of this shard, and at their timestamps, which a walk takes along. */
  // Hot path.
  #lookAheadHere(from: number, to: number, { home, away }: EventShards): void {
    const { words, at, step } = this.#columns!;
    const { accounts, accountIndex: index, shard } = this.#ledger;
    const hashes = this.#hashes;
    const rows = this.#rows;
    const places = this.#entries;
    const guesses = this.#guesses;
    let count = 0;
    for (let i = from; i < to; i++) {
      const place = 2 * (i - from);
      rows[place] = -1;
      rows[place + 1] = -1;
      if (home[i] === shard) {
        places[count] = place;
        const dr = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
        hashes[count++] = index.hash(words, dr);
      }
      if (away[i] === shard) {
        places[count] = place + 1;
        const cr = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
        hashes[count++] = index.hash(words, cr);
      }
    }
    this.touched ^= index.guessAll(hashes, guesses, count);
    for (let k = 0; k < count; k++) rows[places[k]!] = guesses[k]!;
    this.touched ^= accounts.touchAll(guesses, count);
    this.touched ^= accounts.touchStamps(guesses, count);
  }

  /** Rows that were brought along lie, for each shard, in the order in which the events have named them first. */
  // Hot path.
  #lookAheadAtBrought(from: number, to: number, { home, away }: EventShards): void {
    const { words, at, step } = this.#columns!;
    const { shard } = this.#ledger;
    for (let i = from; i < to; i++) {
      if (home[i] !== shard) {
        const dr = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
        this.#rows[2 * (i - from)] = this.#guessBrought(words, dr);
      }
      if (away[i] !== shard) {
        const cr = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
        this.#rows[2 * (i - from) + 1] = this.#guessBrought(words, cr);
      }
    }
  }

  // Hot path.
  #guessBrought(words: Uint32Array, id: number): number {
    const carried = this.#carried;
    const next = this.#brought;
    if (next < carried.accounts && equals(carried.rows, next * ROW_WORDS, words, id)) {
      this.#brought++;
      return BROUGHT - next;
    }
    // It comes again, or from another shard than the one before.
    const at = carried.findAccount(words, id);
    if (at < 0) return -1;
    const row = at / ROW_WORDS;
    this.#brought = row + 1;
    return BROUGHT - row;
  }

  /**
   * The same for a block with posts and voids: their accounts are those of their pending transfers, if these are open here. Called after
   * `lookAhead` has looked at the accounts that the rows name.
   */
  // Hot path.
  lookAheadPendings(): void {
    const { words, halves, at, step } = this.#columns!;
    const { pendings, transferIndex } = this.#ledger;
    const entries = this.#entries;
    let touched = this.touched;
    const from = this.#block;
    const n = this.#blockEnd - from;
    for (let i = 0; i < n; i++) {
      entries[i] = -1;
      const flags = halves[at[Transfer.flags]! + (from + i) * step[Transfer.flags]!]!;
      if ((flags & RESOLVING) === 0) continue;
      const id = at[Transfer.pendingId]! + (from + i) * step[Transfer.pendingId]!;
      const slot = transferIndex.find(words, id, transferIndex.hash(words, id));
      if (slot === -1 || transferIndex.valueHigh(slot) !== TransferState.pending) continue;
      const entry = transferIndex.valueLow(slot);
      entries[i] = entry;
      touched = (touched + pendings.words[pendings.creditAt(entry)]!) | 0;
    }
    this.#lookAheadEntries(n, touched);
  }

  /**
   * The same for a block of posts and voids without others, in place of both. `known`, by frame row: the slots that their pending transfers had before
   * the group, -1 for none. Row 0 of the batch is `firstRow`.
   */
  // Hot path.
  lookAheadPosts(from: number, to: number, known: Int32Array, firstRow: number): void {
    const { words, at, step } = this.#columns!;
    const { pendings, transferIndex } = this.#ledger;
    const slots = this.slotsAhead;
    const entries = this.#entries;
    const first = at[Transfer.pendingId]!;
    const stride = step[Transfer.pendingId]!;
    let touched = this.touched ^ transferIndex.readSlots(known, firstRow + from, firstRow + to);
    const n = to - from;
    for (let i = 0; i < n; i++) {
      const id = first + (from + i) * stride;
      const slot = transferIndex.findFrom(known[firstRow + from + i]!, words, id);
      const isOpen = slot !== -1 && transferIndex.valueHigh(slot) === TransferState.pending;
      slots[i] = isOpen ? slot : -1;
      entries[i] = isOpen ? transferIndex.valueLow(slot) : -1;
    }
    touched ^= pendings.touchAll(entries, n);
    this.#rows.fill(-1, 0, 2 * n);
    this.#block = from;
    this.#blockEnd = to;
    this.#lookAheadEntries(n, touched);
  }

  /** The accounts of the pending transfers in `#entries`, a number for each row of the block, -1 for none. */
  // Hot path.
  #lookAheadEntries(n: number, before: number): void {
    const { accountIndex, accounts, pendings } = this.#ledger;
    const rows = this.#rows;
    const entries = this.#entries;
    let touched = before;
    let found = 0;
    for (let i = 0; i < n; i++) {
      const entry = entries[i]!;
      if (entry === -1) continue;
      rows[2 * i] = pendings.debitRow(entry);
      this.#hashes[found] = accountIndex.hash(pendings.words, pendings.creditAt(entry));
      entries[found++] = i;
    }
    touched ^= accountIndex.guessAll(this.#hashes, this.#guesses, found);
    for (let k = 0; k < found; k++) rows[2 * entries[k]! + 1] = this.#guesses[k]!;
    this.touched = touched ^ accounts.touchAll(rows, 2 * n);
  }

  // ---- Search.

  /** The debit account of row i, whose id is at word `id`. */
  // Hot path.
  findDebit(i: number, words: Uint32Array, id: number): boolean {
    const ahead = i - this.#block;
    const isFound =
      ahead >= 0 && i < this.#blockEnd
        ? this.#guessed(2 * ahead, words, id)
        : this.#find(words, id);
    this.dr = this.#chunk;
    this.drAt = this.#offset;
    this.drRow = this.#row;
    return isFound;
  }

  // Hot path.
  findCredit(i: number, words: Uint32Array, id: number): boolean {
    const ahead = i - this.#block;
    const isFound =
      ahead >= 0 && i < this.#blockEnd
        ? this.#guessed(2 * ahead + 1, words, id)
        : this.#find(words, id);
    this.cr = this.#chunk;
    this.crAt = this.#offset;
    this.crRow = this.#row;
    return isFound;
  }

  /** Both accounts of the pending transfer of row i, whose record is given. False when one of them is on a shard that the work at hand does not span. */
  findOfRecord(i: number, record: Uint32Array): boolean {
    return this.findDebit(i, record, 4) && this.findCredit(i, record, 8);
  }

  /** Looks an account up: in this shard's table, or, in a walk, among what was brought along. */
  // Hot path.
  #find(words: Uint32Array, at: number): boolean {
    const ledger = this.#ledger;
    if (this.#isWalk && shardOf(words, at, ledger.shards) !== ledger.shard) {
      const offset = this.#carried.findAccount(words, at);
      this.#chunk = this.#carried.rows;
      this.#offset = offset;
      this.#row = -1;
      return offset >= 0;
    }
    const index = ledger.accountIndex;
    return this.#take(index.find(words, at, index.hash(words, at)));
  }

  /**
   * Takes the row that was looked ahead at, unless another account has the same hash, or the row's pending transfer was not there yet: an earlier
   * row of the block has made it.
   */
  // Hot path.
  #guessed(place: number, words: Uint32Array, at: number): boolean {
    const row = this.#rows[place]!;
    if (isBrought(row)) {
      this.#chunk = this.#carried.rows;
      this.#offset = placeOfBrought(row);
      this.#row = -1;
      if (equals(this.#chunk, this.#offset, words, at)) return true;
      return this.#find(words, at);
    }
    if (row === -1 || !this.#ledger.accounts.hasId(row, words, at)) return this.#find(words, at);
    return this.#take(row);
  }

  // Hot path.
  #take(row: number): boolean {
    if (row === -1) return false;
    this.#chunk = this.#ledger.accounts.words;
    this.#offset = this.#ledger.accounts.offset(row);
    this.#row = row;
    return true;
  }

  // ---- Timestamps, for imported transfers.

  /** Whether a timestamp is not after the creation of the debit account. */
  isBeforeDebit(low: number, high: number): boolean {
    return this.#isBefore(this.drRow, this.dr, this.drAt, low, high);
  }

  isBeforeCredit(low: number, high: number): boolean {
    return this.#isBefore(this.crRow, this.cr, this.crAt, low, high);
  }

  // oxlint-disable-next-line max-params -- A row and a timestamp, in words.
  #isBefore(row: number, words: Uint32Array, at: number, low: number, high: number): boolean {
    const { accounts } = this.#ledger;
    const createdLow = row === -1 ? words[at + 30]! : accounts.stampLow(row);
    const createdHigh = row === -1 ? words[at + 31]! : accounts.stampHigh(row);
    return high < createdHigh || (high === createdHigh && low <= createdLow);
  }

  // ---- Change.

  /** Called before either row is changed. */
  // Hot path.
  beforeChange(): void {
    if (this.#undo.isActive) this.#remember();
    if (this.drRow !== -1) this.#ledger.accounts.beforeChange(this.drRow);
    if (this.crRow !== -1) this.#ledger.accounts.beforeChange(this.crRow);
    if (!this.#isWalk) return;
    if (this.drRow === -1) this.#carried.touch(this.drAt / ROW_WORDS);
    if (this.crRow === -1) this.#carried.touch(this.crAt / ROW_WORDS);
  }

  #remember(): void {
    if (this.drRow === -1) this.#undo.carriedAccount(this.drAt / ROW_WORDS);
    else this.#undo.account(this.drRow);
    if (this.crRow === -1) this.#undo.carriedAccount(this.crAt / ROW_WORDS);
    else this.#undo.account(this.crRow);
  }

  /** Appends the transfer in an input row to the histories of its two accounts, both of this shard. `low` and `high` are its position. */
  // Hot path.
  linkInput(row: number, low: number, high: number): void {
    const { dr, drAt, cr, crAt } = this;
    this.#group.previous.setBoth(
      row,
      dr[drAt + HEAD_LOW]!,
      dr[drAt + HEAD_HIGH]!,
      cr[crAt + HEAD_LOW]!,
      cr[crAt + HEAD_HIGH]!,
    );
    dr[drAt + HEAD_LOW] = low;
    dr[drAt + HEAD_HIGH] = high | HistorySide.debit;
    cr[crAt + HEAD_LOW] = low;
    cr[crAt + HEAD_HIGH] = high | HistorySide.credit;
    if (((dr[drAt + CODE_FLAGS]! | cr[crAt + CODE_FLAGS]!) & HISTORY) === 0) return;
    if ((dr[drAt + CODE_FLAGS]! & HISTORY) !== 0) {
      this.#group.addBalances(row, HistorySide.debit, dr, drAt + DEBITS_PENDING);
    }
    if ((cr[crAt + CODE_FLAGS]! & HISTORY) !== 0) {
      this.#group.addBalances(row, HistorySide.credit, cr, crAt + DEBITS_PENDING);
    }
  }

  /** Appends the transfer in a frame row to the histories of those of its accounts that are on this shard. */
  link(row: number): void {
    const group = this.#group;
    const { sequence } = group;
    if (this.drRow !== -1) {
      const { dr, drAt } = this;
      group.setPrevious(row, HistorySide.debit, dr[drAt + HEAD_LOW]!, dr[drAt + HEAD_HIGH]!);
      dr[drAt + HEAD_LOW] = sequence >>> 0;
      dr[drAt + HEAD_HIGH] = positionHigh(sequence, row, HistorySide.debit);
      if ((dr[drAt + CODE_FLAGS]! & HISTORY) !== 0) {
        group.addBalances(row, HistorySide.debit, dr, drAt + DEBITS_PENDING);
      }
    }
    if (this.crRow !== -1) {
      const { cr, crAt } = this;
      group.setPrevious(row, HistorySide.credit, cr[crAt + HEAD_LOW]!, cr[crAt + HEAD_HIGH]!);
      cr[crAt + HEAD_LOW] = sequence >>> 0;
      cr[crAt + HEAD_HIGH] = positionHigh(sequence, row, HistorySide.credit);
      if ((cr[crAt + CODE_FLAGS]! & HISTORY) !== 0) {
        group.addBalances(row, HistorySide.credit, cr, crAt + DEBITS_PENDING);
      }
    }
  }

  /** In a walk: keeps the balances that the histories of accounts of other shards want. */
  carryBalances(): void {
    if (this.drRow === -1 && (this.dr[this.drAt + CODE_FLAGS]! & HISTORY) !== 0) {
      this.#carried.addBalances(HistorySide.debit, this.dr, this.drAt + DEBITS_PENDING);
    }
    if (this.crRow === -1 && (this.cr[this.crAt + CODE_FLAGS]! & HISTORY) !== 0) {
      this.#carried.addBalances(HistorySide.credit, this.cr, this.crAt + DEBITS_PENDING);
    }
  }
}
