/**
 * Draws from a Zipf distribution: the account of rank r is drawn in proportion to 1 / r^skew. The generator is that of Gray and others, "Quickly
 * generating billion-record synthetic databases" (SIGMOD 1994), which YCSB has too: one pass over the ranks to set it up, then one power a draw.
 *
 * Ranks are shuffled over the accounts, so that hot ones do not lie beside each other in memory, nor on one shard.
 */
import type { Prng } from '../lib/prng.ts';

export class Zipf {
  readonly #skew: number;
  readonly #zeta: number;
  readonly #alpha: number;
  readonly #eta: number;
  /** Of each rank. */
  readonly #accounts: Uint32Array;

  /** The skew is above 0 and below 1. */
  constructor(accounts: number, skew: number, random: Prng) {
    this.#skew = skew;
    this.#zeta = zeta(accounts, skew);
    this.#alpha = 1 / (1 - skew);
    this.#eta = (1 - (2 / accounts) ** (1 - skew)) / (1 - zeta(2, skew) / this.#zeta);
    this.#accounts = shuffled(accounts, random);
  }

  draw(random: Prng): number {
    return this.#accounts[this.#rank(random.fraction())]!;
  }

  #rank(fraction: number): number {
    const scaled = fraction * this.#zeta;
    if (scaled < 1) return 0;
    if (scaled < 1 + 0.5 ** this.#skew) return 1;
    const { length } = this.#accounts;
    const rank = Math.floor(length * (this.#eta * fraction - this.#eta + 1) ** this.#alpha);
    return Math.min(length - 1, rank);
  }

  /** The share of the draws that go to the hottest accounts. */
  shareOf(hottest: number): number {
    return zeta(hottest, this.#skew) / this.#zeta;
  }
}

function zeta(count: number, skew: number): number {
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) sum += 1 / rank ** skew;
  return sum;
}

function shuffled(count: number, random: Prng): Uint32Array {
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}
