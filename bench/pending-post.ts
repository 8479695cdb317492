/**
 * Two-phase transfers: a batch of pending transfers, and when it is answered a batch that posts all of them whole, before that place is used
 * again. Both batches count. In the end nothing is pending on any account, and what was posted is in the books.
 */
import { type Batch, BatchKind, batchOfColumns, HEADER_BYTES, Transfer } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { LatencyHistogram } from '../lib/histogram.ts';
import { percentiles } from './figures.ts';
import { type Phases, withHttpLoader } from './http-loader.ts';
import { countCreated, createBatch, type Load, runPacedSteps, runSteps } from './load.ts';
import { type Runs, warmAndMeasure } from './runs.ts';
import {
  type Bench,
  type Measured,
  pacedPlaces,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import { slotsFor } from './sender.ts';
import { CODE, column, columnAt, constant, LEDGER, pickIds, type Slot } from './slots.ts';
import type { Workload } from './workload.ts';

/** The whole of the pending amount. */
const WHOLE = Uint32Array.of(0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff);

export function pendingPost(context: ScenarioContext): Promise<ScenarioResult> {
  const { options } = context;
  return runScenario(context, {
    load: { transfers: { pendingTimeoutSeconds: 0 }, ...slotsFor(options) },
    measure: options.transport === 'http' ? measureHttp : measure,
    storedPerEntry: 2,
  });
}

async function measure(bench: Bench): Promise<Measured> {
  const { workload, options, signal } = bench;
  const { rate } = options.scenarioOptions;
  const phases = new TwoPhases();
  const payments = new Payments(bench, phases);
  const load = (seconds: number): Promise<Load> => {
    if (rate === 0) {
      const { inFlight } = options;
      return runSteps({ seconds, inFlight, signal }, (record) =>
        payments.pay(record, performance.now()),
      );
    }
    const paced = { seconds, signal, rate, inFlight: pacedPlaces(workload) };
    return runPacedSteps(paced, 2 * options.batch, (record, due) => payments.pay(record, due));
  };
  const runs = await warmAndMeasure(bench, load, { onWarm: () => phases.reset() });
  return { ...runs, ...phases.besides(runs), complaints: payments.complaints() };
}

/** The load processes send a post when its pending transfers are answered, over the same connection. */
function measureHttp(bench: Bench): Promise<Measured> {
  const { rate, namesAccounts } = bench.options.scenarioOptions;
  const phases = new TwoPhases();
  const posts = namesAccounts ? 'name' : 'inherit';
  return withHttpLoader(bench, { posts, phases }, async (loader) => {
    const load = (seconds: number): Promise<Load> => loader.slice(seconds, { rate });
    const runs = await warmAndMeasure(bench, load, { onWarm: () => phases.reset() });
    return { ...runs, ...phases.besides(runs) };
  });
}

class TwoPhases implements Phases {
  readonly pending = new LatencyHistogram();
  readonly post = new LatencyHistogram();

  reset(): void {
    this.pending.reset();
    this.post.reset();
  }

  besides({ figures }: Runs): Pick<Measured, 'figures'> {
    const { pending, post } = this;
    return {
      figures: { ...figures, pending_ms: percentiles(pending), post_ms: percentiles(post) },
    };
  }
}

class Payments {
  readonly #bench: Bench;
  readonly #phases: Phases;
  readonly #posts: PostBatches;
  #refused = 0;

  constructor(bench: Bench, phases: Phases) {
    const { workload, options } = bench;
    this.#bench = bench;
    this.#phases = phases;
    this.#posts = new PostBatches(workload, options.scenarioOptions.namesAccounts);
  }

  /** A batch, pending and posted. Posts are due when their pending transfers are answered. */
  async pay(record: (created: number, due: number) => void, due: number): Promise<void> {
    const { target, workload, books } = this.#bench;
    const slot = workload.take();
    const pending = countCreated(await createBatch(target.client, slot.batch));
    const between = performance.now();
    record(pending, due);
    this.#refused += slot.batch.n - pending;
    const post = this.#posts.batchOf(slot);
    const sent = performance.now();
    const statuses = await createBatch(target.client, post);
    const posted = countCreated(statuses);
    record(posted, sent);
    this.#phases.pending.record(between - due);
    this.#phases.post.record(performance.now() - sent);
    books.acknowledge(slot, statuses, posted);
    workload.giveBack(slot);
  }

  complaints(): readonly string[] {
    return this.#refused === 0 ? [] : [`${this.#refused} pending transfers were refused`];
  }
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
