/**
 * The last shard of a walk: its commit point. The ordinary rules run on this shard's own rows and on those that the walk has carried here, event by
 * event, in order; then every other shard of the way is sent what it has to apply, and the first one the outcomes too.
 */
import { BatchKind, Columns, ROW_WORDS } from './batch.ts';
import type { Carried } from './carried.ts';
import type { TransferRules } from './create-transfer.ts';
import type { Group } from './group.ts';
import type { Ledger } from './ledger.ts';
import {
  ApplyHead,
  FAILED_WORDS,
  LINK_HEAD_WORDS,
  LinkHead,
  LinkKind,
  nextShard,
  OUTCOME_WORDS,
  WalkHead,
  WordList,
  type Outgoing,
} from './link-message.ts';
import { shardOf } from './placement.ts';
import { isTransient, TransferStatus } from './status.ts';

export interface DecisionParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly carried: Carried;
  readonly rules: TransferRules;
  /** Takes note of every decision, for the frame. */
  readonly decided: (status: number, low: number, high: number) => void;
  readonly outgoing: Outgoing[];
}

export class WalkDecision {
  readonly #parts: DecisionParts;
  readonly #columns = new Columns();
  readonly #body = new WordList();
  readonly #record = new Uint32Array(ROW_WORDS);
  readonly #outcomes = new WordList();
  /** Where the events lie that have burnt an id of another shard. */
  #failed: number[] = [];

  constructor(parts: DecisionParts) {
    this.#parts = parts;
  }

  decide(body: Uint32Array): void {
    const { ledger, group, carried, rules } = this.#parts;
    this.#load(body);
    const rows = body[LinkHead.rows]!;
    const halves = new Uint16Array(body.buffer, body.byteOffset, body.length * 2);
    this.#columns.openRows(BatchKind.transfers, body, halves, LINK_HEAD_WORDS, rows);
    rules.open(this.#columns, true);
    const outcomes = this.#outcomes;
    outcomes.length = 0;
    this.#failed = [];
    for (let i = 0; i < rows; i++) {
      ledger.tick();
      const event = LINK_HEAD_WORDS + i * ROW_WORDS;
      const isHome = shardOf(body, event + 4, ledger.shards) === ledger.shard;
      const hash = ledger.transferIndex.hash(body, event);
      const place = isHome ? ledger.transferIndex.search(body, event, hash) : -1;
      const status = rules.create(i, group.nextDerivedRow(), hash, place);
      if (isHome && status === TransferStatus.created) this.#derive(body, event);
      if (!isHome && isTransient(status)) this.#failed.push(event);
      this.#parts.decided(status, ledger.stampLow, ledger.stampHigh);
      const to = outcomes.extend(OUTCOME_WORDS);
      outcomes.words[to] = status;
      outcomes.words[to + 1] = ledger.stampLow;
      outcomes.words[to + 2] = ledger.stampHigh;
      outcomes.words[to + 3] = 0;
    }
    const low = body[WalkHead.pathLow]!;
    const high = body[WalkHead.pathHigh]!;
    for (
      let shard = nextShard(low, high, -1);
      shard !== ledger.shard;
      shard = nextShard(low, high, shard)
    ) {
      this.#sendChanges(shard, body);
    }
    carried.clear();
  }

  #derive(body: Uint32Array, event: number): void {
    const record = this.#record;
    for (let w = 0; w < ROW_WORDS; w++) record[w] = body[event + w]!;
    record[30] = this.#parts.ledger.clockLow;
    record[31] = this.#parts.ledger.clockHigh;
    this.#parts.group.derive(record, 0);
  }

  #load(body: Uint32Array): void {
    const { carried, ledger } = this.#parts;
    carried.clear();
    let at = LINK_HEAD_WORDS + body[LinkHead.rows]! * ROW_WORDS;
    for (let i = 0; i < body[WalkHead.accounts]!; i++, at += ROW_WORDS)
      carried.addAccount(body, at);
    for (let i = 0; i < body[WalkHead.records]!; i++, at += ROW_WORDS) {
      carried.addTransfer(body, at, shardOf(body, at + 4, ledger.shards));
    }
    for (let i = 0; i < body[WalkHead.failed]!; i++, at += FAILED_WORDS) {
      carried.addFailed(body, at, body[at + 4]!);
    }
  }

  /** What one shard of the way has to apply. */
  #sendChanges(shard: number, walk: Uint32Array): void {
    const { carried, ledger } = this.#parts;
    const body = this.#body;
    body.length = 0;
    body.extend(LINK_HEAD_WORDS);
    body.words.fill(0, 0, LINK_HEAD_WORDS);
    const accounts = walk[WalkHead.accounts]!;
    const before = accounts + walk[WalkHead.records]!;
    const append = (from: number, to: number, id: number): number => {
      let count = 0;
      for (let row = from; row < to; row++) {
        const at = row * ROW_WORDS;
        if (!carried.isTouched(row) || shardOf(carried.rows, at + id, ledger.shards) !== shard)
          continue;
        body.append(carried.rows, at, ROW_WORDS);
        count++;
      }
      return count;
    };
    const transferRows = append(before, carried.count, 4);
    const accountRows = append(0, accounts, 0);
    let failedIds = 0;
    for (const event of this.#failed) {
      if (shardOf(walk, event + 4, ledger.shards) !== shard) continue;
      body.append(walk, event, 4);
      failedIds++;
    }
    const isFirst = shard === walk[LinkHead.first];
    if (isFirst) body.append(this.#outcomes.words, 0, this.#outcomes.length);
    const words = body.words;
    words[LinkHead.kind] = LinkKind.apply;
    words[LinkHead.rows] = transferRows;
    words[LinkHead.first] = walk[LinkHead.first]!;
    words[LinkHead.walk] = walk[LinkHead.walk]!;
    words[ApplyHead.accounts] = accountRows;
    words[ApplyHead.failed] = failedIds;
    words[ApplyHead.outcomes] = isFirst ? this.#outcomes.length / OUTCOME_WORDS : 0;
    this.#parts.outgoing.push({ to: shard, body: body.copy() });
  }
}
