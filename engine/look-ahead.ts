/**
 * Looks ahead at what a list of ids will need: the slots of the indexes and the rows of accounts, up to BLOCK_ROWS of them in one go, so that their
 * cache misses overlap. Nothing is found or remembered: the searches that follow have warm lines, and that is all.
 */
import { BatchKind, ROW_WORDS } from './batch.ts';
import type { Ledger } from './ledger.ts';

/**
 * Rows that are looked ahead at in one go: enough to have many cache misses under way, few enough that what they touch, 400 bytes for a transfer, stays
 * in the nearest cache.
 */
export const BLOCK_ROWS = 64;

/** Word offsets in a transfer row. */
const DEBIT = 4;
const CREDIT = 8;

export class LookAhead {
  readonly #ledger: Ledger;
  readonly #hashes = new Int32Array(BLOCK_ROWS);
  readonly #rows = new Int32Array(BLOCK_ROWS);
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Accounts whose ids lie at word `at` and every `step` words from there on; at most BLOCK_ROWS. */
  // Hot path.
  accounts(words: Uint32Array, at: number, step: number, count: number): void {
    const { accountIndex, accounts } = this.#ledger;
    const hashes = this.#hashes;
    for (let i = 0; i < count; i++) hashes[i] = accountIndex.hash(words, at + i * step);
    this.touched ^= accountIndex.guessAll(hashes, this.#rows, count);
    this.touched ^= accounts.touchAll(this.#rows, count);
  }

  /** Transfers, as above. */
  // Hot path.
  transfers(words: Uint32Array, at: number, step: number, count: number): void {
    const { transferIndex } = this.#ledger;
    const hashes = this.#hashes;
    for (let i = 0; i < count; i++) hashes[i] = transferIndex.hash(words, at + i * step);
    transferIndex.touchAll(hashes, 0, count);
  }

  /** Transfers that are about to be added. */
  // Hot path.
  newTransfers(words: Uint32Array, at: number, step: number, count: number): void {
    const { transferIndex } = this.#ledger;
    const hashes = this.#hashes;
    for (let i = 0; i < count; i++) hashes[i] = transferIndex.hash(words, at + i * step);
    transferIndex.touchFree(hashes, 0, count);
  }

  /** What a walk may claim of events that lie one after the other, as far as a block goes. */
  // Hot path.
  events(kind: BatchKind, words: Uint32Array, at: number, left: number): void {
    const count = Math.min(BLOCK_ROWS, left);
    if (kind === BatchKind.accounts) {
      this.#withStamps(words, at, count);
      return;
    }
    this.transfers(words, at, ROW_WORDS, count);
    this.#withStamps(words, at + DEBIT, count);
    this.#withStamps(words, at + CREDIT, count);
  }

  // Hot path.
  #withStamps(words: Uint32Array, at: number, count: number): void {
    this.accounts(words, at, ROW_WORDS, count);
    this.touched ^= this.#ledger.accounts.touchStamps(this.#rows, count);
  }
}
