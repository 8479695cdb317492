/**
 * What a shard claims for a walk, and what the walk carries on from here: the rows of claimed accounts, the records of claimed ids that are
 * taken, ids that are burnt, and the newest timestamps that imported events are compared with. What is claimed stays as it is until the
 * walk is decided, so it is copied as it is claimed; only the newest timestamps are those of the end of the group.
 */
import { ROW_WORDS } from './batch.ts';
import { type Claims, KEY_WORDS } from './claims.ts';
import { KeyKind, type EventKeys } from './event-keys.ts';
import { positionState, TransferState, type Ledger } from './ledger.ts';
import {
  FAILED_WORDS,
  MessageForm,
  NEWEST_WORDS,
  RECORD_WORDS,
  WalkHead,
  WordList,
} from './link-message.ts';
import { appendThin, evenEnd, evenOut, skipThin, widen } from './thin-rows.ts';
import type { Units } from './units.ts';

interface LoadParts {
  readonly ledger: Ledger;
  readonly claims: Claims;
  readonly units: Units;
}

export class WalkLoad {
  readonly #parts: LoadParts;
  /** KEY_WORDS for each key that was claimed here, in order. */
  readonly keys = new WordList();
  /** Of each key: the row of its account + 1, or 0. */
  readonly rows = new WordList();
  /** Of each key: where it is among the claims. */
  readonly places = new WordList();
  /** Thin rows; `#accountCount` of them. */
  readonly #accounts = new WordList();
  #accountCount = 0;
  readonly #records = new WordList();
  readonly #failed = new WordList();
  readonly #newest = new WordList();
  /** Newest timestamps that were added here: the last ones of their list. */
  #ownNewest = 0;
  readonly #record = new Uint32Array(ROW_WORDS);

  constructor(parts: LoadParts) {
    this.#parts = parts;
  }

  /** After `finish`. */
  get wordLength(): number {
    return this.#accounts.length + this.#records.length + this.#failed.length + this.#newest.length;
  }

  clear(): void {
    this.keys.length = 0;
    this.rows.length = 0;
    this.places.length = 0;
    for (const list of this.#lists()) list.length = 0;
    this.#accountCount = 0;
    this.#ownNewest = 0;
  }

  /** In the order in which they lie in a message. */
  #lists(): readonly WordList[] {
    return [this.#accounts, this.#records, this.#failed, this.#newest];
  }

  /** Takes over what a walk has carried here: the words of its message from `at` on. */
  receive(body: Uint32Array, at: number): void {
    this.clear();
    const counts = [
      body[WalkHead.records]! * RECORD_WORDS,
      body[WalkHead.failed]! * FAILED_WORDS,
      body[WalkHead.newest]! * NEWEST_WORDS,
    ];
    let from = this.#receiveAccounts(body, at);
    for (const [i, list] of [this.#records, this.#failed, this.#newest].entries()) {
      list.append(body, from, counts[i]!);
      from += counts[i]!;
    }
  }

  /** Returns where the accounts end. */
  #receiveAccounts(body: Uint32Array, at: number): number {
    const count = body[WalkHead.accounts]!;
    this.#accountCount = count;
    if (body[WalkHead.form] !== MessageForm.whole) {
      const end = skipThin(body, at, count, 0);
      this.#accounts.append(body, at, end - at);
      return evenEnd(at, end);
    }
    for (let i = 0; i < count; i++) {
      appendThin(this.#accounts, body, at + i * ROW_WORDS, ROW_WORDS);
    }
    return at + count * ROW_WORDS;
  }

  /** Nothing more is claimed: `wordLength` is known. `isThin`: the form in which the message is to have the accounts. */
  finish(isThin: boolean): void {
    if (isThin) evenOut(this.#accounts);
    else widen(this.#accounts, this.#accountCount, ROW_WORDS);
  }

  /** Writes what the walk carries into its message, from `at` on, and the counts into the head. */
  write(out: Uint32Array, at: number): void {
    this.#setNewest();
    out[WalkHead.accounts] = this.#accountCount;
    out[WalkHead.records] = this.#records.length / RECORD_WORDS;
    out[WalkHead.failed] = this.#failed.length / FAILED_WORDS;
    out[WalkHead.newest] = this.#newest.length / NEWEST_WORDS;
    let to = at;
    for (const list of this.#lists()) {
      out.set(list.view(), to);
      to += list.length;
    }
  }

  /** Claims the keys that were collected, those that the walk has not got already, and takes along what they name. */
  // Hot path.
  claim(keys: EventKeys, owner: number): void {
    for (let key = 0; key < keys.count; key++) {
      const place = this.#parts.claims.claim(keys, key, owner);
      if (place === -1) continue;
      const words = keys.words[key]!;
      const at = keys.at[key]!;
      const kind = keys.kinds[key]!;
      const to = this.keys.extend(KEY_WORDS);
      const target = this.keys.words;
      for (let w = 0; w < 4; w++) target[to + w] = words[at + w]!;
      target[to + 4] = kind;
      const row = this.rows.extend(1);
      this.rows.words[row] =
        kind === KeyKind.account ? this.#addAccount(words, at, keys.rows[key]!) + 1 : 0;
      const noted = this.places.extend(1);
      this.places.words[noted] = place;
      if (kind === KeyKind.transfer) this.#addTransfer(words, at);
      else if (kind !== KeyKind.account) this.#addNewest(kind);
    }
  }

  // Hot path.
  #addAccount(words: Uint32Array, at: number, likely: number): number {
    const { accountIndex, accounts } = this.#parts.ledger;
    const isLikely = likely !== -1 && accounts.hasId(likely, words, at);
    const row = isLikely ? likely : accountIndex.find(words, at, accountIndex.hash(words, at));
    if (row === -1) return -1;
    accounts.appendThinRow(row, this.#accounts);
    this.#accountCount++;
    return row;
  }

  // Hot path.
  #addTransfer(words: Uint32Array, at: number): void {
    const { ledger, units } = this.#parts;
    const index = ledger.transferIndex;
    const slot = index.find(words, at, index.hash(words, at));
    if (slot === -1) return;
    const state = positionState(index.valueHigh(slot));
    if (state === TransferState.failed) {
      this.#failed.append(words, at, 4);
      const to = this.#failed.extend(FAILED_WORDS - 4);
      this.#failed.words[to] = ledger.shard;
      this.#failed.words[to + 1] = 0;
      return;
    }
    units.transferRules.store.copyAt(slot, words, at, this.#record);
    this.#records.append(this.#record, 0, ROW_WORDS);
    const to = this.#records.extend(RECORD_WORDS - ROW_WORDS);
    this.#records.words[to] = state;
    this.#records.words[to + 1] = 0;
  }

  #addNewest(kind: number): void {
    const to = this.#newest.extend(NEWEST_WORDS);
    this.#newest.words[to] = kind;
    this.#ownNewest++;
  }

  #setNewest(): void {
    const { ledger } = this.#parts;
    const list = this.#newest;
    let at = list.length - this.#ownNewest * NEWEST_WORDS;
    for (; at < list.length; at += NEWEST_WORDS) {
      const isAccounts = list.words[at] === KeyKind.importAccounts;
      const newest = isAccounts ? ledger.newestAccount : ledger.newestTransfer;
      list.words.set([ledger.shard, newest[0]!, newest[1]!, 0], at);
    }
    this.#ownNewest = 0;
  }
}
