/**
 * The three messages between shards, as words. All begin with {kind, rows, first shard of the walk, number of the walk}.
 *
 *   walk   {…, path low, path high, accounts, records, failed, 0, 0, 0} events, accounts, records: 32 words each; failed ids: {id 4, home, 0}
 *   apply  {…, accounts, failed, outcomes, 0, 0, 0, 0, 0} transfers and accounts: 32 words each; failed ids: 4 words; outcomes: {status, timestamp 2, 0}
 *   ack    {…}
 *
 * `rows` is the number of events of a walk and of transfers of an apply: what a receiver may have to add to its journal frame.
 */
export const LINK_HEAD_WORDS = 12;
export const LinkKind = { walk: 1, apply: 2, ack: 3 } as const;

export const LinkHead = { kind: 0, rows: 1, first: 2, walk: 3 } as const;
export const WalkHead = { pathLow: 4, pathHigh: 5, accounts: 6, records: 7, failed: 8 } as const;
export const ApplyHead = { accounts: 4, failed: 5, outcomes: 6 } as const;

export const FAILED_WORDS = 6;
export const OUTCOME_WORDS = 4;

export function linkRows(words: Uint32Array, at: number): number {
  return words[at + LinkHead.rows]!;
}

/** A list of words that grows; what messages are made in. */
export class WordList {
  words = new Uint32Array(256);
  length = 0;

  /** Makes room for so many words and returns where they begin. */
  extend(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.words.length) {
      const grown = new Uint32Array(Math.max(this.words.length * 2, this.length));
      grown.set(this.words.subarray(0, at));
      this.words = grown;
    }
    return at;
  }

  append(source: Uint32Array, from: number, count: number): void {
    const at = this.extend(count);
    for (let w = 0; w < count; w++) this.words[at + w] = source[from + w]!;
  }

  /** A copy of exactly what is in the list. */
  copy(): Uint32Array {
    return this.words.slice(0, this.length);
  }
}

/** A message to another shard; the actor numbers it and keeps it until it is acknowledged. */
export interface Outgoing {
  readonly to: number;
  readonly body: Uint32Array;
}

/** The next shard of a way after this one, or -1. */
export function nextShard(low: number, high: number, shard: number): number {
  for (let next = shard + 1; next < 64; next++) {
    if (((next < 32 ? low >>> next : high >>> (next - 32)) & 1) === 1) return next;
  }
  return -1;
}
