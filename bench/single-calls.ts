/**
 * So many callers, each with one transfer at a time, through the batching client: what a payment service is. A caller makes an object for each
 * call, as services do, and calls again when it is answered. `--in-flight` says how many batches may be under way. Latencies are those of calls.
 */
import { BatchingClient } from '../client/batching-client.ts';
import type { TransferInput } from '../client/client.ts';
import { HEADER_BYTES } from '../engine/batch.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { type Load, runSteps } from './load.ts';
import { warmAndMeasure } from './runs.ts';
import {
  type Bench,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import { CODE, LEDGER, type Slot } from './slots.ts';

/** A slot only says who pays whom, and is used up row by row. */
const SLOT_ROWS = 1024;
/** Longer than any stall that is worth measuring: an unknown outcome would spoil the books. */
const CALL_DEADLINE_MS = 30_000;

export function singleCalls(context: ScenarioContext): Promise<ScenarioResult> {
  const { callers } = context.options.scenarioOptions;
  return runScenario(context, {
    load: { batch: SLOT_ROWS, inFlight: Math.ceil(callers / SLOT_ROWS) + 1 },
    measure,
  });
}

async function measure(bench: Bench): Promise<Measured> {
  const { target, options, books, signal } = bench;
  const { callers } = options.scenarioOptions;
  const rows = new Rows(bench);
  await using client = new BatchingClient(target.client, {
    inFlight: options.inFlight,
    waitingMax: callers,
    deadlineMs: CALL_DEADLINE_MS,
  });
  let refused = 0;
  const load = (seconds: number): Promise<Load> =>
    runSteps({ seconds, inFlight: callers, signal }, async (record) => {
      const { slot, row, transfer } = rows.next();
      const sent = performance.now();
      const { status } = await client.createTransfer(transfer);
      if (status === 'created') books.acknowledgeRow(slot, row, 1);
      else refused++;
      record(status === 'created' ? 1 : 0, sent);
    });
  const runs = await warmAndMeasure(bench, load);
  return {
    ...runs,
    complaints: refused === 0 ? [] : [`${refused} transfers were not created`],
  };
}

/** Transfers one after the other, each with an id that was never used before. */
class Rows {
  readonly #workload: Bench['workload'];
  #slot: Slot;
  #row = 0;

  constructor({ workload }: Bench) {
    this.#workload = workload;
    this.#slot = workload.take();
  }

  next(): { readonly slot: Slot; readonly row: number; readonly transfer: TransferInput } {
    if (this.#row === this.#slot.batch.n) {
      // Nothing of it is read any more: calls have copies.
      this.#workload.giveBack(this.#slot);
      this.#slot = this.#workload.take();
      this.#row = 0;
    }
    const slot = this.#slot;
    const row = this.#row++;
    const transfer = {
      id: idAt(slot, row),
      debitAccountId: this.#workload.accountId(slot.debits[row]!),
      creditAccountId: this.#workload.accountId(slot.credits[row]!),
      amount: BigInt(slot.amounts[row]!),
      ledger: LEDGER,
      code: CODE,
    };
    return { slot, row, transfer };
  }
}

function idAt({ batch }: Slot, row: number): bigint {
  return bigintOfUint128(batch.words, HEADER_BYTES / 4 + row * 4);
}
