/**
 * A journal of which it is known what can be found in it: each user_data_64 is on a few transfers that lie far from each other, and some codes
 * are on one batch only. What comes after the journal was built has marks of its own, and the code of most.
 */
import { type Batch, Transfer } from '../engine/batch.ts';
import type { Prng } from '../lib/prng.ts';
import { CODE, columnAt, type Slot, writeMark } from './slots.ts';

/** Transfers with the same mark. */
const MARK_USES = 4;
const RARE_CODES_MAX = 50;
const RARE_CODE_FIRST = 1_000;

export class MarkedJournal {
  /** Transfers in whole batches. */
  readonly transfers: number;
  /** Transfers that have a code which one batch has. */
  readonly usesOfCode: number;
  readonly #batches: number;
  readonly #marks: number;
  readonly #rareCodes: ReadonlyMap<number, number>;
  readonly #at = new Map<Batch, { readonly mark: number; readonly code: number }>();
  #used = 0;

  constructor(transfers: number, batch: number) {
    this.#batches = Math.ceil(transfers / batch);
    this.transfers = this.#batches * batch;
    this.usesOfCode = batch;
    this.#marks = Math.ceil(this.transfers / MARK_USES);
    const codes = Math.min(RARE_CODES_MAX, this.#batches);
    this.#rareCodes = new Map(
      Array.from({ length: codes }, (_, k) => [
        Math.floor(((k + 0.5) * this.#batches) / codes),
        RARE_CODE_FIRST + k,
      ]),
    );
  }

  /** Writes the marks and the code of the next batch. */
  mark({ batch }: Slot): void {
    const { words, n } = batch;
    const at = this.#placesIn(batch);
    const first = this.#used * n;
    const isHistory = this.#used < this.#batches;
    for (let row = 0; row < n; row++) {
      const ordinal = first + row;
      writeMark(words, at.mark + row * 2, isHistory ? ordinal % this.#marks : ordinal);
    }
    batch.halves[at.code] = this.#rareCodes.get(this.#used) ?? CODE;
    this.#used++;
  }

  /** A mark, and on how many transfers it is. */
  drawMark(random: Prng): { readonly ordinal: number; readonly uses: number } {
    const ordinal = random.below(this.#marks);
    return { ordinal, uses: Math.ceil((this.transfers - ordinal) / this.#marks) };
  }

  /** A code that one batch has. */
  drawCode(random: Prng): number {
    return RARE_CODE_FIRST + random.below(this.#rareCodes.size);
  }

  #placesIn(batch: Batch): { readonly mark: number; readonly code: number } {
    let places = this.#at.get(batch);
    if (places === undefined) {
      const mark = columnAt(batch, Transfer.userData64);
      places = { mark, code: columnAt(batch, Transfer.code) };
      this.#at.set(batch, places);
    }
    return places;
  }
}
