/**
 * Words of long messages to other shards, which are used again when the peer has a message. Left to the collector, a megabyte for each step of
 * a walk had V8 mark the whole heap three times a second.
 */

/** Shorter ones are not worth it. */
const POOLED_WORDS_MIN = 64;
/** So many are kept, and so many words in all: what is under way between two shards at a time. */
const KEPT_MAX = 16;
const KEPT_WORDS_MAX = 4 << 20;

export class MessagePool {
  /** The shortest first. */
  readonly #kept: Uint32Array[] = [];
  #words = 0;

  /** So many words, which hold anything: the caller writes them all. */
  take(count: number): Uint32Array {
    if (count < POOLED_WORDS_MIN) return new Uint32Array(count);
    const at = this.#kept.findIndex(({ length }) => length >= count);
    if (at === -1) return new Uint32Array(2 ** Math.ceil(Math.log2(count))).subarray(0, count);
    const [words] = this.#kept.splice(at, 1);
    this.#words -= words!.length;
    return words!.subarray(0, count);
  }

  /** Nobody reads the message any more. Where there is no room for its words, the shortest ones go. */
  give({ buffer }: Uint32Array): void {
    const words = new Uint32Array(buffer);
    const { length } = words;
    if (length < POOLED_WORDS_MIN || length > KEPT_WORDS_MAX) return;
    const behind = this.#kept.findIndex((other) => other.length >= length);
    this.#kept.splice(behind === -1 ? this.#kept.length : behind, 0, words);
    this.#words += length;
    while (this.#kept.length > KEPT_MAX || this.#words > KEPT_WORDS_MAX) {
      this.#words -= this.#kept.shift()!.length;
    }
  }
}
