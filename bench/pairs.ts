/**
 * Draws the two accounts of each transfer: evenly, or a few of them often, or with one account on a side of every transfer, or by the shards
 * that the legs of a chain are to be on. A share of crossing pairs is kept exactly, carried over from batch to batch.
 */
import { shardOf } from '../engine/placement.ts';
import type { Prng } from '../lib/prng.ts';
import { Zipf } from './zipf.ts';

const AMOUNT_MAX = 1_000;

export const HOT_SIDES = ['either', 'debit', 'credit'] as const;
export type HotSide = (typeof HOT_SIDES)[number];

/**
 * Where the legs of a chain are: as they fall; all on one shard; each within one shard, but the next one on another; each from one shard to
 * another.
 */
export const LEGS = ['fall', 'one', 'apart', 'cross'] as const;
export type Legs = (typeof LEGS)[number];

/** The account that is in every transfer, or gets the fee of every chain, where there is one and nothing says on which shard. */
export const HOT_ACCOUNT = 0;

export interface PairRules {
  readonly accounts: number;
  readonly shards: number;
  /** Percent of the pairs; undefined: as the placement has it. */
  readonly crossShard: number | undefined;
  /** The side of the hot account, `either` drawn for each transfer. */
  readonly hotSide?: HotSide | undefined;
  /** The shard of the hot account. */
  readonly hotShard?: number | undefined;
  /** The last leg of each chain goes from who pays the first one to the hot account. */
  readonly hasFee?: boolean | undefined;
  /** How unevenly accounts are drawn, below 1; undefined: evenly. See zipf.ts. */
  readonly skew?: number | undefined;
  /** Transfers in a linked chain. */
  readonly chain?: number | undefined;
  readonly legs?: Legs | undefined;
}

interface Sides {
  readonly debits: Uint32Array;
  readonly credits: Uint32Array;
  readonly amounts: Uint32Array;
}

export class Pairs {
  readonly #random: Prng;
  readonly #rules: PairRules;
  readonly #share: number | undefined;
  readonly #legs: Legs;
  readonly #shardOfAccount: Uint8Array;
  readonly #byShard: readonly Uint32Array[];
  readonly #zipf: Zipf | undefined;
  readonly #hot: number;
  #owed = 0;

  constructor(accountIds: Uint32Array, rules: PairRules, random: Prng) {
    const { accounts, shards, crossShard, legs = 'fall' } = rules;
    this.#random = random;
    this.#rules = rules;
    this.#share = shards === 1 || crossShard === undefined ? undefined : crossShard / 100;
    this.#legs = legs;
    this.#zipf = rules.skew === undefined ? undefined : new Zipf(accounts, rules.skew, random);
    this.#shardOfAccount = new Uint8Array(accounts);
    const lists: number[][] = Array.from({ length: shards }, () => []);
    for (let i = 0; i < accounts; i++) {
      const shard = shardOf(accountIds, i * 4, shards);
      this.#shardOfAccount[i] = shard;
      lists[shard]!.push(i);
    }
    this.#byShard = lists.map((list) => Uint32Array.from(list));
    if (this.#byShard.some((list) => list.length < 2)) {
      throw new Error('every shard needs two accounts: ask for more of them');
    }
    const { hotShard } = rules;
    this.#hot = hotShard === undefined ? HOT_ACCOUNT : this.#byShard[hotShard]![0]!;
  }

  draw(sides: Sides): void {
    const { debits, credits, amounts } = sides;
    for (let i = 0; i < debits.length; i++) {
      if (this.#isFee(i)) this.#drawFee(sides, i);
      else if (this.#legs === 'fall') this.#drawPair(sides, i);
      else this.#drawLeg(sides, i);
      amounts[i] = this.#random.between(1, AMOUNT_MAX);
    }
    if (this.#share !== undefined) this.#shuffle(debits, credits);
  }

  #drawPair({ debits, credits }: Sides, i: number): void {
    const { hotSide, accounts } = this.#rules;
    const first = hotSide === undefined ? this.#drawOf(accounts) : this.#hot;
    const other = this.#otherFor(first);
    const isSwapped = hotSide === 'credit' || (hotSide === 'either' && this.#random.chance(50));
    debits[i] = isSwapped ? other : first;
    credits[i] = isSwapped ? first : other;
  }

  #isFee(i: number): boolean {
    const { hasFee, chain = 1 } = this.#rules;
    return hasFee === true && i % chain === chain - 1;
  }

  #drawFee({ debits, credits }: Sides, i: number): void {
    const payer = debits[i - (this.#rules.chain ?? 1) + 1] ?? this.#hot;
    debits[i] = payer === this.#hot ? this.#other(payer, undefined) : payer;
    credits[i] = this.#hot;
  }

  /** The first leg of a chain falls where it falls; the others go by its shard. */
  #drawLeg({ debits, credits }: Sides, i: number): void {
    const leg = i % (this.#rules.chain ?? 1);
    const { shards } = this.#rules;
    const home = leg === 0 ? this.#random.below(shards) : this.#shardOfAccount[debits[i - leg]!]!;
    const shard = this.#legs === 'apart' ? (home + leg) % shards : home;
    const list = this.#byShard[shard]!;
    const debit = list[this.#random.below(list.length)]!;
    debits[i] = debit;
    const creditShard = this.#legs === 'cross' ? this.#away(shard) : shard;
    credits[i] = this.#other(debit, this.#byShard[creditShard]);
  }

  #drawOf(accounts: number): number {
    return this.#zipf === undefined ? this.#random.below(accounts) : this.#zipf.draw(this.#random);
  }

  #otherFor(account: number): number {
    if (this.#share === undefined) return this.#other(account, undefined);
    this.#owed += this.#share;
    const shard = this.#shardOfAccount[account]!;
    // The sum of shares like 0.1 is not exact; a thousandth is far more than it is ever off.
    const isCrossing = this.#owed >= 0.999;
    if (isCrossing) this.#owed -= 1;
    const otherShard = isCrossing ? this.#away(shard) : shard;
    if (this.#zipf === undefined) return this.#other(account, this.#byShard[otherShard]);
    return this.#otherOn(account, otherShard);
  }

  /** Drawn until one lies there, so that within the shard the hot ones are as hot as they are. */
  #otherOn(account: number, shard: number): number {
    for (;;) {
      const other = this.#other(account, undefined);
      if (this.#shardOfAccount[other] === shard) return other;
    }
  }

  #away(shard: number): number {
    const { shards } = this.#rules;
    return (shard + 1 + this.#random.below(shards - 1)) % shards;
  }

  #other(account: number, list: Uint32Array | undefined): number {
    for (;;) {
      const other =
        list === undefined
          ? this.#drawOf(this.#rules.accounts)
          : list[this.#random.below(list.length)]!;
      if (other !== account) return other;
    }
  }

  /** Crossing pairs come at even distances; a shuffle hides that from the router. */
  #shuffle(debits: Uint32Array, credits: Uint32Array): void {
    for (let i = debits.length - 1; i > 0; i--) {
      const j = this.#random.below(i + 1);
      [debits[i], debits[j]] = [debits[j]!, debits[i]!];
      [credits[i], credits[j]] = [credits[j]!, credits[i]!];
    }
  }
}
