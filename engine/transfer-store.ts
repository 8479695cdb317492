/**
 * What is known of transfer ids, and the records behind them: of this shard, in the index, the pending table, and the journal (by way of the
 * shelf), or, in a walk, among what was brought along. The rules ask it for states and records, and tell it what became of an id.
 *
 * A *home* is the shard of a transfer's debit account, which owns its id. `place` is what the index's `search` said of the id of the event at
 * hand; it holds until the next insert.
 */
import { assert } from './assert.ts';
import type { Carried } from './carried.ts';
import { TransferFlags } from './flags.ts';
import { DerivedKind } from './frame.ts';
import { type Group } from './group.ts';
import {
  positionHigh,
  positionRow,
  positionSequence,
  positionState,
  raise,
  TransferState,
  type Ledger,
} from './ledger.ts';
import { shardOf } from './placement.ts';
import type { RecordShelf } from './record-shelf.ts';
import type { TransferAccounts } from './transfer-accounts.ts';
import type { UndoLog } from './undo-log.ts';

const STATE_MASK = 0xff;

interface StoreParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly shelf: RecordShelf;
  readonly carried: Carried;
  readonly accounts: TransferAccounts;
  readonly undo: UndoLog;
}

export class TransferStore {
  readonly #ledger: Ledger;
  readonly #group: Group;
  readonly #shelf: RecordShelf;
  readonly #carried: Carried;
  readonly #accounts: TransferAccounts;
  readonly #undo: UndoLog;
  #isWalk = false;
  #recordKind = 0;
  /** Where the id of the last question for a state lies in the index; holds until the next insert. */
  #slot = -1;

  constructor(parts: StoreParts) {
    this.#ledger = parts.ledger;
    this.#group = parts.group;
    this.#shelf = parts.shelf;
    this.#carried = parts.carried;
    this.#accounts = parts.accounts;
    this.#undo = parts.undo;
  }

  /** `recordKind`: see `WalkRows`. */
  open(isWalk: boolean, recordKind: number): void {
    this.#isWalk = isWalk;
    this.#recordKind = recordKind;
  }

  // ---- What is known.

  /** The `TransferState` of an id at its home, 0 when it is free. Remembers where it lies, for the calls that come next. */
  state(ids: Uint32Array, at: number, home: number): number {
    if (home !== this.#ledger.shard) return this.#carried.transferState(ids, at, home);
    const index = this.#ledger.transferIndex;
    const slot = index.find(ids, at, index.hash(ids, at));
    this.#slot = slot;
    return slot === -1 ? 0 : positionState(index.valueHigh(slot));
  }

  /** Copies the record of the transfer whose state was asked for last; it exists. */
  copyFound(ids: Uint32Array, at: number, home: number, target: Uint32Array): void {
    if (home !== this.#ledger.shard) this.#carried.copyRecord(ids, at, home, target);
    else this.copyAt(this.#slot, ids, at, target);
  }

  /** Copies the record of a transfer that exists at that home. */
  copyRecord(ids: Uint32Array, at: number, home: number, target: Uint32Array): void {
    if (home !== this.#ledger.shard) {
      this.#carried.copyRecord(ids, at, home, target);
      return;
    }
    const index = this.#ledger.transferIndex;
    this.copyAt(index.find(ids, at, index.hash(ids, at)), ids, at, target);
  }

  /** The same for this shard, where the slot of the id is known. */
  copyAt(slot: number, ids: Uint32Array, at: number, target: Uint32Array): void {
    const { transferIndex, shards } = this.#ledger;
    const high = transferIndex.valueHigh(slot);
    const low = transferIndex.valueLow(slot);
    const state = positionState(high);
    assert(state !== TransferState.failed, 'only what was created has a record');
    if (state === TransferState.pending) this.#copyPending(low, ids, at, target);
    else if (positionSequence(low, high) === this.#group.sequence) {
      this.#group.copyRow(positionRow(high), shards, target);
    } else this.#shelf.copy(ids, at, target);
  }

  #copyPending(entry: number, ids: Uint32Array, at: number, target: Uint32Array): void {
    const { accounts, pendings } = this.#ledger;
    pendings.copyRecord(entry, target);
    const row = pendings.debitRow(entry);
    const chunk = accounts.words;
    const from = accounts.offset(row);
    for (let w = 0; w < 4; w++) target[w] = ids[at + w]!;
    for (let w = 0; w < 4; w++) target[4 + w] = chunk[from + w]!;
    target[28] = chunk[from + 28]!;
  }

  /** Words {low, high} of the newest transfer of a home, and where they lie in it. */
  newestOf(home: number): { readonly words: Uint32Array; readonly at: number } {
    return home === this.#ledger.shard
      ? { words: this.#ledger.newestTransfer, at: 0 }
      : { words: this.#carried.newest, at: 2 * home };
  }

  // ---- What becomes of it.

  /** A transient failure burns the id, and that outlives the chain that the failure breaks. */
  burn(ids: Uint32Array, at: number, home: number, hash: number): void {
    if (home !== this.#ledger.shard) {
      this.#carried.addFailed(ids, at, home);
      return;
    }
    const { sequence } = this.#group;
    const high = positionHigh(sequence, 0, TransferState.failed);
    this.#ledger.transferIndex.insert(ids, at, hash, sequence >>> 0, high);
  }

  /** Stores a plain transfer that is an input row as it came; its accounts were found on this shard. */
  // Hot path.
  // oxlint-disable-next-line max-params -- An object per transfer would cost more than it explains.
  addInput(row: number, place: number, ids: Uint32Array, at: number, hash: number): void {
    assert(place < 0, 'the id is free');
    const { sequence } = this.#group;
    const low = sequence >>> 0;
    const high = positionHigh(sequence, row, 0);
    const newest = this.#ledger.newestTransfer;
    if (this.#undo.isActive) {
      this.#undo.idAdded(ids, at);
      this.#undo.newest(1, newest);
    }
    // The clock is ahead of every timestamp, imported ones included.
    newest[0] = this.#ledger.clockLow;
    newest[1] = this.#ledger.clockHigh;
    const index = this.#ledger.transferIndex;
    index.insertAt(place, ids, at, hash, low, (high | TransferState.created) >>> 0);
    this.#accounts.linkInput(row, low, high);
  }

  /**
   * Stores a transfer whose record is given: in an input row (a pending transfer, as it came), or, with row -1, as a derived row where one of
   * its accounts is on this shard; `source` is where the record lies in the frame but for its timestamp, -1 for nowhere.
   */
  // oxlint-disable-next-line max-params -- An object per transfer would cost more than it explains.
  add(
    record: Uint32Array,
    home: number,
    inputRow: number,
    hash: number,
    place: number,
    source: number,
  ): void {
    const accounts = this.#accounts;
    const isHome = home === this.#ledger.shard;
    let row = inputRow;
    if (row === -1 && (accounts.drRow !== -1 || accounts.crRow !== -1)) {
      const kind = isHome ? DerivedKind.home : 0;
      row =
        source === -1
          ? this.#group.derive(record, 0, kind)
          : this.#group.deriveFrom(source, kind | this.#recordKind, record[30]!, record[31]!);
      this.#group.setDecided(row, this.#ledger.clockLow, this.#ledger.clockHigh);
    }
    const isPending = ((record[29]! >>> 16) & TransferFlags.pending) !== 0;
    if (isHome) {
      const state = isPending ? TransferState.pending : TransferState.created;
      this.#index(record, 0, row, state, accounts.drRow, hash, place);
      if (this.#undo.isActive) this.#undo.idAdded(record, 0);
    } else {
      const state = isPending ? TransferState.pending : TransferState.created;
      if (this.#undo.isActive) this.#undo.carriedTransfer(record, 0, home, 0);
      this.#carried.addMade(record, 0, home, state);
    }
    this.#raise(record, home);
    accounts.link(row);
    if (!this.#isWalk) return;
    const { clockLow, clockHigh, shard, shards } = this.#ledger;
    const away = accounts.crRow === -1 ? shardOf(record, 8, shards) : shard;
    this.#carried.addCreated(record, 0, home | (away << 8), clockLow, clockHigh);
    accounts.carryBalances();
  }

  /** Enters a record of this shard (32 words at `at`) that lies in a frame row of the group under way, decided elsewhere. */
  addDecided(record: Uint32Array, at: number, row: number, debitRow: number): void {
    const { transferIndex } = this.#ledger;
    const hash = transferIndex.hash(record, at);
    const place = transferIndex.search(record, at, hash);
    assert(place < 0, 'a claimed id stays as it was until it is decided');
    this.#index(record, at, row, record[at + 32]!, debitRow, hash, place);
  }

  // oxlint-disable-next-line max-params -- As above.
  #index(
    record: Uint32Array,
    at: number,
    row: number,
    state: number,
    debitRow: number,
    hash: number,
    place: number,
  ): void {
    const { transferIndex, pendings } = this.#ledger;
    const { sequence } = this.#group;
    const low = sequence >>> 0;
    const high = positionHigh(sequence, row, state);
    if (state !== TransferState.pending) {
      transferIndex.insertAt(place, record, at, hash, low, high);
      return;
    }
    const entry = pendings.add(record, at, debitRow, hash, low, high);
    if (this.#undo.isActive) this.#undo.pendingAdded(entry);
    transferIndex.insertAt(place, record, at, hash, entry, TransferState.pending);
  }

  #raise(record: Uint32Array, home: number): void {
    if (home === this.#ledger.shard) {
      const newest = this.#ledger.newestTransfer;
      if (this.#undo.isActive) this.#undo.newest(1, newest);
      raise(newest, 0, record[30]!, record[31]!);
      return;
    }
    const { newest } = this.#carried;
    if (this.#undo.isActive) this.#undo.carriedNewest(home, newest, 2 * home);
    raise(newest, 2 * home, record[30]!, record[31]!);
  }

  /** The open pending transfer of a record, whose state was asked for last, is posted, voided, or expired. */
  resolve(record: Uint32Array, home: number, state: number): void {
    if (home !== this.#ledger.shard) {
      if (this.#undo.isActive) {
        this.#undo.carriedTransfer(record, 0, home, TransferState.pending);
      }
      this.#carried.setState(record, 0, home, state);
      return;
    }
    const { transferIndex, pendings } = this.#ledger;
    const slot = this.#slot;
    const entry = transferIndex.valueLow(slot);
    assert(
      positionState(transferIndex.valueHigh(slot)) === TransferState.pending,
      'what is resolved was found open',
    );
    if (this.#undo.isActive) {
      this.#undo.pendingRemoved(entry, record);
      this.#undo.idChanged(record, 0, entry, TransferState.pending);
    }
    const high = ((pendings.positionHigh(entry) & ~STATE_MASK) | state) >>> 0;
    transferIndex.set(slot, pendings.positionLow(entry), high);
    pendings.remove(entry);
    // Another event of this group may ask for it, and nobody has wanted it from the journal.
    this.#shelf.keep(record);
  }

  /** Copies the record of an open pending transfer of this shard. */
  copyOpen(entry: number, target: Uint32Array): void {
    const { transferIndex, pendings } = this.#ledger;
    const id = new Uint32Array(4);
    transferIndex.copyIdOf(pendings.hash(entry), entry, TransferState.pending, id);
    this.#copyPending(entry, id, 0, target);
  }
}
