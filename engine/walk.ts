/**
 * Work across shards: claim, decide, apply. A walk is a list of transfers; it visits the shards of its accounts in ascending order. Each
 * claims the accounts and ids that are its own and adds their rows and records; the last one runs the ordinary rules on all of it, which is
 * the commit point, and sends the changes back; the others apply them and free what was claimed; the first one answers when all have.
 *
 * Ascending order excludes deadlock. A shard never waits for an answer: what it must remember is in `#walks`.
 * Walks that could start in the same group and have the same way become one, in order of arrival, so that a hot account costs a walk for
 * each group commit and not for each transfer.
 *
 * Called by the state machine, which decides when something may start (`claims`, `parked`); knows nothing of requests but their slots.
 */
import { assert } from './assert.ts';
import { type BatchKind, type Columns, ROW_WORDS } from './batch.ts';
import { OWNER_AWAY, type Claims, type HeldKeys } from './claims.ts';
import { DraftWalks, type Draft, type RowsKnown } from './draft-walks.ts';
import { EventKeys } from './event-keys.ts';
import {
  ApplyHead,
  countBits,
  LINK_HEAD_WORDS,
  LinkHead,
  LinkKind,
  MessageForm,
  nextShard,
  OUTCOME_WORDS,
  WalkHead,
  WordList,
  type Outgoing,
} from './link-message.ts';
import { BLOCK_ROWS, LookAhead } from './look-ahead.ts';
import { MessagePool } from './message-pool.ts';
import { NO_REQUEST, type OpenRequests } from './open-requests.ts';
import type { StateReader, StateWriter } from './state-words.ts';
import { appendThin, evenOut, widen } from './thin-rows.ts';
import { WalkApply } from './walk-apply.ts';
import { WalkDecision, type DecisionParts } from './walk-decision.ts';
import { loadWalks, saveWalks, type Walk } from './walk-image.ts';
import { WalkLoad } from './walk-load.ts';

/** Events that set out together, with their marks; all accounts or all transfers. 32 words each at `at`. */
export interface WalkingUnit {
  readonly kind: BatchKind;
  readonly events: Uint32Array;
  readonly at: number;
  readonly marks: Uint8Array;
  readonly n: number;
}

/** Whom to answer: the slot of a request, and the row of the first event in it. `NO_REQUEST`: nobody asked. */
export interface WalkingRequest {
  readonly slot: number;
  readonly row: number;
}

type WalkParts = Omit<DecisionParts, 'outgoing'> & {
  readonly claims: Claims;
  readonly requests: OpenRequests;
};

export class Walks {
  readonly #parts: WalkParts;
  readonly outgoing: Outgoing[] = [];
  readonly #walks = new Map<number, Walk>();
  /** The words that walks under way are remembered by. */
  readonly #pool = new MessagePool();
  readonly #drafts: DraftWalks;
  /** Claims were freed in this group: somebody parked may have a turn. */
  freed = false;
  readonly #load: WalkLoad;
  readonly #events = new WordList();
  readonly #eventKeys: EventKeys;
  readonly #lookAhead: LookAhead;
  readonly #decision: WalkDecision;
  readonly #apply: WalkApply;

  constructor(parts: WalkParts) {
    this.#parts = parts;
    const { outgoing } = this;
    this.#drafts = new DraftWalks(parts);
    this.#load = new WalkLoad(parts);
    this.#eventKeys = new EventKeys(parts.ledger, parts.claims.seed);
    this.#lookAhead = new LookAhead(parts.ledger);
    this.#decision = new WalkDecision({ ...parts, outgoing });
    this.#apply = new WalkApply(parts);
    parts.claims.held = () => this.#held();
  }

  *#held(): Iterable<HeldKeys> {
    const { shard } = this.#parts.ledger;
    for (const { keys, rows, places, first, number } of this.#walks.values()) {
      yield { keys, rows, places, owner: first === shard ? number : OWNER_AWAY };
    }
    yield* this.#drafts.held();
  }

  get underWay(): number {
    return this.#walks.size;
  }

  /** Nothing of this shard will be decided at or before this time, ns; undefined when no walk is under way here. */
  get since(): bigint | undefined {
    let least: bigint | undefined;
    for (const { sinceLow, sinceHigh } of this.#walks.values()) {
      const since = (BigInt(sinceHigh) << 32n) | BigInt(sinceLow);
      if (least === undefined || since < least) least = since;
    }
    return least;
  }

  // ---- Start: events of this shard's requests join a draft, and claim their keys at once.

  /** See `DraftWalks`. */
  start(unit: WalkingUnit, request: WalkingRequest, item: number): boolean {
    return this.#drafts.start(unit, request, item);
  }

  // Hot path.
  // oxlint-disable-next-line max-params -- As there.
  startRows(columns: Columns, from: number, to: number, known: RowsKnown, slot: number): boolean {
    return this.#drafts.startRows(columns, from, to, known, slot);
  }

  /** At the end of the group: the drafts set out. */
  setOut(): void {
    this.#drafts.setOut((draft) => this.#send(draft));
  }

  #send(draft: Draft): void {
    const { events, marks, load, requests } = draft;
    const isThin = this.#parts.group.hasThinRows;
    if (isThin) evenOut(events);
    else widen(events, draft.rows, ROW_WORDS);
    load.finish(isThin);
    const from = LINK_HEAD_WORDS + events.length + marks.length;
    const out = this.#parts.messages.take(from + load.wordLength);
    out.fill(0, 0, LINK_HEAD_WORDS);
    out[LinkHead.kind] = LinkKind.walk;
    out[LinkHead.rows] = draft.rows;
    out[LinkHead.first] = this.#parts.ledger.shard;
    out[LinkHead.walk] = draft.number;
    out[WalkHead.pathLow] = draft.pathLow;
    out[WalkHead.pathHigh] = draft.pathHigh;
    out[WalkHead.batchKind] = draft.kind;
    out[WalkHead.form] = isThin ? MessageForm.thin : MessageForm.whole;
    out.set(events.view(), LINK_HEAD_WORDS);
    out.set(marks.view(), LINK_HEAD_WORDS + events.length);
    this.#forward(out, from, load, this.#copyOf(requests.view()));
  }

  // ---- A walk on its way.

  /** Whether the keys of a walk that arrives, or is parked as an item, are free here. */
  canVisit(body: Uint32Array, item: number): boolean {
    const rows = body[LinkHead.rows]!;
    const kind = body[WalkHead.batchKind]! as BatchKind;
    const { claims } = this.#parts;
    if (claims.count === 0) return true;
    const keys = this.#eventKeys;
    for (let i = 0; i < rows; i++) {
      keys.collect(kind, body, LINK_HEAD_WORDS + i * ROW_WORDS, markOf(body, i));
      for (let key = 0; key < keys.count; key++) {
        if (!claims.isFree(keys, key, item)) return false;
      }
    }
    return true;
  }

  /** Claims and passes on, or, on the last shard, decides. */
  visit(body: Uint32Array): void {
    const rows = body[LinkHead.rows]!;
    if (
      nextShard(body[WalkHead.pathLow]!, body[WalkHead.pathHigh]!, this.#parts.ledger.shard) === -1
    ) {
      this.#decision.decide(body, this.#parts.walkBody.isOpen(body));
      return;
    }
    const from = LINK_HEAD_WORDS + rows * (ROW_WORDS + 1);
    const load = this.#load;
    load.receive(body, from);
    const kind = body[WalkHead.batchKind]! as BatchKind;
    for (let i = 0; i < rows; i++) {
      const at = LINK_HEAD_WORDS + i * ROW_WORDS;
      if (i % BLOCK_ROWS === 0) {
        this.#parts.group.onBlock();
        this.#lookAhead.events(kind, body, at, rows - i);
      }
      this.#eventKeys.collect(kind, body, at, markOf(body, i));
      load.claim(this.#eventKeys, OWNER_AWAY);
    }
    this.#passOn(body, rows);
  }

  /** Sends a walk of another shard on, with what it has claimed here. */
  #passOn(body: Uint32Array, rows: number): void {
    const { group, messages } = this.#parts;
    const load = this.#load;
    const events = this.#events;
    const isThin = group.hasThinRows;
    const end = LINK_HEAD_WORDS + rows * ROW_WORDS;
    events.length = 0;
    if (isThin) {
      for (let at = LINK_HEAD_WORDS; at < end; at += ROW_WORDS) {
        appendThin(events, body, at, ROW_WORDS);
      }
      evenOut(events);
    } else events.append(body, LINK_HEAD_WORDS, end - LINK_HEAD_WORDS);
    load.finish(isThin);
    const behind = LINK_HEAD_WORDS + events.length;
    const out = messages.take(behind + rows + load.wordLength);
    out.set(body.subarray(0, LINK_HEAD_WORDS));
    out[WalkHead.form] = isThin ? MessageForm.thin : MessageForm.whole;
    out.set(events.view(), LINK_HEAD_WORDS);
    out.set(body.subarray(end, end + rows), behind);
    this.#forward(out, behind + rows, load, null);
  }

  /** Sends a walk to its next shard: a message that is whole but for what it carries, which goes from `from` on. */
  #forward(out: Uint32Array, from: number, load: WalkLoad, requests: Uint32Array | null): void {
    const { ledger } = this.#parts;
    load.write(out, from);
    const low = out[WalkHead.pathLow]!;
    const high = out[WalkHead.pathHigh]!;
    const first = out[LinkHead.first]!;
    const number = out[LinkHead.walk]!;
    this.#walks.set(walkKey(first, number), {
      first,
      number,
      keys: this.#copyOf(load.keys.view()),
      rows: this.#copyOf(load.rows.view()),
      places: this.#copyOf(load.places.view()),
      requests,
      acknowledgements: countBits(low) + countBits(high) - 2,
      outcomes: null,
      sinceLow: ledger.clockLow,
      sinceHigh: ledger.clockHigh,
    });
    const next = nextShard(low, high, ledger.shard);
    assert(next !== -1, 'a walk that goes on has a next shard');
    this.outgoing.push({ to: next, body: out });
  }

  // ---- Apply.

  apply(body: Uint32Array, message: number): void {
    const { ledger, claims } = this.#parts;
    const key = walkKey(body[message + LinkHead.first]!, body[message + LinkHead.walk]!);
    const walk = this.#walks.get(key);
    assert(walk !== undefined, 'a decision comes back to a walk under way');
    claims.releaseAll(walk.keys, walk.rows, walk.places);
    this.freed = true;
    const at = this.#apply.apply(body, message, walk);
    if (walk.first === ledger.shard) {
      const end = at + body[message + ApplyHead.outcomes]! * OUTCOME_WORDS;
      walk.outcomes = this.#copyOf(body.subarray(at, end));
      this.#answer(walk);
      return;
    }
    this.#forget(walk);
    const ack = new Uint32Array(LINK_HEAD_WORDS);
    ack[LinkHead.kind] = LinkKind.ack;
    ack[LinkHead.first] = walk.first;
    ack[LinkHead.walk] = walk.number;
    this.outgoing.push({ to: walk.first, body: ack });
  }

  acknowledge(body: Uint32Array, message: number): void {
    const walk = this.#walks.get(
      walkKey(body[message + LinkHead.first]!, body[message + LinkHead.walk]!),
    );
    assert(walk !== undefined, 'an acknowledgement comes back to a walk under way');
    walk.acknowledgements--;
    this.#answer(walk);
  }

  #answer(walk: Walk): void {
    const { outcomes, requests } = walk;
    if (outcomes === null || walk.acknowledgements > 0) return;
    assert(requests !== null, 'the first shard knows whom to answer');
    assert(outcomes.length / OUTCOME_WORDS === requests.length / 2, 'an outcome for every event');
    for (let i = 0; i < requests.length / 2; i++) {
      const at = i * OUTCOME_WORDS;
      if (requests[2 * i] === NO_REQUEST) continue;
      const low = outcomes[at + 1]!;
      const high = outcomes[at + 2]!;
      this.#parts.requests.settle(requests[2 * i]!, requests[2 * i + 1]!, outcomes[at]!, low, high);
    }
    this.#forget(walk);
  }

  #copyOf(words: Uint32Array): Uint32Array {
    const copy = this.#pool.take(words.length);
    copy.set(words);
    return copy;
  }

  #forget({ first, number, keys, rows, places, requests, outcomes }: Walk): void {
    this.#walks.delete(walkKey(first, number));
    for (const words of [keys, rows, places, requests, outcomes]) {
      if (words !== null) this.#pool.give(words);
    }
  }

  save(out: StateWriter): void {
    assert(this.#drafts.count === 0 && !this.freed, 'an image begins between two groups');
    out.put(this.#drafts.begun);
    saveWalks(this.#walks, out);
  }

  load(from: StateReader): void {
    this.#drafts.begun = from.take();
    for (const walk of loadWalks(from)) this.#walks.set(walkKey(walk.first, walk.number), walk);
  }

  /** For the digest: what is under way, in canonical order. */
  digest(mix: (words: Uint32Array, at: number, count: number) => number): number {
    let sum = this.#drafts.begun;
    for (const [, walk] of [...this.#walks].toSorted(([a], [b]) => a - b)) {
      const head = Uint32Array.of(
        walk.first,
        walk.number,
        walk.acknowledgements,
        walk.outcomes?.length ?? 0,
      );
      sum = (Math.imul(sum, 31) + mix(head, 0, 4) + mix(walk.keys, 0, walk.keys.length)) | 0;
    }
    return sum >>> 0;
  }
}

/** The mark of an event of a walk. */
export function markOf(body: Uint32Array, i: number): number {
  return body[LINK_HEAD_WORDS + body[LinkHead.rows]! * ROW_WORDS + i]!;
}

function walkKey(first: number, number: number): number {
  return first * 4294967296 + number;
}
