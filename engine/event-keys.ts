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
/** Hashes of the ids of rows of an open batch of transfers, as the table of claims has them, which are computed a block at a time. */
export class KeysAhead {
  readonly #seed: number;
  /** The rows whose hashes are here; none when `to` is not above `from`. */
  from = 0;
  to = 0;
  /** Of each row; only those of this shard's are set. */
  readonly byRow = new Int32Array(BLOCK_ROWS);
  /** Those that are set, one after the other. */
  readonly hashes = new Int32Array(BLOCK_ROWS);
  count = 0;

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** Another batch is opened. */
  close(): void {
    this.to = this.from;
  }

  /** Of rows of a batch of transfers, at most BLOCK_ROWS of them, those that are at home on a shard. */
  // Hot path.
  // oxlint-disable-next-line max-params -- Rows, and where they belong.
  look(columns: Columns, from: number, to: number, home: Uint8Array, shard: number): void {
    const { words } = columns;
    const { byRow, hashes } = this;
    const step = columns.step[Transfer.id]!;
    const start = columns.at[Transfer.id]!;
    this.from = from;
    this.to = to;
    let count = 0;
    for (let i = from; i < to; i++) {
      if (home[i] !== shard) continue;
      const hash = hashId(words, start + i * step, this.#seed ^ KeyKind.transfer);
      byRow[i - from] = hash;
      hashes[count++] = hash;
    }
    this.count = count;
  }
}

/** Likely rows of the accounts of rows of an open batch, see `TransferAccounts`. */
export interface AccountsAhead {
  readonly rowsAhead: Int32Array;
  readonly aheadFrom: number;
  readonly aheadTo: number;
}

const NOTHING_AHEAD: AccountsAhead = { rowsAhead: new Int32Array(0), aheadFrom: 0, aheadTo: 0 };

export class EventKeys {
  readonly #here: { readonly shard: number; readonly shards: number };
  readonly #seed: number;
  readonly #ahead: KeysAhead;
  readonly #accounts: AccountsAhead;
  count = 0;
  readonly words: Uint32Array[] = Array.from({ length: KEYS_MAX }, () => ZERO);
  readonly at = new Int32Array(KEYS_MAX);
  readonly kinds = new Uint8Array(KEYS_MAX);
  /** As the table of claims hashes them; of accounts, which are seldom looked for there, none. */
  readonly hashes = new Int32Array(KEYS_MAX);
  /** Of accounts: the likely row, -1 for unknown. */
  readonly rows = new Int32Array(KEYS_MAX);

  /** `ahead`, `accounts`: of the rows that `collectRow` is asked for. */
  constructor(
    here: { readonly shard: number; readonly shards: number },
    seed: number,
    ahead = new KeysAhead(seed),
    accounts = NOTHING_AHEAD,
  ) {
    this.#here = here;
    this.#seed = seed | 0;
    this.#ahead = ahead;
    this.#accounts = accounts;
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
      this.#addAccount(events, at + DEBIT, -1);
      if (isResolving) this.#addPending(events, at + PENDING);
      this.#addImports(mark);
    }
    if (isResolving && isZero(events, at + CREDIT)) return;
    if (shardOf(events, at + CREDIT, shards) === shard) this.#addAccount(events, at + CREDIT, -1);
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
    const { rowsAhead, aheadFrom, aheadTo } = this.#accounts;
    const likely = i >= aheadFrom && i < aheadTo ? 2 * (i - aheadFrom) : -1;
    if (home[i] === shard) {
      const { byRow, from, to } = this.#ahead;
      const dr = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
      if (i >= from && i < to) this.#addHashed(words, id, KeyKind.transfer, byRow[i - from]!);
      else this.#add(words, id, KeyKind.transfer);
      this.#addAccount(words, dr, likely === -1 ? -1 : rowsAhead[likely]!);
      if (isResolving) {
        this.#addPending(words, at[Transfer.pendingId]! + i * step[Transfer.pendingId]!);
      }
      this.#addImports(mark);
    }
    if (away[i] !== shard) return;
    const cr = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
    if (isResolving && isZero(words, cr)) return;
    this.#addAccount(words, cr, likely === -1 ? -1 : rowsAhead[likely + 1]!);
  }

  #collectAccount(words: Uint32Array, id: number, mark: number): void {
    if (shardOf(words, id, this.#here.shards) !== this.#here.shard) return;
    this.#addAccount(words, id, -1);
    if ((mark & EventMark.imported) !== 0) this.#add(ZERO, 0, KeyKind.importAccounts);
  }

  #addPending(words: Uint32Array, pending: number): void {
    if (!isZero(words, pending)) this.#add(words, pending, KeyKind.transfer);
  }

  #addImports(mark: number): void {
    if ((mark & EventMark.imported) !== 0) this.#add(ZERO, 0, KeyKind.importTransfers);
  }

  // Hot path.
  #addAccount(words: Uint32Array, at: number, row: number): void {
    this.words[this.count] = words;
    this.at[this.count] = at;
    this.rows[this.count] = row;
    this.kinds[this.count++] = KeyKind.account;
  }

  // Hot path.
  #add(words: Uint32Array, at: number, kind: number): void {
    this.#addHashed(words, at, kind, hashId(words, at, this.#seed ^ kind));
  }

  // Hot path.
  #addHashed(words: Uint32Array, at: number, kind: number, hash: number): void {
    this.words[this.count] = words;
    this.at[this.count] = at;
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
