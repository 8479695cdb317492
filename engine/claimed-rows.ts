/**
 * The rows of the accounts that a walk has claimed on this shard, which do not move: what comes back names the accounts in the order in which they were
 * claimed, but for those that come again or whose events have failed. So the row is nearly always at hand, and no index is asked.
 */
import { equals } from './arithmetic.ts';
import { KEY_WORDS } from './claims.ts';
import { KeyKind } from './event-keys.ts';
import type { Ledger } from './ledger.ts';
import { BLOCK_ROWS } from './look-ahead.ts';
import type { Walk } from './walk-image.ts';

/** How many claimed accounts are looked at before the index is asked. */
const LOOKED_AT = 4;

export class ClaimedRows {
  readonly #ledger: Ledger;
  #walk: Walk | null = null;
  #count = 0;
  /** The key behind that of the last account that was found here. */
  #next = 0;
  readonly #block = new Int32Array(2 * BLOCK_ROWS);
  /** Where reads go that are made for the cache's sake only. */
  touched = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  open(walk: Walk): void {
    this.#walk = walk;
    this.#count = walk.rows.length;
    this.#next = 0;
  }

  /** The accounts come in order from the first one on again. */
  rewind(): void {
    this.#next = 0;
  }

  /** Reads the rows of the next accounts, so many of them, 2 * BLOCK_ROWS at most, so that their cache misses overlap. */
  // Hot path.
  lookAhead(most: number): void {
    const { rows } = this.#walk!;
    const block = this.#block;
    let count = 0;
    for (let key = this.#next; key < this.#count && count < most; key++) {
      if (rows[key] !== 0) block[count++] = rows[key]! - 1;
    }
    this.touched ^= this.#ledger.accounts.touchAll(block, count);
  }

  /** The row of an account of this shard, or -1. */
  // Hot path.
  rowOf(words: Uint32Array, at: number): number {
    const { keys, rows } = this.#walk!;
    let seen = 0;
    for (let key = this.#next; key < this.#count && seen < LOOKED_AT; key++) {
      if (keys[key * KEY_WORDS + 4] !== KeyKind.account) continue;
      if (rows[key] !== 0 && equals(keys, key * KEY_WORDS, words, at)) {
        this.#next = key + 1;
        return rows[key]! - 1;
      }
      seen++;
    }
    const { accountIndex } = this.#ledger;
    return accountIndex.find(words, at, accountIndex.hash(words, at));
  }
}
