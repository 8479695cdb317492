/**
 * The short way for plain transfers of a walk that is decided: as in plain-transfers.ts, but one of the two accounts is on this shard, and the
 * other one was brought along. It refuses nothing: what is not plainly `created` is left to the rules, row by row, and for what is, both
 * do the same (plain-walk.test.ts).
 */
import { HEAD_HIGH, HEAD_LOW } from './account-table.ts';
import { addTo, equals, isMax, isZero } from './arithmetic.ts';
import { ROW_WORDS } from './batch.ts';
import type { Carried } from './carried.ts';
import { EventMark } from './event-marks.ts';
import { DerivedKind } from './frame.ts';
import type { Group } from './group.ts';
import { HistorySide, positionHigh, raise, TransferState, type Ledger } from './ledger.ts';
import { LINK_HEAD_WORDS } from './link-message.ts';
import { CREDIT_UNUSUAL, DEBIT_UNUSUAL, UPPER_WORD_MAX } from './plain-transfers.ts';
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
   * Executes events of a walk's message from `from` on, up to `to`, as far as they are plainly created; all of them have been looked ahead at, and the
   * message lies at word `inFrame` of the group. Returns the first event that is not done: nothing of it has happened.
   */
  // Hot path.
  // oxlint-disable-next-line max-params, max-lines-per-function -- One loop, so that nothing is called or looked up twice.
  run(
    body: Uint32Array,
    inFrame: number,
    walk: WalkRows,
    marks: Uint8Array,
    from: number,
    to: number,
  ): number {
    const { ledger, group, carried, units } = this.#parts;
    const { accounts: table, transferIndex, newestTransfer, shard } = ledger;
    const { rowsAhead: rows, freeAhead: free, aheadFrom: ahead } = units.transferRules.accounts;
    const { statuses, stamps } = units;
    const { hashes } = walk;
    const { home: homes, away: aways } = walk.shards;
    const { sequence } = group;
    const low = sequence >>> 0;
    const own = table.words;
    const brought = carried.rows;
    let i = from;
    for (; i < to; i++) {
      const event = LINK_HEAD_WORDS + i * ROW_WORDS;
      if (marks[i] !== EventMark.end || !isPlain(body, event)) break;
      const drRow = rows[2 * (i - ahead)]!;
      const crRow = rows[2 * (i - ahead) + 1]!;
      // One of them is here, and the other one was brought along.
      const isDebitHere = drRow >= 0;
      if (isDebitHere ? !isBrought(crRow) : crRow < 0 || !isBrought(drRow)) break;
      const dr = isDebitHere ? own : brought;
      const cr = isDebitHere ? brought : own;
      const drAt = isDebitHere ? table.offset(drRow) : placeOfBrought(drRow);
      const crAt = isDebitHere ? placeOfBrought(crRow) : table.offset(crRow);
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
      if (upper < 0 || upper > UPPER_WORD_MAX) break;
      const home = homes[i]!;
      const isHome = home === shard;
      const place = isHome
        ? transferIndex.searchFrom(free[i - ahead]!, body, event, hashes[i]!)
        : -1;
      if (place >= 0) break;
      if (!isHome && carried.transferState(body, event, home) !== 0) break;
      // After this point the transfer must succeed.
      ledger.tick();
      const { clockLow, clockHigh } = ledger;
      const row = isDebitHere ? drRow : crRow;
      table.beforeChange(row);
      carried.touch((isDebitHere ? crAt : drAt) / ROW_WORDS);
      addTo(dr, drAt + DEBITS_POSTED, body, event + AMOUNT);
      addTo(cr, crAt + CREDITS_POSTED, body, event + AMOUNT);
      const kind = isHome ? DerivedKind.home : 0;
      const derived = group.deriveFrom(inFrame + event, kind, clockLow, clockHigh);
      if (isHome) {
        const high = positionHigh(sequence, derived, TransferState.created);
        transferIndex.insertAt(place, body, event, hashes[i]!, low, high);
        raise(newestTransfer, 0, clockLow, clockHigh);
      } else {
        carried.addMade(body, event, home, TransferState.created);
        raise(carried.newest, 2 * home, clockLow, clockHigh);
      }
      const side = isDebitHere ? HistorySide.debit : HistorySide.credit;
      const head = table.offset(row);
      group.setPrevious(derived, side, own[head + HEAD_LOW]!, own[head + HEAD_HIGH]!);
      own[head + HEAD_LOW] = low;
      own[head + HEAD_HIGH] = positionHigh(sequence, derived, side);
      const path = home | (aways[i]! << 8);
      carried.addCreated(body, event, path, clockLow, clockHigh);
      statuses[i] = 0;
      stamps[2 * i] = clockLow;
      stamps[2 * i + 1] = clockHigh;
    }
    return i;
  }
}

/** Whether the event is a single-phase transfer without flags, with an id and a code, as far as its row alone says. */
// Hot path.
function isPlain(body: Uint32Array, event: number): boolean {
  const codeFlags = body[event + CODE_FLAGS]!;
  return (
    codeFlags !== 0 &&
    codeFlags <= 0xffff &&
    (body[event + TIMEOUT]! | body[event + STAMP]! | body[event + STAMP + 1]!) === 0 &&
    isZero(body, event + PENDING) &&
    !isZero(body, event) &&
    !isMax(body, event)
  );
}
