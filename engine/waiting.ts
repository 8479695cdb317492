/**
 * What waits for its turn: units whose keys are claimed by a walk or awaited by somebody earlier, and walks that found their keys taken. First
 * come, first served for each key. At the end of a group in which claims were freed every parked item has its turn, in order, for which
 * something has changed (key-queues.ts); one that still waits holds back the later ones with a common key.
 */
import { BatchKind, Columns, ROW_WORDS } from './batch.ts';
import { type Claims, NEWCOMER } from './claims.ts';
import { EventKeys } from './event-keys.ts';
import type { EventShards } from './event-shards.ts';
import type { Group } from './group.ts';
import type { Ledger } from './ledger.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';
import { LINK_HEAD_WORDS, LinkHead, WalkHead } from './link-message.ts';
import { NO_REQUEST, type OpenRequests } from './open-requests.ts';
import type { Outcomes } from './outcomes.ts';
import { Parked, ParkedKind } from './parked.ts';
import type { StateReader, StateWriter } from './state-words.ts';
import { EventState } from './status.ts';
import type { Units } from './units.ts';
import { markOf, type WalkingRequest, type WalkingUnit, type Walks } from './walk.ts';

interface WaitingParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly claims: Claims;
  readonly units: Units;
  readonly walks: Walks;
  readonly requests: OpenRequests;
  readonly outcomes: Outcomes;
}

/** More than the clock is moved on by all that one group may execute, ns. */
const GROUP_TICKS = 1e7;

export class Waiting {
  readonly #parts: WaitingParts;
  readonly #parked = new Parked();
  readonly #columns = new Columns();
  readonly #keys: EventKeys;
  readonly #mark = new Uint8Array(1);
  /** The buffer of the unit that was executed last, and its halves: single events lie in few buffers. */
  #events: Uint32Array = new Uint32Array(0);
  #halves: Uint16Array = new Uint16Array(0);
  /** The last pump ended for want of room in its frame: the next group goes on, even without inputs. */
  pumpAgain = false;
  /** No deadline of what is parked is before this time, ns. */
  #earliest = Infinity;

  constructor(parts: WaitingParts) {
    this.#parts = parts;
    const { ledger, claims, units } = parts;
    const { accounts } = units.transferRules;
    this.#keys = new EventKeys(ledger, claims.seed, claims.ahead, accounts);
  }

  get count(): number {
    return this.#parked.count;
  }

  // ---- Parking.

  /** Parks a unit of a request: events of this shard alone, or such as are to walk. */
  park(unit: WalkingUnit, request: WalkingRequest, isWalking: boolean): void {
    const parked = this.#parked;
    let item: number;
    if (request.slot !== NO_REQUEST) {
      const deadline = this.#parts.requests.deadline(request.slot);
      this.#earliest = Math.min(this.#earliest, deadline);
    }
    if (unit.n === 1) {
      const kind = isWalking ? ParkedKind.start : ParkedKind.event;
      item = parked.add(kind, unit.kind, request);
      parked.setMark(item, unit.marks[0]!);
      parked
        .page(item)
        .set(unit.events.subarray(unit.at, unit.at + ROW_WORDS), parked.offset(item));
    } else {
      const kind = isWalking ? ParkedKind.together : ParkedKind.chain;
      item = parked.add(kind, unit.kind, request);
      parked.setEvents(item, unit.events, unit.at, unit.marks, unit.n);
    }
    this.#await(item, unit);
  }

  /** Parks a walk that has come over a link. `isDue`: its keys may be free, there was no room for it. */
  parkWalk(body: Uint32Array, isDue: boolean): void {
    const kind = body[WalkHead.batchKind]! as BatchKind;
    const item = this.#parked.add(ParkedKind.walk, kind, { slot: NO_REQUEST, row: 0 });
    this.#parked.setBody(item, { events: body, marks: NO_MARKS });
    this.#await(item, unitOfWalk(body));
    if (isDue) this.#parts.claims.queues.setDue(item);
  }

  /** Whether the own keys of a unit are neither claimed nor awaited by somebody before this item, or NEWCOMER. */
  isFree(unit: WalkingUnit, item: number): boolean {
    const keys = this.#keys;
    for (let i = 0; i < unit.n; i++) {
      keys.collect(unit.kind, unit.events, unit.at + i * ROW_WORDS, unit.marks[i]!);
      for (let key = 0; key < keys.count; key++) {
        if (!this.#parts.claims.isFree(keys, key, item)) return false;
      }
    }
    return true;
  }

  /** Whether the own keys of a row of a batch are neither claimed nor awaited. */
  // Hot path.
  isRowFree(columns: Columns, i: number, mark: number, shards: EventShards): boolean {
    const keys = this.#keys;
    keys.collectRow(columns, i, mark, shards);
    for (let key = 0; key < keys.count; key++) {
      if (!this.#parts.claims.isFree(keys, key, NEWCOMER)) return false;
    }
    return true;
  }

  #await(item: number, unit: WalkingUnit): void {
    const { claims } = this.#parts;
    claims.queues.open(item);
    const keys = this.#keys;
    for (let i = 0; i < unit.n; i++) {
      keys.collect(unit.kind, unit.events, unit.at + i * ROW_WORDS, unit.marks[i]!);
      for (let key = 0; key < keys.count; key++) claims.await(keys, key, item);
    }
  }

  #leave(item: number, unit: WalkingUnit): void {
    const { claims } = this.#parts;
    const keys = this.#keys;
    for (let i = unit.n - 1; i >= 0; i--) {
      keys.collect(unit.kind, unit.events, unit.at + i * ROW_WORDS, unit.marks[i]!);
      for (let key = keys.count - 1; key >= 0; key--) claims.leave(keys, key, item);
    }
  }

  // ---- Turns.

  /** Gives every parked item that is due its turn, in order, as far as the frame has room. */
  pump(): void {
    const parked = this.#parked;
    const { queues } = this.#parts.claims;
    this.#parts.walks.freed = false;
    this.pumpAgain = false;
    this.#parts.claims.countScan();
    this.#findLate();
    let next = parked.first;
    while (next !== -1) {
      const item = next;
      next = parked.next(item);
      if (!queues.isDue(item)) continue;
      if (this.#parts.group.rowsLeft <= BATCH_EVENTS_MAX) {
        this.pumpAgain = true;
        return;
      }
      queues.clearDue(item);
      this.#turn(item);
    }
  }

  /** What is late, or may be before its turn, is due: one that is to walk is given up whatever blocks it. */
  #findLate(): void {
    const { ledger, claims, requests } = this.#parts;
    const until = ledger.clockHigh * 4294967296 + ledger.clockLow + GROUP_TICKS;
    if (this.#earliest > until) return;
    const parked = this.#parked;
    this.#earliest = Infinity;
    for (let item = parked.first; item !== -1; item = parked.next(item)) {
      const slot = parked.request(item);
      if (slot === NO_REQUEST) continue;
      const deadline = requests.deadline(slot);
      if (deadline <= until) claims.queues.setDue(item);
      this.#earliest = Math.min(this.#earliest, deadline);
    }
  }

  #turn(item: number): void {
    const parked = this.#parked;
    const kind = parked.kind(item);
    if (kind === ParkedKind.walk) {
      this.#turnWalk(item);
      return;
    }
    const unit = this.#unitOf(item);
    const isWalking = kind === ParkedKind.start || kind === ParkedKind.together;
    if (isWalking) this.#turnStart(item, unit);
    else this.#turnHere(item, unit);
  }

  /** Valid until the next call. */
  #unitOf(item: number): WalkingUnit {
    const parked = this.#parked;
    const batchKind = parked.batchKind(item);
    const kind = parked.kind(item);
    if (kind === ParkedKind.event || kind === ParkedKind.start) {
      this.#mark[0] = parked.mark(item);
      const events = parked.page(item);
      return { kind: batchKind, events, at: parked.offset(item), marks: this.#mark, n: 1 };
    }
    const { events, marks } = parked.body(item);
    return { kind: batchKind, events, at: 0, marks, n: marks.length };
  }

  #turnWalk(item: number): void {
    const body = this.#parked.body(item).events;
    if (!this.#parts.walks.canVisit(body, item)) return;
    this.#leave(item, unitOfWalk(body));
    this.#parked.remove(item);
    this.#parts.walks.visit(body);
  }

  /** A unit of this shard alone. */
  #turnHere(item: number, unit: WalkingUnit): void {
    const parked = this.#parked;
    const request = { slot: parked.request(item), row: parked.requestRow(item) };
    const isLate = this.#isLate(request.slot);
    const isFree = this.isFree(unit, item);
    if (!isFree && (isLate || !this.#ride(item, unit, request))) return;
    this.#leave(item, unit);
    if (isLate) this.#giveUp(unit, request);
    else if (isFree) this.executeHere(unit, request);
    parked.remove(item);
  }

  /** Whether the unit goes with a walk that begins in this group and has its keys. Expiries wait. */
  #ride(item: number, unit: WalkingUnit, request: WalkingRequest): boolean {
    const { group, walks } = this.#parts;
    if (!group.hasRiders || request.slot === NO_REQUEST) return false;
    return walks.start(unit, request, item);
  }

  #turnStart(item: number, unit: WalkingUnit): void {
    const parked = this.#parked;
    const request = { slot: parked.request(item), row: parked.requestRow(item) };
    const isLate = this.#isLate(request.slot);
    if (!isLate && !this.#parts.walks.start(unit, request, item)) return;
    this.#leave(item, unit);
    if (isLate) this.#giveUp(unit, request);
    parked.remove(item);
  }

  #isLate(slot: number): boolean {
    return slot !== NO_REQUEST && this.#parts.requests.isLate(slot);
  }

  /** Executes a unit of this shard whose keys are free, and settles its events. */
  executeHere(unit: WalkingUnit, request: WalkingRequest): void {
    const { units, outcomes, requests } = this.#parts;
    const { kind, events, at, marks, n } = unit;
    if (events !== this.#events) {
      this.#events = events;
      this.#halves = new Uint16Array(events.buffer, events.byteOffset, events.length * 2);
    }
    this.#columns.openRows(kind, events, this.#halves, at, n);
    units.open(this.#columns, null);
    units.execute(marks, 0, n, -1);
    for (let i = 0; i < n; i++) {
      const status = units.statuses[i]!;
      const low = units.stamps[2 * i]!;
      const high = units.stamps[2 * i + 1]!;
      // Nobody asked for an expiry.
      outcomes.count(request.slot === NO_REQUEST ? BatchKind.ids : kind, status);
      outcomes.note(status, low, high);
      if (request.slot !== NO_REQUEST) {
        requests.settle(request.slot, request.row + i, status, low, high);
      }
    }
  }

  /** The deadline of its request has passed: nothing of the unit is started. */
  #giveUp(unit: WalkingUnit, request: WalkingRequest): void {
    const { ledger, requests, outcomes } = this.#parts;
    for (let i = 0; i < unit.n; i++) {
      ledger.tick();
      const { stampLow, stampHigh } = ledger;
      outcomes.note(EventState.notStarted, stampLow, stampHigh);
      requests.settle(request.slot, request.row + i, EventState.notStarted, stampLow, stampHigh);
    }
  }

  // ---- For snapshots.

  save(out: StateWriter): void {
    out.put(this.pumpAgain ? 1 : 0);
    this.#parked.save(out);
  }

  /** The claims have been loaded, the requests have not. Everybody is due once: a turn for which nothing has changed does nothing. */
  load(from: StateReader): void {
    this.pumpAgain = from.take() === 1;
    const parked = this.#parked;
    parked.load(from);
    for (let item = parked.first; item !== -1; item = parked.next(item)) {
      const isWalk = parked.kind(item) === ParkedKind.walk;
      this.#await(item, isWalk ? unitOfWalk(parked.body(item).events) : this.#unitOf(item));
      this.#parts.claims.queues.setDue(item);
    }
    this.#earliest = 0;
  }

  /** Calls back with every parked transfer event: its buffer and where it lies. */
  forEachTransfer(visit: (words: Uint32Array, at: number) => void): void {
    const parked = this.#parked;
    for (let item = parked.first; item !== -1; item = parked.next(item)) {
      if (parked.batchKind(item) === BatchKind.accounts) continue;
      const unit =
        parked.kind(item) === ParkedKind.walk
          ? unitOfWalk(parked.body(item).events)
          : this.#unitOf(item);
      for (let i = 0; i < unit.n; i++) visit(unit.events, unit.at + i * ROW_WORDS);
    }
  }
}

const NO_MARKS = new Uint8Array(0);

/** The events of a walk's message, in place; only its keys are asked of it. */
function unitOfWalk(body: Uint32Array): WalkingUnit {
  const n = body[LinkHead.rows]!;
  const marks = new Uint8Array(n);
  for (let i = 0; i < n; i++) marks[i] = markOf(body, i);
  const kind = body[WalkHead.batchKind]! as BatchKind;
  return { kind, events: body, at: LINK_HEAD_WORDS, marks, n };
}
