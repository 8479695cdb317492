/**
 * The client: what every transport offers to callers, and what the transports share. A transport only carries encoded batches; objects,
 * deadlines, retries and outcomes are looked after here, once.
 *
 * Failure policy: a ledger outcome is data and never rejects. A rejection is a SyceeError with `code` and `retryable`. Retries send the
 * same bytes, so the same ids: an event takes effect at most once, however often it is sent. `unknown` says that it may have happened.
 */
import { Batch, BatchKind } from '../engine/batch.ts';
import type { PENDING_STATUS_NAMES } from '../engine/query.ts';
import type { CreateReply, Position, RowsReply } from '../engine/reply.ts';
import {
  ACCOUNT_STATUS_NAMES,
  type AccountStatus,
  TRANSFER_STATUS_NAMES,
  type TransferStatus,
} from '../engine/status.ts';
import type { FilterOf, PageOf, QueryOperation } from '../gateway/wire-codec-filters.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { type ChangeOptions, followChanges } from './change-events.ts';
import type { PageInput } from './filters.ts';
import { accountsOf, type ChangeEvent, PageReads, type Reads, transfersOf } from './reads.ts';
import {
  type Attempt,
  callUntilDeadline,
  closedError,
  type RetryClock,
  systemClock,
} from './retry.ts';
import { assertList, batchOfIds, batchOfObjects, type RecordKind } from './rows.ts';

export type AccountStatusName = keyof typeof AccountStatus;
export type TransferStatusName = keyof typeof TransferStatus;

export interface AccountInput {
  readonly id: bigint;
  readonly ledger: number;
  readonly code: number;
  readonly flags?: number | undefined;
  readonly userData128?: bigint | undefined;
  readonly userData64?: bigint | undefined;
  readonly userData32?: number | undefined;
  /** The rest must be 0; the ledger says so with a status. */
  readonly debitsPending?: bigint | undefined;
  readonly debitsPosted?: bigint | undefined;
  readonly creditsPending?: bigint | undefined;
  readonly creditsPosted?: bigint | undefined;
  readonly reserved?: number | undefined;
  readonly timestamp?: bigint | undefined;
}

export interface TransferInput {
  readonly id: bigint;
  readonly debitAccountId: bigint;
  readonly creditAccountId: bigint;
  readonly amount: bigint;
  readonly ledger: number;
  readonly code: number;
  readonly flags?: number | undefined;
  readonly pendingId?: bigint | undefined;
  readonly timeout?: number | undefined;
  readonly userData128?: bigint | undefined;
  readonly userData64?: bigint | undefined;
  readonly userData32?: number | undefined;
  readonly timestamp?: bigint | undefined;
}

type Stored<Input> = {
  readonly [Field in Exclude<keyof Input, 'reserved'>]-?: NonNullable<Input[Field]>;
};
export type Account = Stored<AccountInput>;
export type StoredTransfer = Stored<TransferInput>;
/** What became of a pending transfer; `none` for every other. */
export type PendingStatusName = (typeof PENDING_STATUS_NAMES)[number];
export interface Transfer extends StoredTransfer {
  readonly pendingStatus: PendingStatusName;
}

export interface CreateResult<Name extends string> {
  readonly status: Name;
  /** Nanoseconds since the epoch: of the event, or for `exists` of the original. */
  readonly timestamp: bigint;
}

export interface CreateResults<Name extends string> {
  readonly results: readonly CreateResult<Name>[];
  readonly positions: readonly Position[];
}

export interface CallOptions {
  /** From now. 5000 unless given. */
  readonly deadlineMs?: number | undefined;
  /** Tries after the first; as many as fit before the deadline unless given. */
  readonly retries?: number | undefined;
}

export interface Client extends AsyncDisposable, Reads {
  createAccounts(
    accounts: readonly AccountInput[],
    options?: CallOptions,
  ): Promise<CreateResults<AccountStatusName>>;
  createAccounts(batch: Batch, options?: CallOptions): Promise<CreateReply>;
  createTransfers(
    transfers: readonly TransferInput[],
    options?: CallOptions,
  ): Promise<CreateResults<TransferStatusName>>;
  createTransfers(batch: Batch, options?: CallOptions): Promise<CreateReply>;
  /** The accounts that were found, in the order of the ids. */
  lookupAccounts(
    ids: readonly bigint[],
    options?: CallOptions,
  ): Promise<{ readonly accounts: readonly Account[]; readonly positions: readonly Position[] }>;
  lookupAccounts(ids: Batch, options?: CallOptions): Promise<RowsReply>;
  lookupTransfers(
    ids: readonly bigint[],
    options?: CallOptions,
  ): Promise<{ readonly transfers: readonly Transfer[]; readonly positions: readonly Position[] }>;
  lookupTransfers(ids: Batch, options?: CallOptions): Promise<RowsReply>;
  /** Every change from `timestampMin` on, page after page; with `follow` also what comes later. */
  changeEvents(filter?: PageInput, options?: ChangeOptions): AsyncIterableIterator<ChangeEvent>;
  close(): Promise<void>;
}

/** Objects are asked for by people and may travel readably; columns are asked for by those who count nanoseconds. */
export type CallForm = 'objects' | 'columns';

/**
 * Carries one request to a ledger. `prepare…` encodes once and answers a function that sends those bytes, as often as it is called; it
 * rejects with SyceeError, and with `unknown` whenever the request may have arrived.
 */
export interface Transport {
  prepareCreate(kind: RecordKind, batch: Batch, form: CallForm): Attempt<CreateReply>;
  prepareLookup(kind: RecordKind, ids: Batch, form: CallForm): Attempt<RowsReply>;
  prepareQuery<O extends QueryOperation>(operation: O, filter: FilterOf<O>): Attempt<PageOf<O>>;
  close(): Promise<void>;
}

export class TransportClient implements Client {
  readonly #transport: Transport;
  readonly #clock: RetryClock;
  readonly #reads: PageReads;
  #isClosed = false;
  /** For every call the same one. */
  readonly #tellsClosed = (): boolean => this.#isClosed;

  constructor(transport: Transport, clock: RetryClock = systemClock) {
    this.#transport = transport;
    this.#clock = clock;
    this.#reads = new PageReads((operation, filter, options) =>
      this.#call(this.#transport.prepareQuery(operation, filter), options, false),
    );
  }

  createAccounts(
    accounts: readonly AccountInput[],
    options?: CallOptions,
  ): Promise<CreateResults<AccountStatusName>>;
  createAccounts(batch: Batch, options?: CallOptions): Promise<CreateReply>;
  async createAccounts(
    accounts: readonly AccountInput[] | Batch,
    options: CallOptions = {},
  ): Promise<CreateResults<AccountStatusName> | CreateReply> {
    if (accounts instanceof Batch) return this.#createBatch(BatchKind.accounts, accounts, options);
    const reply = await this.#createObjects(BatchKind.accounts, accounts, options);
    return namedResults<AccountStatusName>(reply, ACCOUNT_STATUS_NAMES);
  }

  createTransfers(
    transfers: readonly TransferInput[],
    options?: CallOptions,
  ): Promise<CreateResults<TransferStatusName>>;
  createTransfers(batch: Batch, options?: CallOptions): Promise<CreateReply>;
  async createTransfers(
    transfers: readonly TransferInput[] | Batch,
    options: CallOptions = {},
  ): Promise<CreateResults<TransferStatusName> | CreateReply> {
    if (transfers instanceof Batch) {
      return this.#createBatch(BatchKind.transfers, transfers, options);
    }
    const reply = await this.#createObjects(BatchKind.transfers, transfers, options);
    return namedResults<TransferStatusName>(reply, TRANSFER_STATUS_NAMES);
  }

  lookupAccounts(
    ids: readonly bigint[],
    options?: CallOptions,
  ): Promise<{ readonly accounts: readonly Account[]; readonly positions: readonly Position[] }>;
  lookupAccounts(ids: Batch, options?: CallOptions): Promise<RowsReply>;
  async lookupAccounts(
    ids: readonly bigint[] | Batch,
    options: CallOptions = {},
  ): Promise<{ accounts: readonly Account[]; positions: readonly Position[] } | RowsReply> {
    const reply = await this.#lookup(BatchKind.accounts, ids, options);
    if (ids instanceof Batch) return reply;
    return { accounts: accountsOf(reply.rows, reply.n), positions: reply.positions };
  }

  lookupTransfers(
    ids: readonly bigint[],
    options?: CallOptions,
  ): Promise<{ readonly transfers: readonly Transfer[]; readonly positions: readonly Position[] }>;
  lookupTransfers(ids: Batch, options?: CallOptions): Promise<RowsReply>;
  async lookupTransfers(
    ids: readonly bigint[] | Batch,
    options: CallOptions = {},
  ): Promise<{ transfers: readonly Transfer[]; positions: readonly Position[] } | RowsReply> {
    const reply = await this.#lookup(BatchKind.transfers, ids, options);
    if (ids instanceof Batch) return reply;
    const transfers = transfersOf(reply.rows, reply.n, reply.pendingStatuses);
    return { transfers, positions: reply.positions };
  }

  getAccountTransfers(
    ...asked: Parameters<Reads['getAccountTransfers']>
  ): ReturnType<Reads['getAccountTransfers']> {
    return this.#reads.getAccountTransfers(...asked);
  }

  getAccountBalances(
    ...asked: Parameters<Reads['getAccountBalances']>
  ): ReturnType<Reads['getAccountBalances']> {
    return this.#reads.getAccountBalances(...asked);
  }

  queryAccounts(...asked: Parameters<Reads['queryAccounts']>): ReturnType<Reads['queryAccounts']> {
    return this.#reads.queryAccounts(...asked);
  }

  queryTransfers(
    ...asked: Parameters<Reads['queryTransfers']>
  ): ReturnType<Reads['queryTransfers']> {
    return this.#reads.queryTransfers(...asked);
  }

  changeEvents(
    filter: PageInput = {},
    options: ChangeOptions = {},
  ): AsyncIterableIterator<ChangeEvent> {
    const page = (asked: PageInput): ReturnType<PageReads['changesPage']> =>
      this.#reads.changesPage(asked, options);
    return followChanges({ page, clock: this.#clock }, filter, options);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #createBatch(kind: RecordKind, batch: Batch, options: CallOptions): Promise<CreateReply> {
    if (batch.kind !== kind) throw wrongKind(kind);
    return this.#call(this.#transport.prepareCreate(kind, batch, 'columns'), options, true);
  }

  async #createObjects(
    kind: RecordKind,
    objects: readonly object[],
    options: CallOptions,
  ): Promise<CreateReply> {
    assertList(objects, kind === BatchKind.accounts ? 'accounts' : 'transfers');
    if (objects.length === 0) return NOTHING_CREATED;
    const batch = batchOfObjects(kind, objects);
    return this.#call(this.#transport.prepareCreate(kind, batch, 'objects'), options, true);
  }

  async #lookup(
    kind: RecordKind,
    ids: readonly bigint[] | Batch,
    options: CallOptions,
  ): Promise<RowsReply> {
    if (ids instanceof Batch) {
      if (ids.kind !== BatchKind.ids) throw wrongKind(BatchKind.ids);
      return this.#call(this.#transport.prepareLookup(kind, ids, 'columns'), options, false);
    }
    assertList(ids, 'ids');
    if (ids.length === 0) return NOTHING_FOUND;
    const attempt = this.#transport.prepareLookup(kind, batchOfIds(ids), 'objects');
    return this.#call(attempt, options, false);
  }

  async #call<T>(attempt: Attempt<T>, options: CallOptions, hasEffect: boolean): Promise<T> {
    if (this.#isClosed) throw closedError(false);
    const { deadlineMs, retries } = options;
    return callUntilDeadline(attempt, {
      deadlineMs,
      retries,
      hasEffect,
      clock: this.#clock,
      isClosed: this.#tellsClosed,
    });
  }
}

const NOTHING_CREATED: CreateReply = {
  n: 0,
  statuses: new Uint16Array(0),
  timestamps: new BigUint64Array(0),
  positions: [],
};
const NOTHING_FOUND: RowsReply = { n: 0, rows: new Uint32Array(0), positions: [] };

function wrongKind(kind: BatchKind): SyceeError {
  const names = { 1: 'accounts', 2: 'transfers', 3: 'ids' } as const;
  return new SyceeError('malformed_request', `this call takes a batch of ${names[kind]}`, {
    field: 'kind',
    rule: names[kind],
  });
}

/** Of transfers, with their names. */
export function transferResults(reply: CreateReply): readonly CreateResult<TransferStatusName>[] {
  return namedResults<TransferStatusName>(reply, TRANSFER_STATUS_NAMES).results;
}

function namedResults<Name extends string>(
  reply: CreateReply,
  names: readonly (string | undefined)[],
): CreateResults<Name> {
  const results: CreateResult<Name>[] = [];
  for (let i = 0; i < reply.n; i++) {
    const status = names[reply.statuses[i]!];
    if (status === undefined) {
      throw new SyceeError(
        'unknown',
        `the answer has status ${reply.statuses[i]}, which this client does not know`,
      );
    }
    results.push({ status: status as Name, timestamp: reply.timestamps[i]! });
  }
  return { results, positions: reply.positions };
}
