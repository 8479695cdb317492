/**
 * Events and walks that wait for keys, in order of arrival. Single events lie in a pool of rows; walks that arrived over a link, and
 * requests that are one walk together, are kept whole. The actor refuses requests beyond a bound of rows that wait; what comes over links is
 * bounded by the same on the other shards.
 */
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';

export const ParkedKind = { account: 1, transfer: 2, start: 3, together: 4, walk: 5 } as const;
export type ParkedKind = (typeof ParkedKind)[keyof typeof ParkedKind];

const NONE = -1;
const PAGE_ROWS = 1024;

export class Parked {
  /** Rows lie in pages, made when they are first needed. */
  readonly #pages: Uint32Array[] = [];
  #next = new Int32Array(PAGE_ROWS);
  #previous = new Int32Array(PAGE_ROWS);
  #kinds = new Uint8Array(PAGE_ROWS);
  #requests = new Int32Array(PAGE_ROWS);
  #requestRows = new Uint16Array(PAGE_ROWS);
  readonly #bodies = new Map<number, Uint32Array>();
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

  /** What an item of more than one event waits with: 32 words for each event, or the body of a link message. */
  body(item: number): Uint32Array {
    const body = this.#bodies.get(item);
    assert(body !== undefined, 'the item has a body');
    return body;
  }

  add(kind: ParkedKind, request: number, requestRow: number): number {
    let item = this.#free;
    if (item === NONE) {
      if (this.#used === this.#next.length) this.#grow();
      item = this.#used++;
      if (item % PAGE_ROWS === 0) this.#pages.push(new Uint32Array(PAGE_ROWS * ROW_WORDS));
    } else this.#free = this.#next[item]!;
    this.#kinds[item] = kind;
    this.#requests[item] = request;
    this.#requestRows[item] = requestRow;
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
    this.#requests = grown(new Int32Array(size), this.#requests);
    this.#requestRows = grown(new Uint16Array(size), this.#requestRows);
  }

  addWithBody(kind: ParkedKind, request: number, body: Uint32Array): number {
    const item = this.add(kind, request, 0);
    this.#bodies.set(item, body);
    return item;
  }

  remove(item: number): void {
    const next = this.#next[item]!;
    const previous = this.#previous[item]!;
    if (previous === NONE) this.#first = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#last = previous;
    else this.#previous[next] = previous;
    this.#bodies.delete(item);
    this.#next[item] = this.#free;
    this.#free = item;
    this.#count--;
  }
}

function grown<T extends Int32Array | Uint8Array | Uint16Array>(made: T, old: T): T {
  made.set(old);
  return made;
}
