/**
 * The short way for plain transfers of a walk that is decided, chains of them included: as in plain-transfers.ts, but each of the two accounts is on
 * this shard, or was brought along. It refuses nothing: what is not plainly `created` is left to the rules, row by row, and for what is, both
 * do the same (plain-walk.test.ts).
 */
import { HEAD_HIGH, HEAD_LOW } from './account-table.ts';
import { addTo, equals, isMax, isZero } from './arithmetic.ts';
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import type { Carried } from './carried.ts';
import { EventMark } from './event-marks.ts';
import { TransferFlags } from './flags.ts';
import { DerivedKind } from './frame.ts';
import type { Group } from './group.ts';
import { HistorySide, positionHigh, raise, TransferState, type Ledger } from './ledger.ts';
import { LINK_HEAD_WORDS } from './link-message.ts';
import {
  CHAIN_UPPER_WORD_MAX,
  CREDIT_UNUSUAL,
  DEBIT_UNUSUAL,
  LEGS_MAX,
  UPPER_WORD_MAX,
} from './plain-transfers.ts';
import {
  CODE_FLAGS,
  CREDITS_PENDING,
  CREDITS_POSTED,
  DEBITS_PENDING,
  DEBITS_POSTED,
  isBrought,
  LEDGER,
  placeOfBrought,
} from './transfer-accounts.ts';
import type { Units, WalkRows } from './units.ts';

/** Word offsets in a transfer row. */
const DEBIT = 4;
const CREDIT = 8;
const AMOUNT = 12;
const PENDING = 16;
const TIMEOUT = 27;
const STAMP = 30;

interface PlainWalkParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly carried: Carried;
  readonly units: Units;
}

export class PlainWalk {
  readonly #parts: PlainWalkParts;

  constructor(parts: PlainWalkParts) {
    this.#parts = parts;
  }

  /**
   * Executes units of a walk's message from `from` on, up to `to`, as far as they are plainly created; all of them have been looked ahead at, and their
   * records lie in the frame. Returns the first event that is not done: nothing of its unit has happened.
   */
  // Hot path.
  // oxlint-disable-next-line max-params -- An object per call would cost more than it explains.
  run(body: Uint32Array, walk: WalkRows, marks: Uint8Array, from: number, to: number): number {
    for (let start = from; ;) {
      let end = start;
      while (end < to && marks[end] === EventMark.end) end++;
      start = this.#run(body, walk, start, end, UPPER_WORD_MAX, false);
      if (start < end || start === to) return start;
      // A chain: nothing of it takes effect unless all of it will.
      while (end < to && marks[end] === 0) end++;
      if (end === to || marks[end] !== EventMark.end || end - start >= LEGS_MAX) return start;
      end++;
      const sure = this.#run(body, walk, start, end, CHAIN_UPPER_WORD_MAX, true);
      if (sure < end || !areDistinct(body, start, end)) return start;
      const done = this.#run(body, walk, start, end, UPPER_WORD_MAX, false);
      assert(done === end, 'a chain takes effect as a whole');
      start = end;
    }
  }

  /** `isTrial`: only says how far it would go if each event were the first. */
  // Hot path.
  // oxlint-disable-next-line max-params, max-lines-per-function -- One loop, so that nothing is called or looked up twice.
  #run(
    body: Uint32Array,
    walk: WalkRows,
    from: number,
    to: number,
    upperMax: number,
    isTrial: boolean,
  ): number {
    const { ledger, group, carried, units } = this.#parts;
    const { accounts: table, transferIndex, newestTransfer, shard } = ledger;
    const { rowsAhead: rows, freeAhead: free, aheadFrom: ahead } = units.transferRules.accounts;
    const { statuses, stamps } = units;
    const { hashes, recordKind } = walk;
    const records = walk.records!;
    const { home: homes, away: aways } = walk.shards;
    const { sequence } = group;
    const low = sequence >>> 0;
    const own = table.words;
    const brought = carried.rows;
    let i = from;
    for (; i < to; i++) {
      const event = LINK_HEAD_WORDS + i * ROW_WORDS;
      if (!isPlain(body, event)) break;
      const drRow = rows[2 * (i - ahead)]!;
      const crRow = rows[2 * (i - ahead) + 1]!;
      const isDebitHere = drRow >= 0;
      const isCreditHere = crRow >= 0;
      if (drRow === crRow || !(isDebitHere || isBrought(drRow))) break;
      if (!isCreditHere && !isBrought(crRow)) break;
      const dr = isDebitHere ? own : brought;
      const cr = isCreditHere ? own : brought;
      const drAt = isDebitHere ? table.offset(drRow) : placeOfBrought(drRow);
      const crAt = isCreditHere ? table.offset(crRow) : placeOfBrought(crRow);
      if (!equals(dr, drAt, body, event + DEBIT)) break;
      if (!equals(cr, crAt, body, event + CREDIT)) break;
      const unit = body[event + LEDGER]!;
      if (dr[drAt + LEDGER] !== unit || cr[crAt + LEDGER] !== unit) break;
      const unusual =
        (dr[drAt + CODE_FLAGS]! & DEBIT_UNUSUAL) | (cr[crAt + CODE_FLAGS]! & CREDIT_UNUSUAL);
      if (unusual !== 0) break;
      const upper =
        dr[drAt + DEBITS_POSTED + 3]! |
        dr[drAt + DEBITS_PENDING + 3]! |
        cr[crAt + CREDITS_POSTED + 3]! |
        cr[crAt + CREDITS_PENDING + 3]! |
        body[event + AMOUNT + 3]!;
      if (upper < 0 || upper > upperMax) break;
      const home = homes[i]!;
      const isHome = home === shard;
      const place = isHome
        ? transferIndex.searchFrom(free[i - ahead]!, body, event, hashes[i]!)
        : -1;
      if (place >= 0) break;
      if (!isHome && carried.transferState(body, event, home) !== 0) break;
      if (isTrial) continue;
      // After this point the transfer must succeed.
      ledger.tick();
      const { clockLow, clockHigh } = ledger;
      if (isDebitHere) table.beforeChange(drRow);
      else carried.touch(drAt / ROW_WORDS);
      if (isCreditHere) table.beforeChange(crRow);
      else carried.touch(crAt / ROW_WORDS);
      addTo(dr, drAt + DEBITS_POSTED, body, event + AMOUNT);
      addTo(cr, crAt + CREDITS_POSTED, body, event + AMOUNT);
      const kind = isHome ? DerivedKind.home | recordKind : recordKind;
      const isHere = isDebitHere || isCreditHere;
      const derived = isHere ? group.deriveFrom(records[i]!, kind, clockLow, clockHigh) : 0;
      if (isHome) {
        const high = positionHigh(sequence, derived, TransferState.created);
        transferIndex.insertAt(place, body, event, hashes[i]!, low, high);
        raise(newestTransfer, 0, clockLow, clockHigh);
      } else {
        carried.addMade(body, event, home, TransferState.created);
        raise(carried.newest, 2 * home, clockLow, clockHigh);
      }
      if (isDebitHere) this.#link(derived, HistorySide.debit, drAt);
      if (isCreditHere) this.#link(derived, HistorySide.credit, crAt);
      const path = home | (aways[i]! << 8);
      carried.addCreated(body, event, path, clockLow, clockHigh);
      statuses[i] = 0;
      stamps[2 * i] = clockLow;
      stamps[2 * i + 1] = clockHigh;
    }
    return i;
  }

  /** Appends the transfer in a derived row to the history of an account of this shard, whose row lies at `at`. */
  // Hot path.
  #link(derived: number, side: 1 | 2, at: number): void {
    const { ledger, group } = this.#parts;
    const { words } = ledger.accounts;
    const { sequence } = group;
    group.setPrevious(derived, side, words[at + HEAD_LOW]!, words[at + HEAD_HIGH]!);
    words[at + HEAD_LOW] = sequence >>> 0;
    words[at + HEAD_HIGH] = positionHigh(sequence, derived, side);
  }
}

/** Whether no two of the events have the same id. */
function areDistinct(body: Uint32Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) {
    for (let other = from; other < i; other++) {
      const [one, two] = [LINK_HEAD_WORDS + i * ROW_WORDS, LINK_HEAD_WORDS + other * ROW_WORDS];
      if (equals(body, one, body, two)) return false;
    }
  }
  return true;
}

/** Whether the event is a single-phase transfer without flags but that of chains, with an id and a code, as far as its row alone says. */
// Hot path.
function isPlain(body: Uint32Array, event: number): boolean {
  const codeFlags = body[event + CODE_FLAGS]!;
  return (
    (codeFlags & 0xffff) !== 0 &&
    codeFlags >>> 16 <= TransferFlags.linked &&
    (body[event + TIMEOUT]! | body[event + STAMP]! | body[event + STAMP + 1]!) === 0 &&
    isZero(body, event + PENDING) &&
    !isZero(body, event) &&
    !isMax(body, event)
  );
}
