/**
 * A router for tests of the edges: keeps rows in a map, and answers as it is told. A cursor of its pages is the place in the order of
 * arrival where the next page begins. Balances and changes are those of the newest state, since nobody reckons here.
 */
import { Batch, Columns, ROW_WORDS } from '../../engine/batch.ts';
import { TransferFlags } from '../../engine/flags.ts';
import {
  type AccountFilter,
  type AccountTransfersPage,
  type BalancesPage,
  type ChangesFilter,
  type ChangesPage,
  ChangeType,
  type Page,
  PendingStatus,
  type QueryFilter,
  type TransfersPage,
  type UserFilter,
} from '../../engine/query.ts';
import type { CreateReply, RowsReply } from '../../engine/reply.ts';
import { bigintOfUint128, bigintOfUint64, writeUint128 } from '../../engine/uint128.ts';
import type { RequestRouter, RouterStatus } from '../../gateway/request-router.ts';
import { SyceeError } from '../../lib/sycee-error.ts';

export class FakeRouter implements RequestRouter {
  /** Status of every event that is created from now on. */
  outcome = 0;
  /** What every request is rejected with, when set. */
  rejection: unknown;
  /** What every request waits for. */
  gate: Promise<void> = Promise.resolve();
  readonly deadlines: number[] = [];
  readonly batches: Batch[] = [];
  /** Of every question about the past. */
  readonly filters: (AccountFilter | QueryFilter | ChangesFilter)[] = [];
  state = 'running';
  isFull = false;
  readonly #accounts = new Map<string, Uint32Array>();
  readonly #transfers = new Map<string, Uint32Array>();
  #sequence = 0;

  createAccounts(batch: Batch, deadlineMs: number): Promise<CreateReply> {
    return this.#create(this.#accounts, batch, deadlineMs);
  }

  createTransfers(batch: Batch, deadlineMs: number): Promise<CreateReply> {
    return this.#create(this.#transfers, batch, deadlineMs);
  }

  lookupAccounts(ids: Batch, deadlineMs: number): Promise<RowsReply> {
    return this.#find(this.#accounts, ids, deadlineMs);
  }

  async lookupTransfers(ids: Batch, deadlineMs: number): Promise<RowsReply> {
    const found = await this.#find(this.#transfers, ids, deadlineMs);
    return { ...found, pendingStatuses: statusesOf(found) };
  }

  async getAccountTransfers(
    filter: AccountFilter,
    deadlineMs: number,
  ): Promise<AccountTransfersPage> {
    const page = await this.#page(this.#transfers, filter, deadlineMs);
    return { ...page, pendingStatuses: statusesOf(page), effectTimestamps: stampsOf(page, 1n) };
  }

  async getAccountBalances(filter: AccountFilter, deadlineMs: number): Promise<BalancesPage> {
    const page = await this.#page(this.#transfers, filter, deadlineMs);
    const account = this.#account(filter.accountId);
    const balances = new Uint32Array(page.n * 16);
    for (let i = 0; i < page.n; i++) balances.set(account.subarray(4, 20), i * 16);
    const { n, next, positions } = page;
    const times = { timestamps: stampsOf(page, 0n), effectTimestamps: stampsOf(page, 1n) };
    return { n, next, positions, balances, ...times };
  }

  queryAccounts(filter: QueryFilter, deadlineMs: number): Promise<Page> {
    return this.#page(this.#accounts, filter, deadlineMs);
  }

  async queryTransfers(filter: QueryFilter, deadlineMs: number): Promise<TransfersPage> {
    const page = await this.#page(this.#transfers, filter, deadlineMs);
    return { ...page, pendingStatuses: statusesOf(page) };
  }

  async getChangeEvents(filter: ChangesFilter, deadlineMs: number): Promise<ChangesPage> {
    const page = await this.#page(this.#transfers, filter, deadlineMs);
    const { n, next, positions, rows } = page;
    const accounts = (word: number): Uint32Array => {
      const all = new Uint32Array(n * ROW_WORDS);
      for (let i = 0; i < n; i++) {
        const id = bigintOfUint128(rows, i * ROW_WORDS + word);
        all.set(this.#account(id), i * ROW_WORDS);
      }
      return all;
    };
    return {
      n,
      next,
      positions,
      types: Uint8Array.from({ length: n }, (_, i) => changeTypeOf(flagsOf(rows, i))),
      timestamps: stampsOf(page, 0n),
      transfers: rows,
      debitAccounts: accounts(4),
      creditAccounts: accounts(8),
    };
  }

  status(): RouterStatus {
    const { state } = this;
    const sequence = this.#sequence;
    return {
      shards: [
        {
          shard: 0,
          state,
          sequence,
          timestamp: 7n,
          queueDepth: 0,
          inFlight: 0,
          isFull: this.isFull,
          recovery:
            state === 'recovering'
              ? { phase: 'replaying', sequence: 30, of: 120, fraction: 0.25 }
              : undefined,
        },
      ],
    };
  }

  async #take(
    asked: Batch | AccountFilter | QueryFilter | ChangesFilter,
    deadlineMs: number,
  ): Promise<void> {
    this.deadlines.push(deadlineMs);
    if (asked instanceof Batch) this.batches.push(asked);
    else this.filters.push(asked);
    await this.gate;
    if (this.rejection !== undefined) throw this.rejection;
  }

  async #create(
    rows: Map<string, Uint32Array>,
    batch: Batch,
    deadlineMs: number,
  ): Promise<CreateReply> {
    await this.#take(batch, deadlineMs);
    this.#sequence++;
    const stamp = 1_700_000_000_000_000_000n + BigInt(this.#sequence);
    for (const row of rowsOf(batch)) {
      new BigUint64Array(row.buffer)[15] = stamp;
      rows.set(keyOf(row), row);
    }
    return {
      n: batch.n,
      statuses: new Uint16Array(batch.n).fill(this.outcome),
      timestamps: new BigUint64Array(batch.n).fill(stamp),
      positions: [{ shard: 0, sequence: this.#sequence, timestamp: stamp }],
    };
  }

  async #find(rows: Map<string, Uint32Array>, ids: Batch, deadlineMs: number): Promise<RowsReply> {
    await this.#take(ids, deadlineMs);
    const found = rowsOf(ids).flatMap((row) => rows.get(keyOf(row)) ?? []);
    const all = new Uint32Array(found.length * ROW_WORDS);
    for (const [i, row] of found.entries()) all.set(row, i * ROW_WORDS);
    return { n: found.length, rows: all, positions: [] };
  }

  async #page(
    rows: Map<string, Uint32Array>,
    filter: AccountFilter | QueryFilter | ChangesFilter,
    deadlineMs: number,
  ): Promise<Page> {
    await this.#take(filter, deadlineMs);
    const all = [...rows.values()].filter((row) => isMatch(row, filter));
    if ('reversed' in filter && filter.reversed) all.reverse();
    const from = filter.cursor === '' ? 0 : Number(filter.cursor);
    if (!Number.isSafeInteger(from)) {
      const details = { field: 'cursor', rule: 'cursor' };
      throw new SyceeError('malformed_request', 'the cursor is not one of this ledger', details);
    }
    const found = all.slice(from, from + filter.limit);
    const next = from + found.length < all.length ? String(from + found.length) : null;
    const answer = new Uint32Array(found.length * ROW_WORDS);
    for (const [i, row] of found.entries()) answer.set(row, i * ROW_WORDS);
    const positions = [{ shard: 0, sequence: this.#sequence, timestamp: 9n }];
    return { n: found.length, rows: answer, next, positions };
  }

  /** As it is now; zeros for one that is not there. */
  #account(id: bigint): Uint32Array {
    const words = new Uint32Array(ROW_WORDS);
    writeUint128(id, words, 0);
    return this.#accounts.get(keyOf(words)) ?? words;
  }
}

const flagsOf = (rows: Uint32Array, i: number): number => rows[i * ROW_WORDS + 29]! >>> 16;

const stampsOf = (page: Page, more: bigint): BigUint64Array =>
  BigUint64Array.from(
    { length: page.n },
    (_, i) => bigintOfUint64(page.rows, i * ROW_WORDS + 30) + more,
  );

const statusesOf = (found: RowsReply): Uint8Array =>
  Uint8Array.from({ length: found.n }, (_, i) =>
    (flagsOf(found.rows, i) & TransferFlags.pending) === 0
      ? PendingStatus.none
      : PendingStatus.pending,
  );

function changeTypeOf(flags: number): number {
  if ((flags & TransferFlags.pending) !== 0) return ChangeType.two_phase_pending;
  if ((flags & TransferFlags.postPendingTransfer) !== 0) return ChangeType.two_phase_posted;
  return (flags & TransferFlags.voidPendingTransfer) === 0
    ? ChangeType.single_phase
    : ChangeType.two_phase_voided;
}

function isMatch(row: Uint32Array, filter: AccountFilter | QueryFilter | ChangesFilter): boolean {
  const stamp = bigintOfUint64(row, 30);
  if (stamp < filter.timestampMin) return false;
  if (filter.timestampMax !== 0n && stamp > filter.timestampMax) return false;
  if (!('code' in filter)) return true;
  if ('accountId' in filter) {
    const isDebit = filter.debits && bigintOfUint128(row, 4) === filter.accountId;
    const isCredit = filter.credits && bigintOfUint128(row, 8) === filter.accountId;
    if (!isDebit && !isCredit) return false;
  } else if (filter.ledger !== 0 && filter.ledger !== row[28]) {
    return false;
  }
  return isUsersMatch(row, filter);
}

function isUsersMatch(row: Uint32Array, filter: UserFilter): boolean {
  const { userData128, userData64, userData32, code } = filter;
  if (userData128 !== 0n && userData128 !== bigintOfUint128(row, 20)) return false;
  if (userData64 !== 0n && userData64 !== bigintOfUint64(row, 24)) return false;
  if (userData32 !== 0 && userData32 !== row[26]) return false;
  return code === 0 || code === (row[29]! & 0xffff);
}

const keyOf = (row: Uint32Array): string => row.slice(0, 4).join('.');

function rowsOf(batch: Batch): Uint32Array[] {
  const words = new Uint32Array(batch.words.length + 4);
  words.set(batch.words);
  const columns = new Columns();
  columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
  return Array.from({ length: batch.n }, (_, i) => {
    const row = new Uint32Array(ROW_WORDS);
    columns.copyRow(i, row, 0);
    return row;
  });
}
