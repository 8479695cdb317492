/**
 * The load generator for HTTP as its parent sees it: a child process that is asked for slices, and in the end for what it has sent, which goes
 * into the books.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Books } from './books.ts';
import { endChild, isLiving, startChild } from './children.ts';
import {
  type LoadRequest,
  type LoadSetup,
  pairCount,
  pairOf,
  type Sent,
  type Slice,
  type SliceRequest,
  type Tally,
} from './http-load.ts';
import type { BenchOptions } from './options.ts';
import { CODE, LEDGER } from './slots.ts';
import type { Target } from './target.ts';
import type { RingOptions, SlotSource, Workload, WorkloadOptions } from './workload.ts';

const REASK_DEADLINE_MS = 30_000;
const CREATED = 201;
const OK = 200;
/** Rows in a slot: it only says who pays whom, whatever the size of requests. */
export const HTTP_SLOT_ROWS = 1_024;

export interface HttpRun {
  readonly options: BenchOptions;
  readonly target: Target;
  readonly workload: Workload;
  readonly workloadOptions: WorkloadOptions;
  readonly books: Books;
  readonly signal: AbortSignal;
}

/** Where a slice differs from the options of the bench. */
export type SlicePlace = Partial<Pick<SliceRequest, 'ring' | 'rows' | 'connections' | 'rate'>>;

export class HttpLoader {
  readonly #run: HttpRun;
  readonly #child: ChildProcess;
  #bad = 0;

  private constructor(run: HttpRun, child: ChildProcess) {
    this.#run = run;
    this.#child = child;
  }

  /** `rings` are those that were added to the workload. */
  static async start(
    run: HttpRun,
    rings: readonly Partial<RingOptions>[] = [],
  ): Promise<HttpLoader> {
    const setup: LoadSetup = { workload: run.workloadOptions, rings };
    const child = startChild('./http-load.ts', [JSON.stringify(setup)]);
    try {
      await answer(child);
      // Whoever waits for a slice learns that it ended. Asked for one more, it has ended already.
      run.signal.addEventListener('abort', () => void endChild(child), { once: true });
      run.signal.throwIfAborted();
      return new HttpLoader(run, child);
    } catch (error: unknown) {
      await endChild(child);
      throw error;
    }
  }

  /** A run against the ledger. */
  slice(seconds: number, place: SlicePlace = {}): Promise<Slice> {
    const good = (place.rows ?? 1) === 1 ? CREATED : OK;
    return this.#slice(seconds, { ...place, good, isLedger: true, url: this.#run.target.url! });
  }

  /** A run against a server that answers what it is sent. */
  echoSlice(url: string, seconds: number): Promise<Slice> {
    return this.#slice(seconds, { good: OK, isLedger: false, url });
  }

  async #slice(
    seconds: number,
    place: SlicePlace & Pick<SliceRequest, 'good' | 'isLedger' | 'url'>,
  ): Promise<Slice> {
    const slice = await ask<Slice>(this.#child, {
      type: 'slice',
      ring: 0,
      rows: 1,
      connections: this.#run.options.connections,
      rate: 0,
      // autocannon counts in whole ones.
      seconds: Math.max(1, Math.round(seconds)),
      ...place,
    });
    this.#bad += slice.bad;
    return slice;
  }

  /** Asks again for what was under way when a slice ended, with the same ids, as any client would, and brings the books up to date. */
  async closeBooks(): Promise<readonly string[]> {
    const { workload, books } = this.#run;
    const tally = await ask<Tally>(this.#child, { type: 'tally' });
    const created = tally.created.map((of) => [...of]);
    const complaints = this.#bad === 0 ? [] : [`${this.#bad} requests were not answered well`];
    for (const sent of tally.unanswered) {
      const ring = created[sent.ring]!;
      for (const [row, status] of (await this.#askAgain(sent)).entries()) {
        if (status === 'created' || status === 'exists') ring[(sent.pair + row) % ring.length]!++;
        else complaints.push(`asked again, a transfer was answered ${status}`);
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
    return complaints;
  }

  async #askAgain({ ring: at, pair, id, rows }: Sent): Promise<readonly string[]> {
    const { workload, target } = this.#run;
    const ring = workload.rings[at]!;
    const pairs = pairCount(ring);
    const transfers = Array.from({ length: rows }, (_, row) => ({
      id: BigInt(id) + BigInt(row),
      ...partiesOf(workload, ring, (pair + row) % pairs),
    }));
    const { results } = await target.client.createTransfers(transfers, {
      deadlineMs: REASK_DEADLINE_MS,
    });
    return results.map(({ status }) => status);
  }

  stop(): Promise<unknown> {
    return endChild(this.#child);
  }
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

export async function ask<T>(child: ChildProcess, request: LoadRequest): Promise<T> {
  const pending = answer<T>(child);
  child.send(request);
  return pending;
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
