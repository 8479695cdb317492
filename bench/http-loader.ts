/**
 * The load generator for HTTP as its parent sees it: one child process or several, that are asked for slices, and in the end for what they have
 * sent, which goes into the books. Connections, rates, and counts are divided among them.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { TransferInput } from '../client/client.ts';
import { TransferFlags } from '../engine/flags.ts';
import { LatencyHistogram } from '../lib/histogram.ts';
import type { Books } from './books.ts';
import { endChild, isLiving, startChild } from './children.ts';
import {
  isLinked,
  type LoadSetup,
  pairCount,
  pairOf,
  type Sent,
  type Tally,
} from './http-bodies.ts';
import type { LoadRequest, SliceReport, SliceRequest } from './http-load.ts';
import { addCounts, histogramOf } from './latency-counts.ts';
import type { Load } from './load.ts';
import type { BenchOptions } from './options.ts';
import type { Measured } from './scenario.ts';
import { CODE, LEDGER } from './slots.ts';
import type { Target } from './target.ts';
import type { SlotSource, Workload, WorkloadOptions } from './workload.ts';

const REASK_DEADLINE_MS = 30_000;
const CREATED = 201;
const OK = 200;
const SLOT_ROWS = 1_024;
const WHOLE_AMOUNT = 2n ** 128n - 1n;
/** As if they had not been sent. */
const INHERITED = { debitAccountId: 0n, creditAccountId: 0n, ledger: 0, code: 0 };

/** Rows of a slot, which only says who pays whom: of whole requests, so that none begins in the middle of a chain. */
export const httpSlotRows = (rows: number): number =>
  Math.max(1, Math.floor(SLOT_ROWS / rows)) * rows;

export interface HttpRun {
  readonly options: BenchOptions;
  readonly target: Target;
  readonly workload: Workload;
  readonly workloadOptions: WorkloadOptions;
  readonly books: Books;
  readonly signal: AbortSignal;
}

/** Where a slice differs from the options of the bench. */
export type SlicePlace = Partial<
  Pick<SliceRequest, 'ring' | 'rows' | 'connections' | 'rate' | 'count'>
>;

export interface Slice extends Load {
  readonly bad: number;
  readonly badStatus: number | undefined;
}

/** Where the latencies of two kinds of requests are recorded, besides those of all. */
export interface Phases {
  readonly pending: LatencyHistogram;
  readonly post: LatencyHistogram;
}

/** What requests are, where they are not one plain transfer each of the first ring. */
export interface Requested extends Partial<Pick<LoadSetup, 'rings' | 'posts'>> {
  readonly phases?: Phases | undefined;
}

/** The loader lives for as long as `measure` takes; then the books are closed. */
export async function withHttpLoader(
  run: HttpRun,
  requested: Requested,
  measure: (loader: HttpLoader) => Promise<Measured>,
): Promise<Measured> {
  const loader = await HttpLoader.start(run, requested);
  try {
    const measured = await measure(loader);
    const complaints = [...(measured.complaints ?? []), ...(await loader.closeBooks())];
    return { ...measured, complaints };
  } finally {
    await loader.stop();
  }
}

export class HttpLoader {
  readonly #run: HttpRun;
  readonly #requested: Requested;
  readonly #children: readonly ChildProcess[];
  #bad = 0;
  #badStatus: number | undefined;

  private constructor(run: HttpRun, requested: Requested, children: readonly ChildProcess[]) {
    this.#run = run;
    this.#requested = requested;
    this.#children = children;
  }

  static async start(
    run: HttpRun,
    { rings = [], posts, phases }: Requested = {},
  ): Promise<HttpLoader> {
    const { workers } = run.options;
    const children = Array.from({ length: workers }, (_, worker) => {
      const setup: LoadSetup = { workload: run.workloadOptions, rings, posts, worker, workers };
      return startChild('./http-load.ts', [JSON.stringify(setup)]);
    });
    const loader = new HttpLoader(run, { posts, phases }, children);
    try {
      await Promise.all(children.map((child) => answer(child)));
      // Whoever waits for a slice learns that it ended. Asked for one more, it has ended already.
      run.signal.addEventListener('abort', () => void loader.stop(), { once: true });
      run.signal.throwIfAborted();
      return loader;
    } catch (error: unknown) {
      await loader.stop();
      throw error;
    }
  }

  /** A run against the ledger. */
  slice(seconds: number, place: SlicePlace = {}): Promise<Slice> {
    const rows = place.rows ?? this.#run.options.batch;
    const good = rows === 1 ? CREATED : OK;
    return this.#slice(seconds, {
      ...place,
      rows,
      good,
      isLedger: true,
      url: this.#run.target.url!,
    });
  }

  /** So many transfers, in whole requests. */
  create(count: number): Promise<Slice> {
    return this.slice(0, { count });
  }

  /** A run against a server that answers what it is sent. */
  echoSlice(url: string, seconds: number): Promise<Slice> {
    return this.#slice(seconds, { rows: 1, good: OK, isLedger: false, url });
  }

  async #slice(
    seconds: number,
    place: SlicePlace & Pick<SliceRequest, 'rows' | 'good' | 'isLedger' | 'url'>,
  ): Promise<Slice> {
    const { connections = this.#run.options.connections, rate = 0, count = 0, rows } = place;
    const requests = Math.ceil(count / rows);
    const workers = Math.min(
      this.#children.length,
      connections,
      count === 0 ? Infinity : Math.max(1, requests),
    );
    const reports = await Promise.all(
      this.#children.slice(0, workers).map((child, worker) =>
        ask<SliceReport>(child, {
          type: 'slice',
          ring: 0,
          ...place,
          // autocannon counts in whole ones.
          seconds: Math.max(1, Math.round(seconds)),
          count: shareOf(requests, { worker, workers }) * rows,
          connections: shareOf(connections, { worker, workers }),
          rate: rate / workers,
        }),
      ),
    );
    const slice = sliceOf(reports, this.#requested.phases);
    this.#bad += slice.bad;
    this.#badStatus ??= slice.badStatus;
    return slice;
  }

  /** Asks again for what was under way when a slice ended, with the same ids, as any client would, and brings the books up to date. */
  async closeBooks(): Promise<readonly string[]> {
    const status =
      this.#badStatus === undefined ? '' : `, the first with status ${this.#badStatus}`;
    const complaints =
      this.#bad === 0 ? [] : [`${this.#bad} requests were not answered well${status}`];
    for (const child of this.#children) {
      complaints.push(...(await this.#takeIn(await ask<Tally>(child, { type: 'tally' }))));
    }
    return complaints;
  }

  async #takeIn(tally: Tally): Promise<readonly string[]> {
    const { workload, books } = this.#run;
    const created = tally.created.map((of) => [...of]);
    const others = new Map<string, number>();
    for (const sent of tally.unanswered) {
      const ring = created[sent.ring]!;
      for (const [row, status] of (await this.#askAgain(sent)).entries()) {
        if (status === 'created') ring[(sent.pair + row) % ring.length]!++;
        else others.set(status, (others.get(status) ?? 0) + 1);
      }
    }
    for (const [at, pairs] of created.entries()) {
      const ring = workload.rings[at]!;
      for (const [pair, times] of pairs.entries()) {
        if (times === 0) continue;
        const { slot, row } = pairOf(ring, pair);
        books.acknowledgeRow(ring.slots[slot]!, row, times);
      }
    }
    return [...others].map(([status, n]) => `asked again, ${n} transfers were answered ${status}`);
  }

  /** By transfer, `created` whether it was now or before. */
  async #askAgain(sent: Sent): Promise<readonly string[]> {
    const { workload } = this.#run;
    const { posts } = this.#requested;
    const { chain = 1 } = this.#run.workloadOptions;
    const ring = workload.rings[sent.ring]!;
    const pairs = pairCount(ring);
    const transfers = Array.from({ length: sent.rows }, (_, row) => ({
      id: BigInt(sent.id) + BigInt(row),
      ...partiesOf(workload, ring, (sent.pair + row) % pairs),
      flags:
        posts !== undefined
          ? TransferFlags.pending
          : isLinked(chain, row, sent.rows)
            ? TransferFlags.linked
            : 0,
    }));
    const statuses = createdOf(await this.#create(transfers), chain);
    if (posts === undefined) return statuses;
    const posted = transfers.map((transfer) => ({
      ...(posts === 'name' ? transfer : INHERITED),
      id: transfer.id + BigInt(sent.rows),
      pendingId: transfer.id,
      amount: WHOLE_AMOUNT,
      flags: TransferFlags.postPendingTransfer,
    }));
    return createdOf(await this.#create(posted), 1);
  }

  async #create(transfers: readonly TransferInput[]): Promise<readonly string[]> {
    const { results } = await this.#run.target.client.createTransfers(transfers, {
      deadlineMs: REASK_DEADLINE_MS,
    });
    return results.map(({ status }) => status);
  }

  stop(): Promise<unknown> {
    return Promise.all(this.#children.map((child) => endChild(child)));
  }
}

/** What had happened before is `created` too: of a chain its first transfer is then there, and the others fail with it. */
export function createdOf(statuses: readonly string[], chain: number): readonly string[] {
  return statuses.map((status, row) => {
    const isThere = row % chain === 0 ? status === 'exists' : status === 'linked_event_failed';
    return isThere && statuses[row - (row % chain)] === 'exists' ? 'created' : status;
  });
}

/** What is left over goes to the first ones. */
function shareOf(all: number, { worker, workers }: { worker: number; workers: number }): number {
  return Math.floor(all / workers) + (worker < all % workers ? 1 : 0);
}

function sliceOf(reports: readonly SliceReport[], phases: Phases | undefined): Slice {
  const latency = new LatencyHistogram();
  for (const report of reports) {
    addCounts(report.latency, [latency, phases?.pending]);
    addCounts(report.postLatency, [latency, phases?.post]);
  }
  const late = reports.flatMap((report) => report.late ?? []);
  const sum = (of: (one: SliceReport) => number): number =>
    reports.reduce((total, one) => total + of(one), 0);
  return {
    transfers: sum(({ transfers }) => transfers),
    seconds: Math.max(...reports.map(({ seconds }) => seconds)),
    latency,
    ...(late.length === 0 ? {} : { late: histogramOf(late) }),
    bad: sum(({ bad }) => bad),
    badStatus: reports.find((report) => report.badStatus !== undefined)?.badStatus,
  };
}

function partiesOf(workload: Workload, ring: SlotSource, pair: number) {
  const { slot, row } = pairOf(ring, pair);
  const { debits, credits, amounts } = ring.slots[slot]!;
  return {
    debitAccountId: workload.accountId(debits[row]!),
    creditAccountId: workload.accountId(credits[row]!),
    amount: BigInt(amounts[row]!),
    ledger: LEDGER,
    code: CODE,
  };
}

export function ask<T>(child: ChildProcess, request: LoadRequest): Promise<T> {
  // One that cannot be sent would else be an event of the child, behind its end for which nobody listens any more.
  const unsent = new Promise<never>((_, reject) => {
    child.send(request, (error) => {
      if (error !== null) reject(error);
    });
  });
  return Promise.race([answer<T>(child), unsent]);
}

/** The next message of a child; rejects when it ends instead. */
export async function answer<T>(child: ChildProcess): Promise<T> {
  if (!isLiving(child)) throw new Error('a child process of the bench has ended');
  const stop = new AbortController();
  try {
    const message = once(child, 'message', { signal: stop.signal }).then(([first]) => first as T);
    const end = once(child, 'exit', { signal: stop.signal }).then(([code]): never => {
      throw new Error(`a child process of the bench ended with ${String(code)}`);
    });
    return await Promise.race([message, end]);
  } finally {
    stop.abort();
  }
}
