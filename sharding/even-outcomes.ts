/**
 * Outcomes of a batch whose rows were all created, at timestamps in even steps, as those of one shard are: three numbers instead of ten bytes a
 * row. Arrays are made for who asks for them. An array lies outside V8's heap, and V8 marks the whole heap when some megabytes of them were made
 * since the last time: at 700 batches a second that took 5 to 15 ms, every second (docs/performance.md).
 */
import { inspect } from 'node:util';
import type { CreateReply, Position } from '../engine/reply.ts';

const WORD = 4294967296;

export class EvenOutcomes {
  readonly #n: number;
  readonly #low: number;
  readonly #high: number;
  readonly #step: number;
  #statuses: Uint16Array | null = null;
  #timestamps: BigUint64Array | null = null;

  private constructor(n: number, low: number, high: number, step: number) {
    this.#n = n;
    this.#low = low;
    this.#high = high;
    this.#step = step;
  }

  /** Of n outcomes as a reply has them, at least two: timestamps of two words from `at` on, then statuses of half a word. Null if they are not even. */
  // Hot path.
  static read(words: Uint32Array, at: number, n: number): EvenOutcomes | null {
    const halves = at + 2 * n;
    for (let i = 0; i < n >> 1; i++) if (words[halves + i] !== 0) return null;
    if (n % 2 === 1 && (words[halves + (n >> 1)]! & 0xffff) !== 0) return null;
    const step = (words[at + 2]! - words[at]!) >>> 0;
    let low = words[at]!;
    let high = words[at + 1]!;
    for (let i = 1; i < n; i++) {
      const sum = low + step;
      if (sum >= WORD) high++;
      low = sum >>> 0;
      if (words[at + 2 * i] !== low || words[at + 2 * i + 1] !== high) return null;
    }
    return new EvenOutcomes(n, words[at]!, words[at + 1]!, step);
  }

  get statuses(): Uint16Array {
    this.#statuses ??= new Uint16Array(this.#n);
    return this.#statuses;
  }

  get timestamps(): BigUint64Array {
    this.#timestamps ??= this.#makeTimestamps();
    return this.#timestamps;
  }

  #makeTimestamps(): BigUint64Array {
    const timestamps = new BigUint64Array(this.#n);
    const stamps = new Uint32Array(timestamps.buffer);
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < this.#n; i++) {
      stamps[2 * i] = low;
      stamps[2 * i + 1] = high;
      const sum = low + this.#step;
      if (sum >= WORD) high++;
      low = sum >>> 0;
    }
    return timestamps;
  }

  reply(positions: readonly Position[]): CreateReply {
    return new EvenReply(this.#n, this, positions) as EvenReply & CreateReply;
  }
}

/**
 * Has its arrays as fields of its own, so that a copy has them too, also one for another thread. Their getters are the same two functions always:
 * V8 makes those of an object literal anew each time, and in the old generation, where they would keep the arrays until the heap is marked.
 */
class EvenReply {
  readonly n: number;
  readonly positions: readonly Position[];
  readonly #outcomes: EvenOutcomes;

  constructor(n: number, outcomes: EvenOutcomes, positions: readonly Position[]) {
    this.n = n;
    this.positions = positions;
    this.#outcomes = outcomes;
    Object.defineProperty(this, 'statuses', EvenReply.#STATUSES);
    Object.defineProperty(this, 'timestamps', EvenReply.#TIMESTAMPS);
  }

  /** As it is shown: with its arrays. */
  [inspect.custom](): CreateReply {
    const { n, positions } = this;
    const { statuses, timestamps } = this.#outcomes;
    return { n, statuses, timestamps, positions };
  }

  static readonly #STATUSES: PropertyDescriptor & ThisType<EvenReply> = {
    enumerable: true,
    get(): Uint16Array {
      return this.#outcomes.statuses;
    },
  };

  static readonly #TIMESTAMPS: PropertyDescriptor & ThisType<EvenReply> = {
    enumerable: true,
    get(): BigUint64Array {
      return this.#outcomes.timestamps;
    },
  };
}
