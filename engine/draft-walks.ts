/**
 * Walks that begin in the group under way, and may still be joined: events that span the same shards and can start in the same group become
 * one walk, in order of arrival, so that a hot account costs a walk for each group commit and not for each transfer.
 *
 * What shares a key with one that begins goes with it rather than wait until it is back, if all its other keys are free or that walk's too: also what
 * spans fewer shards, down to this one alone, or, while the walk is short, others. Else transfers that name a hot account in turn with accounts
 * of this shard and of others would go two or three at a time.
 */
import { IN_TABLE } from './account-owners.ts';
import { assert } from './assert.ts';
import { type BatchKind, type Columns, ROW_WORDS } from './batch.ts';
import { AWAITED, NEWCOMER, type Claims, type HeldKeys } from './claims.ts';
import { addPath, addShard, EventKeys } from './event-keys.ts';
import type { EventShards } from './event-shards.ts';
import type { Group } from './group.ts';
import type { Ledger } from './ledger.ts';
import { WALK_EVENTS_MAX, WALK_GROWS_EVENTS_MAX } from './limits.ts';
import { WordList } from './link-message.ts';
import { appendThin, appendThinRow } from './thin-rows.ts';
import type { Units } from './units.ts';
import { WalkLoad } from './walk-load.ts';
import type { WalkingRequest, WalkingUnit } from './walk.ts';

const SPARE_DRAFTS_MAX = 4;
const LEGS_KEPT = 8;

export interface Draft {
  number: number;
  kind: BatchKind;
  /** Where it goes, and where it was to go when it began. */
  pathLow: number;
  pathHigh: number;
  firstLow: number;
  firstHigh: number;
  /** Thin rows. */
  readonly events: WordList;
  readonly marks: WordList;
  /** {request slot, row} for each event. */
  readonly requests: WordList;
  readonly load: WalkLoad;
  rows: number;
  /** Units that had no key of it when they joined, the first one included. */
  alone: number;
}

interface DraftParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly claims: Claims;
  readonly units: Units;
}

/** Of the rows of an open batch. */
export interface RowsKnown {
  readonly marks: Uint8Array;
  readonly shards: EventShards;
}

/** The shards of a walk, as a mask of two words. */
interface Path {
  low: number;
  high: number;
}

/** In place of a draft: the keys at hand have to wait. */
const MUST_WAIT = Symbol('must wait');

export class DraftWalks {
  readonly #parts: DraftParts;
  #drafts: Draft[] = [];
  /** Drafts whose walks have set out: their lists are used again. */
  readonly #spare: Draft[] = [];
  /** Walks that began here, ever. */
  begun = 0;
  readonly #keys: EventKeys;
  /** Of the rows of a unit; of a longer one they are collected again. */
  readonly #legs: readonly EventKeys[];
  readonly #path: Path = { low: 0, high: 0 };

  constructor(parts: DraftParts) {
    this.#parts = parts;
    const { ledger, claims, units } = parts;
    const { accounts } = units.transferRules;
    const newKeys = (): EventKeys => new EventKeys(ledger, claims.seed, claims.ahead, accounts);
    this.#keys = newKeys();
    this.#legs = Array.from({ length: LEGS_KEPT }, newKeys);
  }

  get count(): number {
    return this.#drafts.length;
  }

  /**
   * Takes a unit into a walk that begins in this group, if its keys are free or that walk's own. False when it has to wait. This shard is the
   * lowest that the unit spans, and may be the only one: then it begins no walk, and goes with one that would be in its way. `item`: which parked
   * one it is, or NEWCOMER.
   */
  start(unit: WalkingUnit, request: WalkingRequest, item: number): boolean {
    const path = this.#pathOf(unit);
    const keys = this.#keys;
    let draft: Draft | null = null;
    for (let i = 0; i < unit.n; i++) {
      keys.collect(unit.kind, unit.events, unit.at + i * ROW_WORDS, unit.marks[i]!);
      const found = this.#ownerOfKeys(draft, item, keys);
      if (found === MUST_WAIT) return false;
      draft = found;
    }
    if (!this.#mayGo(draft, unit.kind, unit.n)) return false;
    draft ??= this.#draftFor(unit.kind, unit.n, path);
    this.#join(draft, unit, request);
    return true;
  }

  /** The same for the rows from..to-1 of an open batch, of request `slot`. */
  // Hot path.
  // oxlint-disable-next-line max-params -- Rows and what is known of them.
  startRows(
    columns: Columns,
    from: number,
    to: number,
    { marks, shards }: RowsKnown,
    slot: number,
  ): boolean {
    const path = this.#path;
    path.low = 0;
    path.high = 0;
    let found: Draft | null = null;
    for (let i = from; i < to; i++) {
      addShard(path, shards.home[i]!);
      addShard(path, shards.away[i]!);
      const keys = this.#legs[(i - from) % LEGS_KEPT]!;
      keys.collectRow(columns, i, marks[i]!, shards);
      const owner = this.#ownerOfKeys(found, NEWCOMER, keys);
      if (owner === MUST_WAIT) return false;
      found = owner;
    }
    const n = to - from;
    if (!this.#mayGo(found, columns.kind, n)) return false;
    const draft = found ?? this.#draftFor(columns.kind, n, path);
    for (let i = from; i < to; i++) {
      const keys = this.#legs[(i - from) % LEGS_KEPT]!;
      if (n > LEGS_KEPT) keys.collectRow(columns, i, marks[i]!, shards);
      appendThinRow(draft.events, columns, i);
      draft.load.claim(keys, draft.number);
      this.#note(draft, marks[i]!, slot, i);
    }
    return true;
  }

  /** The draft that has some of the collected keys, as `draft` may have others; null when none has. */
  // Hot path.
  #ownerOfKeys(
    draft: Draft | null,
    item: number,
    keys: EventKeys,
  ): Draft | null | typeof MUST_WAIT {
    let found = draft;
    for (let key = 0; key < keys.count; key++) {
      const owner = this.#parts.claims.ownerUnlessAwaited(keys, key, item);
      if (owner === 0) continue;
      if (owner === AWAITED) return MUST_WAIT;
      const one = this.#draftOf(owner);
      if (one === null || (found !== null && found !== one)) return MUST_WAIT;
      found = one;
    }
    return found;
  }

  /**
   * Of so many events with the path at hand: whether they may join the draft that has some of their keys, if one has, which goes their way too then if it does
   * not yet.
   */
  // Hot path.
  #mayGo(draft: Draft | null, kind: BatchKind, n: number): boolean {
    // What has its keys free, and no other shard, is executed: it does not come here.
    if (draft === null) return true;
    if (!this.#parts.group.hasRiders) return fits(draft, kind, n, this.#path);
    if (!hasRoom(draft, kind, n)) return false;
    const { low, high } = this.#path;
    const isCovered = ((low & ~draft.pathLow) | (high & ~draft.pathHigh)) === 0;
    if (!isCovered && !isShared(draft)) return false;
    draft.pathLow = (draft.pathLow | low) >>> 0;
    draft.pathHigh = (draft.pathHigh | high) >>> 0;
    return true;
  }

  #draftOf(number: number): Draft | null {
    for (const draft of this.#drafts) if (draft.number === number) return draft;
    return null;
  }

  #draftFor(kind: BatchKind, n: number, path: Path): Draft {
    for (const draft of this.#drafts) {
      if (!fits(draft, kind, n, path)) continue;
      draft.alone++;
      return draft;
    }
    const draft: Draft = this.#spare.pop() ?? {
      number: 0,
      kind,
      pathLow: 0,
      pathHigh: 0,
      firstLow: 0,
      firstHigh: 0,
      events: new WordList(),
      marks: new WordList(),
      requests: new WordList(),
      load: new WalkLoad(this.#parts),
      rows: 0,
      alone: 0,
    };
    draft.number = ++this.begun;
    draft.kind = kind;
    draft.pathLow = path.low;
    draft.pathHigh = path.high;
    draft.firstLow = path.low;
    draft.firstHigh = path.high;
    draft.rows = 0;
    draft.alone = 1;
    for (const list of [draft.events, draft.marks, draft.requests]) list.length = 0;
    draft.load.clear();
    assert(draft.number < IN_TABLE, 'walk numbers fit into a word');
    this.#drafts.push(draft);
    return draft;
  }

  #join(draft: Draft, unit: WalkingUnit, request: WalkingRequest): void {
    const { n } = unit;
    for (let i = 0; i < n; i++) {
      appendThin(draft.events, unit.events, unit.at + i * ROW_WORDS, ROW_WORDS);
      const mark = unit.marks[i]!;
      this.#keys.collect(unit.kind, unit.events, unit.at + i * ROW_WORDS, mark);
      draft.load.claim(this.#keys, draft.number);
      this.#note(draft, mark, request.slot, request.row + i);
    }
  }

  // Hot path.
  #note(draft: Draft, mark: number, slot: number, row: number): void {
    const at = draft.marks.extend(1);
    draft.marks.words[at] = mark;
    const pair = draft.requests.extend(2);
    draft.requests.words[pair] = slot;
    draft.requests.words[pair + 1] = row;
    draft.rows++;
  }

  /** Valid until the next call. */
  #pathOf({ kind, events, at, n }: WalkingUnit): Path {
    const { shards } = this.#parts.ledger;
    const path = this.#path;
    path.low = 0;
    path.high = 0;
    for (let i = 0; i < n; i++) addPath(path, kind, events, { at: at + i * ROW_WORDS, shards });
    return path;
  }

  /** What the drafts have claimed; valid until they claim more. */
  *held(): Iterable<HeldKeys> {
    for (const { load, number } of this.#drafts) {
      const { keys, rows, places } = load;
      yield { keys: keys.view(), rows: rows.view(), places: places.view(), owner: number };
    }
  }

  /** Hands every draft over, in order: they set out. */
  setOut(send: (draft: Draft) => void): void {
    for (const draft of this.#drafts) {
      send(draft);
      if (this.#spare.length < SPARE_DRAFTS_MAX) this.#spare.push(draft);
    }
    this.#drafts = [];
  }
}

/** Whether so many events, and of this kind, may join the draft. */
function hasRoom(draft: Draft, kind: BatchKind, n: number): boolean {
  return draft.kind === kind && draft.rows + n <= WALK_EVENTS_MAX;
}

/** The same for events that have this path: where it goes, or was to go before it became longer. */
function fits(draft: Draft, kind: BatchKind, n: number, { low, high }: Path): boolean {
  const isPath = draft.pathLow === low && draft.pathHigh === high;
  const isFirst = draft.firstLow === low && draft.firstHigh === high;
  return (isPath || isFirst) && hasRoom(draft, kind, n);
}

/**
 * Whether a draft is of units that share keys, and so may go a longer way for one more: they would go one after the other otherwise. Where accounts
 * are shared by chance, many would go a long way for one.
 */
function isShared({ rows, alone }: Draft): boolean {
  return rows <= WALK_GROWS_EVENTS_MAX && alone === 1;
}
