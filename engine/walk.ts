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
import { ROW_WORDS } from './batch.ts';
import {
  AWAITED,
  isOwnKey,
  KeyKind,
  keyKind,
  KEYS_PER_EVENT,
  OWNER_AWAY,
  type Claims,
} from './claims.ts';
import {
  positionHigh,
  positionRow,
  positionSequence,
  positionState,
  TransferState,
} from './ledger.ts';
import { WALK_EVENTS_MAX } from './limits.ts';
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
import type { OpenRequests } from './open-requests.ts';
import { shardOf } from './placement.ts';
import type { RecordShelf } from './record-shelf.ts';
import { WalkDecision, type DecisionParts } from './walk-decision.ts';

const KEY_WORDS = 5;

/** A walk that begins in this group, and may still be joined. */
interface Draft {
  readonly number: number;
  readonly pathLow: number;
  readonly pathHigh: number;
  readonly events: WordList;
  /** {request slot, row} for each event. */
  readonly requests: WordList;
  /** {id 4, kind} for each key. */
  readonly keys: WordList;
  rows: number;
}

/** A walk that has claimed keys here. */
interface Walk {
  readonly first: number;
  readonly number: number;
  readonly keys: Uint32Array;
  /** On the first shard: whom to answer, and what is still missing. */
  readonly requests: Uint32Array | null;
  acknowledgements: number;
  outcomes: Uint32Array | null;
}

type WalkParts = Omit<DecisionParts, 'outgoing'> & {
  readonly claims: Claims;
  readonly shelf: RecordShelf;
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
  readonly #record = new Uint32Array(ROW_WORDS);
  readonly #decision: WalkDecision;

  constructor(parts: WalkParts) {
    this.#parts = parts;
    const { outgoing } = this;
    this.#decision = new WalkDecision({ ...parts, outgoing });
  }

  get underWay(): number {
    return this.#walks.size;
  }

  // ---- Start: events of this shard's requests join a draft, and claim their keys at once.

  /**
   * Takes n events (32 words each at `at`) of a request into the walk that begins in this group, if their keys are free or that walk's
   * own. False when they have to wait.
   */
  start(
    events: Uint32Array,
    at: number,
    n: number,
    request: { readonly slot: number; readonly row: number; readonly isScan: boolean },
  ): boolean {
    const path = this.#path(events, at, n);
    let draft: Draft | null = null;
    for (let i = 0; i < n; i++) {
      const event = at + i * ROW_WORDS;
      for (let key = 0; key < KEYS_PER_EVENT; key++) {
        if (!isOwnKey(this.#parts.ledger, events, event, key)) continue;
        const kind = keyKind(key);
        const word = event + key * 4;
        const owner = this.#parts.claims.ownerUnlessAwaited(events, word, kind, request.isScan);
        if (owner === AWAITED) return false;
        if (owner === 0) continue;
        const found: Draft | undefined = this.#drafts.find((one) => one.number === owner);
        if (found === undefined || (draft !== null && draft !== found)) return false;
        draft = found;
      }
    }
    const fits = (one: Draft): boolean =>
      one.pathLow === path.low && one.pathHigh === path.high && one.rows + n <= WALK_EVENTS_MAX;
    if (draft !== null && !fits(draft)) return false;
    draft ??= this.#drafts.find(fits) ?? this.#newDraft(path);
    this.#join(draft, events, at, n, request);
    return true;
  }

  #newDraft(path: { readonly low: number; readonly high: number }): Draft {
    const draft: Draft = {
      number: ++this.begun,
      pathLow: path.low,
      pathHigh: path.high,
      events: new WordList(),
      requests: new WordList(),
      keys: new WordList(),
      rows: 0,
    };
    assert(draft.number < OWNER_AWAY, 'walk numbers fit into a word');
    this.#drafts.push(draft);
    return draft;
  }

  #join(
    draft: Draft,
    events: Uint32Array,
    at: number,
    n: number,
    request: { readonly slot: number; readonly row: number },
  ): void {
    draft.events.append(events, at, n * ROW_WORDS);
    for (let i = 0; i < n; i++) {
      const pair = draft.requests.extend(2);
      draft.requests.words[pair] = request.slot;
      draft.requests.words[pair + 1] = request.row + i;
      this.#claimKeys(events, at + i * ROW_WORDS, draft.number, draft.keys);
    }
    draft.rows += n;
  }

  #claimKeys(events: Uint32Array, event: number, owner: number, keys: WordList): void {
    for (let key = 0; key < KEYS_PER_EVENT; key++) {
      if (!isOwnKey(this.#parts.ledger, events, event, key)) continue;
      const kind = keyKind(key);
      const word = event + key * 4;
      if (!this.#parts.claims.claim(events, word, kind, owner)) continue;
      const to = keys.extend(KEY_WORDS);
      for (let w = 0; w < 4; w++) keys.words[to + w] = events[word + w]!;
      keys.words[to + 4] = kind;
    }
  }

  #path(
    events: Uint32Array,
    at: number,
    n: number,
  ): { readonly low: number; readonly high: number } {
    const { shards } = this.#parts.ledger;
    let low = 0;
    let high = 0;
    for (let word = at + 4; word < at + n * ROW_WORDS; word += ROW_WORDS) {
      for (let side = 0; side < 8; side += 4) {
        const shard = shardOf(events, word + side, shards);
        if (shard < 32) low |= 1 << shard;
        else high |= 1 << (shard - 32);
      }
    }
    return { low: low >>> 0, high: high >>> 0 };
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
      body.append(draft.events.words, 0, draft.events.length);
      this.#forward(body.copy(), draft.keys.copy(), draft.requests.copy());
    }
    this.#drafts = [];
  }

  // ---- A walk on its way.

  /** Whether the keys of an arriving walk are free here. */
  canVisit(body: Uint32Array, at: number, isScan: boolean): boolean {
    const rows = body[at + LinkHead.rows]!;
    for (let i = 0; i < rows; i++) {
      const event = at + LINK_HEAD_WORDS + i * ROW_WORDS;
      for (let key = 0; key < KEYS_PER_EVENT; key++) {
        if (!isOwnKey(this.#parts.ledger, body, event, key)) continue;
        const kind = keyKind(key);
        if (!this.#parts.claims.isFree(body, event + key * 4, kind, isScan)) return false;
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
    const keys = new WordList();
    for (let i = 0; i < rows; i++) {
      this.#claimKeys(body, LINK_HEAD_WORDS + i * ROW_WORDS, OWNER_AWAY, keys);
    }
    this.#forward(body, keys.copy(), null);
  }

  /** Adds this shard's rows, records, and failed ids to those that the walk carries, and sends it to the next shard. */
  #forward(body: Uint32Array, keys: Uint32Array, requests: Uint32Array | null): void {
    const { ledger, shelf } = this.#parts;
    const events = body[LinkHead.rows]! * ROW_WORDS;
    const accounts = new WordList();
    const records = new WordList();
    const failed = new WordList();
    const from = LINK_HEAD_WORDS + events;
    const accountWords = body[WalkHead.accounts]! * ROW_WORDS;
    const recordWords = body[WalkHead.records]! * ROW_WORDS;
    accounts.append(body, from, accountWords);
    records.append(body, from + accountWords, recordWords);
    failed.append(body, from + accountWords + recordWords, body[WalkHead.failed]! * FAILED_WORDS);
    for (let key = 0; key < keys.length; key += KEY_WORDS) {
      if (keys[key + 4] === KeyKind.account) {
        const row = ledger.accountIndex.find(keys, key, ledger.accountIndex.hash(keys, key));
        if (row === -1) continue;
        accounts.append(ledger.accounts.chunk(row), ledger.accounts.offset(row), ROW_WORDS);
        continue;
      }
      const index = ledger.transferIndex;
      const slot = index.find(keys, key, index.hash(keys, key));
      if (slot === -1) continue;
      const high = index.valueHigh(slot);
      if (positionState(high) === TransferState.failed) {
        const to = failed.extend(FAILED_WORDS);
        for (let w = 0; w < 4; w++) failed.words[to + w] = keys[key + w]!;
        failed.words[to + 4] = ledger.shard;
        failed.words[to + 5] = 0;
        continue;
      }
      if (positionSequence(index.valueLow(slot), high) === this.#parts.group.sequence) {
        this.#parts.group.copyRow(positionRow(high), ledger.shards, this.#record);
      } else shelf.copy(keys, key, this.#record);
      records.append(this.#record, 0, ROW_WORDS);
    }
    const out = new Uint32Array(from + accounts.length + records.length + failed.length);
    out.set(body.subarray(0, from));
    out[WalkHead.accounts] = accounts.length / ROW_WORDS;
    out[WalkHead.records] = records.length / ROW_WORDS;
    out[WalkHead.failed] = failed.length / FAILED_WORDS;
    out.set(accounts.words.subarray(0, accounts.length), from);
    out.set(records.words.subarray(0, records.length), from + accounts.length);
    out.set(failed.words.subarray(0, failed.length), from + accounts.length + records.length);
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
    });
    const to = nextShard(low, high, ledger.shard);
    assert(to !== -1, 'a walk that goes on has a next shard');
    this.outgoing.push({ to, body: out });
  }

  // ---- Apply.

  apply(body: Uint32Array, message: number): void {
    const { ledger, claims, group } = this.#parts;
    const key = walkKey(body[message + LinkHead.first]!, body[message + LinkHead.walk]!);
    const walk = this.#walks.get(key);
    assert(walk !== undefined, 'a decision comes back to a walk under way');
    for (let at = 0; at < walk.keys.length; at += KEY_WORDS) {
      claims.release(walk.keys, at, walk.keys[at + 4]!);
    }
    this.freed = true;
    let at = message + LINK_HEAD_WORDS;
    for (let i = 0; i < body[message + LinkHead.rows]!; i++, at += ROW_WORDS) {
      const row = group.derive(body, at);
      this.#settleId(body, at, row, TransferState.created);
    }
    for (let i = 0; i < body[message + ApplyHead.accounts]!; i++, at += ROW_WORDS) {
      const row = ledger.accountIndex.find(body, at, ledger.accountIndex.hash(body, at));
      assert(row !== -1, 'a changed account exists');
      ledger.accounts
        .chunk(row)
        .set(body.subarray(at, at + ROW_WORDS), ledger.accounts.offset(row));
    }
    for (let i = 0; i < body[message + ApplyHead.failed]!; i++, at += 4) {
      this.#settleId(body, at, 0, TransferState.failed);
    }
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

  #settleId(ids: Uint32Array, at: number, row: number, state: number): void {
    const index = this.#parts.ledger.transferIndex;
    const hash = index.hash(ids, at);
    assert(index.find(ids, at, hash) === -1, 'a claimed id stays as it was until it is decided');
    const { sequence } = this.#parts.group;
    index.insert(ids, at, hash, sequence >>> 0, positionHigh(sequence, row, state));
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
      const low = outcomes[at + 1]!;
      const high = outcomes[at + 2]!;
      this.#parts.requests.settle(requests[2 * i]!, requests[2 * i + 1]!, outcomes[at]!, low, high);
    }
    this.#walks.delete(walkKey(walk.first, walk.number));
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

function walkKey(first: number, number: number): number {
  return first * 4294967296 + number;
}

function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}
