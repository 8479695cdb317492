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
import { BLOCK_ROWS } from './look-ahead.ts';
import { hashId, shardOf } from './placement.ts';

export const KeyKind = { account: 1, transfer: 2, importAccounts: 3, importTransfers: 4 } as const;

const KEYS_MAX = 5;
const ZERO = new Uint32Array(4);
/** Word offsets in a transfer row. */
const DEBIT = 4;
const CREDIT = 8;
const PENDING = 16;
const CODE_FLAGS = 29;
/** Keys whose hashes are kept for a row: its id, its debit account, its credit account. */
const KEYS_AHEAD = 3;

/** Hashes of the keys of rows of an open batch, which are computed a block at a time. */
export class KeysAhead {
  readonly #seed: number;
  /** The rows whose hashes are here; none when `to` is not above `from`. */
  from = 0;
  to = 0;
  /** KEYS_AHEAD for each row; only those of this shard's keys are set. */
  readonly byRow = new Int32Array(KEYS_AHEAD * BLOCK_ROWS);
  /** Those that are set, one after the other. */
  readonly hashes = new Int32Array(KEYS_AHEAD * BLOCK_ROWS);
  count = 0;

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** Another batch is opened. */
  close(): void {
    this.to = this.from;
  }

  /** Of rows of a batch of transfers, at most BLOCK_ROWS of them. */
  // Hot path.
  // oxlint-disable-next-line max-params -- Rows, and where they belong.
  look(
    columns: Columns,
    from: number,
    to: number,
    { home, away }: EventShards,
    shard: number,
  ): void {
    const { words, at, step } = columns;
    const { byRow, hashes } = this;
    this.from = from;
    this.to = to;
    let count = 0;
    for (let i = from; i < to; i++) {
      const place = KEYS_AHEAD * (i - from);
      if (home[i] === shard) {
        const id = at[Transfer.id]! + i * step[Transfer.id]!;
        const dr = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
        const hash = hashId(words, id, this.#seed ^ KeyKind.transfer);
        const debit = hashId(words, dr, this.#seed ^ KeyKind.account);
        byRow[place] = hash;
        byRow[place + 1] = debit;
        hashes[count++] = hash;
        hashes[count++] = debit;
      }
      if (away[i] === shard) {
        const cr = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
        const credit = hashId(words, cr, this.#seed ^ KeyKind.account);
        byRow[place + 2] = credit;
        hashes[count++] = credit;
      }
    }
    this.count = count;
  }
}

export class EventKeys {
  readonly #here: { readonly shard: number; readonly shards: number };
  readonly #seed: number;
  readonly #ahead: KeysAhead;
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

  /** `ahead`: of the rows that `collectRow` is asked for. */
  constructor(
    here: { readonly shard: number; readonly shards: number },
    seed: number,
    ahead = new KeysAhead(seed),
  ) {
    this.#here = here;
    this.#seed = seed | 0;
    this.#ahead = ahead;
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
    const { byRow, from, to } = this.#ahead;
    const isAhead = i >= from && i < to;
    const place = KEYS_AHEAD * (i - from);
    if (home[i] === shard) {
      const dr = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
      if (isAhead) {
        this.#addHashed(words, id, KeyKind.transfer, -1, byRow[place]!);
        this.#addHashed(words, dr, KeyKind.account, this.debitRow, byRow[place + 1]!);
      } else {
        this.#add(words, id, KeyKind.transfer);
        this.#add(words, dr, KeyKind.account, this.debitRow);
      }
      if (isResolving) {
        this.#addPending(words, at[Transfer.pendingId]! + i * step[Transfer.pendingId]!);
      }
      this.#addImports(mark);
    }
    if (away[i] !== shard) return;
    const cr = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
    if (isResolving && isZero(words, cr)) return;
    if (isAhead) this.#addHashed(words, cr, KeyKind.account, this.creditRow, byRow[place + 2]!);
    else this.#add(words, cr, KeyKind.account, this.creditRow);
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
    this.#addHashed(words, at, kind, row, hashId(words, at, this.#seed ^ kind));
  }

  // Hot path.
  // oxlint-disable-next-line max-params -- A key and what is known of it.
  #addHashed(words: Uint32Array, at: number, kind: number, row: number, hash: number): void {
    this.words[this.count] = words;
    this.at[this.count] = at;
    this.rows[this.count] = row;
    this.hashes[this.count] = hash;
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
