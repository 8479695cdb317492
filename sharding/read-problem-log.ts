/**
 * Says in the log what the readers of the journals could not read: once for each problem, however many callers meet it, and so many lines in a
 * minute at most. What was left out for that is said when somebody meets it again.
 */
import { performance } from 'node:perf_hooks';
import type { ReadProblem } from '../query/query-damage.ts';

/** The eldest are forgotten, and would be said again. */
const KNOWN_MAX = 256;
const LINES_MAX = 16;
const LINES_WITHIN_MS = 60_000;

export class ReadProblemLog {
  readonly #log: (line: string) => void;
  readonly #known = new Set<string>();
  #lines = 0;
  /** By the monotonic clock, ms: when the first of these lines was written. */
  #since = -Infinity;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  note({ isDamage, text }: ReadProblem): void {
    if (this.#known.has(text)) return;
    const now = performance.now();
    if (now >= this.#since + LINES_WITHIN_MS) {
      this.#since = now;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_MAX) return;
    this.#lines++;
    if (this.#known.size >= KNOWN_MAX) {
      const [eldest] = this.#known;
      this.#known.delete(eldest!);
    }
    this.#known.add(text);
    const line = isDamage
      ? `a journal is damaged: ${text}. Whoever asks for it is refused as shard_unavailable. Keep a copy of the directory as it is, ` +
        'see with ./sycee verify what else is damaged, and put back a whole copy of that file.'
      : `a question about the past could not be answered: ${text}`;
    this.#log(this.#lines < LINES_MAX ? line : `${line} (More is not said within a minute.)`);
  }
}
