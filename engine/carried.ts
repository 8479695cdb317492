/**
 * What a walk has brought to the shard that decides it: rows of accounts, records of transfers with their state, and the newest timestamps of
 * the other shards. The ordinary rules run on them as on the shard's own. And what the walk has made: the transfers it created, in order,
 * and the balances that the history of an account of another shard wants. Emptied before each walk.
 */
import { ROW_WORDS } from './batch.ts';
import { KeyTable } from './key-table.ts';
import { TransferState } from './ledger.ts';
import { SHARDS_MAX } from './limits.ts';
import { CARRIED_BALANCE_WORDS, WordList } from './link-message.ts';
import { readThin } from './thin-rows.ts';

const KEYS_AT_FIRST = 1 << 8;
const ACCOUNT = 1;
/** Transfer ids are unique per home shard: the tag says which. */
const TRANSFER = 2;
/** Values of an entry. Of an account: its row + 1. Of a transfer: record, state, and the state with which it came. */
const VALUE = 5;
const STATE = 6;
const CAME = 7;
/** A created transfer, as in an apply message but for word 33: {record 32, 0, home | shard of the credit account << 8, when it was decided 2} */
export const CREATED_WORDS = 36;
/** In place of the upper bit of where a record lies: among the created ones. */
const MADE = 0x80000000;
export const CREATED_SHARDS = 33;

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
    this.addAccounts(source, at, 1);
    return this.accounts - 1;
  }

  /** Rows that lie one after the other. */
  addAccounts(source: Uint32Array, at: number, count: number): void {
    const first = this.accounts;
    this.accounts += count;
    this.#reach(this.accounts);
    this.rows.set(source.subarray(at, at + count * ROW_WORDS), first * ROW_WORDS);
    this.#enter(first);
  }

  /** The same for thin rows. Returns where they end. */
  addThinAccounts(source: Uint32Array, at: number, count: number): number {
    const first = this.accounts;
    this.accounts += count;
    this.#reach(this.accounts);
    let from = at;
    for (let row = first; row < this.accounts; row++) {
      from = readThin(source, from, this.rows, row * ROW_WORDS, ROW_WORDS);
    }
    this.#enter(first);
    return from;
  }

  /** The rows from `first` on can be found. */
  #enter(first: number): void {
    this.#touched.fill(0, first, this.accounts);
    for (let row = first; row < this.accounts; row++) {
      const entry = this.#keys.obtain(this.rows, row * ROW_WORDS, ACCOUNT);
      this.#keys.words[entry + VALUE] = row + 1;
    }
  }

  #reach(accounts: number): void {
    if (accounts * ROW_WORDS <= this.rows.length) return;
    const room = Math.max(accounts, this.#touched.length * 2);
    const rows = new Uint32Array(room * ROW_WORDS);
    rows.set(this.rows);
    this.rows = rows;
    const touched = new Uint8Array(room);
    touched.set(this.#touched);
    this.#touched = touched;
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

  /** A record of a transfer whose home is another shard, brought along in a state. */
  addTransfer(source: Uint32Array, at: number, home: number, state: number): void {
    const to = this.#records.length;
    this.#records.append(source, at, ROW_WORDS);
    const entry = this.#keys.obtain(source, at, TRANSFER + home);
    this.#keys.words[entry + VALUE] = to;
    this.#keys.words[entry + STATE] = state;
    this.#keys.words[entry + CAME] = state;
  }

  /** The transfer that is `addCreated` next, whose home is another shard. */
  // Hot path.
  addMade(record: Uint32Array, at: number, home: number, state: number): void {
    const entry = this.#keys.obtain(record, at, TRANSFER + home);
    this.#keys.words[entry + VALUE] = (this.created.length | MADE) >>> 0;
    this.#keys.words[entry + STATE] = state;
    this.#keys.words[entry + CAME] = 0;
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

  copyRecord(ids: Uint32Array, id: number, home: number, target: Uint32Array): void {
    const entry = this.#keys.find(ids, id, TRANSFER + home);
    const from = this.#keys.words[entry + VALUE]!;
    const isMade = from >= MADE;
    const { words } = isMade ? this.created : this.#records;
    const at = isMade ? from - MADE : from;
    for (let w = 0; w < ROW_WORDS; w++) target[w] = words[at + w]!;
  }

  // ---- What the walk makes.

  /** `shards`: the record's home, and the shard of its credit account << 8. A record that has no timestamp yet is given the clock's. */
  // Hot path.
  // oxlint-disable-next-line max-params -- A record and a time, in words.
  addCreated(
    record: Uint32Array,
    at: number,
    shards: number,
    clockLow: number,
    clockHigh: number,
  ): void {
    const to = this.created.extend(CREATED_WORDS);
    const { words } = this.created;
    for (let w = 0; w < ROW_WORDS; w++) words[to + w] = record[at + w]!;
    if ((words[to + 30]! | words[to + 31]!) === 0) {
      words[to + 30] = clockLow;
      words[to + 31] = clockHigh;
    }
    words[to + 32] = 0;
    words[to + CREATED_SHARDS] = shards;
    words[to + 34] = clockLow;
    words[to + 35] = clockHigh;
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
