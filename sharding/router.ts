/**
 * Splits a batch by shard, sends the parts, gathers the replies, and returns them in request order. A batch has the effect of its events one
 * after another: what conflicts with nothing earlier goes at once, the rest as one walk when all of that is answered (batch-order.ts).
 *
 * Admission: events in flight are bounded, here, for all shards together; beyond it, and when a ring is full, the answer is `overloaded` at
 * once and nothing has happened. So what waits anywhere behind this point is bounded.
 * A rejected promise is a `SyceeError`: `unknown` when a shard or the deadline was lost after something was sent, else the reason why nothing was.
 */
import { randomInt } from 'node:crypto';
import { assert } from '../engine/assert.ts';
import { batchDefect, BatchKind, Columns, Transfer, type Batch } from '../engine/batch.ts';
import { BATCH_BYTES_MAX, SHARD_EVENTS_IN_FLIGHT_MAX } from '../engine/limits.ts';
import { shardOf } from '../engine/placement.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { BatchOrder } from './batch-order.ts';
import { CreateCall, overloaded } from './create-call.ts';
import { AccountsCall, DigestCall, TransfersCall } from './read-call.ts';
import type { RecordThread } from './record-thread.ts';
import { digestText } from './replay.ts';
import type { ShardClient } from './shard-client.ts';
import { RequestType } from './shard-protocol.ts';
import { splitBatch, splitBytes, type EncodedBatch } from './split-batch.ts';

export interface ShardStatus {
  readonly shard: number;
  readonly state: string;
  readonly sequence: number;
  readonly timestamp: bigint;
  /** Rows and walks that wait for what a walk has claimed. */
  readonly queueDepth: number;
  readonly inFlight: number;
}

export interface RouterStatus {
  readonly shards: readonly ShardStatus[];
}

/** A deadline for who gives none: long enough for a shard to come back from a short journal. */
const DEADLINE_MS_DEFAULT = 10_000;
/** As nanoseconds it fits into 64 bits. */
const DEADLINE_MS_MAX = 2 ** 43;
const SWEEP_MS = 20;
/** Word of the scratch where a batch is put; the words before it are zero, for absent columns. */
const SCRATCH_AT = 4;

/** What a call needs of the router. */
export interface Call {
  readonly deadlineMs: number;
  readonly isDone: boolean;
  readonly events: number;
  expire(): void;
}

export class Router {
  readonly #shards: readonly ShardClient[];
  readonly #records: RecordThread;
  readonly #status: () => RouterStatus;
  readonly #calls = new Set<Call>();
  #events = 0;
  #isClosed = false;
  readonly #order: BatchOrder;
  readonly #columns = new Columns();
  readonly #scratch = new Uint32Array(SCRATCH_AT + BATCH_BYTES_MAX / 4);
  readonly #scratchHalves = new Uint16Array(this.#scratch.buffer);
  readonly #sweep: NodeJS.Timeout;
  /** Second rounds that found a ring full; they are admitted, so they wait. */
  #waitingRests: (() => boolean)[] = [];

  constructor(shards: readonly ShardClient[], records: RecordThread, status: () => RouterStatus) {
    this.#shards = shards;
    this.#records = records;
    this.#status = status;
    this.#order = new BatchOrder(shards.length, randomInt(2 ** 32));
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
    const source = this.#open(ids, BatchKind.ids);
    const call = new AccountsCall(ids.n, this.#deadline(deadlineMs));
    const split = this.#byShard((i) => this.#shardOfColumn(0, i));
    this.#sendReads(RequestType.lookupAccounts, call, source, split);
    return call.promise;
  }

  lookupTransfers(ids: Batch, deadlineMs: number): Promise<RowsReply> {
    const refusal = this.#admit(ids, BatchKind.ids, deadlineMs);
    if (refusal !== null) return Promise.reject(refusal);
    const source = this.#open(ids, BatchKind.ids);
    const call = new TransfersCall(ids.n, this.#deadline(deadlineMs), this.#records);
    // A transfer's id alone does not say which shard is its home: all are asked.
    const all = Uint16Array.from({ length: ids.n }, (_, i) => i);
    const rows = this.#shards.map(() => all);
    const counts = this.#shards.map(() => ids.n);
    this.#sendReads(RequestType.lookupTransfers, call, source, { rows, counts });
    return call.promise;
  }

  async digests(): Promise<{ shard: number; sequence: number; digest: string }[]> {
    const call = new DigestCall(this.#shards.length, this.#deadline(Date.now() + 60_000));
    if (this.#isClosed) throw new SyceeError('not_ready', 'the ledger is stopping');
    const empty = { words: new Uint32Array(4), halves: new Uint16Array(8), at: 0 };
    empty.words[0] = (BatchKind.ids << 24) | 1;
    empty.words[2] = 16;
    const row = Uint16Array.of(0);
    const rows = this.#shards.map(() => row);
    const counts = this.#shards.map(() => 1);
    this.#sendReads(RequestType.stateDigest, call, empty, { rows, counts });
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
    if (this.#waitingRests.length === 0) return;
    this.#waitingRests = this.#waitingRests.filter((send) => !send());
  }

  // ---- Admission.

  /** Why a batch is not taken, or null. */
  #admit(batch: Batch, kind: BatchKind, deadlineMs: number): SyceeError | null {
    if (this.#isClosed) return new SyceeError('not_ready', 'the ledger is stopping');
    const defect = batchDefect(batch.words, 0, batch.byteLength);
    if (defect !== null || batch.kind !== kind) {
      return malformed('batch', defect ?? 'a batch of another kind');
    }
    if (!(deadlineMs >= 0 && deadlineMs <= DEADLINE_MS_MAX)) {
      return malformed('deadlineMs', 'milliseconds since the epoch, or 0');
    }
    return this.#events + batch.n > SHARD_EVENTS_IN_FLIGHT_MAX ? overloaded() : null;
  }

  #deadline(deadlineMs: number): number {
    return deadlineMs === 0 ? Date.now() + DEADLINE_MS_DEFAULT : deadlineMs;
  }

  /** From here on the call counts; `release` is called when the last shard has answered for it, or is gone. */
  #begin(call: Call): void {
    this.#calls.add(call);
    this.#events += call.events;
  }

  readonly #release = (call: Call): void => {
    assert(this.#calls.delete(call), 'a call is released once');
    this.#events -= call.events;
  };

  #expire(): void {
    const now = Date.now();
    for (const call of this.#calls) if (!call.isDone && call.deadlineMs <= now) call.expire();
    this.resume();
  }

  // ---- Sending.

  /** Puts the batch where its columns can be read, and opens it. */
  #open(batch: Batch, kind: BatchKind): EncodedBatch {
    assert(batch.kind === kind, 'an admitted batch is of the kind that the operation wants');
    this.#scratch.set(batch.words, SCRATCH_AT);
    this.#columns.openBatch(this.#scratch, this.#scratchHalves, SCRATCH_AT * 4, 0);
    return { words: this.#scratch, halves: this.#scratchHalves, at: SCRATCH_AT };
  }

  #shardOfColumn(column: number, i: number): number {
    const { at, step, words } = this.#columns;
    return shardOf(words, at[column]! + i * step[column]!, this.#shards.length);
  }

  #byShard(shard: (i: number) => number): {
    readonly rows: Uint16Array[];
    readonly counts: number[];
  } {
    const { n } = this.#columns;
    const rows = this.#shards.map(() => new Uint16Array(n));
    const counts = this.#shards.map(() => 0);
    for (let i = 0; i < n; i++) {
      const k = shard(i);
      rows[k]![counts[k]!++] = i;
    }
    return { rows, counts };
  }

  #create(batch: Batch, kind: BatchKind, deadlineMs: number): Promise<CreateReply> {
    const refusal = this.#admit(batch, kind, deadlineMs);
    if (refusal !== null) return Promise.reject(refusal);
    const deadline = this.#deadline(deadlineMs);
    if (deadline <= Date.now()) return Promise.reject(late());
    const isAccounts = kind === BatchKind.accounts;
    const type = isAccounts ? RequestType.createAccounts : RequestType.createTransfers;
    if (this.#shards.length === 1) return this.#createWhole(batch, type, deadline);

    const source = this.#open(batch, kind);
    const call = new CreateCall({ n: batch.n, deadlineMs: deadline, release: this.#release });
    let split: { readonly rows: Uint16Array[]; readonly counts: number[] };
    let rest: Uint16Array | null = null;
    if (isAccounts) split = this.#byShard((i) => this.#shardOfColumn(0, i));
    else {
      const order = this.#order;
      order.plan(this.#columns);
      const down = this.#downShard();
      if (down !== -1) return Promise.reject(unavailable(down));
      split = this.#byShardFirst();
      if (order.restCount > 0) rest = this.#restRows();
    }
    const reserved = this.#reserveAll(source, split.counts);
    if (reserved !== null) return Promise.reject(reserved);
    this.#begin(call);
    for (let k = 0; k < this.#shards.length; k++) {
      if (split.counts[k] === 0) continue;
      this.#sendPart(call, { k, type }, source, split.rows[k]!.slice(0, split.counts[k]));
    }
    if (rest !== null) {
      const mask = { low: this.#order.restMaskLow, high: this.#order.restMaskHigh };
      const rows = rest;
      call.whenAnswered(rows.length, () => this.#sendRest(call, batch, rows, mask));
    }
    return call.promise;
  }

  /** One shard: the batch goes as it is. */
  #createWhole(batch: Batch, type: number, deadline: number): Promise<CreateReply> {
    const shard = this.#shards[0]!;
    if (!shard.isUp) return Promise.reject(unavailable(0));
    const room = shard.reserve(batch.byteLength);
    if (room === null) return Promise.reject(overloaded());
    const call = new CreateCall({ n: batch.n, deadlineMs: deadline, release: this.#release });
    this.#begin(call);
    room.words.set(batch.words, room.at);
    shard.send(type, batch.byteLength, toNanoseconds(deadline), call.part(null));
    return call.promise;
  }

  /** A shard that an account of the open batch is on and that is not there just now, or -1. */
  #downShard(): number {
    if (this.#shards.every((shard) => shard.isUp)) return -1;
    for (let i = 0; i < this.#columns.n; i++) {
      for (const column of [Transfer.debitAccountId, Transfer.creditAccountId]) {
        const k = this.#shardOfColumn(column, i);
        if (!this.#shards[k]!.isUp) return k;
      }
    }
    return -1;
  }

  #byShardFirst(): { readonly rows: Uint16Array[]; readonly counts: number[] } {
    const order = this.#order;
    const rows = this.#shards.map((_, k) => new Uint16Array(order.firstCount[k]!));
    const counts = this.#shards.map(() => 0);
    for (let i = 0; i < this.#columns.n; i++) {
      if (order.isRest[i] === 1) continue;
      const k = order.shard[i]!;
      rows[k]![counts[k]!++] = i;
    }
    return { rows, counts };
  }

  #restRows(): Uint16Array {
    const rows = new Uint16Array(this.#order.restCount);
    let count = 0;
    for (let i = 0; i < this.#columns.n; i++) if (this.#order.isRest[i] === 1) rows[count++] = i;
    return rows;
  }

  /** Makes sure that every part has room before the first is sent. */
  #reserveAll(source: EncodedBatch, counts: readonly number[]): SyceeError | null {
    for (let k = 0; k < counts.length; k++) {
      if (counts[k] === 0) continue;
      if (!this.#shards[k]!.isUp) return unavailable(k);
      if (this.#shards[k]!.reserve(splitBytes(source, counts[k]!)) === null) return overloaded();
    }
    return null;
  }

  #sendPart(
    call: CreateCall,
    { k, type }: { readonly k: number; readonly type: number },
    source: EncodedBatch,
    rows: Uint16Array,
  ): void {
    const bytes = splitBytes(source, rows.length);
    const target = this.#shards[k]!.reserve(bytes);
    assert(target !== null, 'the room was there a moment ago');
    splitBatch(source, rows, rows.length, target);
    this.#shards[k]!.send(type, bytes, toNanoseconds(call.deadlineMs), call.part(rows));
  }

  /** The second round: the rest, in order, as one walk; or as one part, when it is all on one shard. */
  #sendRest(
    call: CreateCall,
    batch: Batch,
    rows: Uint16Array,
    mask: { readonly low: number; readonly high: number },
  ): void {
    const k = lowestBit(mask.low, mask.high);
    const isOneShard =
      (mask.low & (mask.low - 1)) === 0 &&
      (mask.high & (mask.high - 1)) === 0 &&
      (mask.low === 0 || mask.high === 0);
    const type = isOneShard ? RequestType.createTransfers : RequestType.createTransfersTogether;
    const send = (): boolean => {
      if (call.isDone || !this.#shards[k]!.isUp) {
        call.abandon();
        return true;
      }
      const source = this.#open(batch, BatchKind.transfers);
      if (this.#shards[k]!.reserve(splitBytes(source, rows.length)) === null) return false;
      this.#sendPart(call, { k, type }, source, rows);
      return true;
    };
    if (!send()) this.#waitingRests.push(send);
  }

  #sendReads(
    type: number,
    call: AccountsCall | TransfersCall | DigestCall,
    source: EncodedBatch,
    { rows, counts }: { readonly rows: readonly Uint16Array[]; readonly counts: readonly number[] },
  ): void {
    call.onRelease(this.#release);
    const refusal = this.#reserveAll(source, counts);
    if (refusal !== null) {
      call.refuse(refusal);
      return;
    }
    this.#begin(call);
    for (let k = 0; k < counts.length; k++) {
      if (counts[k] === 0) continue;
      const part = rows[k]!.slice(0, counts[k]);
      const bytes = splitBytes(source, part.length);
      const target = this.#shards[k]!.reserve(bytes);
      assert(target !== null, 'the room was there a moment ago');
      splitBatch(source, part, part.length, target);
      this.#shards[k]!.send(type, bytes, 0n, call.part(part));
    }
  }
}

function toNanoseconds(deadlineMs: number): bigint {
  return BigInt(Math.ceil(deadlineMs)) * 1_000_000n;
}

function lowestBit(low: number, high: number): number {
  return low !== 0 ? 31 - Math.clz32(low & -low) : 63 - Math.clz32(high & -high);
}

function unavailable(shard: number): SyceeError {
  return new SyceeError(
    'shard_unavailable',
    `shard ${shard} is not there just now; nothing was done, ask again with the same ids`,
  );
}

function malformed(field: string, rule: string): SyceeError {
  return new SyceeError('malformed_request', `${field}: ${rule}`, { field, rule });
}

function late(): SyceeError {
  return new SyceeError('deadline_exceeded', 'the deadline had passed; nothing was started');
}
