/**
 * What a walk has brought to the shard that decides it: rows of accounts, records of transfers with their state, and the newest timestamps of
 * the other shards. The ordinary rules run on them as on the shard's own. And what the walk has made: the transfers it created, in order,
 * and the balances that the history of an account of another shard wants. Emptied before each walk.
 */
import { ROW_WORDS } from './batch.ts';
import { KeyTable } from './key-table.ts';
import { TransferState } from './ledger.ts';
import { SHARDS_MAX } from './limits.ts';
import { WordList } from './link-message.ts';

const KEYS_AT_FIRST = 1 << 10;
const ACCOUNT = 1;
/** Transfer ids are unique per home shard: the tag says which. */
const TRANSFER = 2;
/** Values of an entry. Of an account: its row + 1. Of a transfer: record, state, and the state with which it came. */
const VALUE = 5;
const STATE = 6;
const CAME = 7;
/** A created transfer: {record 32, when it was decided 2} */
export const CREATED_WORDS = 34;
/** {index of the created transfer, side, 16 words of balances} */
export const CARRIED_BALANCE_WORDS = 18;

export class Carried {
  readonly #keys: KeyTable;
  /** Accounts, 32 words each. */
  rows = new Uint32Array(ROW_WORDS * 64);
  accounts = 0;
  #touched = new Uint8Array(64);
  readonly #records = new WordList();
  /** Records of the transfers that the walk has created, at home here or elsewhere, in order. */
  readonly created = new WordList();
  readonly balances = new WordList();
  readonly #newest = new Uint32Array(2 * SHARDS_MAX);

  constructor(seed: number) {
    this.#keys = new KeyTable(KEYS_AT_FIRST, seed);
  }

  clear(): void {
    this.#keys.clear();
    this.accounts = 0;
    this.#records.length = 0;
    this.created.length = 0;
    this.balances.length = 0;
  }

  // ---- Accounts.

  addAccount(source: Uint32Array, at: number): number {
    if ((this.accounts + 1) * ROW_WORDS > this.rows.length) {
      const rows = new Uint32Array(this.rows.length * 2);
      rows.set(this.rows);
      this.rows = rows;
      const touched = new Uint8Array(this.#touched.length * 2);
      touched.set(this.#touched);
      this.#touched = touched;
    }
    const row = this.accounts++;
    for (let w = 0; w < ROW_WORDS; w++) this.rows[row * ROW_WORDS + w] = source[at + w]!;
    this.#touched[row] = 0;
    const entry = this.#keys.obtain(source, at, ACCOUNT);
    this.#keys.words[entry + VALUE] = row + 1;
    return row;
  }

  /** An account that a broken chain had created is not there any more. */
  forgetAccount(ids: Uint32Array, at: number): void {
    const entry = this.#keys.find(ids, at, ACCOUNT);
    this.#touched[this.#keys.words[entry + VALUE]! - 1] = 0;
    this.#keys.words[entry + VALUE] = 0;
  }

  /** An event of this walk has changed or made the row. */
  touch(row: number): void {
    this.#touched[row] = 1;
  }

  setTouched(row: number, value: number): void {
    this.#touched[row] = value;
  }

  isTouched(row: number): boolean {
    return this.#touched[row] === 1;
  }

  /** Word offset of the account's row in `rows`, or -1. */
  findAccount(ids: Uint32Array, at: number): number {
    const entry = this.#keys.find(ids, at, ACCOUNT);
    return entry === -1 ? -1 : (this.#keys.words[entry + VALUE]! - 1) * ROW_WORDS;
  }

  // ---- Transfers.

  /** A record of a transfer whose home is another shard: brought along in a state, or made by this walk (`came` 0). */
  addTransfer(
    source: Uint32Array,
    at: number,
    home: number,
    states: { readonly state: number; readonly came: number },
  ): void {
    const to = this.#records.length;
    this.#records.append(source, at, ROW_WORDS);
    const entry = this.#keys.obtain(source, at, TRANSFER + home);
    this.#keys.words[entry + VALUE] = to;
    this.#keys.words[entry + STATE] = states.state;
    this.#keys.words[entry + CAME] = states.came;
  }

  addFailed(ids: Uint32Array, at: number, home: number): void {
    const entry = this.#keys.obtain(ids, at, TRANSFER + home);
    this.#keys.words[entry + STATE] = TransferState.failed;
    this.#keys.words[entry + CAME] = TransferState.failed;
  }

  /** 0 when the id is free at that home, else its `TransferState`. */
  transferState(ids: Uint32Array, at: number, home: number): number {
    const entry = this.#keys.find(ids, at, TRANSFER + home);
    return entry === -1 ? 0 : this.#keys.words[entry + STATE]!;
  }

  setState(ids: Uint32Array, at: number, home: number, state: number): void {
    this.#keys.words[this.#keys.find(ids, at, TRANSFER + home) + STATE] = state;
  }

  /** Whether the transfer came along, and in another state than it has now. */
  hasChanged(ids: Uint32Array, at: number, home: number): boolean {
    const entry = this.#keys.find(ids, at, TRANSFER + home);
    if (entry === -1) return false;
    const words = this.#keys.words;
    return words[entry + CAME] !== 0 && words[entry + CAME] !== words[entry + STATE];
  }

  copyRecord(ids: Uint32Array, at: number, home: number, target: Uint32Array): void {
    const entry = this.#keys.find(ids, at, TRANSFER + home);
    const from = this.#keys.words[entry + VALUE]!;
    for (let w = 0; w < ROW_WORDS; w++) target[w] = this.#records.words[from + w]!;
  }

  // ---- What the walk makes.

  addCreated(record: Uint32Array, clockLow: number, clockHigh: number): void {
    this.created.append(record, 0, ROW_WORDS);
    const to = this.created.extend(2);
    this.created.words[to] = clockLow;
    this.created.words[to + 1] = clockHigh;
  }

  /** Balances of an account of another shard after the transfer that was created last. */
  addBalances(side: number, source: Uint32Array, at: number): void {
    const to = this.balances.extend(CARRIED_BALANCE_WORDS);
    const { words } = this.balances;
    words[to] = this.created.length / CREATED_WORDS - 1;
    words[to + 1] = side;
    for (let w = 0; w < 16; w++) words[to + 2 + w] = source[at + w]!;
  }

  // ---- Newest timestamps, for imported events.

  setNewest(shard: number, low: number, high: number): void {
    this.#newest[2 * shard] = low;
    this.#newest[2 * shard + 1] = high;
  }

  /** {low, high} for each shard that the walk has passed. */
  get newest(): Uint32Array {
    return this.#newest;
  }
}
