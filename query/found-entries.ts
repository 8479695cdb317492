/**
 * The entries of a page on its way to an answer, in memory that the next pages use again. A page takes 5 to 20 KB, outside V8's heap: allocated for
 * each page anew they made its collector stop the reader for 3 to 10 ms at every thirtieth page (docs/benchmarks.md).
 */
import { ROW_WORDS } from '../engine/batch.ts';
import { DERIVED_WORDS } from '../engine/frame.ts';
import { bigintOfUint64 } from '../engine/uint128.ts';
import type { ChainPosition } from './chain-cache.ts';

const ENTRIES_MIN = 128;
/** Memory of larger pages is not kept. */
const ENTRIES_KEPT_MAX = 1024;
/** Two are in use at once in a page of the oldest entries, and several pages may be under way. */
const SPARE_MAX = 4;

/** DERIVED_WORDS for each entry. */
export class FoundEntries implements Disposable {
  static readonly #spare: FoundEntries[] = [];

  n = 0;
  words = new Uint32Array(DERIVED_WORDS * ENTRIES_MIN);
  readonly positions: ChainPosition[] = [];
  /** Of the last one, for the cursor of oldest-first pages; 0 in the others. */
  lastOrdinal = 0;
  #isInUse = true;

  private constructor() {
    // Only `take` gives them out.
  }

  /** Empty, and the caller's until it is disposed of. One that is not is collected as anything else. */
  static take(): FoundEntries {
    const spare = FoundEntries.#spare.pop();
    if (spare === undefined) return new FoundEntries();
    spare.#isInUse = true;
    return spare;
  }

  [Symbol.dispose](): void {
    if (!this.#isInUse) return;
    this.#isInUse = false;
    this.n = 0;
    this.positions.length = 0;
    this.lastOrdinal = 0;
    const isKept = this.words.length <= DERIVED_WORDS * ENTRIES_KEPT_MAX;
    if (isKept && FoundEntries.#spare.length < SPARE_MAX) FoundEntries.#spare.push(this);
  }

  // Hot path.
  add(position: ChainPosition, entry: Uint32Array, ordinal: number): void {
    const at = this.n * DERIVED_WORDS;
    if (at === this.words.length) {
      const grown = new Uint32Array(at * 2);
      grown.set(this.words);
      this.words = grown;
    }
    const { words } = this;
    for (let w = 0; w < DERIVED_WORDS; w++) words[at + w] = entry[w]!;
    this.positions.push(position);
    this.lastOrdinal = ordinal;
    this.n++;
  }

  /** Copies one: a view of it would cost more than its words. */
  entry(index: number, into: Uint32Array): Uint32Array {
    const { words } = this;
    const from = index * DERIVED_WORDS;
    for (let w = 0; w < DERIVED_WORDS; w++) into[w] = words[from + w]!;
    return into;
  }

  /** A time of each. */
  times(word: number): BigUint64Array<ArrayBuffer> {
    const times = new BigUint64Array(this.n);
    for (let i = 0; i < this.n; i++) {
      times[i] = bigintOfUint64(this.words, i * DERIVED_WORDS + word);
    }
    return times;
  }

  records(): Uint32Array<ArrayBuffer> {
    const { words } = this;
    const rows = new Uint32Array(this.n * ROW_WORDS);
    for (let i = 0; i < this.n; i++) {
      const from = i * DERIVED_WORDS;
      const to = i * ROW_WORDS;
      for (let w = 0; w < ROW_WORDS; w++) rows[to + w] = words[from + w]!;
    }
    return rows;
  }
}
