/**
 * Where requests enter the shards: admits them, lets their parts be sent, and returns the answers in request order. Creates go through
 * create-rounds.ts, which keeps the order of a batch over several shards; with one shard a batch goes whole, as it is. Reads of the past go
 * through past-reads.ts.
 *
 * Admission: events in flight are bounded, here, for all shards together; beyond it, and when a ring is full, the answer is `overloaded` at
 * once and nothing has happened. So what waits anywhere behind this point is bounded.
 * A rejected promise is a `SyceeError`: `unknown` when a shard or the deadline was lost after something was sent, else the reason why nothing was.
 */
import { assert } from '../engine/assert.ts';
import { Account, type Batch, batchDefect, BatchKind } from '../engine/batch.ts';
import { digestText } from '../engine/digest.ts';
import { SHARD_EVENTS_IN_FLIGHT_MAX } from '../engine/limits.ts';
import {
  type AccountFilter,
  type AccountTransfersPage,
  type BalancesPage,
  type ChangesFilter,
  type ChangesPage,
  type Page,
  QUERY_LIMIT_MAX,
  type QueryFilter,
  type TransfersPage,
} from '../engine/query.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import { SlotTable } from '../lib/slot-table.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { CreateCall, late, overloaded } from './create-call.ts';
import { CreateRounds, importFlag } from './create-rounds.ts';
import type { JournalQueries } from './journal-queries.ts';
import { PastReads, QueryCall } from './past-reads.ts';
import { AccountsCall, DigestCall, TransfersCall } from './read-call.ts';
import type { RecordThread } from './record-thread.ts';
import type { RecoveryProgress } from './recovery-lines.ts';
import { Scatter, type Split, unavailable } from './scatter.ts';
import type { ShardClient } from './shard-client.ts';
import { RequestType } from './shard-protocol.ts';
import type { EncodedBatch } from './split-batch.ts';

export interface ShardStatus {
  readonly shard: number;
  readonly state: string;
  readonly sequence: number;
  readonly timestamp: bigint;
  /** Rows and walks that wait for what a walk has claimed. */
  readonly queueDepth: number;
  readonly inFlight: number;
  /** It runs, and refuses creates for want of room on its disk. */
  readonly isFull: boolean;
  /** Of a shard that recovers. */
  readonly recovery: RecoveryProgress | undefined;
}

export interface RouterStatus {
  readonly shards: readonly ShardStatus[];
}

/** A deadline for who gives none: long enough for a shard to come back from a short journal. */
const DEADLINE_MS_DEFAULT = 10_000;
/** As nanoseconds it fits into 64 bits. */
const DEADLINE_MS_MAX = 2 ** 43;
const SWEEP_MS = 20;

/** What a call needs of the router. */
export interface Call {
  readonly deadlineMs: number;
  readonly isDone: boolean;
  readonly events: number;
  /** Its place among the calls under way; the router's. */
  slot: number;
  expire(): void;
}

export class Router {
  readonly #shards: readonly ShardClient[];
  readonly #records: RecordThread;
  readonly #status: () => RouterStatus;
  readonly #calls = new SlotTable<Call>();
  #events = 0;
  #isClosed = false;
  readonly #scatter: Scatter;
  readonly #rounds: CreateRounds;
  readonly #past: PastReads | null;
  readonly #sweep: NodeJS.Timeout;

  constructor(
    shards: readonly ShardClient[],
    records: RecordThread,
    status: () => RouterStatus,
    queries: JournalQueries | null = null,
  ) {
    this.#shards = shards;
    this.#records = records;
    this.#status = status;
    this.#scatter = new Scatter(shards);
    this.#rounds = new CreateRounds(this.#scatter, records);
    this.#past = queries === null ? null : new PastReads(this.#scatter, queries);
    this.#sweep = setInterval(() => this.#expire(), SWEEP_MS);
    this.#sweep.unref();
  }

  createAccounts(batch: Batch, deadlineMs: number): Promise<CreateReply> {
    return this.#create(batch, BatchKind.accounts, deadlineMs);
  }

  createTransfers(batch: Batch, deadlineMs: number): Promise<CreateReply> {
    return this.#create(batch, BatchKind.transfers, deadlineMs);
  }

  lookupAccounts(ids: Batch, deadlineMs: number): Promise<RowsReply> {
    const refusal = this.#admit(ids, BatchKind.ids, deadlineMs);
    if (refusal !== null) return Promise.reject(refusal);
    const source = this.#scatter.open(ids);
    const call = new AccountsCall(ids.n, this.#deadline(deadlineMs));
    this.#read(RequestType.lookupAccounts, call, source, this.#scatter.byColumn(Account.id));
    return call.promise;
  }

  lookupTransfers(ids: Batch, deadlineMs: number): Promise<RowsReply> {
    const refusal = this.#admit(ids, BatchKind.ids, deadlineMs);
    if (refusal !== null) return Promise.reject(refusal);
    const source = this.#scatter.open(ids);
    const call = new TransfersCall(ids.n, this.#deadline(deadlineMs), this.#records);
    // A transfer's id alone does not say which shard is its home: all are asked.
    this.#read(RequestType.lookupTransfers, call, source, this.#scatter.toAll());
    return call.promise;
  }

  /** The transfers of one account, in the order of their effect on its shard. */
  getAccountTransfers(filter: AccountFilter, deadlineMs: number): Promise<AccountTransfersPage> {
    return this.#query(filter, deadlineMs, (past, call) => past.accountTransfers(filter, call));
  }

  /** The balances of an account with the `history` flag after each of its transfers. */
  getAccountBalances(filter: AccountFilter, deadlineMs: number): Promise<BalancesPage> {
    return this.#query(filter, deadlineMs, (past, call) => past.accountBalances(filter, call));
  }

  queryAccounts(filter: QueryFilter, deadlineMs: number): Promise<Page> {
    return this.#query(filter, deadlineMs, (past, call) => past.accounts(filter, call));
  }

  queryTransfers(filter: QueryFilter, deadlineMs: number): Promise<TransfersPage> {
    return this.#query(filter, deadlineMs, (past, call) => past.transfers(filter, call));
  }

  getChangeEvents(filter: ChangesFilter, deadlineMs: number): Promise<ChangesPage> {
    return this.#query(filter, deadlineMs, (past, call) => past.changes(filter, call));
  }

  async digests(): Promise<{ shard: number; sequence: number; digest: string }[]> {
    const call = new DigestCall(this.#shards.length, this.#deadline(Date.now() + 60_000));
    if (this.#isClosed) throw stopping();
    const { source, split } = this.#scatter.openNothing();
    this.#read(RequestType.stateDigest, call, source, split);
    const digests = await call.promise;
    return digests.map(({ position, words }) => ({
      shard: position.shard,
      sequence: position.sequence,
      digest: digestText(words),
    }));
  }

  status(): RouterStatus {
    return this.#status();
  }

  get eventsInFlight(): number {
    return this.#events;
  }

  /** Takes no more; resolves when everybody who asked has an answer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#hasOpenCalls()) await new Promise((resolve) => setTimeout(resolve, 1));
    clearInterval(this.#sweep);
  }

  #hasOpenCalls(): boolean {
    for (const call of this.#calls) if (!call.isDone) return true;
    return false;
  }

  /** Called when replies have come: rings may have room again. */
  resume(): void {
    this.#rounds.resume();
  }

  // ---- Admission.

  /** Why a batch is not taken, or null. */
  #admit(batch: Batch, kind: BatchKind, deadlineMs: number): SyceeError | null {
    if (this.#isClosed) return stopping();
    const defect = batchDefect(batch.words, 0, batch.byteLength);
    if (defect !== null || batch.kind !== kind) {
      return malformed('batch', defect ?? 'a batch of another kind');
    }
    return this.#admitEvents(batch.n, deadlineMs);
  }

  #admitEvents(events: number, deadlineMs: number): SyceeError | null {
    if (!(deadlineMs >= 0 && deadlineMs <= DEADLINE_MS_MAX)) {
      return malformed('deadlineMs', 'milliseconds since the epoch, or 0');
    }
    return this.#events + events > SHARD_EVENTS_IN_FLIGHT_MAX ? overloaded() : null;
  }

  #deadline(deadlineMs: number): number {
    return deadlineMs === 0 ? Date.now() + DEADLINE_MS_DEFAULT : deadlineMs;
  }

  /** From here on the call counts; `release` is called when the last shard has answered for it, or is gone. */
  #begin(call: Call): void {
    call.slot = this.#calls.add(call);
    this.#events += call.events;
  }

  readonly #release = (call: Call): void => {
    assert(this.#calls.remove(call.slot) === call, 'a call is released once');
    this.#events -= call.events;
  };

  #expire(): void {
    const now = Date.now();
    for (const call of this.#calls) if (!call.isDone && call.deadlineMs <= now) call.expire();
    this.resume();
  }

  // ---- Sending.

  #create(batch: Batch, kind: BatchKind, deadlineMs: number): Promise<CreateReply> {
    const refusal = this.#admit(batch, kind, deadlineMs);
    if (refusal !== null) return Promise.reject(refusal);
    const now = Date.now();
    const deadline = deadlineMs === 0 ? now + DEADLINE_MS_DEFAULT : deadlineMs;
    if (deadline <= now) return Promise.reject(late());
    if (this.#shards.length === 1) return this.#createWhole(batch, deadline);
    const call = new CreateCall({ n: batch.n, deadlineMs: deadline, release: this.#release });
    const notBegun = this.#rounds.start(call, batch, () => this.#begin(call));
    return notBegun === null ? call.promise : Promise.reject(notBegun);
  }

  /** One shard: the batch goes as it is. */
  #createWhole(batch: Batch, deadline: number): Promise<CreateReply> {
    const shard = this.#shards[0]!;
    if (!shard.isUp) return Promise.reject(unavailable(0));
    const room = shard.reserve(batch.byteLength);
    if (room === null) return Promise.reject(overloaded());
    const call = new CreateCall({ n: batch.n, deadlineMs: deadline, release: this.#release });
    this.#begin(call);
    room.words.set(batch.words, room.at);
    const isAccounts = batch.kind === BatchKind.accounts;
    const type = isAccounts ? RequestType.createAccounts : RequestType.createTransfers;
    shard.send(type, batch.byteLength, deadline, call.part(null), importFlag(batch));
    return call.promise;
  }

  #read(
    type: number,
    call: AccountsCall | TransfersCall | DigestCall,
    source: EncodedBatch,
    split: Split,
  ): void {
    call.onRelease(this.#release);
    const refusal = this.#scatter.ask(type, call, source, split);
    if (refusal === null) this.#begin(call);
    else call.refuse(refusal);
  }

  #query<Result>(
    { limit }: { readonly limit: number },
    deadlineMs: number,
    read: (past: PastReads, call: QueryCall<Result>) => Promise<Result>,
  ): Promise<Result> {
    if (this.#isClosed) return Promise.reject(stopping());
    if (!(Number.isInteger(limit) && limit >= 1 && limit <= QUERY_LIMIT_MAX)) {
      return Promise.reject(malformed('limit', `from 1 to ${QUERY_LIMIT_MAX}`));
    }
    const refusal = this.#admitEvents(limit, deadlineMs);
    if (refusal !== null) return Promise.reject(refusal);
    const past = this.#past;
    if (past === null) return Promise.reject(noQueries());
    const call = new QueryCall<Result>(limit, this.#deadline(deadlineMs), this.#release);
    this.#begin(call);
    call.run(read(past, call));
    return call.promise;
  }
}

function stopping(): SyceeError {
  return new SyceeError('not_ready', 'the ledger is stopping');
}

function noQueries(): SyceeError {
  return new SyceeError('not_ready', 'nobody reads the journals here');
}

function malformed(field: string, rule: string): SyceeError {
  return new SyceeError('malformed_request', `${field}: ${rule}`, { field, rule });
}
