/**
 * Executes one unit: a single event, or a chain, of which every event takes effect or none. The events of a chain see what earlier ones did; the
 * first that fails keeps its status, and what the others did is undone.
 */
import { BatchKind, type Columns, Transfer } from './batch.ts';
import type { Carried } from './carried.ts';
import { AccountRules } from './create-account.ts';
import { TransferRules } from './create-transfer.ts';
import { EventMark } from './event-marks.ts';
import type { EventShards } from './event-shards.ts';
import type { Group } from './group.ts';
import type { Ledger } from './ledger.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';
import type { RecordShelf } from './record-shelf.ts';
import { TransferStatus } from './status.ts';
import { UndoLog } from './undo-log.ts';

// The numbers of the two lists agree where both have a status.
const CREATED = TransferStatus.created;
const FAILED = TransferStatus.linked_event_failed;
const OPEN = TransferStatus.linked_event_chain_open;

/** What is known of the events of a walk that is decided: their shards, and of those at home here the hashes of their ids. */
export interface WalkRows {
  readonly shards: EventShards;
  readonly hashes: Int32Array;
  /** Where in the frame the record of each event lies, and what a derived row says of it besides, see walk-body.ts; null: nowhere. */
  readonly records: Int32Array | null;
  readonly recordKind: number;
}

interface UnitParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly shelf: RecordShelf;
  readonly carried: Carried;
}

export class Units {
  readonly #ledger: Ledger;
  readonly #group: Group;
  readonly #carried: Carried;
  readonly #undo: UndoLog;
  readonly accountRules: AccountRules;
  readonly transferRules: TransferRules;
  #columns: Columns | null = null;
  #walk: WalkRows | null = null;
  /** By row of the open batch: outcomes, and their timestamps (two words each). */
  readonly statuses = new Uint16Array(BATCH_EVENTS_MAX);
  readonly stamps = new Uint32Array(2 * BATCH_EVENTS_MAX);

  constructor(parts: UnitParts) {
    this.#ledger = parts.ledger;
    this.#group = parts.group;
    this.#carried = parts.carried;
    this.#undo = new UndoLog(parts.ledger, parts.carried);
    const undo = this.#undo;
    this.accountRules = new AccountRules({ ...parts, undo });
    this.transferRules = new TransferRules({ ...parts, undo });
  }

  /** Opens a batch; in a walk, one whose accounts and records may have been brought along. */
  open(columns: Columns, walk: WalkRows | null): void {
    this.#columns = columns;
    this.#walk = walk;
    if (columns.kind === BatchKind.accounts) this.accountRules.open(columns, walk !== null);
    else this.transferRules.open(columns, walk);
  }

  /**
   * Executes the rows from..to-1 of the open batch, which are one unit, each at a timestamp of its own. `firstRow` is the frame row of row 0,
   * or -1 when they came with an earlier frame.
   */
  execute(marks: Uint8Array, from: number, to: number, firstRow: number): void {
    const isChain = to - from > 1;
    const mark = isChain
      ? {
          derivedRows: this.#group.derivedRows,
          balanceWords: this.#group.balanceWords,
          created: this.#carried.created.length,
          balances: this.#carried.balances.length,
        }
      : null;
    if (isChain) this.#undo.begin();
    let broken = -1;
    for (let i = from; i < to; i++) {
      this.#ledger.tick();
      let status: number;
      if ((marks[i]! & EventMark.open) !== 0) status = OPEN;
      else if (broken !== -1) status = FAILED;
      else status = this.#create(i, firstRow === -1 ? -1 : firstRow + i, marks[i]!);
      this.statuses[i] = status;
      this.stamps[2 * i] = this.#ledger.stampLow;
      this.stamps[2 * i + 1] = this.#ledger.stampHigh;
      if (status === CREATED || broken !== -1) continue;
      broken = i;
      for (let done = from; done < i; done++) this.#fail(done, i - done);
    }
    if (mark === null) return;
    if (broken === -1) {
      this.#undo.end();
      return;
    }
    this.#undo.rollback();
    const first = firstRow === -1 ? 0 : firstRow + from;
    const end = firstRow === -1 ? 0 : firstRow + to;
    this.#group.takeBack(mark, first, end);
    this.#carried.created.length = mark.created;
    this.#carried.balances.length = mark.balances;
  }

  /** An earlier event of a chain that breaks now, so many events later. An imported one had a timestamp of its own. */
  #fail(i: number, eventsAgo: number): void {
    const { clockLow, clockHigh, shards } = this.#ledger;
    const low = clockLow - eventsAgo * shards;
    this.statuses[i] = FAILED;
    this.stamps[2 * i] = low >>> 0;
    this.stamps[2 * i + 1] = low < 0 ? clockHigh - 1 : clockHigh;
  }

  #create(i: number, inputRow: number, mark: number): number {
    const columns = this.#columns!;
    if (columns.kind === BatchKind.accounts) return this.accountRules.create(i, inputRow, mark);
    const id = columns.at[Transfer.id]! + i * columns.step[Transfer.id]!;
    if ((mark & EventMark.expire) !== 0) return this.#expire(i);
    const index = this.#ledger.transferIndex;
    const walk = this.#walk;
    // The id of a transfer of another home is not in this shard's index.
    if (walk !== null && walk.shards.home[i] !== this.#ledger.shard) {
      return this.transferRules.create(i, inputRow, mark, 0, -1);
    }
    const hash = walk === null ? index.hash(columns.words, id) : walk.hashes[i]!;
    const place = index.searchFrom(-1, columns.words, id, hash);
    return this.transferRules.create(i, inputRow, mark, hash, place);
  }

  /** The row is the record of a pending transfer whose time is over. Says `created` when it has expired now. */
  #expire(i: number): number {
    const { words, at, step } = this.#columns!;
    const id = at[Transfer.id]! + i * step[Transfer.id]!;
    const home = this.#walk?.shards.home[i] ?? this.#ledger.shard;
    return this.transferRules.resolving.expire(words, id, home) ? CREATED : NOT_EXPIRED;
  }
}

/** Nobody is told: an expiry has no reply. */
const NOT_EXPIRED = TransferStatus.pending_transfer_expired;
