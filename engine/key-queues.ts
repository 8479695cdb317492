/**
 * Who waits for which key, first come, first served: a queue of parked items for each key, and which items may have a turn. An item is in the queue of
 * each of its keys, once for every time that it has the key, and moves up as those before it leave.
 *
 * What blocks an item ends in one of two ways: a key that it is the first to wait for loses its owner, or it becomes the first at a key. Both say so
 * here, and so nobody needs to look at items for which nothing has changed.
 */
const ROOM_AT_FIRST = 64;
/** No node, no item. */
export const NONE = -1;

export class KeyQueues {
  /** By node: whose place in a queue it is, its neighbours in that queue, which is a ring, and the item's node before it. */
  #items = new Int32Array(ROOM_AT_FIRST);
  #next = new Int32Array(ROOM_AT_FIRST);
  #previous = new Int32Array(ROOM_AT_FIRST);
  #more = new Int32Array(ROOM_AT_FIRST);
  #free = NONE;
  #used = 0;
  /** By item: its newest node, and whether it may have a turn. */
  #nodes = new Int32Array(ROOM_AT_FIRST);
  #areDue = new Uint8Array(ROOM_AT_FIRST);

  /** Begins the places of an item: it has none, and no turn. */
  open(item: number): void {
    if (item >= this.#nodes.length) {
      const room = Math.max(item + 1, this.#nodes.length * 2);
      this.#nodes = grown(new Int32Array(room), this.#nodes);
      this.#areDue = grown(new Uint8Array(room), this.#areDue);
    }
    this.#nodes[item] = NONE;
    this.#areDue[item] = 0;
  }

  isDue(item: number): boolean {
    return this.#areDue[item] === 1;
  }

  setDue(item: number): void {
    this.#areDue[item] = 1;
  }

  /** It has its turn now. */
  clearDue(item: number): void {
    this.#areDue[item] = 0;
  }

  /** Puts an item at the end of the queue that ends with the node `last`, or begins one. Returns its node, the last one now. */
  append(last: number, item: number): number {
    let node = this.#free;
    if (node === NONE) {
      if (this.#used === this.#items.length) this.#grow();
      node = this.#used++;
    } else this.#free = this.#more[node]!;
    this.#items[node] = item;
    this.#more[node] = this.#nodes[item]!;
    this.#nodes[item] = node;
    const first = last === NONE ? node : this.#next[last]!;
    const before = last === NONE ? node : last;
    this.#next[node] = first;
    this.#previous[node] = before;
    this.#previous[first] = node;
    this.#next[before] = node;
    return node;
  }

  #grow(): void {
    const room = this.#used * 2;
    this.#items = grown(new Int32Array(room), this.#items);
    this.#next = grown(new Int32Array(room), this.#next);
    this.#previous = grown(new Int32Array(room), this.#previous);
    this.#more = grown(new Int32Array(room), this.#more);
  }

  /** The item that is first in the queue that ends with a node. */
  // Hot path.
  first(last: number): number {
    return this.#items[this.#next[last]!]!;
  }

  /** Takes the newest node of an item out of its queue, which ends with the node `last`. Returns the node with which that ends then, or NONE. */
  remove(last: number, item: number): number {
    const node = this.#nodes[item]!;
    const next = this.#next[node]!;
    const previous = this.#previous[node]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#nodes[item] = this.#more[node]!;
    this.#more[node] = this.#free;
    this.#free = node;
    if (next === node) return NONE;
    return node === last ? previous : last;
  }
}

function grown<T extends Int32Array | Uint8Array>(made: T, old: T): T {
  made.set(old);
  return made;
}
