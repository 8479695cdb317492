/**
 * What a decided walk has changed, applied on a shard that it had passed: accounts, transfers, histories, pending transfers that ended, burnt ids.
 * Nothing is judged here; the shard has kept what the walk had claimed.
 */
import { HEAD_HIGH, HEAD_LOW } from './account-table.ts';
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import { ClaimedRows } from './claimed-rows.ts';
import { addAccount } from './create-account.ts';
import { TransferFlags } from './flags.ts';
import { DerivedKind } from './frame.ts';
import { type Group } from './group.ts';
import { HistorySide, positionHigh, raise, TransferState, type Ledger } from './ledger.ts';
import {
  ApplyHead,
  CARRIED_BALANCE_WORDS,
  CHANGED_WORDS,
  endOfTransfers,
  LINK_HEAD_WORDS,
  MessageForm,
  readChanged,
  RESOLVED_WORDS,
  TRANSFER_WORDS,
} from './link-message.ts';
import { BLOCK_ROWS, LookAhead } from './look-ahead.ts';
import { shardOf } from './placement.ts';
import { evenEnd, readThin } from './thin-rows.ts';
import type { Units } from './units.ts';
import type { Walk } from './walk-image.ts';

interface ApplyParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly units: Units;
}

export class WalkApply {
  readonly #parts: ApplyParts;
  readonly #lookAhead: LookAhead;
  readonly #record = new Uint32Array(ROW_WORDS);
  readonly #changed = new Uint32Array(CHANGED_WORDS);
  /** Transfers that were thin, and where in the message they lie. */
  readonly #block = new Uint32Array(BLOCK_ROWS * TRANSFER_WORDS);
  readonly #places = new Int32Array(BLOCK_ROWS);
  readonly #claimed: ClaimedRows;
  /** Word of the frame at which the words of the message begin: records in it are not written a second time. */
  #inFrame = 0;
  /** Frame row of the first transfer of the message; the others follow. */
  #firstRow = 0;

  constructor(parts: ApplyParts) {
    this.#parts = parts;
    this.#lookAhead = new LookAhead(parts.ledger);
    this.#claimed = new ClaimedRows(parts.ledger);
  }

  /** Applies the message at a word offset, for a walk that has passed here, and returns where its outcomes begin. */
  apply(body: Uint32Array, message: number, walk: Walk): number {
    const count = (word: number): number => body[message + word]!;
    const transfers = message + LINK_HEAD_WORDS;
    this.#claimed.open(walk);
    this.#inFrame = this.#parts.group.wordOf(body);
    assert(this.#inFrame !== -1, 'what is applied is an input of the group');
    const isThin = count(ApplyHead.form) !== MessageForm.whole;
    let at = endOfTransfers(body, message);
    at = this.#changeAccounts(body, at, count(ApplyHead.accounts), isThin);
    this.#makeAccounts(body, at, count(ApplyHead.made));
    at += count(ApplyHead.made) * ROW_WORDS;
    this.#addTransfers(body, transfers, count(ApplyHead.transfers), isThin);
    for (let i = 0; i < count(ApplyHead.failed); i++, at += 4) this.#burn(body, at);
    for (let i = 0; i < count(ApplyHead.resolved); i++, at += RESOLVED_WORDS) {
      this.#resolve(body, at);
    }
    for (let i = 0; i < count(ApplyHead.balances); i++, at += CARRIED_BALANCE_WORDS) {
      this.#parts.group.addBalances(this.#firstRow + body[at]!, body[at + 1]!, body, at + 2);
    }
    return at;
  }

  /** Returns where the changed accounts end. */
  #changeAccounts(body: Uint32Array, from: number, n: number, isThin: boolean): number {
    const { accounts } = this.#parts.ledger;
    const claimed = this.#claimed;
    const changed = this.#changed;
    let at = from;
    for (let i = 0; i < n; i++) {
      if (i % BLOCK_ROWS === 0) claimed.lookAhead(BLOCK_ROWS);
      at = readChanged(body, at, isThin, changed);
      const row = claimed.rowOf(changed, 0);
      assert(row !== -1, 'a changed account exists');
      accounts.change(row, changed, 0);
    }
    return evenEnd(from, at);
  }

  #makeAccounts(body: Uint32Array, from: number, n: number): void {
    const { ledger, group } = this.#parts;
    for (let i = 0, at = from; i < n; i++, at += ROW_WORDS) {
      addAccount(ledger, body, at, ledger.accountIndex.hash(body, at));
      raise(ledger.newestAccount, 0, body[at + 30]!, body[at + 31]!);
      const record = this.#inFrame + at;
      const row = group.deriveFrom(record, DerivedKind.account, body[at + 30]!, body[at + 31]!);
      group.setDecided(row, ledger.clockLow, ledger.clockHigh);
    }
  }

  #addTransfers(body: Uint32Array, from: number, n: number, isThin: boolean): void {
    const { group } = this.#parts;
    const places = this.#places;
    this.#firstRow = group.nextDerivedRow();
    this.#claimed.rewind();
    let at = from;
    for (let i = 0; i < n; i += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, n - i);
      const source = isThin ? this.#block : body;
      const start = isThin ? 0 : at;
      at = isThin ? this.#widen(body, at, count) : at + count * TRANSFER_WORDS;
      this.#claimed.lookAhead(2 * BLOCK_ROWS);
      this.#lookAhead.newTransfers(source, start, TRANSFER_WORDS, count);
      for (let k = 0; k < count; k++) {
        const place = start + k * TRANSFER_WORDS;
        const record = this.#inFrame + (isThin ? places[k]! : place);
        this.#addTransfer(source, place, record, isThin ? DerivedKind.thin : 0);
      }
    }
  }

  /** Widens a block of thin transfers, and notes where their records lie. Returns where they end. */
  // Hot path.
  #widen(body: Uint32Array, from: number, count: number): number {
    const block = this.#block;
    let at = from;
    for (let k = 0; k < count; k++) {
      const to = k * TRANSFER_WORDS;
      this.#places[k] = at;
      at = readThin(body, at, block, to, ROW_WORDS);
      for (let w = ROW_WORDS; w < TRANSFER_WORDS; w++) block[to + w] = body[at++]!;
    }
    return at;
  }

  /** `record`: the word of the frame at which its record lies. */
  // Hot path.
  #addTransfer(words: Uint32Array, at: number, record: number, recordKind: number): void {
    const { ledger, group } = this.#parts;
    const { shard, shards } = ledger;
    const isHome = shardOf(words, at + 4, shards) === shard;
    const isAway = shardOf(words, at + 8, shards) === shard;
    const kind = isHome ? DerivedKind.home | recordKind : recordKind;
    const row = group.deriveFrom(record, kind, words[at + 30]!, words[at + 31]!);
    group.setDecided(row, words[at + 34]!, words[at + 35]!);
    ledger.tick();
    // An imported one keeps its place in the past.
    if (((words[at + 29]! >>> 16) & TransferFlags.imported) === 0) {
      group.setEffect(row, ledger.clockLow, ledger.clockHigh);
    }
    const debitRow = isHome ? this.#link(words, at + 4, HistorySide.debit, row) : -1;
    if (isAway) this.#link(words, at + 8, HistorySide.credit, row);
    if (!isHome) return;
    raise(ledger.newestTransfer, 0, words[at + 30]!, words[at + 31]!);
    this.#parts.units.transferRules.store.addDecided(words, at, row, debitRow);
  }

  /** Appends the transfer in a frame row to the history of an account of this shard. Returns the account's row. */
  // Hot path.
  #link(body: Uint32Array, id: number, side: 1 | 2, row: number): number {
    const { ledger, group } = this.#parts;
    const account = this.#claimed.rowOf(body, id);
    assert(account !== -1, 'the account of a created transfer exists');
    ledger.accounts.beforeChange(account);
    const words = ledger.accounts.words;
    const at = ledger.accounts.offset(account);
    group.setPrevious(row, side, words[at + HEAD_LOW]!, words[at + HEAD_HIGH]!);
    words[at + HEAD_LOW] = group.sequence >>> 0;
    words[at + HEAD_HIGH] = positionHigh(group.sequence, row, side);
    return account;
  }

  #burn(body: Uint32Array, at: number): void {
    const { ledger, units } = this.#parts;
    const hash = ledger.transferIndex.hash(body, at);
    assert(
      ledger.transferIndex.find(body, at, hash) === -1,
      'a claimed id stays as it was until it is decided',
    );
    units.transferRules.store.burn(body, at, ledger.shard, hash);
  }

  #resolve(body: Uint32Array, at: number): void {
    const { ledger, group, units } = this.#parts;
    const { store } = units.transferRules;
    const record = this.#record;
    const state = body[at + 4]!;
    assert(
      store.state(body, at, ledger.shard) === TransferState.pending,
      'a claimed pending transfer stays as it was until it is decided',
    );
    store.copyFound(body, at, ledger.shard, record);
    store.resolve(record, ledger.shard, state);
    if (state !== TransferState.expired) return;
    const row = group.derive(record, 0, DerivedKind.home | DerivedKind.expired);
    group.setEffect(row, body[at + 5]!, body[at + 6]!);
    group.setDecided(row, body[at + 5]!, body[at + 6]!);
  }
}
