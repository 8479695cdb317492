/**
 * Sends a batch of events to several shards in two rounds: what conflicts with nothing earlier at once, the rest, in order, as one walk when
 * all of that is answered (batch-order.ts). Before the first, posts and voids get the accounts of their pending transfers, for which all
 * shards may have to be asked (pending-search.ts); until then nothing has been sent and nothing has happened. A batch that says of one pending transfer several
 * things goes in segments, one after the other, each in its rounds.
 */
import { randomInt } from 'node:crypto';
import {
  Account,
  type Batch,
  BatchKind,
  COLUMN_BYTES,
  type Columns,
  HEADER_BYTES,
  Transfer,
} from '../engine/batch.ts';
import { AccountFlags, TransferFlags } from '../engine/flags.ts';
import { InputFlag } from '../engine/frame.ts';
import type { RowsReply } from '../engine/reply.ts';
import { TransferStatus } from '../engine/status.ts';
import type { SyceeError } from '../lib/sycee-error.ts';
import { BatchOrder, lowestShard } from './batch-order.ts';
import { type CreateCall, late } from './create-call.ts';
import { ENTRY_CREDIT, ENTRY_DEBIT, ENTRY_WORDS, PendingMemory } from './pending-memory.ts';
import { PendingSearch, rowsWith } from './pending-search.ts';
import { TransfersCall } from './read-call.ts';
import type { RecordThread } from './record-thread.ts';
import { type Scatter, type Split, unavailable } from './scatter.ts';
import type { ShardClient } from './shard-client.ts';
import { RequestType } from './shard-protocol.ts';
import { splitBytes, type EncodedBatch } from './split-batch.ts';

/** What goes out in rounds. */
interface Work {
  readonly call: CreateCall;
  readonly batch: Batch;
  readonly marks: Uint8Array | null;
  /** Of the input header of each part. */
  readonly flags: number;
  /** From then on the call counts; called before anything is sent. */
  readonly begin: () => void;
  /** The row of the call with which the batch begins. */
  readonly offset: number;
  /** Rows of the call behind the batch, and what sends them when all of the batch is answered. */
  readonly laterRows: number;
  readonly later: (() => void) | null;
}

interface Rest {
  readonly rows: Uint16Array;
  readonly maskLow: number;
  readonly maskHigh: number;
}

export class CreateRounds {
  readonly #scatter: Scatter;
  readonly #shards: readonly ShardClient[];
  readonly #records: RecordThread;
  readonly #order: BatchOrder;
  readonly #seed = randomInt(2 ** 32);
  readonly #pendings = new PendingMemory(this.#seed);
  readonly #entry = new Uint32Array(ENTRY_WORDS);
  /** Second rounds that found a ring full; they are admitted, so they wait. */
  #waitingRests: (() => boolean)[] = [];

  constructor(scatter: Scatter, records: RecordThread) {
    this.#scatter = scatter;
    this.#shards = scatter.shards;
    this.#records = records;
    this.#order = new BatchOrder(scatter.shards.length, this.#seed);
  }

  /** Null, or why nothing was begun. */
  start(call: CreateCall, batch: Batch, begin: () => void): SyceeError | null {
    const source = this.#scatter.open(batch);
    const { columns } = this.#scatter;
    const whole = { marks: null, flags: importFlag(batch), offset: 0, laterRows: 0, later: null };
    const work = { call, batch, begin, ...whole };
    if (batch.kind === BatchKind.accounts) return this.#send(work, source);
    const search = PendingSearch.of(columns, this.#pendings, this.#seed);
    if (search === null) return this.#send(work, source);
    return search.recall() === 0 ? this.#sendSegment(work, search, 0) : this.#ask(work, search);
  }

  /** Called when replies have come: rings may have room again. */
  resume(): void {
    if (this.#waitingRests.length === 0) return;
    this.#waitingRests = this.#waitingRests.filter((send) => !send());
  }

  /** Asks all shards for the pending transfers that are not known. The call counts meanwhile, its questions do not count again. */
  #ask(work: Work, search: PendingSearch): SyceeError | null {
    const { call, begin } = work;
    const ids = search.openIds();
    const asked = new TransfersCall(ids.n, call.deadlineMs, this.#records);
    const source = this.#scatter.open(ids);
    const type = RequestType.lookupTransfers;
    const refusal = this.#scatter.ask(type, asked, source, this.#scatter.toAll());
    if (refusal !== null) return refusal;
    begin();
    const begun = { ...work, begin: () => undefined };
    void this.#sendAnswered(begun, search, asked.promise);
    return null;
  }

  async #sendAnswered(work: Work, search: PendingSearch, asked: Promise<RowsReply>): Promise<void> {
    const { call } = work;
    let reply: RowsReply;
    try {
      reply = await asked;
    } catch (error: unknown) {
      call.refuse(error as SyceeError);
      return;
    }
    if (call.isDone || call.deadlineMs <= Date.now()) {
      call.refuse(late());
      return;
    }
    search.answered(reply.rows, reply.n);
    const refusal = this.#sendSegment(work, search, 0);
    if (refusal !== null) call.refuse(refusal);
  }

  /** Sends the rows of a batch from one on, as far as its posts and voids can be settled; the others follow when it is known what became of these. */
  #sendSegment(work: Work, search: PendingSearch, from: number): SyceeError | null {
    const { batch } = work;
    const { columns } = this.#scatter;
    this.#scatter.open(batch);
    const to = search.settle(columns, from);
    const resolved = search.rewritten(batch, columns, from, to);
    const laterRows = batch.n - to;
    const later = laterRows === 0 ? null : (): void => this.#sendLater(work, search, { from, to });
    const begin = from === 0 ? work.begin : (): void => undefined;
    const source = this.#scatter.open(resolved.batch, resolved.marks);
    return this.#send({ ...work, ...resolved, begin, offset: from, laterRows, later }, source);
  }

  /** All rows from..to-1 are answered. */
  #sendLater(
    work: Work,
    search: PendingSearch,
    { from, to }: { readonly from: number; readonly to: number },
  ): void {
    const { call, batch } = work;
    this.#scatter.open(batch);
    search.learn(this.#scatter.columns, from, to, call.statuses);
    const send = (): boolean => {
      const refusal = call.isDone ? late() : this.#sendSegment(work, search, to);
      if (refusal === null) return true;
      if (refusal.code === 'overloaded') return false;
      call.abandon();
      return true;
    };
    if (!send()) this.#waitingRests.push(send);
  }

  /** The first round. `source` is the batch of the work, open. */
  #send(work: Work, source: EncodedBatch): SyceeError | null {
    const { call, batch, flags } = work;
    const { columns } = this.#scatter;
    const isPlanned = batch.kind === BatchKind.transfers || hasChains(columns);
    let split: Split;
    let rest: Rest | null = null;
    if (isPlanned) {
      this.#order.plan(columns);
      const down = this.#downShard(columns);
      if (down !== -1) return unavailable(down);
      split = this.#firstRound(columns.n);
      if (this.#order.restCount > 0) rest = this.#rest(columns.n);
    } else split = this.#scatter.byColumn(Account.id);
    const refusal = this.#scatter.reserveAll(source, split.counts);
    if (refusal !== null) return refusal;
    work.begin();
    if (batch.kind === BatchKind.transfers) this.#rememberLater(work, columns);
    const type = typeOf(batch.kind, true);
    for (let k = 0; k < this.#shards.length; k++) {
      if (split.counts[k] === 0) continue;
      const rows = split.rows[k]!.slice(0, split.counts[k]);
      this.#scatter.sendPart(call, { k, type, flags, offset: work.offset }, source, rows);
    }
    if (rest !== null) {
      const following = rest;
      const rows = rest.rows.length + work.laterRows;
      call.whenAnswered(rows, () => this.#sendRest(work, following));
    } else if (work.later !== null) call.whenAnswered(work.laterRows, work.later);
    return null;
  }

  /** A shard that an account of the open batch is on and that is not there just now, or -1. */
  #downShard(columns: Columns): number {
    if (this.#shards.every((shard) => shard.isUp)) return -1;
    const isAccounts = columns.kind === BatchKind.accounts;
    const named = isAccounts ? [Account.id] : [Transfer.debitAccountId, Transfer.creditAccountId];
    for (let i = 0; i < columns.n; i++) {
      for (const column of named) {
        const k = this.#scatter.shardOfColumn(column, i);
        if (!this.#shards[k]!.isUp) return k;
      }
    }
    return -1;
  }

  #firstRound(n: number): Split {
    const order = this.#order;
    const rows = this.#shards.map((_, k) => new Uint16Array(order.firstCount[k]!));
    const counts = this.#shards.map(() => 0);
    for (let i = 0; i < n; i++) {
      if (order.isRest[i] === 1) continue;
      const k = order.shard[i]!;
      rows[k]![counts[k]!++] = i;
    }
    return { rows, counts };
  }

  #rest(n: number): Rest {
    const { isRest, restCount, restMaskLow: maskLow, restMaskHigh: maskHigh } = this.#order;
    const rows = new Uint16Array(restCount);
    let count = 0;
    for (let i = 0; i < n; i++) if (isRest[i] === 1) rows[count++] = i;
    return { rows, maskLow, maskHigh };
  }

  /** The second round: the rest, in order, as one walk; or as one part, when it is all on one shard. */
  #sendRest(work: Work, { rows, maskLow, maskHigh }: Rest): void {
    const { call, batch, marks, flags, offset } = work;
    const k = lowestShard(maskLow, maskHigh);
    const isOneShard =
      (maskLow & (maskLow - 1)) === 0 &&
      (maskHigh & (maskHigh - 1)) === 0 &&
      (maskLow === 0 || maskHigh === 0);
    const type = typeOf(batch.kind, isOneShard);
    const send = (): boolean => {
      if (call.isDone || !this.#shards[k]!.isUp) {
        call.abandon();
        return true;
      }
      const source = this.#scatter.open(batch, marks);
      if (this.#shards[k]!.reserve(splitBytes(source, rows.length)) === null) return false;
      this.#scatter.sendPart(call, { k, type, flags, offset }, source, rows);
      if (work.later !== null) call.whenAnswered(work.laterRows, work.later);
      return true;
    };
    if (!send()) this.#waitingRests.push(send);
  }

  /** Pending transfers that are there, after this or before, are remembered for their posts and voids. */
  #rememberLater({ call, batch, offset }: Work, columns: Columns): void {
    const rows = rowsWith(columns, TransferFlags.pending);
    if (rows === null) return;
    call.whenOutcomes((statuses) => {
      this.#scatter.open(batch);
      for (const row of rows) {
        const status = statuses[offset + row];
        if (status === TransferStatus.created || status === TransferStatus.exists) {
          this.#remember(this.#scatter.columns, row);
        }
      }
    });
  }

  #remember({ words, at, step }: Columns, row: number): void {
    const entry = this.#entry;
    const id = at[Transfer.id]! + row * step[Transfer.id]!;
    const dr = at[Transfer.debitAccountId]! + row * step[Transfer.debitAccountId]!;
    const cr = at[Transfer.creditAccountId]! + row * step[Transfer.creditAccountId]!;
    for (let w = 0; w < 4; w++) {
      entry[w] = words[id + w]!;
      entry[ENTRY_DEBIT + w] = words[dr + w]!;
      entry[ENTRY_CREDIT + w] = words[cr + w]!;
    }
    this.#pendings.remember(entry, 0);
  }
}

/** Of the input header: whether the first event, which decides for the whole batch, is imported. */
export function importFlag({ kind, words }: Batch): number {
  const masks = words[1]!;
  if ((masks & (1 << Transfer.flags)) === 0) return 0;
  const n = words[0]! & 0xffffff;
  let at = HEADER_BYTES;
  for (let column = 0; column < Transfer.flags; column++) {
    if ((masks & (1 << column)) === 0) continue;
    const isConstant = (masks & (1 << (column + 16))) !== 0;
    at += (COLUMN_BYTES[column]! * (isConstant ? 1 : n) + 7) & ~7;
  }
  const imported = kind === BatchKind.accounts ? AccountFlags.imported : TransferFlags.imported;
  return (words[at / 4]! & imported) === 0 ? 0 : InputFlag.imported;
}

function hasChains(columns: Columns): boolean {
  // Without chains every account is a unit on its own shard, where its ring keeps the order; imported ones too.
  return rowsWith(columns, AccountFlags.linked) !== null;
}

function typeOf(kind: BatchKind, isFirst: boolean): number {
  if (kind === BatchKind.accounts) {
    return isFirst ? RequestType.createAccounts : RequestType.createAccountsTogether;
  }
  return isFirst ? RequestType.createTransfers : RequestType.createTransfersTogether;
}
