/**
 * The keys of an event that belong to this shard: what a walk claims, and what makes others wait. Of a transfer its id and, of a post or void,
 * the id of its pending transfer, both at home on the shard of the debit account; its debit and its credit account; of an account its id.
 * Imported events of one shard go in order, so they share a key there too.
 *
 * One instance, filled anew for each event: nothing is made per event.
 */
import { isZero } from './arithmetic.ts';
import { BatchKind, type Columns, Transfer } from './batch.ts';
import { EventMark } from './event-marks.ts';
import type { EventShards } from './event-shards.ts';
import { RESOLVING } from './flags.ts';
import { hashId, shardOf } from './placement.ts';

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
  readonly #seed: number;
  count = 0;
  readonly words: Uint32Array[] = Array.from({ length: KEYS_MAX }, () => ZERO);
  readonly at = new Int32Array(KEYS_MAX);
  readonly kinds = new Uint8Array(KEYS_MAX);
  /** As the table of claims hashes them. */
  readonly hashes = new Int32Array(KEYS_MAX);
  /** Of accounts: the likely row, -1 for unknown. */
  readonly rows = new Int32Array(KEYS_MAX);
  /** Likely rows of the accounts of the next `collectRow`, -1 for unknown. */
  debitRow = -1;
  creditRow = -1;

  constructor(here: { readonly shard: number; readonly shards: number }, seed: number) {
    this.#here = here;
    this.#seed = seed | 0;
  }

  /** Notes the own keys of the event whose 32 words begin at `at`. */
  // Hot path.
  collect(kind: BatchKind, events: Uint32Array, at: number, mark: number): void {
    this.count = 0;
    if (kind === BatchKind.accounts) {
      this.#collectAccount(events, at, mark);
      return;
    }
    const { shard, shards } = this.#here;
    const isResolving = ((events[at + CODE_FLAGS]! >>> 16) & RESOLVING) !== 0;
    if (shardOf(events, at + DEBIT, shards) === shard) {
      this.#add(events, at, KeyKind.transfer);
      this.#add(events, at + DEBIT, KeyKind.account);
      if (isResolving) this.#addPending(events, at + PENDING);
      this.#addImports(mark);
    }
    if (isResolving && isZero(events, at + CREDIT)) return;
    if (shardOf(events, at + CREDIT, shards) === shard) {
      this.#add(events, at + CREDIT, KeyKind.account);
    }
  }

  /** The same for a row of a batch that lies by column, and whose shards are known. */
  // Hot path.
  collectRow(columns: Columns, i: number, mark: number, { home, away }: EventShards): void {
    const { kind, words, halves, at, step } = columns;
    const { shard } = this.#here;
    this.count = 0;
    const id = at[Transfer.id]! + i * step[Transfer.id]!;
    if (kind === BatchKind.accounts) {
      this.#collectAccount(words, id, mark);
      return;
    }
    const isResolving =
      (halves[at[Transfer.flags]! + i * step[Transfer.flags]!]! & RESOLVING) !== 0;
    if (home[i] === shard) {
      this.#add(words, id, KeyKind.transfer);
      const dr = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
      this.#add(words, dr, KeyKind.account, this.debitRow);
      if (isResolving) {
        this.#addPending(words, at[Transfer.pendingId]! + i * step[Transfer.pendingId]!);
      }
      this.#addImports(mark);
    }
    if (away[i] !== shard) return;
    const cr = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
    if (isResolving && isZero(words, cr)) return;
    this.#add(words, cr, KeyKind.account, this.creditRow);
  }

  #collectAccount(words: Uint32Array, id: number, mark: number): void {
    if (shardOf(words, id, this.#here.shards) !== this.#here.shard) return;
    this.#add(words, id, KeyKind.account);
    if ((mark & EventMark.imported) !== 0) this.#add(ZERO, 0, KeyKind.importAccounts);
  }

  #addPending(words: Uint32Array, pending: number): void {
    if (!isZero(words, pending)) this.#add(words, pending, KeyKind.transfer);
  }

  #addImports(mark: number): void {
    if ((mark & EventMark.imported) !== 0) this.#add(ZERO, 0, KeyKind.importTransfers);
  }

  // Hot path.
  #add(words: Uint32Array, at: number, kind: number, row = -1): void {
    this.words[this.count] = words;
    this.at[this.count] = at;
    this.rows[this.count] = row;
    this.hashes[this.count] = hashId(words, at, this.#seed ^ kind);
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

export function addShard(path: { low: number; high: number }, shard: number): void {
  if (shard < 32) path.low = (path.low | (1 << shard)) >>> 0;
  else path.high = (path.high | (1 << (shard - 32))) >>> 0;
}
