/**
 * Events and walks that wait for keys, in order of arrival. Single events lie in a pool of rows; chains, requests that are one walk
 * together, and walks that arrived over a link are kept whole. The actor refuses requests beyond a bound of rows that wait; what comes over
 * links is bounded by the same on the other shards.
 */
import { assert } from './assert.ts';
import { type BatchKind, ROW_WORDS } from './batch.ts';
import type { StateReader, StateWriter } from './state-words.ts';

/** A single event of this shard, one that is to walk, events of this shard that are a chain, events that walk together, a walk underway. */
export const ParkedKind = { event: 1, start: 2, chain: 3, together: 4, walk: 5 } as const;
export type ParkedKind = (typeof ParkedKind)[keyof typeof ParkedKind];

/** What an item of more than one event waits with. `marks` is empty for a walk, whose body has them. */
export interface ParkedBody {
  readonly events: Uint32Array;
  readonly marks: Uint8Array;
}

const NONE = -1;
const NO_MARKS = new Uint8Array(0);
const PAGE_ROWS = 64;
/** Bodies of so many events at most, and so many of each length, are kept for others. */
const SPARE_EVENTS_MAX = 8;
const SPARE_BODIES_MAX = 1024;

export class Parked {
  /** Rows lie in pages, made when they are first needed. */
  readonly #pages: Uint32Array[] = [];
  #next = new Int32Array(PAGE_ROWS);
  #previous = new Int32Array(PAGE_ROWS);
  #kinds = new Uint8Array(PAGE_ROWS);
  #batchKinds = new Uint8Array(PAGE_ROWS);
  #marks = new Uint8Array(PAGE_ROWS);
  #requests = new Uint32Array(PAGE_ROWS);
  #requestRows = new Uint16Array(PAGE_ROWS);
  readonly #bodies: (ParkedBody | undefined)[] = [];
  /** By number of events: bodies of short units that have had their turn. */
  readonly #spare: readonly ParkedBody[][] = Array.from({ length: SPARE_EVENTS_MAX + 1 }, () => []);
  #first = NONE;
  #last = NONE;
  #free = NONE;
  #used = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get first(): number {
    return this.#first;
  }

  /** The item behind this one, or -1. */
  next(item: number): number {
    return this.#next[item]!;
  }

  kind(item: number): ParkedKind {
    return this.#kinds[item] as ParkedKind;
  }

  batchKind(item: number): BatchKind {
    return this.#batchKinds[item] as BatchKind;
  }

  /** The mark of a single event. */
  mark(item: number): number {
    return this.#marks[item]!;
  }

  setMark(item: number, mark: number): void {
    this.#marks[item] = mark;
  }

  request(item: number): number {
    return this.#requests[item]!;
  }

  requestRow(item: number): number {
    return this.#requestRows[item]!;
  }

  /** The buffer of a single event's 32 words, which begin at `offset(item)`. */
  page(item: number): Uint32Array {
    return this.#pages[Math.floor(item / PAGE_ROWS)]!;
  }

  offset(item: number): number {
    return (item % PAGE_ROWS) * ROW_WORDS;
  }

  /** Of an item of more than one event: 32 words for each, or the body of a link message. */
  body(item: number): ParkedBody {
    const body = this.#bodies[item];
    assert(body !== undefined, 'the item has a body');
    return body;
  }

  add(
    kind: ParkedKind,
    batchKind: BatchKind,
    request: { readonly slot: number; readonly row: number },
  ): number {
    let item = this.#free;
    if (item === NONE) {
      if (this.#used === this.#next.length) this.#grow();
      item = this.#used++;
      if (item % PAGE_ROWS === 0) this.#pages.push(new Uint32Array(PAGE_ROWS * ROW_WORDS));
    } else this.#free = this.#next[item]!;
    this.#kinds[item] = kind;
    this.#batchKinds[item] = batchKind;
    this.#marks[item] = 0;
    this.#requests[item] = request.slot;
    this.#requestRows[item] = request.row;
    this.#previous[item] = this.#last;
    this.#next[item] = NONE;
    if (this.#last === NONE) this.#first = item;
    else this.#next[this.#last] = item;
    this.#last = item;
    this.#count++;
    return item;
  }

  #grow(): void {
    const size = this.#used * 2;
    this.#next = grown(new Int32Array(size), this.#next);
    this.#previous = grown(new Int32Array(size), this.#previous);
    this.#kinds = grown(new Uint8Array(size), this.#kinds);
    this.#requests = grown(new Uint32Array(size), this.#requests);
    this.#batchKinds = grown(new Uint8Array(size), this.#batchKinds);
    this.#marks = grown(new Uint8Array(size), this.#marks);
    this.#requestRows = grown(new Uint16Array(size), this.#requestRows);
  }

  /** Gives an item what it waits with. */
  setBody(item: number, body: ParkedBody): void {
    this.#bodies[item] = body;
  }

  /** Gives an item a copy of `n` events, which begin at `at`, and of their marks. */
  setEvents(item: number, events: Uint32Array, at: number, marks: Uint8Array, n: number): void {
    const body = this.#spare[n]?.pop() ?? {
      events: new Uint32Array(n * ROW_WORDS),
      marks: new Uint8Array(n),
    };
    for (let w = 0; w < n * ROW_WORDS; w++) body.events[w] = events[at + w]!;
    for (let i = 0; i < n; i++) body.marks[i] = marks[i]!;
    this.#bodies[item] = body;
  }

  /** What the item waited with is not valid any more. */
  remove(item: number): void {
    const next = this.#next[item]!;
    const previous = this.#previous[item]!;
    if (previous === NONE) this.#first = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#last = previous;
    else this.#previous[next] = previous;
    this.#giveBack(item);
    this.#next[item] = this.#free;
    this.#free = item;
    this.#count--;
  }

  #giveBack(item: number): void {
    const body = this.#bodies[item];
    if (body === undefined) return;
    this.#bodies[item] = undefined;
    const spare = this.#spare[body.marks.length];
    // The message of a walk has its marks in it.
    const isUnit = body.marks.length > 0;
    if (isUnit && spare !== undefined && spare.length < SPARE_BODIES_MAX) spare.push(body);
  }

  save(out: StateWriter): void {
    out.put(this.#count);
    for (let item = this.#first; item !== NONE; item = this.#next[item]!) {
      out.put(this.#kinds[item]!);
      out.put(this.#batchKinds[item]!);
      out.put(this.#marks[item]!);
      out.put(this.#requests[item]!);
      out.put(this.#requestRows[item]!);
      const body = this.#bodies[item];
      const at = this.offset(item);
      out.putList(body?.events ?? this.page(item).subarray(at, at + ROW_WORDS));
      out.putBytes(body?.marks ?? NO_MARKS);
    }
  }

  /** Items get other numbers than they had, in the same order. */
  load(from: StateReader): void {
    assert(this.#count === 0, 'nothing waits in a new state');
    for (let left = from.take(); left > 0; left--) {
      const kind = from.take() as ParkedKind;
      const batchKind = from.take() as BatchKind;
      const mark = from.take();
      const slot = from.take();
      const item = this.add(kind, batchKind, { slot, row: from.take() });
      const events = from.takeList();
      const marks = from.takeBytes();
      this.#marks[item] = mark;
      const isSingle = kind === ParkedKind.event || kind === ParkedKind.start;
      if (isSingle) this.page(item).set(events, this.offset(item));
      else this.setBody(item, { events: events.slice(), marks });
    }
  }
}

function grown<T extends Int32Array | Uint32Array | Uint8Array | Uint16Array>(made: T, old: T): T {
  made.set(old);
  return made;
}
