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
import { type BatchKind, ROW_WORDS } from './batch.ts';
import { AWAITED, OWNER_AWAY, type Claims } from './claims.ts';
import { addPath, EventKeys, KeyKind } from './event-keys.ts';
import { positionState, TransferState } from './ledger.ts';
import { WALK_EVENTS_MAX } from './limits.ts';
import {
  ApplyHead,
  FAILED_WORDS,
  LINK_HEAD_WORDS,
  LinkHead,
  LinkKind,
  NEWEST_WORDS,
  nextShard,
  OUTCOME_WORDS,
  RECORD_WORDS,
  WalkHead,
  WordList,
  type Outgoing,
} from './link-message.ts';
import { BLOCK_ROWS, LookAhead } from './look-ahead.ts';
import { NO_REQUEST, type OpenRequests } from './open-requests.ts';
import type { StateReader, StateWriter } from './state-words.ts';
import { WalkApply } from './walk-apply.ts';
import { WalkDecision, type DecisionParts } from './walk-decision.ts';
import { loadWalks, saveWalks, type Walk } from './walk-image.ts';

const KEY_WORDS = 5;
const SPARE_DRAFTS_MAX = 4;

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
  readonly isScan: boolean;
}

/** A walk that begins in this group, and may still be joined. */
interface Draft {
  number: number;
  kind: BatchKind;
  pathLow: number;
  pathHigh: number;
  readonly events: WordList;
  readonly marks: WordList;
  /** {request slot, row} for each event. */
  readonly requests: WordList;
  /** {id 4, kind} for each key. */
  readonly keys: WordList;
  rows: number;
}

type WalkParts = Omit<DecisionParts, 'outgoing'> & {
  readonly claims: Claims;
  readonly requests: OpenRequests;
};

export class Walks {
  readonly #parts: WalkParts;
  readonly outgoing: Outgoing[] = [];
  readonly #walks = new Map<number, Walk>();
  #drafts: Draft[] = [];
  /** Walks that began here, ever. */
  begun = 0;
  /** Claims were freed in this group: somebody parked may have a turn. */
  freed = false;
  readonly #body = new WordList();
  /** What a walk carries on, put together. */
  readonly #lists: CarriedLists = {
    accounts: new WordList(),
    records: new WordList(),
    failed: new WordList(),
    newest: new WordList(),
  };
  /** Drafts whose walks have set out: their lists are used again. */
  readonly #spareDrafts: Draft[] = [];
  readonly #record = new Uint32Array(ROW_WORDS);
  readonly #pathOfUnit = { low: 0, high: 0 };
  readonly #eventKeys: EventKeys;
  readonly #lookAhead: LookAhead;
  readonly #decision: WalkDecision;
  readonly #apply: WalkApply;

  constructor(parts: WalkParts) {
    this.#parts = parts;
    const { outgoing } = this;
    this.#eventKeys = new EventKeys(parts.ledger);
    this.#lookAhead = new LookAhead(parts.ledger);
    this.#decision = new WalkDecision({ ...parts, outgoing });
    this.#apply = new WalkApply(parts);
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

  /**
   * Takes a unit into the walk that begins in this group, if its keys are free or that walk's own. False when it has to wait. This shard is the
   * lowest that the unit spans.
   */
  start(unit: WalkingUnit, request: WalkingRequest): boolean {
    const path = this.#path(unit);
    let draft: Draft | null = null;
    const keys = this.#eventKeys;
    for (let i = 0; i < unit.n; i++) {
      keys.collect(unit.kind, unit.events, unit.at + i * ROW_WORDS, unit.marks[i]!);
      for (let key = 0; key < keys.count; key++) {
        const owner = this.#parts.claims.ownerUnlessAwaited(
          keys.words[key]!,
          keys.at[key]!,
          keys.kinds[key]!,
          request.isScan,
        );
        if (owner === AWAITED) return false;
        if (owner === 0) continue;
        const found = this.#draftOf(owner);
        if (found === null || (draft !== null && draft !== found)) return false;
        draft = found;
      }
    }
    if (draft !== null && !fits(draft, unit, path)) return false;
    draft ??= this.#draftFor(unit, path) ?? this.#newDraft(unit.kind, path);
    this.#join(draft, unit, request);
    return true;
  }

  #draftOf(number: number): Draft | null {
    for (const draft of this.#drafts) if (draft.number === number) return draft;
    return null;
  }

  #draftFor(unit: WalkingUnit, path: Path): Draft | null {
    for (const draft of this.#drafts) if (fits(draft, unit, path)) return draft;
    return null;
  }

  #newDraft(kind: BatchKind, path: Path): Draft {
    const draft: Draft = this.#spareDrafts.pop() ?? {
      number: 0,
      kind,
      pathLow: 0,
      pathHigh: 0,
      events: new WordList(),
      marks: new WordList(),
      requests: new WordList(),
      keys: new WordList(),
      rows: 0,
    };
    draft.number = ++this.begun;
    draft.kind = kind;
    draft.pathLow = path.low;
    draft.pathHigh = path.high;
    draft.rows = 0;
    for (const list of [draft.events, draft.marks, draft.requests, draft.keys]) list.length = 0;
    assert(draft.number < OWNER_AWAY, 'walk numbers fit into a word');
    this.#drafts.push(draft);
    return draft;
  }

  #join(draft: Draft, unit: WalkingUnit, request: WalkingRequest): void {
    const { n } = unit;
    draft.events.append(unit.events, unit.at, n * ROW_WORDS);
    for (let i = 0; i < n; i++) {
      const at = draft.marks.extend(1);
      draft.marks.words[at] = unit.marks[i]!;
      const pair = draft.requests.extend(2);
      draft.requests.words[pair] = request.slot;
      draft.requests.words[pair + 1] = request.row + i;
      this.#eventKeys.collect(unit.kind, unit.events, unit.at + i * ROW_WORDS, unit.marks[i]!);
      this.#claimKeys(draft.number, draft.keys);
    }
    draft.rows += n;
  }

  /** Claims the keys that were collected last. */
  #claimKeys(owner: number, list: WordList): void {
    const keys = this.#eventKeys;
    for (let key = 0; key < keys.count; key++) {
      const words = keys.words[key]!;
      const at = keys.at[key]!;
      const kind = keys.kinds[key]!;
      if (!this.#parts.claims.claim(words, at, kind, owner)) continue;
      const to = list.extend(KEY_WORDS);
      for (let w = 0; w < 4; w++) list.words[to + w] = words[at + w]!;
      list.words[to + 4] = kind;
    }
  }

  /** Valid until the next call. */
  #path({ kind, events, at, n }: WalkingUnit): Path {
    const { shards } = this.#parts.ledger;
    const path = this.#pathOfUnit;
    path.low = 0;
    path.high = 0;
    for (let i = 0; i < n; i++) {
      addPath(path, kind, events, { at: at + i * ROW_WORDS, shards });
    }
    return path;
  }

  /** At the end of the group: the drafts set out. */
  setOut(): void {
    for (const draft of this.#drafts) {
      const { shard } = this.#parts.ledger;
      const body = this.#body;
      body.length = 0;
      const head = body.extend(LINK_HEAD_WORDS);
      body.words.fill(0, head, head + LINK_HEAD_WORDS);
      body.words[LinkHead.kind] = LinkKind.walk;
      body.words[LinkHead.rows] = draft.rows;
      body.words[LinkHead.first] = shard;
      body.words[LinkHead.walk] = draft.number;
      body.words[WalkHead.pathLow] = draft.pathLow;
      body.words[WalkHead.pathHigh] = draft.pathHigh;
      body.words[WalkHead.batchKind] = draft.kind;
      body.append(draft.events.words, 0, draft.events.length);
      body.append(draft.marks.words, 0, draft.marks.length);
      this.#forward(body.view(), draft.keys.copy(), draft.requests.copy());
      if (this.#spareDrafts.length < SPARE_DRAFTS_MAX) this.#spareDrafts.push(draft);
    }
    this.#drafts = [];
  }

  // ---- A walk on its way.

  /** Whether the keys of an arriving walk are free here. */
  canVisit(body: Uint32Array, isScan: boolean): boolean {
    const rows = body[LinkHead.rows]!;
    const kind = body[WalkHead.batchKind]! as BatchKind;
    const keys = this.#eventKeys;
    for (let i = 0; i < rows; i++) {
      keys.collect(kind, body, LINK_HEAD_WORDS + i * ROW_WORDS, markOf(body, i));
      for (let key = 0; key < keys.count; key++) {
        const words = keys.words[key]!;
        if (!this.#parts.claims.isFree(words, keys.at[key]!, keys.kinds[key]!, isScan))
          return false;
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
      this.#decision.decide(body);
      return;
    }
    const kind = body[WalkHead.batchKind]! as BatchKind;
    const keys = new WordList();
    for (let i = 0; i < rows; i++) {
      this.#eventKeys.collect(kind, body, LINK_HEAD_WORDS + i * ROW_WORDS, markOf(body, i));
      this.#claimKeys(OWNER_AWAY, keys);
    }
    this.#forward(body, keys.copy(), null);
  }

  /** Adds what this shard has of the claimed keys to what the walk carries, and sends it to the next shard. */
  #forward(body: Uint32Array, keys: Uint32Array, requests: Uint32Array | null): void {
    const { ledger } = this.#parts;
    const rows = body[LinkHead.rows]!;
    const from = LINK_HEAD_WORDS + rows * (ROW_WORDS + 1);
    const lists = this.#carriedSoFar(body, from);
    for (let key = 0; key < keys.length; key += KEY_WORDS) {
      if (key % (BLOCK_ROWS * KEY_WORDS) === 0) {
        this.#lookAhead.keys(keys, key, KEY_WORDS, (keys.length - key) / KEY_WORDS);
      }
      this.#carry(keys, key, lists);
    }
    const { accounts, records, failed, newest } = lists;
    const out = new Uint32Array(
      from + accounts.length + records.length + failed.length + newest.length,
    );
    out.set(body.subarray(0, from));
    out[WalkHead.accounts] = accounts.length / ROW_WORDS;
    out[WalkHead.records] = records.length / RECORD_WORDS;
    out[WalkHead.failed] = failed.length / FAILED_WORDS;
    out[WalkHead.newest] = newest.length / NEWEST_WORDS;
    let to = from;
    for (const list of [accounts, records, failed, newest]) {
      out.set(list.words.subarray(0, list.length), to);
      to += list.length;
    }
    const low = body[WalkHead.pathLow]!;
    const high = body[WalkHead.pathHigh]!;
    const first = body[LinkHead.first]!;
    const number = body[LinkHead.walk]!;
    this.#walks.set(walkKey(first, number), {
      first,
      number,
      keys,
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

  /** What the walk carries so far. */
  #carriedSoFar(body: Uint32Array, from: number): CarriedLists {
    const lists = this.#lists;
    let at = from;
    const take = (list: WordList, count: number): void => {
      list.length = 0;
      list.append(body, at, count);
      at += count;
    };
    take(lists.accounts, body[WalkHead.accounts]! * ROW_WORDS);
    take(lists.records, body[WalkHead.records]! * RECORD_WORDS);
    take(lists.failed, body[WalkHead.failed]! * FAILED_WORDS);
    take(lists.newest, body[WalkHead.newest]! * NEWEST_WORDS);
    return lists;
  }

  #carry(keys: Uint32Array, key: number, lists: CarriedLists): void {
    const { ledger, units } = this.#parts;
    const kind = keys[key + 4]!;
    if (kind === KeyKind.account) {
      const row = ledger.accountIndex.find(keys, key, ledger.accountIndex.hash(keys, key));
      if (row === -1) return;
      ledger.accounts.copyRow(row, this.#record, 0);
      lists.accounts.append(this.#record, 0, ROW_WORDS);
      return;
    }
    if (kind !== KeyKind.transfer) {
      const newest = kind === KeyKind.importAccounts ? ledger.newestAccount : ledger.newestTransfer;
      const to = lists.newest.extend(NEWEST_WORDS);
      lists.newest.words.set([ledger.shard, newest[0]!, newest[1]!, 0], to);
      return;
    }
    const index = ledger.transferIndex;
    const slot = index.find(keys, key, index.hash(keys, key));
    if (slot === -1) return;
    const state = positionState(index.valueHigh(slot));
    if (state === TransferState.failed) {
      const to = lists.failed.extend(FAILED_WORDS);
      for (let w = 0; w < 4; w++) lists.failed.words[to + w] = keys[key + w]!;
      lists.failed.words[to + 4] = ledger.shard;
      lists.failed.words[to + 5] = 0;
      return;
    }
    units.transferRules.store.copyAt(slot, keys, key, this.#record);
    const to = lists.records.extend(RECORD_WORDS);
    for (let w = 0; w < ROW_WORDS; w++) lists.records.words[to + w] = this.#record[w]!;
    lists.records.words[to + 32] = state;
    lists.records.words[to + 33] = 0;
  }

  // ---- Apply.

  apply(body: Uint32Array, message: number): void {
    const { ledger, claims } = this.#parts;
    const key = walkKey(body[message + LinkHead.first]!, body[message + LinkHead.walk]!);
    const walk = this.#walks.get(key);
    assert(walk !== undefined, 'a decision comes back to a walk under way');
    for (let at = 0; at < walk.keys.length; at += KEY_WORDS) {
      claims.release(walk.keys, at, walk.keys[at + 4]!);
    }
    this.freed = true;
    const at = this.#apply.apply(body, message);
    if (walk.first === ledger.shard) {
      walk.outcomes = body.slice(at, at + body[message + ApplyHead.outcomes]! * OUTCOME_WORDS);
      this.#answer(walk);
      return;
    }
    this.#walks.delete(key);
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
    this.#walks.delete(walkKey(walk.first, walk.number));
  }

  save(out: StateWriter): void {
    assert(this.#drafts.length === 0 && !this.freed, 'an image begins between two groups');
    out.put(this.begun);
    saveWalks(this.#walks, out);
  }

  load(from: StateReader): void {
    this.begun = from.take();
    for (const walk of loadWalks(from)) this.#walks.set(walkKey(walk.first, walk.number), walk);
  }

  /** For the digest: what is under way, in canonical order. */
  digest(mix: (words: Uint32Array, at: number, count: number) => number): number {
    let sum = this.begun;
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

/** The shards of a walk, as a mask of two words. */
interface Path {
  readonly low: number;
  readonly high: number;
}

/** Whether the unit may join the draft. */
function fits(draft: Draft, { kind, n }: WalkingUnit, { low, high }: Path): boolean {
  return (
    draft.kind === kind &&
    draft.pathLow === low &&
    draft.pathHigh === high &&
    draft.rows + n <= WALK_EVENTS_MAX
  );
}

interface CarriedLists {
  readonly accounts: WordList;
  readonly records: WordList;
  readonly failed: WordList;
  readonly newest: WordList;
}

/** The mark of an event of a walk. */
export function markOf(body: Uint32Array, i: number): number {
  return body[LINK_HEAD_WORDS + body[LinkHead.rows]! * ROW_WORDS + i]!;
}

function walkKey(first: number, number: number): number {
  return first * 4294967296 + number;
}

function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}
