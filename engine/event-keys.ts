/**
 * The keys of an event that belong to this shard: what a walk claims, and what makes others wait. Of a transfer its id and, of a post or void,
 * the id of its pending transfer, both at home on the shard of the debit account; its debit and its credit account; of an account its id.
 * Imported events of one shard go in order, so they share a key there too.
 *
 * One instance, filled anew for each event: nothing is made per event.
 */
import { isZero } from './arithmetic.ts';
import { BatchKind } from './batch.ts';
import { EventMark } from './event-marks.ts';
import { RESOLVING } from './flags.ts';
import { shardOf } from './placement.ts';

export const KeyKind = { account: 1, transfer: 2, importAccounts: 3, importTransfers: 4 } as const;

const KEYS_MAX = 5;
const ZERO = new Uint32Array(4);
/** Word offsets in a transfer row. */
const DEBIT = 4;
const CREDIT = 8;
const PENDING = 16;
const CODE_FLAGS = 29;

export class EventKeys {
  readonly #here: { readonly shard: number; readonly shards: number };
  count = 0;
  readonly words: Uint32Array[] = Array.from({ length: KEYS_MAX }, () => ZERO);
  readonly at = new Int32Array(KEYS_MAX);
  readonly kinds = new Uint8Array(KEYS_MAX);

  constructor(here: { readonly shard: number; readonly shards: number }) {
    this.#here = here;
  }

  /** Notes the own keys of the event whose 32 words begin at `at`. */
  // Hot path.
  collect(kind: BatchKind, events: Uint32Array, at: number, mark: number): void {
    const { shard, shards } = this.#here;
    this.count = 0;
    if (kind === BatchKind.accounts) {
      if (shardOf(events, at, shards) !== shard) return;
      this.#add(events, at, KeyKind.account);
      if ((mark & EventMark.imported) !== 0) this.#add(ZERO, 0, KeyKind.importAccounts);
      return;
    }
    const isResolving = ((events[at + CODE_FLAGS]! >>> 16) & RESOLVING) !== 0;
    if (shardOf(events, at + DEBIT, shards) === shard) {
      this.#add(events, at, KeyKind.transfer);
      this.#add(events, at + DEBIT, KeyKind.account);
      if (isResolving && !isZero(events, at + PENDING)) {
        this.#add(events, at + PENDING, KeyKind.transfer);
      }
      if ((mark & EventMark.imported) !== 0) this.#add(ZERO, 0, KeyKind.importTransfers);
    }
    if (isResolving && isZero(events, at + CREDIT)) return;
    if (shardOf(events, at + CREDIT, shards) === shard) {
      this.#add(events, at + CREDIT, KeyKind.account);
    }
  }

  #add(words: Uint32Array, at: number, kind: number): void {
    this.words[this.count] = words;
    this.at[this.count] = at;
    this.kinds[this.count++] = kind;
  }
}

/** The shards that an event spans, as a mask of two words. */
export function addPath(
  path: { low: number; high: number },
  kind: BatchKind,
  events: Uint32Array,
  event: { readonly at: number; readonly shards: number },
): void {
  const { at, shards } = event;
  if (kind === BatchKind.accounts) {
    addShard(path, shardOf(events, at, shards));
    return;
  }
  addShard(path, shardOf(events, at + DEBIT, shards));
  const isResolving = ((events[at + CODE_FLAGS]! >>> 16) & RESOLVING) !== 0;
  if (isResolving && isZero(events, at + CREDIT)) return;
  addShard(path, shardOf(events, at + CREDIT, shards));
}

function addShard(path: { low: number; high: number }, shard: number): void {
  if (shard < 32) path.low = (path.low | (1 << shard)) >>> 0;
  else path.high = (path.high | (1 << (shard - 32))) >>> 0;
}
