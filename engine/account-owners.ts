/**
 * Which walk has claimed an account, a word for each row of the table of accounts. So a claim is a write, and a question a read, at a place that is known:
 * most of what is claimed are accounts, and a table of keys takes a hash and several cache misses for either (claims.ts). An account that somebody
 * waits for is in that table instead, which its word says.
 *
 * The words are no part of the state by themselves: an image has claims as the table would have them. Memory is taken where accounts are claimed, which
 * on a ledger of one shard is never.
 */
import { ACCOUNT_OWNERS_BYTES_MAX } from './limits.ts';
import { TableWords } from './table-words.ts';

/** In place of an owner: the table of keys knows. */
export const IN_TABLE = 0xfffffffe;

export class AccountOwners {
  readonly #table = new TableWords(ACCOUNT_OWNERS_BYTES_MAX);
  /** Rows that have an owner here. */
  count = 0;

  /** The owner of a row, 0 for none, or IN_TABLE. */
  // Hot path.
  of(row: number): number {
    const { words } = this.#table;
    return row < words.length ? words[row]! : 0;
  }

  /** A row that has no owner here gets one. */
  // Hot path.
  take(row: number, owner: number): void {
    this.#table.reach(row + 1);
    this.#table.words[row] = owner;
    this.count++;
  }

  /** A row that has an owner here gets none. */
  // Hot path.
  free(row: number): void {
    this.#table.words[row] = 0;
    this.count--;
  }

  /** A row whose owner, if it has one, is in the table of keys from now on. Returns that owner, or 0. */
  hand(row: number): number {
    this.#table.reach(row + 1);
    const { words } = this.#table;
    const owner = words[row]!;
    words[row] = IN_TABLE;
    if (owner === 0 || owner === IN_TABLE) return 0;
    this.count--;
    return owner;
  }

  /** A row that is in the table of keys no more. */
  forget(row: number): void {
    if (this.of(row) === IN_TABLE) this.#table.words[row] = 0;
  }

  /** Reads the words of the first `count` rows of a list, none where negative, so that their cache misses overlap; what is there means nothing. */
  // Hot path.
  touchAll(rows: Int32Array, count: number): number {
    const { words } = this.#table;
    const last = words.length - 1;
    let touched = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      touched ^= words[Math.min(row & ~(row >> 31), last)]!;
    }
    return touched;
  }

  /** The same for the rows + 1 from..to-1 of a list, 0 for none. */
  // Hot path.
  touchEach(rows: Uint32Array, from: number, to: number): number {
    const { words } = this.#table;
    const last = words.length - 1;
    let touched = 0;
    for (let i = from; i < to; i++) touched ^= words[Math.min((rows[i]! - 1) >>> 0, last)]!;
    return touched;
  }
}
