/**
 * The transfers that a walk to the end of a chain came by last, which are the oldest. The page of the oldest that the walk was for begins with them,
 * and so need not look for them again. Positions are numbered as in a chain, from 0 for the oldest.
 */
import { type ChainPosition, isEnd } from './chain-cache.ts';

export class OldestWalked {
  readonly #kept: number;
  #positions: ChainPosition[] = [];
  #isAtEnd = false;

  /** Of a long walk it knows so many at least. */
  constructor(kept: number) {
    this.#kept = kept;
  }

  /** `before` is the position before it in the chain. What is walked after the end was reached lies elsewhere. */
  pass(position: ChainPosition, before: ChainPosition): void {
    if (this.#isAtEnd) return;
    if (this.#positions.length === 2 * this.#kept) this.#positions.splice(0, this.#kept);
    this.#positions.push(position);
    this.#isAtEnd = isEnd(before);
  }

  at(ordinal: number): ChainPosition | undefined {
    return this.#isAtEnd ? this.#positions[this.#positions.length - 1 - ordinal] : undefined;
  }
}
