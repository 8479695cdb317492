/**
 * Questions about the past: the journals tell what happened (journal-queries.ts), the shards what they know better. A shard says where the
 * history of an account begins, so that who asks finds what was acknowledged; what an account is now; what became of pending transfers; and
 * up to when nothing will happen any more, which is how far changes are told.
 *
 * A question counts as `limit` events in flight until its last step has ended, whatever the caller was told meanwhile. Its steps do not count again.
 */
import { assert } from '../engine/assert.ts';
import { Account, ROW_WORDS } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import type {
  AccountFilter,
  AccountTransfersPage,
  BalancesPage,
  ChangesFilter,
  ChangesPage,
  Page,
  QueryFilter,
  TransfersPage,
} from '../engine/query.ts';
import type { Position, RowsReply } from '../engine/reply.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import type { AccountHead, JournalQueries } from './journal-queries.ts';
import { batchOfIds } from './pending-search.ts';
import { AccountsCall, HeadCall, StatusesCall, WatermarkCall } from './read-call.ts';
import type { Call } from './router.ts';
import type { Scatter, Split } from './scatter.ts';
import type { InFlight } from './shard-client.ts';
import { RequestType } from './shard-protocol.ts';
import type { EncodedBatch } from './split-batch.ts';

const ID_MAX = 2n ** 128n - 1n;
/** Words of a transfer's row: its debit account, and `code | flags << 16`. */
const DEBIT_WORD = 4;
const FLAGS_WORD = 29;

export class QueryCall<Result> implements Call {
  readonly promise: Promise<Result>;
  readonly deadlineMs: number;
  readonly events: number;
  slot = -1;
  isDone = false;
  readonly #release: (call: Call) => void;
  #resolve!: (result: Result) => void;
  #reject!: (error: unknown) => void;

  constructor(events: number, deadlineMs: number, release: (call: Call) => void) {
    this.events = events;
    this.deadlineMs = deadlineMs;
    this.#release = release;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Settles as `work` does, unless the deadline comes first. */
  run(work: Promise<Result>): void {
    void this.#follow(work);
  }

  async #follow(work: Promise<Result>): Promise<void> {
    try {
      const result = await work;
      if (this.#end()) this.#resolve(result);
    } catch (error: unknown) {
      if (this.#end()) this.#reject(error);
    } finally {
      this.#release(this);
    }
  }

  expire(): void {
    if (this.#end()) this.#reject(late());
  }

  #end(): boolean {
    const isFirst = !this.isDone;
    this.isDone = true;
    return isFirst;
  }
}

export class PastReads {
  readonly #scatter: Scatter;
  readonly #queries: JournalQueries;

  constructor(scatter: Scatter, queries: JournalQueries) {
    this.#scatter = scatter;
    this.#queries = queries;
  }

  async accountTransfers(filter: AccountFilter, call: Call): Promise<AccountTransfersPage> {
    const { head, positions } = await this.#headOf(filter, call);
    if (head === null) return { ...emptyTransfers(positions), effectTimestamps: emptyStamps() };
    const page = await this.#queries.accountTransfers(filter, head, call.deadlineMs);
    return { ...page, pendingStatuses: await this.#pendingStatuses(page, call), positions };
  }

  async accountBalances(filter: AccountFilter, call: Call): Promise<BalancesPage> {
    const { head, positions } = await this.#headOf(filter, call);
    if (head === null) {
      const balances = new Uint32Array(0);
      const [timestamps, effectTimestamps] = [emptyStamps(), emptyStamps()];
      return { n: 0, balances, timestamps, effectTimestamps, next: null, positions };
    }
    const page = await this.#queries.accountBalances(filter, head, call.deadlineMs);
    return { ...page, positions };
  }

  async transfers(filter: QueryFilter, call: Call): Promise<TransfersPage> {
    const page = await this.#queries.transfers(filter, call.deadlineMs);
    return { ...page, pendingStatuses: await this.#pendingStatuses(page, call) };
  }

  /** The accounts as they are now: what can be asked for never changes. */
  async accounts(filter: QueryFilter, call: Call): Promise<Page> {
    const { n, ids, next, positions } = await this.#queries.accountIds(filter, call.deadlineMs);
    if (n === 0) return { n, rows: new Uint32Array(0), next, positions };
    const { rows, n: found } = await this.#lookup(ids.subarray(0, n * 4), call);
    assert(found === n, 'an account that was created is there');
    return { n, rows, next, positions };
  }

  async changes(filter: ChangesFilter, call: Call): Promise<ChangesPage> {
    const { watermark, positions } = await this.#watermark(call);
    const page = await this.#queries.changes(filter, watermark, call.deadlineMs);
    return { ...page, positions };
  }

  /** Where the history begins that a filter asks for; null when nothing can be there. */
  async #headOf(
    filter: AccountFilter,
    call: Call,
  ): Promise<{ readonly head: AccountHead | null; readonly positions: readonly Position[] }> {
    const { accountId, debits, credits } = filter;
    const isId = accountId > 0n && accountId < ID_MAX;
    if (!isId || !(debits || credits) || isEmptySpan(filter)) return { head: null, positions: [] };
    const ids = Uint32Array.from({ length: 4 }, (_, w) =>
      Number((accountId >> BigInt(32 * w)) & 0xffff_ffffn),
    );
    const source = this.#scatter.open(batchOfIds(ids));
    const asked = new HeadCall(1, call.deadlineMs);
    const split = this.#scatter.byColumn(Account.id);
    this.#ask({ type: RequestType.accountHeads, asked, call }, source, split);
    return await asked.promise;
  }

  #lookup(ids: Uint32Array, call: Call): Promise<RowsReply> {
    checkTime(call);
    const source = this.#scatter.open(batchOfIds(ids));
    const asked = new AccountsCall(ids.length / 4, call.deadlineMs);
    const split = this.#scatter.byColumn(Account.id);
    this.#ask({ type: RequestType.lookupAccounts, asked, call }, source, split);
    return asked.promise;
  }

  #watermark(
    call: Call,
  ): Promise<{ readonly watermark: bigint; readonly positions: readonly Position[] }> {
    const down = this.#scatter.shards.findIndex((shard) => !shard.isUp);
    if (down !== -1) throw changesWait(down);
    const asked = new WatermarkCall(this.#scatter.shards.length, call.deadlineMs);
    const { source, split } = this.#scatter.openNothing();
    this.#ask({ type: RequestType.watermark, asked, call }, source, split);
    return asked.promise;
  }

  /** What became of the pending transfers of a page; each is asked for at its home, the shard of its debit account. */
  async #pendingStatuses(
    { n, rows }: { readonly n: number; readonly rows: Uint32Array },
    call: Call,
  ): Promise<Uint8Array> {
    const pendingStatuses = new Uint8Array(n);
    const pending: number[] = [];
    for (let i = 0; i < n; i++) {
      const flags = rows[i * ROW_WORDS + FLAGS_WORD]! >>> 16;
      if ((flags & TransferFlags.pending) !== 0) pending.push(i);
    }
    if (pending.length === 0) return pendingStatuses;
    checkTime(call);
    // The accounts say where, and the ids what.
    const wanted = {
      homes: new Uint32Array(pending.length * 4),
      ids: new Uint32Array(pending.length * 4),
    };
    for (const [to, i] of pending.entries()) {
      for (let w = 0; w < 4; w++) {
        wanted.ids[to * 4 + w] = rows[i * ROW_WORDS + w]!;
        wanted.homes[to * 4 + w] = rows[i * ROW_WORDS + DEBIT_WORD + w]!;
      }
    }
    this.#scatter.open(batchOfIds(wanted.homes));
    const split = this.#scatter.byColumn(Account.id);
    const source = this.#scatter.open(batchOfIds(wanted.ids));
    const asked = new StatusesCall(pending.length, call.deadlineMs);
    this.#ask({ type: RequestType.lookupTransfers, asked, call }, source, split);
    const statuses = await asked.promise;
    for (const [from, i] of pending.entries()) pendingStatuses[i] = statuses[from]!;
    return pendingStatuses;
  }

  /** Asks shards; throws when one is not there or has no room. */
  #ask(
    question: {
      readonly type: number;
      readonly asked: { part(rows: Uint16Array): InFlight };
      readonly call: Call;
    },
    source: EncodedBatch,
    split: Split,
  ): void {
    checkTime(question.call);
    const refusal = this.#scatter.ask(question.type, question.asked, source, split);
    if (refusal !== null) throw refusal;
  }
}

function checkTime(call: Call): void {
  if (call.isDone || call.deadlineMs <= Date.now()) throw late();
}

/** A span of time that ends before it begins: TigerBeetle calls such a filter invalid, and finds nothing. */
function isEmptySpan({
  timestampMin,
  timestampMax,
}: {
  readonly timestampMin: bigint;
  readonly timestampMax: bigint;
}): boolean {
  return timestampMax !== 0n && timestampMax < timestampMin;
}

function emptyStamps(): BigUint64Array {
  return new BigUint64Array(0);
}

function emptyTransfers(positions: readonly Position[]): TransfersPage {
  const rows = new Uint32Array(0);
  return { n: 0, rows, next: null, pendingStatuses: new Uint8Array(0), positions };
}

function late(): SyceeError {
  return new SyceeError('deadline_exceeded', 'the deadline passed before the answer came');
}

function changesWait(shard: number): SyceeError {
  return new SyceeError(
    'shard_unavailable',
    `changes are told in the order of their timestamps, and shard ${shard}, which is not there just now, may still have earlier ones; ask again`,
  );
}
