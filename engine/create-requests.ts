/**
 * Executes the requests of a group: unit by unit, each at once where its keys are free and this shard is all it spans; else it walks, or waits
 * for its turn. A request all of whose rows have their outcome is answered with the group; one with rows that wait stays open.
 */
import { Account, BatchKind, Columns, ROW_WORDS, Transfer } from './batch.ts';
import type { Claims } from './claims.ts';
import type { TransferRules } from './create-transfer.ts';
import { EventMark, markRows } from './event-marks.ts';
import { EventShards } from './event-shards.ts';
import { RESOLVING, TransferFlags } from './flags.ts';
import { Input, InputFlag, marksAt } from './frame.ts';
import { type Group } from './group.ts';
import type { Ledger } from './ledger.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';
import { BLOCK_ROWS, LookAhead } from './look-ahead.ts';
import type { OpenRequests, RequestHead } from './open-requests.ts';
import type { Outcomes } from './outcomes.ts';
import { isPlainPendingBatch, PlainPendings } from './plain-pendings.ts';
import { isPlainPostBatch, PlainPosts } from './plain-posts.ts';
import { isPlainBatch, isPlainChainBatch, PlainTransfers } from './plain-transfers.ts';
import type { RecordShelf } from './record-shelf.ts';
import { EventState } from './status.ts';
import type { Units } from './units.ts';
import type { Waiting } from './waiting.ts';
import type { WalkingUnit, Walks } from './walk.ts';
import { hasFlags, type WantedRecords } from './wanted-records.ts';

interface RequestParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly claims: Claims;
  readonly units: Units;
  readonly walks: Walks;
  readonly waiting: Waiting;
  readonly requests: OpenRequests;
  readonly outcomes: Outcomes;
  /** Of the transfer ids of the group's requests, by frame row. */
  readonly hashes: Int32Array;
  /** Where these ids belong, and what posts and voids among them end. */
  readonly wanted: Pick<WantedRecords, 'areSought' | 'sought' | 'pendingSlots'>;
  readonly shelf: RecordShelf;
}

/** A request's slot while it waits, -1 for none, and how many of its rows do. */
interface OpenPart {
  slot: number;
  waiting: number;
}

const NOTHING_WAITS: OpenPart = { slot: -1, waiting: 0 };

export class CreateRequests {
  readonly #ledger: Ledger;
  readonly #group: Group;
  readonly #claims: Claims;
  readonly #units: Units;
  readonly #rules: TransferRules;
  readonly #walks: Walks;
  readonly #waiting: Waiting;
  readonly #requests: OpenRequests;
  readonly #outcomes: Outcomes;
  readonly #hashes: Int32Array;
  readonly #wanted: RequestParts['wanted'];
  readonly #plain: PlainTransfers;
  readonly #pendings: PlainPendings;
  readonly #posts: PlainPosts;
  readonly #ahead: LookAhead;
  readonly #columns = new Columns();
  readonly #stamps = new Uint32Array(2 * BATCH_EVENTS_MAX);
  readonly #marks = new Uint8Array(BATCH_EVENTS_MAX);
  /** Of the open request, on a ledger of several shards. */
  readonly #shardsOf = new EventShards();
  readonly #known = { marks: this.#marks, shards: this.#shardsOf };
  /** A unit that cannot be executed where it lies: one object, set anew for each. */
  readonly #unit: { -readonly [Field in keyof WalkingUnit]: WalkingUnit[Field] } = {
    kind: BatchKind.transfers,
    events: new Uint32Array(ROW_WORDS),
    at: 0,
    marks: new Uint8Array(BATCH_EVENTS_MAX),
    n: 0,
  };

  constructor(parts: RequestParts) {
    this.#ledger = parts.ledger;
    this.#ahead = new LookAhead(parts.ledger);
    this.#group = parts.group;
    this.#claims = parts.claims;
    this.#units = parts.units;
    this.#rules = parts.units.transferRules;
    this.#walks = parts.walks;
    this.#waiting = parts.waiting;
    this.#requests = parts.requests;
    this.#outcomes = parts.outcomes;
    this.#hashes = parts.hashes;
    this.#wanted = parts.wanted;
    const plain = { ...parts, accounts: this.#rules.accounts, stamps: this.#stamps };
    this.#plain = new PlainTransfers(plain);
    this.#pendings = new PlainPendings(plain);
    this.#posts = new PlainPosts(plain);
  }

  #head(at: number, n: number): RequestHead {
    const { words } = this.#group;
    return {
      session: words[at + Input.session]!,
      request: words[at + Input.request]!,
      n,
      deadlineLow: words[at + Input.deadline]!,
      deadlineHigh: words[at + Input.deadline + 1]!,
    };
  }

  createAccounts(at: number): void {
    const group = this.#group;
    const columns = this.#columns;
    this.#openRequest(at);
    const firstRow = group.words[at + Input.firstRow]!;
    const head = this.#head(at, columns.n);
    this.#units.open(columns, null);
    const open = { slot: -1, waiting: 0 };
    let ahead = 0;
    for (let from = 0; from < columns.n;) {
      if (from >= ahead) ahead = this.#lookAheadAccounts(from);
      const to = this.#unitEnd(from);
      if (this.#mustWait(columns, from, to)) this.#enter(at, head, from, to, open);
      else {
        this.#units.execute(this.#marks, from, to, firstRow);
        this.#settleUnit(firstRow, from, to);
      }
      from = to;
    }
    this.#answer(head, firstRow, open);
  }

  /** Looks ahead at where the ids of a block of accounts belong. Returns where it ends. */
  #lookAheadAccounts(from: number): number {
    const { words, at, step, n } = this.#columns;
    const to = Math.min(from + BLOCK_ROWS, n);
    const stride = step[Account.id]!;
    this.#group.onBlock();
    this.#ahead.accounts(words, at[Account.id]! + from * stride, stride, to - from);
    return to;
  }

  createTransfers(at: number): void {
    const columns = this.#columns;
    this.#openRequest(at);
    const isUnmarked = this.#group.words[at + Input.flags] === 0;
    if (isUnmarked && this.#ledger.shards === 1 && isUnlinked(columns)) this.#createUnlinked(at);
    else this.#createUnits(at);
  }

  /** Transfers all with the same flags on a ledger of one shard: nothing is linked, and nothing ever waits. */
  // Hot path.
  #createUnlinked(at: number): void {
    const columns = this.#columns;
    const firstRow = this.#group.words[at + Input.firstRow]!;
    this.#units.open(columns, null);
    const short = this.#shortWay();
    const areResolving = (columns.halves[columns.at[Transfer.flags]!]! & RESOLVING) !== 0;
    for (let i = 0; i < columns.n;) {
      const end = this.#lookAhead(i, firstRow, areResolving);
      if (short !== null) i = short.run(columns, firstRow, i, end);
      if (i < end) this.#createOne(firstRow, i++);
    }
    this.#answer(this.#head(at, columns.n), firstRow, NOTHING_WAITS);
  }

  /** For the open batch, whose rows all have the same flags. */
  #shortWay(): PlainTransfers | PlainPendings | PlainPosts | null {
    const columns = this.#columns;
    if (isPlainBatch(columns)) return this.#plain;
    if (isPlainPendingBatch(columns)) return this.#pendings;
    return isPlainPostBatch(columns) ? this.#posts : null;
  }

  /** Looks ahead at the block of rows that begins with row i, unless it was done already; `areResolving`: all of them are posts or voids. Returns where it ends. */
  #lookAhead(i: number, firstRow: number, areResolving: boolean): number {
    const { accounts } = this.#rules;
    if (i < accounts.aheadTo) return accounts.aheadTo;
    this.#group.onBlock();
    const { words, at, step, n } = this.#columns;
    const end = Math.min(i + BLOCK_ROWS, n);
    const stride = step[Transfer.id]!;
    const start = at[Transfer.id]! + i * stride;
    const [from, to] = [firstRow + i, firstRow + end];
    const { transferIndex } = this.#ledger;
    const wanted = this.#wanted;
    if (transferIndex.isDeferring) accounts.freeAhead.fill(-1);
    else if (this.#ledger.shards > 1 && !this.#hasUnitsHere(i, end)) {
      // None of these ids will be entered now.
      transferIndex.touchAll(this.#hashes, from, to);
      accounts.freeAhead.fill(-1);
    } else if (wanted.areSought) {
      transferIndex.touchSought(wanted.sought, from, to, accounts.freeAhead);
    } else {
      transferIndex.seekFree(words, start, stride, this.#hashes, from, to, accounts.freeAhead);
    }
    if (areResolving) accounts.lookAheadPosts(i, end, wanted.pendingSlots, firstRow);
    else if (this.#ledger.shards === 1) accounts.lookAhead(i, end, null);
    else {
      const { home } = this.#shardsOf;
      accounts.lookAhead(i, end, this.#shardsOf);
      this.#claims.lookAhead(this.#columns, i, end, home, this.#ledger.shard, accounts.rowsAhead);
    }
    return end;
  }

  // Hot path.
  #createUnits(at: number): void {
    const columns = this.#columns;
    const firstRow = this.#group.words[at + Input.firstRow]!;
    const head = this.#head(at, columns.n);
    const units = this.#units;
    const marks = this.#marks;
    const { accounts } = this.#rules;
    units.open(columns, null);
    const isPlain = isPlainBatch(columns);
    const isPlainChains = !isPlain && this.#isPlainChains(at);
    const open = { slot: -1, waiting: 0 };
    for (let from = 0; from < columns.n;) {
      if (from >= accounts.aheadTo) {
        this.#lookAhead(from, firstRow, false);
        if (!isPlain && !isPlainChains) accounts.lookAheadPendings();
      }
      if (marks[from] === EventMark.end && !this.#isHere(from)) {
        this.#enterRow(at, head, from, open);
        from++;
        continue;
      }
      if (isPlain) {
        const done = this.#plain.run(columns, firstRow, from, this.#freeTo(from, accounts.aheadTo));
        if (done > from) {
          from = done;
          continue;
        }
      }
      if (isPlainChains) {
        from = this.#plain.runChains(columns, marks, firstRow, from, accounts.aheadTo);
        if (from >= accounts.aheadTo) continue;
      }
      const to = this.#unitEnd(from);
      if (this.#mustWait(columns, from, to)) this.#enter(at, head, from, to, open);
      else if (to - from > 1 || (marks[from]! & EventMark.open) !== 0) {
        units.execute(marks, from, to, firstRow);
        this.#settleUnit(firstRow, from, to);
      } else this.#createOne(firstRow, from);
      from = to;
    }
    this.#answer(head, firstRow, open);
  }

  /** Whether the open batch has plain transfers, some of them linked, on a ledger of one shard, where nothing ever waits. */
  #isPlainChains(at: number): boolean {
    if (this.#ledger.shards > 1 || this.#group.words[at + Input.flags] !== 0) return false;
    return isPlainChainBatch(this.#columns);
  }

  /** A single event whose keys are free, on this shard alone. */
  // Hot path.
  #createOne(firstRow: number, i: number): void {
    const columns = this.#columns;
    const ledger = this.#ledger;
    const { transfers: counters } = this.#outcomes;
    ledger.tick();
    const id = columns.at[Transfer.id]! + i * columns.step[Transfer.id]!;
    const hash = this.#hashes[firstRow + i]!;
    const { freeAhead, aheadFrom } = this.#rules.accounts;
    const free = freeAhead[i - aheadFrom]!;
    const place = ledger.transferIndex.searchFrom(free, columns.words, id, hash);
    const status = this.#rules.create(i, firstRow + i, this.#marks[i]!, hash, place);
    counters[status] = counters[status]! + 1;
    this.#settleRow(firstRow, i, status);
  }

  /** Opens the batch of a request, and marks its rows. Its first row has the next timestamp, and each other one the one after. */
  #openRequest(at: number): void {
    const { words, bytes } = this.#group;
    const { clockLow, clockHigh, shards } = this.#ledger;
    const next = clockLow + shards;
    words[at + Input.stamp] = next;
    words[at + Input.stamp + 1] = clockHigh + (next > 0xffffffff ? 1 : 0);
    const columns = this.#columns;
    this.#group.openBatch(at, columns);
    this.#claims.ahead.close();
    const isImported = (words[at + Input.flags]! & InputFlag.imported) !== 0;
    const notes = marksAt(words, at);
    if (shards > 1) this.#shardsOf.compute(columns, shards);
    if (!isImported && notes === -1 && !hasFlags(columns)) {
      this.#marks.fill(EventMark.end, 0, columns.n);
      return;
    }
    const rest = notes === -1 ? null : bytes.subarray(notes, notes + columns.n);
    markRows(columns, isImported, rest, this.#marks);
  }

  #unitEnd(from: number): number {
    let to = from + 1;
    while ((this.#marks[to - 1]! & EventMark.end) === 0) to++;
    return to;
  }

  /** Whether the unit spans shards, or one of its keys is claimed or awaited. */
  // Hot path.
  #mustWait(columns: Columns, from: number, to: number): boolean {
    const { shards } = this.#ledger;
    if (shards === 1) return false;
    for (let i = from; i < to; i++) if (!this.#isHere(i)) return true;
    if (this.#claims.count === 0) return false;
    for (let i = from; i < to; i++) {
      if (!this.#waiting.isRowFree(columns, i, this.#marks[i]!, this.#shardsOf)) return true;
    }
    return false;
  }

  /** The first of the rows from..to-1 that has to wait, each being a unit by itself; `to` when none has. */
  // Hot path.
  #freeTo(from: number, to: number): number {
    for (let i = from; i < to; i++) if (this.#mustWait(this.#columns, i, i + 1)) return i;
    return to;
  }

  /** Whether some unit of the rows from..to-1 spans this shard alone; one that goes on behind them may. */
  // Hot path.
  #hasUnitsHere(from: number, to: number): boolean {
    const marks = this.#marks;
    let isHere = true;
    for (let i = from; i < to; i++) {
      if (!this.#isHere(i)) isHere = false;
      if ((marks[i]! & EventMark.end) === 0) continue;
      if (isHere) return true;
      isHere = true;
    }
    return (marks[to - 1]! & EventMark.end) === 0 && isHere;
  }

  /** Whether this shard is the only one that the event spans. */
  // Hot path.
  #isHere(i: number): boolean {
    const { shard, shards } = this.#ledger;
    return shards === 1 || (this.#shardsOf.home[i] === shard && this.#shardsOf.away[i] === shard);
  }

  /** Copies rows of the open batch to where they lie one after the other. Valid until the next call. */
  #copyUnit(from: number, to: number): WalkingUnit {
    const n = to - from;
    const unit = this.#unit;
    if (unit.events.length < n * ROW_WORDS) unit.events = new Uint32Array(n * ROW_WORDS);
    const columns = this.#columns;
    for (let i = 0; i < n; i++) {
      columns.copyRow(from + i, unit.events, i * ROW_WORDS);
      unit.marks[i] = this.#marks[from + i]!;
    }
    unit.kind = columns.kind;
    unit.n = n;
    return unit;
  }

  /** A unit that cannot be executed at once: into a walk that begins, or among those that wait. */
  // Hot path.
  // oxlint-disable-next-line max-params -- A request and rows of it.
  #enter(at: number, head: RequestHead, from: number, to: number, open: OpenPart): void {
    if (open.slot === -1) open.slot = this.#requests.open(head);
    const firstRow = this.#group.words[at + Input.firstRow]!;
    let isWalking = false;
    for (let i = from; i < to; i++) {
      this.#ledger.tick();
      this.#settleRow(firstRow, i, EventState.waiting);
      if (!this.#isHere(i)) isWalking = true;
    }
    open.waiting += to - from;
    const { slot } = open;
    const mayWalk = isWalking || this.#group.hasRiders;
    if (mayWalk && this.#walks.startRows(this.#columns, from, to, this.#known, slot)) return;
    this.#waiting.park(this.#copyUnit(from, to), { slot, row: from }, isWalking);
  }

  /** The same for a single row that spans shards. */
  // Hot path.
  #enterRow(at: number, head: RequestHead, i: number, open: OpenPart): void {
    if (open.slot === -1) open.slot = this.#requests.open(head);
    this.#ledger.tick();
    this.#settleRow(this.#group.words[at + Input.firstRow]!, i, EventState.waiting);
    open.waiting++;
    if (this.#walks.startRows(this.#columns, i, i + 1, this.#known, open.slot)) return;
    const request = { slot: open.slot, row: i };
    this.#waiting.park(this.#copyUnit(i, i + 1), request, true);
  }

  /** The rest of a batch: all of it is one walk. */
  createTogether(at: number): void {
    const columns = this.#columns;
    this.#openRequest(at);
    const { n } = columns;
    const firstRow = this.#group.words[at + Input.firstRow]!;
    const head = this.#head(at, n);
    for (let i = 0; i < n; i++) {
      this.#ledger.tick();
      this.#settleRow(firstRow, i, EventState.waiting);
    }
    // What was looked ahead at was of another batch.
    this.#units.open(columns, null);
    const slot = this.#requests.open(head);
    if (!this.#walks.startRows(columns, 0, n, this.#known, slot)) {
      this.#waiting.park(this.#copyUnit(0, n), { slot, row: 0 }, true);
    }
    this.#answer(head, firstRow, { slot, waiting: n });
  }

  // Hot path.
  #settleRow(firstRow: number, i: number, status: number): void {
    const { stampLow, stampHigh } = this.#ledger;
    this.#group.statuses[firstRow + i] = status;
    this.#stamps[2 * i] = stampLow;
    this.#stamps[2 * i + 1] = stampHigh;
    this.#outcomes.note(status, stampLow, stampHigh);
  }

  /** Takes over what became of a unit of the open batch. */
  #settleUnit(firstRow: number, from: number, to: number): void {
    const { statuses, stamps } = this.#units;
    for (let i = from; i < to; i++) {
      const status = statuses[i]!;
      this.#outcomes.count(this.#columns.kind, status);
      this.#ledger.stampLow = stamps[2 * i]!;
      this.#ledger.stampHigh = stamps[2 * i + 1]!;
      this.#settleRow(firstRow, i, status);
    }
  }

  /** Answers a request at once, or keeps it open for the rows that wait. */
  #answer(head: RequestHead, firstRow: number, { slot, waiting }: OpenPart): void {
    if (slot === -1) {
      this.#requests.reply(head, this.#group.statuses, firstRow, this.#stamps);
      return;
    }
    this.#requests.keep(slot, this.#group.statuses, firstRow, this.#stamps);
    this.#requests.addWaiting(slot, waiting);
  }
}

/** Whether all rows have the same flags, and none is linked. */
function isUnlinked({ halves, at, step }: Columns): boolean {
  return step[Transfer.flags] === 0 && (halves[at[Transfer.flags]!]! & TransferFlags.linked) === 0;
}
