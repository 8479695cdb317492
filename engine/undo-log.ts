/**
 * What a chain has changed, so that it can be undone when one of its events fails: a list of words, read from its end. Used by the tables'
 * owners while a chain of more than one event is at work; single events change nothing before they are sure.
 *
 * An entry is its fields, then its kind. Lengths are fixed by kind.
 */
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import type { Carried } from './carried.ts';
import type { Ledger } from './ledger.ts';
import { WordList } from './link-message.ts';

const Undo = {
  /** {row, 32 words} */
  account: 1,
  /** {row in `carried`, touched, 32 words} */
  carriedAccount: 2,
  /** {id 4} */
  idAdded: 3,
  /** {id 4, low, high} */
  idChanged: 4,
  /** {entry} */
  pendingAdded: 5,
  /** {entry, debit row, hash, position 2, record 32} */
  pendingRemoved: 6,
  /** {0 account or 1 transfer, low, high} */
  newest: 7,
  /** {row, hash} */
  accountAdded: 8,
  /** {id 4, home, state} */
  carriedTransfer: 9,
  /** {id 4} */
  carriedAccountAdded: 10,
  /** {shard, low, high} */
  carriedNewest: 11,
} as const;

const LENGTHS = [0, 33, 34, 4, 6, 1, 37, 3, 2, 6, 4, 3];

export class UndoLog {
  readonly #ledger: Ledger;
  readonly #carried: Carried;
  readonly #list = new WordList();
  isActive = false;

  constructor(ledger: Ledger, carried: Carried) {
    this.#ledger = ledger;
    this.#carried = carried;
  }

  begin(): void {
    assert(!this.isActive, 'one chain at a time');
    this.isActive = true;
    this.#list.length = 0;
  }

  /** The chain has succeeded. */
  end(): void {
    this.isActive = false;
  }

  /** Makes room for an entry and returns where its fields begin. */
  #entry(kind: number): number {
    assert(this.isActive, 'only chains are undone');
    const length = LENGTHS[kind]!;
    const at = this.#list.extend(length + 1);
    this.#list.words[at + length] = kind;
    return at;
  }

  account(row: number): void {
    const at = this.#entry(Undo.account);
    const { words } = this.#list;
    const { accounts } = this.#ledger;
    const chunk = accounts.words;
    const from = accounts.offset(row);
    words[at] = row;
    for (let w = 0; w < ROW_WORDS; w++) words[at + 1 + w] = chunk[from + w]!;
  }

  carriedAccount(row: number): void {
    const at = this.#entry(Undo.carriedAccount);
    const { words } = this.#list;
    words[at] = row;
    words[at + 1] = this.#carried.isTouched(row) ? 1 : 0;
    const from = row * ROW_WORDS;
    for (let w = 0; w < ROW_WORDS; w++) words[at + 2 + w] = this.#carried.rows[from + w]!;
  }

  idAdded(ids: Uint32Array, id: number): void {
    this.#id(this.#entry(Undo.idAdded), ids, id);
  }

  idChanged(ids: Uint32Array, id: number, low: number, high: number): void {
    const at = this.#entry(Undo.idChanged);
    this.#id(at, ids, id);
    this.#list.words[at + 4] = low;
    this.#list.words[at + 5] = high;
  }

  pendingAdded(entry: number): void {
    const at = this.#entry(Undo.pendingAdded);
    this.#list.words[at] = entry;
  }

  /** Called before the entry is removed. `record` is its transfer's. */
  pendingRemoved(entry: number, record: Uint32Array): void {
    const at = this.#entry(Undo.pendingRemoved);
    const { words } = this.#list;
    const { pendings } = this.#ledger;
    words[at] = entry;
    words[at + 1] = pendings.debitRow(entry);
    words[at + 2] = pendings.hash(entry);
    words[at + 3] = pendings.positionLow(entry);
    words[at + 4] = pendings.positionHigh(entry);
    for (let w = 0; w < ROW_WORDS; w++) words[at + 5 + w] = record[w]!;
  }

  newest(kind: 0 | 1, newest: Uint32Array): void {
    const at = this.#entry(Undo.newest);
    this.#list.words[at] = kind;
    this.#list.words[at + 1] = newest[0]!;
    this.#list.words[at + 2] = newest[1]!;
  }

  accountAdded(row: number, hash: number): void {
    const at = this.#entry(Undo.accountAdded);
    this.#list.words[at] = row;
    this.#list.words[at + 1] = hash;
  }

  carriedTransfer(ids: Uint32Array, id: number, home: number, state: number): void {
    const at = this.#entry(Undo.carriedTransfer);
    this.#id(at, ids, id);
    this.#list.words[at + 4] = home;
    this.#list.words[at + 5] = state;
  }

  carriedAccountAdded(ids: Uint32Array, id: number): void {
    this.#id(this.#entry(Undo.carriedAccountAdded), ids, id);
  }

  carriedNewest(shard: number, newest: Uint32Array, at: number): void {
    const to = this.#entry(Undo.carriedNewest);
    this.#list.words[to] = shard;
    this.#list.words[to + 1] = newest[at]!;
    this.#list.words[to + 2] = newest[at + 1]!;
  }

  #id(at: number, ids: Uint32Array, id: number): void {
    for (let w = 0; w < 4; w++) this.#list.words[at + w] = ids[id + w]!;
  }

  /** Undoes everything since `begin`, the newest first. */
  rollback(): void {
    const list = this.#list;
    while (list.length > 0) {
      const kind = list.words[list.length - 1]!;
      const at = list.length - 1 - LENGTHS[kind]!;
      this.#undo(kind, at);
      list.length = at;
    }
    this.isActive = false;
  }

  #undo(kind: number, at: number): void {
    const { words } = this.#list;
    const ledger = this.#ledger;
    const carried = this.#carried;
    const index = ledger.transferIndex;
    switch (kind) {
      case Undo.account: {
        const chunk = ledger.accounts.words;
        chunk.set(words.subarray(at + 1, at + 33), ledger.accounts.offset(words[at]!));
        return;
      }
      case Undo.carriedAccount:
        carried.rows.set(words.subarray(at + 2, at + 34), words[at]! * ROW_WORDS);
        carried.setTouched(words[at]!, words[at + 1]!);
        return;
      case Undo.idAdded: {
        const slot = index.find(words, at, index.hash(words, at));
        assert(slot !== -1, 'an id that was added is there, once');
        index.remove(slot);
        return;
      }
      case Undo.idChanged: {
        const slot = index.find(words, at, index.hash(words, at));
        assert(slot !== -1, 'an id that was changed is there');
        index.set(slot, words[at + 4]!, words[at + 5]!);
        return;
      }
      case Undo.pendingAdded:
        ledger.pendings.remove(words[at]!);
        return;
      case Undo.pendingRemoved: {
        const [debitRow, hash, low, high] = [1, 2, 3, 4].map((w) => words[at + w]!) as [
          number,
          number,
          number,
          number,
        ];
        const entry = ledger.pendings.add(words, at + 5, debitRow, hash, low, high);
        assert(entry === words[at], 'entries come back in reverse order');
        return;
      }
      case Undo.newest: {
        const newest = words[at] === 0 ? ledger.newestAccount : ledger.newestTransfer;
        newest[0] = words[at + 1]!;
        newest[1] = words[at + 2]!;
        return;
      }
      case Undo.accountAdded:
        ledger.accountIndex.remove(words[at + 1]! | 0, words[at]!);
        ledger.accounts.removeLast(words[at]!);
        return;
      case Undo.carriedTransfer:
        carried.setState(words, at, words[at + 4]!, words[at + 5]!);
        return;
      case Undo.carriedAccountAdded:
        carried.forgetAccount(words, at);
        return;
      default:
        assert(kind === Undo.carriedNewest, 'an entry has a known kind');
        carried.setNewest(words[at]!, words[at + 1]!, words[at + 2]!);
    }
  }
}
