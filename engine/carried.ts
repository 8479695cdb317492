/**
 * What a walk has brought to the shard that decides it: rows of accounts and records of transfers of the other shards. The ordinary rules
 * run on them as on the shard's own; what they change goes back with the decision. Emptied before each walk.
 */
import { ROW_WORDS } from './batch.ts';
import { KeyTable } from './key-table.ts';
import { TransferState } from './ledger.ts';

const KEYS_AT_FIRST = 1 << 10;
const ACCOUNT = 1;
/** Transfer ids are unique per home shard: the tag says which. */
const TRANSFER = 2;

export class Carried {
  readonly #keys: KeyTable;
  rows = new Uint32Array(ROW_WORDS * 64);
  count = 0;
  #touched = new Uint8Array(64);

  constructor(seed: number) {
    this.#keys = new KeyTable(KEYS_AT_FIRST, seed);
  }

  clear(): void {
    this.#keys.clear();
    this.count = 0;
  }

  addAccount(source: Uint32Array, at: number): void {
    const row = this.#copy(source, at);
    const entry = this.#keys.obtain(source, at, ACCOUNT);
    this.#keys.words[entry + 5] = row;
  }

  /** A record of a transfer whose home is another shard; made by this walk or brought along. */
  addTransfer(source: Uint32Array, at: number, home: number): number {
    const row = this.#copy(source, at);
    const entry = this.#keys.obtain(source, at, TRANSFER + home);
    this.#keys.words[entry + 5] = row;
    this.#keys.words[entry + 6] = TransferState.created;
    return row;
  }

  addFailed(ids: Uint32Array, at: number, home: number): void {
    const entry = this.#keys.obtain(ids, at, TRANSFER + home);
    this.#keys.words[entry + 6] = TransferState.failed;
  }

  #copy(source: Uint32Array, at: number): number {
    if ((this.count + 1) * ROW_WORDS > this.rows.length) {
      const rows = new Uint32Array(this.rows.length * 2);
      rows.set(this.rows);
      this.rows = rows;
      const touched = new Uint8Array(this.#touched.length * 2);
      touched.set(this.#touched);
      this.#touched = touched;
    }
    const to = this.count * ROW_WORDS;
    for (let w = 0; w < ROW_WORDS; w++) this.rows[to + w] = source[at + w]!;
    this.#touched[this.count] = 0;
    return this.count++;
  }

  /** An event of this walk has changed or made the row. */
  touch(row: number): void {
    this.#touched[row] = 1;
  }

  isTouched(row: number): boolean {
    return this.#touched[row] === 1;
  }

  /** Word offset of the account's row in `rows`, or -1. */
  findAccount(ids: Uint32Array, at: number): number {
    const entry = this.#keys.find(ids, at, ACCOUNT);
    return entry === -1 ? -1 : this.#keys.words[entry + 5]! * ROW_WORDS;
  }

  /** 0 when the id is free at that home, else its `TransferState`; `recordAt` gives the record of a created one. */
  transferState(ids: Uint32Array, at: number, home: number): number {
    const entry = this.#keys.find(ids, at, TRANSFER + home);
    return entry === -1 ? 0 : this.#keys.words[entry + 6]!;
  }

  recordAt(ids: Uint32Array, at: number, home: number): number {
    return this.#keys.words[this.#keys.find(ids, at, TRANSFER + home) + 5]! * ROW_WORDS;
  }
}
