/**
 * The messages between shards, as words. All begin with {kind, rows, first shard of the walk, number of the walk}.
 *
 *   walk   {…, path low, path high, accounts, records, failed, newest, kind of batch, form} events: 32 words each; their marks: a word each;
 *          accounts: 32 words each; records: {record 32, state, 0}; failed ids: {id 4, home, 0}; newest timestamps: {shard, low, high, 0}
 *   apply  {…, accounts, failed, outcomes, resolved, balances, made, transfers, form} transfers: {record 32, state, 0, decided 2}; changed accounts: {id 4, balances 16,
 *          code and flags, 0}; made accounts: 32 words each; failed ids: 4 words; resolved pending transfers: {id 4, state, timestamp 2, 0};
 *          balances: {transfer of this message, side, balances 16}; outcomes: {status, timestamp 2, 0}
 *   ack    {…}
 *   expire {…} record of a pending transfer whose time is over; from its home to the shard where its walk begins
 *
 * `rows` is the number of rows that a receiver may have to add to its journal frame. `form`, see `MessageForm`: the rows of events, transfers, accounts that walk,
 * and changed accounts are thin (thin-rows.ts), of transfers the first 32 words; behind each kind of rows there is a word 0 if it has an odd number of words.
 */
import { ROW_WORDS } from './batch.ts';
import { WALK_EVENTS_MAX } from './limits.ts';
import { evenEnd, readThin, skipThin } from './thin-rows.ts';

export const LINK_HEAD_WORDS = 12;
export const LinkKind = { walk: 1, apply: 2, ack: 3, expire: 4 } as const;

export const LinkHead = { kind: 0, rows: 1, first: 2, walk: 3 } as const;
export const WalkHead = {
  pathLow: 4,
  pathHigh: 5,
  accounts: 6,
  records: 7,
  failed: 8,
  newest: 9,
  batchKind: 10,
  form: 11,
} as const;
export const ApplyHead = {
  accounts: 4,
  failed: 5,
  outcomes: 6,
  resolved: 7,
  balances: 8,
  made: 9,
  transfers: 10,
  form: 11,
} as const;

/** `whole`: all rows are, as in frames of version 3. `thinAccounts`: only the accounts of a walk are thin; so walks lie in memory. */
export const MessageForm = { whole: 0, thin: 1, thinAccounts: 2 } as const;

export const RECORD_WORDS = 34;
export const TRANSFER_WORDS = 36;
export const CHANGED_WORDS = 22;
export const FAILED_WORDS = 6;
export const NEWEST_WORDS = 4;
export const RESOLVED_WORDS = 8;
export const OUTCOME_WORDS = 4;
/** {index of the created transfer, side, 16 words of balances} */
export const CARRIED_BALANCE_WORDS = 18;
const ID_WORDS = 4;

export function linkRows(words: Uint32Array, at: number): number {
  return words[at + LinkHead.rows]!;
}

/**
 * What is wrong with the counts of the message at words at..end-1, or null: what they announce has no room in it, even where every row that may
 * be thin is a single word. Whoever executes the message again relies on them; its shard has made it.
 */
export function messageDefect(words: Uint32Array, at: number, end: number): string | null {
  const room = end - at - LINK_HEAD_WORDS;
  if (room < 0) return 'a message is cut off';
  const head = words.subarray(at, at + LINK_HEAD_WORDS);
  const least = leastWords(head);
  if (least === undefined) return 'a message is of no known kind';
  if (least > room || rowsOf(head) !== head[LinkHead.rows])
    return 'a message announces more than it has';
  return null;
}

/** How many rows the receiver of the message with this head may have to add. */
function rowsOf(head: Uint32Array): number {
  if (head[LinkHead.kind] === LinkKind.walk) return Math.min(head[LinkHead.rows]!, WALK_EVENTS_MAX);
  if (head[LinkHead.kind] !== LinkKind.apply) return 0;
  return head[ApplyHead.transfers]! + head[ApplyHead.made]! + head[ApplyHead.resolved]!;
}

/** Of the message with this head; undefined for an unknown kind. */
function leastWords(head: Uint32Array): number | undefined {
  const count = (word: number): number => head[word]!;
  switch (head[LinkHead.kind] as (typeof LinkKind)[keyof typeof LinkKind]) {
    case LinkKind.walk: {
      const isThin = head[WalkHead.form] === MessageForm.thin;
      const row = isThin ? 1 : ROW_WORDS;
      const events = count(LinkHead.rows) * (row + 1) + count(WalkHead.accounts) * row;
      const known = count(WalkHead.records) * RECORD_WORDS + count(WalkHead.failed) * FAILED_WORDS;
      return events + known + count(WalkHead.newest) * NEWEST_WORDS;
    }
    case LinkKind.apply: {
      const isWhole = head[ApplyHead.form] === MessageForm.whole;
      const transfers = isWhole ? TRANSFER_WORDS : TRANSFER_WORDS - ROW_WORDS + 1;
      return (
        count(ApplyHead.transfers) * transfers +
        count(ApplyHead.accounts) * (isWhole ? CHANGED_WORDS : 1) +
        count(ApplyHead.made) * ROW_WORDS +
        count(ApplyHead.failed) * ID_WORDS +
        count(ApplyHead.resolved) * RESOLVED_WORDS +
        count(ApplyHead.balances) * CARRIED_BALANCE_WORDS +
        count(ApplyHead.outcomes) * OUTCOME_WORDS
      );
    }
    case LinkKind.ack:
      return 0;
    case LinkKind.expire:
      return ROW_WORDS;
    default:
      return undefined;
  }
}

/** Where the changed accounts of a decision at a word offset begin. */
export function endOfTransfers(words: Uint32Array, message: number): number {
  const first = message + LINK_HEAD_WORDS;
  const n = words[message + ApplyHead.transfers]!;
  if (words[message + ApplyHead.form] === MessageForm.whole) return first + n * TRANSFER_WORDS;
  return evenEnd(first, skipThin(words, first, n, TRANSFER_WORDS - ROW_WORDS));
}

/** Reads a changed account of a decision into CHANGED_WORDS words. Returns where it ends. */
// Hot path.
export function readChanged(
  words: Uint32Array,
  at: number,
  isThin: boolean,
  target: Uint32Array,
): number {
  if (isThin) return readThin(words, at, target, 0, CHANGED_WORDS);
  for (let w = 0; w < CHANGED_WORDS; w++) target[w] = words[at + w]!;
  return at + CHANGED_WORDS;
}

/** A list of words that grows; what messages are made in. */
export class WordList {
  words: Uint32Array = new Uint32Array(256);
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

  /** What is in the list; valid until it changes. */
  view(): Uint32Array {
    return this.words.subarray(0, this.length);
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

/** Of a way's mask: how many shards it has. */
export function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}
