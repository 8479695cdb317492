/**
 * Uniform load: debit and credit accounts drawn evenly, nothing hot. Accounts are created, the load runs warm and then measured, and
 * afterwards the books are compared and the journals replayed. What is not measured: creating accounts, and limits, which none has.
 *
 * Skewed accounts, chains, and the hot account are the same load with other pairs or flags.
 */
import { runHttpRounds } from './http-rounds.ts';
import { runScenario, type ScenarioContext, type ScenarioResult } from './scenario.ts';
import { measureLoad, slotsFor } from './sender.ts';
import type { WorkloadOptions } from './workload.ts';

/** Over HTTP an echo server takes turns with the ledger, unless there is a rate to keep. */
export function uniform(context: ScenarioContext): Promise<ScenarioResult> {
  const { transport, scenarioOptions } = context.options;
  if (transport !== 'http' || scenarioOptions.rate > 0) return plain(context, {});
  return runScenario(context, { load: slotsFor(context.options), measure: runHttpRounds });
}

/** A few accounts are drawn often. */
export function zipfian(context: ScenarioContext): Promise<ScenarioResult> {
  return plain(context, { skew: context.options.scenarioOptions.skew });
}

/** Every transfer is linked to others; where the accounts of a chain are is `--legs`. */
export function chains(context: ScenarioContext): Promise<ScenarioResult> {
  const { chain, legs } = context.options.scenarioOptions;
  return plain(context, { chain, legs });
}

/** One account is a side of every transfer. */
export function hotAccount(context: ScenarioContext): Promise<ScenarioResult> {
  const { hotSide } = context.options.scenarioOptions;
  return plain(context, { hotSide });
}

function plain(context: ScenarioContext, load: Partial<WorkloadOptions>): Promise<ScenarioResult> {
  return runScenario(context, {
    load: { ...load, ...slotsFor(context.options) },
    measure: measureLoad,
  });
}
