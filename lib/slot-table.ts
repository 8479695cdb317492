/**
 * What is under way, by number: each gets the number of a free place, and gives it back when it is over. A number is used again at once.
 *
 * Not a Map: under steady adding and deleting, a Map moves into new tables all the time, and each old table points to the next one. Once one of them
 * is in V8's old generation, the chain keeps every later one from being collected, with all that was under way in it: the whole of each request
 * then survives its death until the heap is marked as a whole (docs/performance.md has what that costs).
 */

/** More places than this are given up when all are free: who goes through the table looks at each. */
const PLACES_KEPT = 1024;

export class SlotTable<T extends object> {
  readonly #slots: (T | undefined)[] = [];
  readonly #free: number[] = [];

  /** How many are under way. */
  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  // Hot path.
  add(one: T): number {
    const slot = this.#free.pop();
    if (slot === undefined) return this.#slots.push(one) - 1;
    this.#slots[slot] = one;
    return slot;
  }

  /** Undefined when nobody has the number. */
  // Hot path.
  get(slot: number): T | undefined {
    return this.#slots[slot];
  }

  /** Undefined when nobody had it: it was given back before. */
  // Hot path.
  remove(slot: number): T | undefined {
    const one = this.#slots[slot];
    if (one === undefined) return undefined;
    this.#slots[slot] = undefined;
    this.#free.push(slot);
    if (this.#slots.length > PLACES_KEPT && this.size === 0) this.#clear();
    return one;
  }

  /** Empties the table. */
  takeAll(): T[] {
    const all = [...this];
    this.#clear();
    return all;
  }

  #clear(): void {
    this.#slots.length = 0;
    this.#free.length = 0;
  }

  /** Those that are under way now, in no order, with their numbers. To take one out meanwhile does not disturb it. */
  *entries(): Generator<[slot: number, one: T]> {
    for (const [slot, one] of this.#slots.entries()) if (one !== undefined) yield [slot, one];
  }

  *[Symbol.iterator](): Generator<T> {
    for (const one of this.#slots) if (one !== undefined) yield one;
  }
}
