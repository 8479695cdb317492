/**
 * The last shard of a walk: its commit point. The ordinary rules run on this shard's own rows and on those that the walk has carried here, unit by
 * unit, in order; then every other shard of the way is sent what it has to apply, and the first one the outcomes too.
 */
import { BatchKind, Columns, ROW_WORDS } from './batch.ts';
import { CREATED_SHARDS, CREATED_WORDS, type Carried } from './carried.ts';
import { EventMark } from './event-marks.ts';
import { EventShards } from './event-shards.ts';
import { RESOLVING, TransferFlags } from './flags.ts';
import type { Group } from './group.ts';
import { HistorySide, TransferState, type Ledger } from './ledger.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';
import {
  CARRIED_BALANCE_WORDS,
  ApplyHead,
  CHANGED_WORDS,
  countBits,
  FAILED_WORDS,
  LINK_HEAD_WORDS,
  LinkHead,
  LinkKind,
  MessageForm,
  NEWEST_WORDS,
  nextShard,
  OUTCOME_WORDS,
  RECORD_WORDS,
  RESOLVED_WORDS,
  TRANSFER_WORDS,
  WalkHead,
  WordList,
  type Outgoing,
} from './link-message.ts';
import { BLOCK_ROWS } from './look-ahead.ts';
import type { MessagePool } from './message-pool.ts';
import type { Outcomes } from './outcomes.ts';
import { shardOf } from './placement.ts';
import { PlainWalk } from './plain-walk.ts';
import { isTransient, TransferStatus } from './status.ts';
import { appendThin, evenEnd, evenOut } from './thin-rows.ts';
import { CODE_FLAGS } from './transfer-accounts.ts';
import type { Units, WalkRows } from './units.ts';
import type { WalkBody } from './walk-body.ts';

export interface DecisionParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly carried: Carried;
  readonly units: Units;
  readonly outcomes: Outcomes;
  readonly outgoing: Outgoing[];
  readonly messages: MessagePool;
  readonly walkBody: WalkBody;
}

/** Word offsets in a transfer row. */
const DEBIT = 4;
const CREDIT = 8;
const PENDING = 16;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class WalkDecision {
  readonly #parts: DecisionParts;
  readonly #columns = new Columns();
  readonly #body = new WordList();
  readonly #changed = new Uint32Array(CHANGED_WORDS);
  readonly #outcomes = new WordList();
  readonly #marks = new Uint8Array(BATCH_EVENTS_MAX);
  readonly #shards = new EventShards();
  readonly #hashes = new Int32Array(BATCH_EVENTS_MAX);
  readonly #rows: Writable<WalkRows> = {
    shards: this.#shards,
    hashes: this.#hashes,
    records: null,
    recordKind: 0,
  };
  readonly #plain: PlainWalk;
  /** Rows of the events that have burnt an id of another shard, and of those that may have ended a pending transfer of another shard. */
  readonly #failed: number[] = [];
  readonly #resolving: number[] = [];
  /** Accounts that came along; those behind them were made. */
  #brought = 0;

  constructor(parts: DecisionParts) {
    this.#parts = parts;
    this.#plain = new PlainWalk(parts);
  }

  /** `isOpen`: the message is the one that was opened last, see walk-body.ts. */
  decide(body: Uint32Array, isOpen: boolean): void {
    const { ledger, carried, units } = this.#parts;
    this.#load(body);
    const rows = body[LinkHead.rows]!;
    const kind = body[WalkHead.batchKind]! as BatchKind;
    const halves = new Uint16Array(body.buffer, body.byteOffset, body.length * 2);
    this.#columns.openRows(kind, body, halves, LINK_HEAD_WORDS, rows);
    this.#shards.compute(this.#columns, ledger.shards);
    const { walkBody } = this.#parts;
    this.#rows.records = isOpen ? walkBody.records : null;
    this.#rows.recordKind = walkBody.recordKind;
    units.open(this.#columns, this.#rows);
    if (kind === BatchKind.transfers) this.#hashIds(body, rows);
    this.#outcomes.length = 0;
    this.#failed.length = 0;
    this.#resolving.length = 0;
    const { accounts } = units.transferRules;
    for (let from = 0; from < rows;) {
      if (kind === BatchKind.transfers) {
        if (from >= accounts.aheadTo) this.#lookAheadFrom(body, from);
        const done = isOpen ? this.#runPlain(body, from, accounts.aheadTo) : from;
        if (done > from) {
          from = done;
          continue;
        }
      }
      let to = from + 1;
      while ((this.#marks[to - 1]! & EventMark.end) === 0) to++;
      units.execute(this.#marks, from, to, -1);
      for (let i = from; i < to; i++) this.#note(kind, body, i);
      from = to;
    }
    const low = body[WalkHead.pathLow]!;
    const high = body[WalkHead.pathHigh]!;
    let shard = nextShard(low, high, -1);
    for (; shard !== ledger.shard; shard = nextShard(low, high, shard)) {
      this.#sendChanges(shard, body);
    }
    carried.clear();
  }

  /** Plain transfers go the short way. Returns the first event that does not. */
  #runPlain(body: Uint32Array, from: number, to: number): number {
    const done = this.#plain.run(body, this.#rows, this.#marks, from, to);
    for (let i = from; i < done; i++) this.#note(BatchKind.transfers, body, i);
    return done;
  }

  #lookAheadFrom(body: Uint32Array, from: number): void {
    const { group, units } = this.#parts;
    const { accounts } = units.transferRules;
    group.onBlock();
    const to = Math.min(from + BLOCK_ROWS, body[LinkHead.rows]!);
    const { transferIndex } = this.#parts.ledger;
    const start = LINK_HEAD_WORDS + from * ROW_WORDS;
    transferIndex.seekFree(body, start, ROW_WORDS, this.#hashes, from, to, accounts.freeAhead);
    accounts.lookAhead(from, to, this.#shards);
    accounts.lookAheadPendings();
  }

  /** Of the transfers that are at home here. */
  // Hot path.
  #hashIds(body: Uint32Array, rows: number): void {
    const { transferIndex, shard } = this.#parts.ledger;
    for (let i = 0; i < rows; i++) {
      if (this.#shards.home[i] !== shard) continue;
      this.#hashes[i] = transferIndex.hash(body, LINK_HEAD_WORDS + i * ROW_WORDS);
    }
  }

  /** Takes note of what became of event i. */
  #note(kind: BatchKind, body: Uint32Array, i: number): void {
    const { units, ledger, outcomes } = this.#parts;
    const status = units.statuses[i]!;
    const low = units.stamps[2 * i]!;
    const high = units.stamps[2 * i + 1]!;
    const isExpiry = (this.#marks[i]! & EventMark.expire) !== 0;
    outcomes.count(isExpiry ? BatchKind.ids : kind, status);
    outcomes.note(status, low, high);
    const to = this.#outcomes.extend(OUTCOME_WORDS);
    this.#outcomes.words[to] = status;
    this.#outcomes.words[to + 1] = low;
    this.#outcomes.words[to + 2] = high;
    this.#outcomes.words[to + 3] = 0;
    if (kind === BatchKind.accounts) return;
    const event = LINK_HEAD_WORDS + i * ROW_WORDS;
    if (this.#shards.home[i] === ledger.shard) return;
    if (status === TransferStatus.created) {
      const isPost = ((body[event + CODE_FLAGS]! >>> 16) & RESOLVING) !== 0;
      if (isPost || isExpiry) this.#resolving.push(i);
    } else if (isTransient(status)) this.#failed.push(event);
  }

  #load(body: Uint32Array): void {
    const { carried, ledger } = this.#parts;
    carried.clear();
    const rows = body[LinkHead.rows]!;
    let at = LINK_HEAD_WORDS + rows * ROW_WORDS;
    for (let i = 0; i < rows; i++) this.#marks[i] = body[at++]!;
    this.#brought = body[WalkHead.accounts]!;
    if (body[WalkHead.form] !== MessageForm.whole) {
      at = evenEnd(at, carried.addThinAccounts(body, at, this.#brought));
    } else {
      carried.addAccounts(body, at, this.#brought);
      at += this.#brought * ROW_WORDS;
    }
    for (let i = 0; i < body[WalkHead.records]!; i++, at += RECORD_WORDS) {
      const state = body[at + 32]!;
      carried.addTransfer(body, at, shardOf(body, at + DEBIT, ledger.shards), state);
    }
    for (let i = 0; i < body[WalkHead.failed]!; i++, at += FAILED_WORDS) {
      carried.addFailed(body, at, body[at + 4]!);
    }
    for (let i = 0; i < body[WalkHead.newest]!; i++, at += NEWEST_WORDS) {
      carried.setNewest(body[at]!, body[at + 1]!, body[at + 2]!);
    }
  }

  // ---- What one shard of the way has to apply.

  #sendChanges(shard: number, walk: Uint32Array): void {
    const body = this.#body;
    body.length = 0;
    body.extend(LINK_HEAD_WORDS);
    body.words.fill(0, 0, LINK_HEAD_WORDS);
    const sent = this.#appendTransfers(shard);
    const path = [walk[WalkHead.pathLow]!, walk[WalkHead.pathHigh]!] as const;
    const isOnlyOne = countBits(path[0]) + countBits(path[1]) === 2;
    const isThin = this.#parts.group.hasThinRows;
    evenOut(body);
    const changed = this.#appendChanged(shard, isOnlyOne);
    evenOut(body);
    const made = this.#appendMade(shard);
    const failed = this.#appendFailed(shard, walk);
    const resolved = this.#appendResolved(shard, walk);
    const balances = this.#appendBalances(shard, sent.places);
    const isFirst = shard === walk[LinkHead.first];
    if (isFirst) body.append(this.#outcomes.words, 0, this.#outcomes.length);
    const words = body.words;
    words[LinkHead.kind] = LinkKind.apply;
    words[LinkHead.rows] = sent.count + made + resolved;
    words[LinkHead.first] = walk[LinkHead.first]!;
    words[LinkHead.walk] = walk[LinkHead.walk]!;
    words[ApplyHead.transfers] = sent.count;
    words[ApplyHead.accounts] = changed;
    words[ApplyHead.form] = isThin ? MessageForm.thin : MessageForm.whole;
    words[ApplyHead.made] = made;
    words[ApplyHead.failed] = failed;
    words[ApplyHead.resolved] = resolved;
    words[ApplyHead.balances] = balances;
    words[ApplyHead.outcomes] = isFirst ? this.#outcomes.length / OUTCOME_WORDS : 0;
    const message = this.#parts.messages.take(body.length);
    message.set(body.view());
    this.#parts.outgoing.push({ to: shard, body: message });
  }

  /**
   * Created transfers of which the shard has an account; `places` says by creation which of the message each is, -1 for none, where there are
   * balances that want to know.
   */
  // Hot path.
  #appendTransfers(shard: number): { readonly count: number; readonly places: Int32Array } {
    const { carried } = this.#parts;
    const body = this.#body;
    const created = carried.created;
    const { words } = created;
    const isThin = this.#parts.group.hasThinRows;
    const total = created.length / CREATED_WORDS;
    const places = new Int32Array(carried.balances.length === 0 ? 0 : total).fill(-1);
    let count = 0;
    for (let i = 0; i < total; i++) {
      const at = i * CREATED_WORDS;
      const home = words[at + CREATED_SHARDS]! & 0xff;
      const away = words[at + CREATED_SHARDS]! >>> 8;
      if (home !== shard && away !== shard) continue;
      if (places.length > 0) places[i] = count;
      count++;
      const state = home === shard ? this.#stateOf(words, at, home) : 0;
      if (isThin) appendThin(body, words, at, ROW_WORDS);
      else body.append(words, at, ROW_WORDS);
      const to = body.extend(TRANSFER_WORDS - ROW_WORDS);
      body.words[to] = state;
      body.words[to + 1] = 0;
      body.words[to + 2] = words[at + 34]!;
      body.words[to + 3] = words[at + 35]!;
    }
    return { count, places };
  }

  /** The state of a created transfer of that home at the end of the walk: a later event may have posted it. */
  // Hot path.
  #stateOf(words: Uint32Array, at: number, home: number): number {
    const isPending = ((words[at + CODE_FLAGS]! >>> 16) & TransferFlags.pending) !== 0;
    return isPending ? this.#parts.carried.transferState(words, at, home) : TransferState.created;
  }

  /** Accounts that came along, all from this shard if it is the only other one: of what they are, only the balances and flags can have changed. */
  // Hot path.
  #appendChanged(shard: number, isOnlyOne: boolean): number {
    const { carried, ledger } = this.#parts;
    const body = this.#body;
    const isThin = this.#parts.group.hasThinRows;
    let count = 0;
    for (let brought = 0; brought < this.#brought; brought++) {
      const at = brought * ROW_WORDS;
      if (!carried.isTouched(brought)) continue;
      if (!isOnlyOne && shardOf(carried.rows, at, ledger.shards) !== shard) continue;
      const row = this.#changed;
      for (let w = 0; w < 20; w++) row[w] = carried.rows[at + w]!;
      row[20] = carried.rows[at + CODE_FLAGS]!;
      if (isThin) appendThin(body, row, 0, CHANGED_WORDS);
      else body.append(row, 0, CHANGED_WORDS);
      count++;
    }
    return count;
  }

  #appendMade(shard: number): number {
    const { carried, ledger } = this.#parts;
    let count = 0;
    for (let row = this.#brought; row < carried.accounts; row++) {
      const at = row * ROW_WORDS;
      if (!carried.isTouched(row)) continue;
      if (shardOf(carried.rows, at, ledger.shards) !== shard) continue;
      this.#body.append(carried.rows, at, ROW_WORDS);
      count++;
    }
    return count;
  }

  #appendFailed(shard: number, walk: Uint32Array): number {
    let count = 0;
    for (const event of this.#failed) {
      if (shardOf(walk, event + DEBIT, this.#parts.ledger.shards) !== shard) continue;
      this.#body.append(walk, event, 4);
      count++;
    }
    return count;
  }

  /** Pending transfers of the shard that came open and are so no more. */
  #appendResolved(shard: number, walk: Uint32Array): number {
    const { carried, ledger, units } = this.#parts;
    const body = this.#body;
    let count = 0;
    for (const i of this.#resolving) {
      const event = LINK_HEAD_WORDS + i * ROW_WORDS;
      if (shardOf(walk, event + DEBIT, ledger.shards) !== shard) continue;
      const isExpiry = (this.#marks[i]! & EventMark.expire) !== 0;
      const id = isExpiry ? event : event + PENDING;
      if (!carried.hasChanged(walk, id, shard)) continue;
      const to = body.extend(RESOLVED_WORDS);
      for (let w = 0; w < 4; w++) body.words[to + w] = walk[id + w]!;
      body.words[to + 4] = carried.transferState(walk, id, shard);
      body.words[to + 5] = units.stamps[2 * i]!;
      body.words[to + 6] = units.stamps[2 * i + 1]!;
      body.words[to + 7] = 0;
      count++;
    }
    return count;
  }

  #appendBalances(shard: number, places: Int32Array): number {
    const { carried, ledger } = this.#parts;
    const { balances, created } = carried;
    const body = this.#body;
    let count = 0;
    for (let at = 0; at < balances.length; at += CARRIED_BALANCE_WORDS) {
      const transfer = balances.words[at]!;
      const side = balances.words[at + 1]! === HistorySide.debit ? DEBIT : CREDIT;
      const account = transfer * CREATED_WORDS + side;
      if (shardOf(created.words, account, ledger.shards) !== shard) continue;
      const to = body.extend(CARRIED_BALANCE_WORDS);
      for (let w = 0; w < CARRIED_BALANCE_WORDS; w++) {
        body.words[to + w] = balances.words[at + w]!;
      }
      body.words[to] = places[transfer]!;
      count++;
    }
    return count;
  }
}
