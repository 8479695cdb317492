/**
 * What waits for its turn: rows whose keys are claimed by a walk or awaited by somebody earlier, and walks that found their keys taken. First
 * come, first served for each key. When claims have been freed, every parked item has its turn, in order, at the end of the group; one that
 * still waits holds back the later ones with a common key.
 */
import { BatchKind, Columns, ROW_WORDS } from './batch.ts';
import { isOwnKey, KeyKind, keyKind, KEYS_PER_EVENT, type Claims } from './claims.ts';
import { createAccount } from './create-account.ts';
import type { TransferRules } from './create-transfer.ts';
import type { Group } from './group.ts';
import type { Ledger } from './ledger.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';
import { LINK_HEAD_WORDS, LinkHead } from './link-message.ts';
import type { OpenRequests } from './open-requests.ts';
import { Parked, ParkedKind } from './parked.ts';
import { EventState, TransferStatus } from './status.ts';
import type { Walks } from './walk.ts';

interface WaitingParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly claims: Claims;
  readonly rules: TransferRules;
  readonly walks: Walks;
  readonly requests: OpenRequests;
  /** Takes note of every decision, for the frame. */
  readonly note: (status: number, low: number, high: number) => void;
  readonly countAccount: (status: number) => void;
  readonly countTransfer: (status: number) => void;
}

export class Waiting {
  readonly #parts: WaitingParts;
  readonly #parked = new Parked();
  readonly #columns = new Columns();
  readonly #row = new Uint32Array(ROW_WORDS);
  /** The last pump ended for want of room in its frame: the next group goes on, even without inputs. */
  pumpAgain = false;

  constructor(parts: WaitingParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#parked.count;
  }

  /** Parks one event of a request. */
  park(kind: ParkedKind, event: Uint32Array, slot: number, row: number): void {
    const item = this.#parked.add(kind, slot, row);
    const page = this.#parked.page(item);
    const to = this.#parked.offset(item);
    page.set(event, to);
    if (kind === ParkedKind.account) this.#parts.claims.await(page, to, KeyKind.account);
    else this.#forKeys(page, to, 1, 'await');
  }

  /** Parks events that are one walk together. */
  parkTogether(events: Uint32Array, slot: number): void {
    this.#parked.addWithBody(ParkedKind.together, slot, events);
    this.#forKeys(events, 0, events.length / ROW_WORDS, 'await');
  }

  /** Parks a walk that has come over a link. */
  parkWalk(body: Uint32Array): void {
    this.#parked.addWithBody(ParkedKind.walk, 0, body);
    this.#forKeys(body, LINK_HEAD_WORDS, body[LinkHead.rows]!, 'await');
  }

  /** Does something with every key of this shard that the events have. */
  #forKeys(events: Uint32Array, at: number, n: number, what: 'await' | 'leave' | 'mark'): void {
    for (let i = 0; i < n; i++) {
      const event = at + i * ROW_WORDS;
      for (let key = 0; key < KEYS_PER_EVENT; key++) {
        if (!isOwnKey(this.#parts.ledger, events, event, key)) continue;
        this.#parts.claims[what](events, event + key * 4, keyKind(key));
      }
    }
  }

  #areFree(events: Uint32Array, at: number): boolean {
    const claims = this.#parts.claims;
    return (
      claims.isFree(events, at, KeyKind.transfer, true) &&
      claims.isFree(events, at + 4, KeyKind.account, true) &&
      claims.isFree(events, at + 8, KeyKind.account, true)
    );
  }

  /** Gives every parked item its turn, in order, as far as its keys are free and the frame has room. */
  pump(): void {
    const parked = this.#parked;
    this.#parts.walks.freed = false;
    this.pumpAgain = false;
    this.#parts.claims.beginScan();
    let next = parked.first;
    while (next !== -1) {
      const item = next;
      next = parked.next(item);
      if (this.#parts.group.rowsLeft < BATCH_EVENTS_MAX) {
        this.pumpAgain = true;
        return;
      }
      this.#turn(item);
    }
  }

  #turn(item: number): void {
    const parked = this.#parked;
    const kind = parked.kind(item);
    switch (kind) {
      case ParkedKind.account:
        this.#turnAccount(item);
        return;
      case ParkedKind.transfer:
        this.#turnTransfer(item);
        return;
      case ParkedKind.start:
        this.#turnStart(item, parked.page(item), parked.offset(item), 1);
        return;
      case ParkedKind.together:
        this.#turnStart(item, parked.body(item), 0, parked.body(item).length / ROW_WORDS);
        return;
      case ParkedKind.walk: {
        const body = parked.body(item);
        const rows = body[LinkHead.rows]!;
        if (!this.#parts.walks.canVisit(body, 0, true)) {
          this.#forKeys(body, LINK_HEAD_WORDS, rows, 'mark');
          return;
        }
        this.#forKeys(body, LINK_HEAD_WORDS, rows, 'leave');
        parked.remove(item);
        this.#parts.walks.visit(body);
      }
    }
  }

  #turnAccount(item: number): void {
    const parked = this.#parked;
    const page = parked.page(item);
    const at = parked.offset(item);
    if (!this.#parts.claims.isFree(page, at, KeyKind.account, true)) {
      this.#parts.claims.mark(page, at, KeyKind.account);
      return;
    }
    this.#parts.claims.leave(page, at, KeyKind.account);
    this.#parts.ledger.tick();
    const request = parked.request(item);
    let status: number = EventState.notStarted;
    if (!this.#parts.requests.isLate(request)) {
      this.#openParked(BatchKind.accounts, page, at);
      status = createAccount(this.#parts.ledger, this.#columns, 0);
      this.#parts.countAccount(status);
    }
    this.#finish(item, status);
  }

  #turnTransfer(item: number): void {
    const parked = this.#parked;
    const page = parked.page(item);
    const at = parked.offset(item);
    if (!this.#areFree(page, at)) {
      this.#forKeys(page, at, 1, 'mark');
      return;
    }
    this.#forKeys(page, at, 1, 'leave');
    this.#parts.ledger.tick();
    let status: number = EventState.notStarted;
    if (!this.#parts.requests.isLate(parked.request(item))) {
      this.#openParked(BatchKind.transfers, page, at);
      this.#parts.rules.open(this.#columns, false);
      const index = this.#parts.ledger.transferIndex;
      const hash = index.hash(page, at);
      const place = index.search(page, at, hash);
      status = this.#parts.rules.create(0, this.#parts.group.nextDerivedRow(), hash, place);
      this.#parts.countTransfer(status);
      if (status === TransferStatus.created) {
        this.#columns.copyRow(0, this.#row, 0);
        this.#row[30] = this.#parts.ledger.clockLow;
        this.#row[31] = this.#parts.ledger.clockHigh;
        this.#parts.group.derive(this.#row, 0);
      }
    }
    this.#finish(item, status);
  }

  #openParked(kind: BatchKind, page: Uint32Array, at: number): void {
    this.#columns.openRows(kind, page, new Uint16Array(page.buffer), at, 1);
  }

  #finish(item: number, status: number): void {
    const { stampLow, stampHigh } = this.#parts.ledger;
    const slot = this.#parked.request(item);
    const row = this.#parked.requestRow(item);
    this.#parked.remove(item);
    this.#parts.note(status, stampLow, stampHigh);
    this.#parts.requests.settle(slot, row, status, stampLow, stampHigh);
  }

  #turnStart(item: number, events: Uint32Array, at: number, n: number): void {
    const parked = this.#parked;
    const slot = parked.request(item);
    const row = parked.requestRow(item);
    const isLate = this.#parts.requests.isLate(slot);
    if (!isLate && !this.#parts.walks.start(events, at, n, { slot, row, isScan: true })) {
      this.#forKeys(events, at, n, 'mark');
      return;
    }
    this.#forKeys(events, at, n, 'leave');
    parked.remove(item);
    if (!isLate) return;
    for (let i = 0; i < n; i++) {
      this.#parts.ledger.tick();
      const { stampLow, stampHigh } = this.#parts.ledger;
      this.#parts.note(EventState.notStarted, stampLow, stampHigh);
      this.#parts.requests.settle(slot, row + i, EventState.notStarted, stampLow, stampHigh);
    }
  }

  /** Calls back with where the ids of everything parked lie. */
  forEachId(visit: (words: Uint32Array, at: number) => void): void {
    const parked = this.#parked;
    for (let item = parked.first; item !== -1; item = parked.next(item)) {
      switch (parked.kind(item)) {
        case ParkedKind.account:
          break;
        case ParkedKind.transfer:
        case ParkedKind.start:
          visit(parked.page(item), parked.offset(item));
          break;
        case ParkedKind.together:
          visitEvents(parked.body(item), 0, parked.body(item).length / ROW_WORDS, visit);
          break;
        case ParkedKind.walk: {
          const body = parked.body(item);
          visitEvents(body, LINK_HEAD_WORDS, body[LinkHead.rows]!, visit);
          break;
        }
      }
    }
  }
}

function visitEvents(
  words: Uint32Array,
  at: number,
  n: number,
  visit: (words: Uint32Array, at: number) => void,
): void {
  for (let i = 0; i < n; i++) visit(words, at + i * ROW_WORDS);
}
