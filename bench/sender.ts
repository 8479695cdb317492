/**
 * What sends the transfers of a scenario: the client of its target in this process, or over HTTP the load processes. Whatever was acknowledged is
 * in the books when a measurement is over; over HTTP not before.
 */
import { httpSlotRows, withHttpLoader } from './http-loader.ts';
import { createTransfers, type Load } from './load.ts';
import type { BenchOptions } from './options.ts';
import { warmAndMeasure } from './runs.ts';
import { type Bench, loadOf, type Measured } from './scenario.ts';
import type { RingOptions } from './workload.ts';

export interface Sender {
  /** For so long; at `--rate`, if there is one. */
  run(seconds: number): Promise<Load>;
  /** So many, in whole batches, as fast as they are answered. */
  create(count: number): Promise<Load>;
}

/** How the slots of a workload that a sender takes from differ from the options. */
export function slotsFor({ transport, batch }: BenchOptions): Partial<RingOptions> {
  return transport === 'http' ? { batch: httpSlotRows(batch), inFlight: 1 } : {};
}

/** The sender lives for as long as `measure` takes. */
export function withSender(
  bench: Bench,
  measure: (sender: Sender) => Promise<Measured>,
): Promise<Measured> {
  if (bench.options.transport !== 'http') return measure(ownSender(bench));
  const { rate } = bench.options.scenarioOptions;
  return withHttpLoader(bench, {}, (loader) =>
    measure({
      run: (seconds) => loader.slice(seconds, { rate }),
      create: (count) => loader.create(count),
    }),
  );
}

/** A load alone, after its warm-up. */
export function measureLoad(bench: Bench): Promise<Measured> {
  return withSender(bench, (sender) => warmAndMeasure(bench, (seconds) => sender.run(seconds)));
}

function ownSender(bench: Bench): Sender {
  const { target, workload, books, options, signal } = bench;
  const { inFlight } = options;
  return {
    run: loadOf(bench),
    create: (count) => createTransfers(target.client, workload, books, { inFlight, signal, count }),
  };
}
