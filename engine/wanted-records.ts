/**
 * Which records of older frames executing a group will need: those of ids that are known already, and of pending transfers that are open no more.
 * The actor reads them from the journal and puts them on the shelf before the group is executed.
 *
 * On its way it computes the hashes of all ids of the requests, which the execution uses again.
 */
import { BatchKind, type Columns, ROW_WORDS, Transfer } from './batch.ts';
import { RESOLVING } from './flags.ts';
import type { Ledger } from './ledger.ts';
import { positionRow, positionSequence, positionState, TransferState } from './ledger.ts';
import { LINK_HEAD_WORDS, LinkHead, LinkKind, MessageForm, WalkHead } from './link-message.ts';
import { BLOCK_ROWS, LookAhead } from './look-ahead.ts';
import type { RecordShelf } from './record-shelf.ts';
import { readThin, skipThin, thinWord } from './thin-rows.ts';

const ID_WORDS = 4;
/** Word offsets in a transfer row. */
const PENDING = 16;
const CODE_FLAGS = 29;

export class WantedRecords {
  readonly #ledger: Ledger;
  readonly #shelf: RecordShelf;
  /** Of a block of thin events: their ids; and one of them. */
  readonly #ids = new Uint32Array(BLOCK_ROWS * ID_WORDS);
  readonly #event = new Uint32Array(ROW_WORDS);
  readonly #lookAhead: LookAhead;
  /** Hashes of the transfer ids of requests, by frame row. */
  readonly hashes: Int32Array;
  /** Where the ids of requests belong in the index of transfers, by frame row, see `IdIndex.seekAll`; only when `areSought`. */
  readonly sought: Int32Array;
  areSought = false;
  /** Slots of what posts and voids of requests end, by frame row, -1 for none; those of other rows mean nothing. Inserts may move them. */
  readonly pendingSlots: Int32Array;
  readonly #pendingHashes = new Int32Array(BLOCK_ROWS);

  constructor(ledger: Ledger, shelf: RecordShelf, inputRowsMax: number) {
    this.hashes = new Int32Array(inputRowsMax + 1);
    this.sought = new Int32Array(inputRowsMax + 1);
    this.pendingSlots = new Int32Array(inputRowsMax + 1);
    this.#ledger = ledger;
    this.#lookAhead = new LookAhead(ledger);
    this.#shelf = shelf;
  }

  /**
   * Begins a group. `areNew`: the journal says that every row of its requests was created, so no id can be known. `isDeferred`: whether that is
   * so is asked later, see `StateMachine.defersIds`.
   */
  begin(areNew: boolean, isDeferred: boolean | 'always'): void {
    const { transferIndex } = this.#ledger;
    this.areSought = !areNew;
    transferIndex.beginSeeks();
    if (areNew && isDeferred !== false) transferIndex.beginDeferring(isDeferred === 'always');
    else transferIndex.enterDeferred();
  }

  /** Looks all ids of a request of transfers up: hashes and cache misses first, block by block, then what was found. */
  // Hot path.
  addRequest(columns: Columns, firstRow: number): void {
    const { words, n } = columns;
    const { hashes, sought } = this;
    const index = this.#ledger.transferIndex;
    const start = columns.at[Transfer.id]!;
    const step = columns.step[Transfer.id]!;
    for (let from = 0; from < n; from += BLOCK_ROWS) {
      const to = Math.min(from + BLOCK_ROWS, n);
      for (let i = from; i < to; i++) hashes[firstRow + i] = index.hash(words, start + i * step);
      if (!this.areSought) continue;
      const [first, end] = [firstRow + from, firstRow + to];
      index.seekAll(words, start + from * step, step, hashes, first, end, sought);
      for (let i = from; i < to; i++) {
        if (sought[firstRow + i] !== -1) continue;
        const slot = index.find(words, start + i * step, hashes[firstRow + i]!);
        if (slot !== -1) this.#addSlot(words, start + i * step, slot);
      }
    }
    if (hasFlags(columns)) this.#addPendings(columns, firstRow);
  }

  // Hot path.
  #addPendings(columns: Columns, firstRow: number): void {
    const { words, halves, at, step, n } = columns;
    if (step[Transfer.flags] === 0 && (halves[at[Transfer.flags]!]! & RESOLVING) === 0) return;
    const first = at[Transfer.pendingId]!;
    const stride = step[Transfer.pendingId]!;
    const hashes = this.#pendingHashes;
    const slots = this.pendingSlots;
    const index = this.#ledger.transferIndex;
    for (let from = 0; from < n; from += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, n - from);
      for (let i = 0; i < count; i++) hashes[i] = index.hash(words, first + (from + i) * stride);
      if (stride !== 0) index.touchSlots(hashes, 0, count);
      for (let i = 0; i < count; i++) {
        const row = from + i;
        const flags = halves[at[Transfer.flags]! + row * step[Transfer.flags]!]!;
        if ((flags & RESOLVING) === 0) continue;
        const slot = index.find(words, first + row * stride, hashes[i]!);
        slots[firstRow + row] = slot;
        if (slot !== -1) this.#addSlot(words, first + row * stride, slot);
      }
    }
  }

  /** The events of a link message, if it is a walk of transfers. */
  addMessage(words: Uint32Array, body: number): void {
    if (words[body + LinkHead.kind] !== LinkKind.walk) return;
    if (words[body + WalkHead.batchKind] !== BatchKind.transfers) return;
    const n = words[body + LinkHead.rows]!;
    let at = body + LINK_HEAD_WORDS;
    const isThin = words[body + WalkHead.form] === MessageForm.thin;
    for (let i = 0; i < n; i += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, n - i);
      if (isThin) at = this.#addThin(words, at, count);
      else {
        this.#lookAhead.transfers(words, at, ROW_WORDS, count);
        for (let k = 0; k < count; k++, at += ROW_WORDS) this.addEvent(words, at);
      }
    }
  }

  /** A block of thin events, of which little is read. Returns where they end. */
  // Hot path.
  #addThin(words: Uint32Array, from: number, count: number): number {
    const ids = this.#ids;
    const event = this.#event;
    let end = from;
    for (let k = 0; k < count; k++) {
      readThin(words, end, ids, k * ID_WORDS, ID_WORDS);
      if (((thinWord(words, end, CODE_FLAGS) >>> 16) & RESOLVING) !== 0) {
        readThin(words, end, event, 0, ROW_WORDS);
        this.#addId(event, PENDING);
      }
      end = skipThin(words, end, 1, 0);
    }
    this.#lookAhead.transfers(ids, 0, ID_WORDS, count);
    for (let k = 0; k < count; k++) this.#addId(ids, k * ID_WORDS);
    return end;
  }

  /** The transfer event whose 32 words begin at `at`. */
  addEvent(words: Uint32Array, at: number): void {
    this.#addId(words, at);
    if (((words[at + CODE_FLAGS]! >>> 16) & RESOLVING) !== 0) this.#addId(words, at + PENDING);
  }

  #addId(words: Uint32Array, at: number): void {
    const index = this.#ledger.transferIndex;
    const slot = index.find(words, at, index.hash(words, at));
    if (slot !== -1) this.#addSlot(words, at, slot);
  }

  /** Of open pending transfers everything is at hand. */
  #addSlot(words: Uint32Array, at: number, slot: number): void {
    const index = this.#ledger.transferIndex;
    const high = index.valueHigh(slot);
    const state = positionState(high);
    if (state === TransferState.failed || state === TransferState.pending) return;
    this.#shelf.want(words, at, positionSequence(index.valueLow(slot), high), positionRow(high));
  }
}

/** Whether some row may have a flag. */
export function hasFlags({ halves, at, step }: Columns): boolean {
  return step[Transfer.flags] !== 0 || halves[at[Transfer.flags]!] !== 0;
}
