/**
 * Two-phase transfers: a batch of pending transfers, and when it is answered a batch that posts all of them whole, before that place is used
 * again. Both batches count. In the end nothing is pending on any account, and what was posted is in the books.
 */
import { type Batch, BatchKind, batchOfColumns, HEADER_BYTES, Transfer } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { LatencyHistogram } from '../lib/histogram.ts';
import { percentiles } from './figures.ts';
import { countCreated, createBatch, type Load, runSteps } from './load.ts';
import { warmAndMeasure } from './runs.ts';
import {
  type Bench,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import { CODE, column, columnAt, constant, LEDGER, pickIds, type Slot } from './slots.ts';
import type { Workload } from './workload.ts';

/** The whole of the pending amount. */
const WHOLE = Uint32Array.of(0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff);

export function pendingPost(context: ScenarioContext): Promise<ScenarioResult> {
  return runScenario(context, {
    load: { transfers: { pendingTimeoutSeconds: 0 } },
    measure,
    storedPerEntry: 2,
  });
}

async function measure(bench: Bench): Promise<Measured> {
  const { workload, options } = bench;
  const posts = new PostBatches(workload, options.scenarioOptions.namesAccounts);
  const pendingMs = new LatencyHistogram();
  const postMs = new LatencyHistogram();
  let refused = 0;
  const load = (seconds: number): Promise<Load> =>
    runSteps({ seconds, inFlight: options.inFlight, signal: bench.signal }, async (record) => {
      const slot = workload.take();
      const began = performance.now();
      const pending = countCreated(await createBatch(bench.target.client, slot.batch));
      const between = performance.now();
      record(pending, began);
      refused += slot.batch.n - pending;
      const post = posts.batchOf(slot);
      const sent = performance.now();
      const statuses = await createBatch(bench.target.client, post);
      const posted = countCreated(statuses);
      record(posted, sent);
      pendingMs.record(between - began);
      postMs.record(performance.now() - sent);
      bench.books.acknowledge(slot, statuses, posted);
      workload.giveBack(slot);
    });
  const onWarm = (): void => {
    pendingMs.reset();
    postMs.reset();
  };
  return {
    ...(await warmAndMeasure(bench, load, { onWarm })),
    figures: { pending_ms: percentiles(pendingMs), post_ms: percentiles(postMs) },
    complaints: refused === 0 ? [] : [`${refused} pending transfers were refused`],
  };
}

/** The batch that posts a slot's pending transfers; one for each slot, used again with it. */
class PostBatches {
  readonly #workload: Workload;
  readonly #namesAccounts: boolean;
  readonly #batches = new Map<Slot, Batch>();
  #pendingIdsAt = 0;

  constructor(workload: Workload, namesAccounts: boolean) {
    this.#workload = workload;
    this.#namesAccounts = namesAccounts;
  }

  batchOf(slot: Slot): Batch {
    let post = this.#batches.get(slot);
    if (post === undefined) {
      post = this.#make(slot);
      this.#batches.set(slot, post);
      this.#pendingIdsAt = columnAt(post, Transfer.pendingId);
    }
    const from = HEADER_BYTES / 4;
    const { words, n } = slot.batch;
    post.words.set(words.subarray(from, from + n * 4), this.#pendingIdsAt);
    this.#workload.writeIds(post);
    return post;
  }

  #make({ batch: { n }, debits, credits }: Slot): Batch {
    const { accountIds } = this.#workload;
    const named = [
      column(Transfer.debitAccountId, pickIds(accountIds, debits)),
      column(Transfer.creditAccountId, pickIds(accountIds, credits)),
      constant(Transfer.ledger, Uint32Array.of(LEDGER)),
      constant(Transfer.code, Uint16Array.of(CODE)),
    ];
    return batchOfColumns(BatchKind.transfers, n, [
      column(Transfer.id, new Uint32Array(n * 4)),
      column(Transfer.pendingId, new Uint32Array(n * 4)),
      constant(Transfer.amount, WHOLE),
      constant(Transfer.flags, Uint16Array.of(TransferFlags.postPendingTransfer)),
      ...(this.#namesAccounts ? named : []),
    ]);
  }
}
