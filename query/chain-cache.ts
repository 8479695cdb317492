/**
 * Where the transfers of some accounts lie, counted from the oldest: a chain in the journal leads from the newest to the oldest only, and a page
 * of the oldest must not cost the whole chain each time. Of every STRIDE transfers one position is kept, so a page costs at most STRIDE
 * steps more than its entries, and an account with ten million transfers costs 15 MB. The least recently used accounts are forgotten when
 * their positions pass a bound.
 *
 * A chain only grows at its newest end, so what is known stays right; a newer head is walked back to the newest known one.
 */
import { assert } from '../engine/assert.ts';
import { positionSequence } from '../engine/ledger.ts';
import type { Pause } from './pause.ts';

export interface ChainPosition {
  readonly low: number;
  readonly high: number;
}

/** A position and which transfer of its account it is, from 0 for the oldest. */
export interface Milestone extends ChainPosition {
  readonly ordinal: number;
}

export interface ChainSteps {
  /** The position before one in the chain, both words 0 at its end. */
  previous(position: ChainPosition): ChainPosition;
}

const STRIDE = 16;
const CHAIN_BYTES = 512;
/** Steps between two looks at the clock. */
const STEPS_AT_ONCE = 256;

/** A walk that goes on where it was left when its deadline had passed. */
interface Walk {
  readonly from: ChainPosition;
  at: ChainPosition;
  steps: number;
  /** Each STRIDE-th position from `from` on. */
  readonly found: GrowingNumbers;
}

export class Chain {
  /** Transfers known: those up to the newest head that was walked from. */
  count = 0;
  newest: ChainPosition = { low: 0, high: 0 };
  readonly #milestones = new GrowingNumbers();
  #walk: Walk | undefined;
  #isBusy = false;

  get byteLength(): number {
    const walked = this.#walk?.found.length ?? 0;
    return CHAIN_BYTES + (this.#milestones.length + walked) * 8;
  }

  /** Makes everything known up to a head. Several questions may ask at once: one walks, the others wait. */
  *extend(head: ChainPosition, steps: ChainSteps): Generator<Pause, void> {
    while (this.#isBusy) yield 'waiting';
    if (isSame(head, this.newest)) return;
    this.#isBusy = true;
    try {
      yield* this.#extend(head, steps);
    } finally {
      this.#isBusy = false;
    }
  }

  /** The nearest known position at or above an ordinal, which is below `count`. */
  milestoneFrom(ordinal: number): Milestone {
    assert(ordinal >= 0 && ordinal < this.count, 'the transfer is known');
    const at = this.#firstMilestone((index) => this.#milestone(index).ordinal >= ordinal);
    return this.#milestone(at);
  }

  /** The last milestone of which all are `isBefore`, which holds up to some place in the chain and not after. */
  lastMilestone(isBefore: (milestone: Milestone) => boolean): Milestone | undefined {
    const at = this.#firstMilestone((index) => !isBefore(this.#milestone(index)));
    return at === 0 ? undefined : this.#milestone(at - 1);
  }

  get milestones(): number {
    return this.#milestones.length / 3;
  }

  *#extend(head: ChainPosition, steps: ChainSteps): Generator<Pause, void> {
    // An older head than the newest known one: two answers of the owner came in another order.
    if (this.count > 0 && isOlder(head, this.newest)) return;
    const walk = this.#begin(head);
    while (!isEnd(walk.at) && !isSame(walk.at, this.newest)) {
      if (walk.steps % STRIDE === 0) walk.found.push(walk.at.low, walk.at.high);
      walk.at = steps.previous(walk.at);
      walk.steps++;
      if (walk.steps % STEPS_AT_ONCE === 0) yield;
    }
    this.#walk = undefined;
    // The head was older than the newest known one, and so its chain does not lead there.
    if (!isSame(walk.at, this.newest)) return;
    const count = this.count + walk.steps;
    for (let i = walk.found.length - 2; i >= 0; i -= 2) {
      const ordinal = count - 1 - (i / 2) * STRIDE;
      this.#milestones.push(walk.found.at(i), walk.found.at(i + 1));
      this.#milestones.push(ordinal);
    }
    this.count = count;
    this.newest = walk.from;
    if (!isSame(head, this.newest)) yield* this.#extend(head, steps);
  }

  #begin(head: ChainPosition): Walk {
    this.#walk ??= { from: head, at: head, steps: 0, found: new GrowingNumbers() };
    return this.#walk;
  }

  #milestone(index: number): Milestone {
    const at = index * 3;
    const milestones = this.#milestones;
    return {
      low: milestones.at(at),
      high: milestones.at(at + 1),
      ordinal: milestones.at(at + 2),
    };
  }

  #firstMilestone(isIt: (index: number) => boolean): number {
    let low = 0;
    let high = this.milestones;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isIt(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

export class ChainCache {
  readonly #bytesMax: number;
  /** By account, the least recently used first. */
  readonly #chains = new Map<bigint, Chain>();
  /** What each was counted with. */
  readonly #counted = new Map<bigint, number>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get byteLength(): number {
    return this.#bytes;
  }

  chain(accountId: bigint): Chain {
    const chain = this.#chains.get(accountId) ?? new Chain();
    this.#chains.delete(accountId);
    this.#chains.set(accountId, chain);
    return chain;
  }

  /** Counts what an account's chain has grown to, and forgets what is too much. A chain in use stays whole for its user. */
  grew(accountId: bigint): void {
    const chain = this.#chains.get(accountId);
    if (chain === undefined) return;
    this.#bytes += chain.byteLength - (this.#counted.get(accountId) ?? 0);
    this.#counted.set(accountId, chain.byteLength);
    for (const eldest of this.#chains.keys()) {
      if (this.#bytes <= this.#bytesMax || this.#chains.size === 1) return;
      this.#chains.delete(eldest);
      this.#bytes -= this.#counted.get(eldest) ?? 0;
      this.#counted.delete(eldest);
    }
  }
}

/** Whole numbers, in memory that doubles. */
class GrowingNumbers {
  #numbers = new Float64Array(8);
  length = 0;

  push(one: number, two?: number): void {
    if (this.length + 2 > this.#numbers.length) {
      const grown = new Float64Array(this.#numbers.length * 2);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[this.length++] = one;
    if (two !== undefined) this.#numbers[this.length++] = two;
  }

  at(index: number): number {
    assert(index < this.length, 'the number is there');
    return this.#numbers[index]!;
  }
}

export function isEnd({ low, high }: ChainPosition): boolean {
  return low === 0 && high === 0;
}

export function isSame(one: ChainPosition, two: ChainPosition): boolean {
  return one.low === two.low && one.high === two.high;
}

/** Frames are in the order of effect; within one frame only the chain says it, so then it is not known to be older. */
function isOlder(one: ChainPosition, two: ChainPosition): boolean {
  return positionSequence(one.low, one.high) < positionSequence(two.low, two.high);
}
