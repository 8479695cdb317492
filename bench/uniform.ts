/**
 * Uniform load: debit and credit accounts drawn evenly, nothing hot. Accounts are created, the load runs warm and then measured, and
 * afterwards the books are compared and the journals replayed. What is not measured: creating accounts, and limits, which none has.
 *
 * Chains and the hot account are the same load with other pairs or flags.
 */
import { runHttpRounds } from './http-rounds.ts';
import {
  type Bench,
  loadOf,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
  warmAndMeasure,
} from './scenario.ts';

/** Rows in a slot where requests have one transfer each: the slots then only say who pays whom. */
const HTTP_SLOT_ROWS = 1024;

export function uniform(context: ScenarioContext): Promise<ScenarioResult> {
  const isHttp = context.options.transport === 'http';
  return runScenario(context, {
    load: isHttp ? { batch: HTTP_SLOT_ROWS } : {},
    measure: isHttp ? measureHttp : measureLoad,
  });
}

/** Every transfer is linked to others; where the accounts of a chain are is `--legs`. */
export function chains(context: ScenarioContext): Promise<ScenarioResult> {
  const { chain, legs } = context.options.scenarioOptions;
  return runScenario(context, { load: { chain, legs }, measure: measureLoad });
}

/** One account is a side of every transfer. */
export function hotAccount(context: ScenarioContext): Promise<ScenarioResult> {
  const { hotSide } = context.options.scenarioOptions;
  return runScenario(context, { load: { hotSide }, measure: measureLoad });
}

async function measureLoad(bench: Bench): Promise<Measured> {
  const { transfers, seconds, latency } = await warmAndMeasure(bench, loadOf(bench));
  return { transfers, seconds, latency: latency.summary() };
}

async function measureHttp(bench: Bench): Promise<Measured> {
  bench.say(
    `warming up, then the ledger and an echo server in turns, ${bench.options.seconds} s each`,
  );
  const http = await runHttpRounds(bench);
  const { transfers, seconds, latency, complaints } = http;
  return { transfers, seconds, latency, http, complaints };
}
