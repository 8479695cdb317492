/**
 * Repeats of one load: a warm-up, then so many runs on the same ledger, with medians and spread. A percentile of all is the median of the runs'
 * percentiles, since percentiles do not add up; the greatest latency is the greatest of all runs.
 */
import { LatencyHistogram, type LatencyMs } from '../lib/histogram.ts';
import { type Figures, median, rounded, type Spread, spreadOf } from './figures.ts';
import type { Load } from './load.ts';
import type { ScenarioContext } from './scenario.ts';

export interface Run {
  readonly transfers: number;
  readonly seconds: number;
  readonly latency: LatencyMs;
  /** Of a load at a rate: how late requests were sent. */
  readonly late?: LatencyMs | undefined;
}

export interface Runs extends Run {
  /** The median of the runs. */
  readonly transfersPerSecond: number;
  /** Undefined where there was one run. */
  readonly repeats?: Repeats | undefined;
  readonly figures?: Figures | undefined;
}

/** As they stand in a report. */
export interface Repeats {
  readonly runs: number;
  readonly transfers_per_second: Spread;
  readonly latency_ms: Readonly<Record<keyof LatencyMs, Spread>>;
}

const sum = (values: readonly number[]): number => values.reduce((total, one) => total + one, 0);

const PERCENTILES = ['p50', 'p99', 'p999', 'max'] as const satisfies readonly (keyof LatencyMs)[];

/** A rate of nothing is no figure, whatever the books say. */
export const NOTHING_ANSWERED =
  'no request was answered within the measured time; measure for longer, with --seconds';

export interface RunOptions {
  /** Called between the warm-up and the first run. */
  readonly onWarm?: (() => void) | undefined;
}

/** Runs `load` for the time before the measured one, then for that, as often as asked. */
export async function warmAndMeasure(
  { options, say, signal }: Pick<ScenarioContext, 'options' | 'say' | 'signal'>,
  load: (seconds: number) => Promise<Load | Run>,
  { onWarm }: RunOptions = {},
): Promise<Runs> {
  const { warmUpSeconds, seconds, scenarioOptions } = options;
  if (warmUpSeconds > 0) {
    say(`warming up for ${warmUpSeconds} s`);
    await load(warmUpSeconds);
  }
  onWarm?.();
  const runs: Run[] = [];
  for (let i = 0; i < scenarioOptions.repeat && !(i > 0 && signal.aborted); i++) {
    say(`measuring for ${seconds} s, run ${i + 1} of ${scenarioOptions.repeat}`);
    runs.push(runOf(await load(seconds)));
  }
  return combined(runs);
}

export function runOf(load: Load | Run): Run {
  return { ...load, latency: summaryOf(load.latency), late: load.late && summaryOf(load.late) };
}

function summaryOf(latency: LatencyHistogram | LatencyMs): LatencyMs {
  return latency instanceof LatencyHistogram ? latency.summary() : latency;
}

export function combined(runs: readonly Run[]): Runs {
  const rates = runs.map(({ transfers, seconds }) => transfers / seconds);
  const of = (key: keyof LatencyMs): number[] => runs.map(({ latency }) => latency[key]);
  return {
    transfers: sum(runs.map(({ transfers }) => transfers)),
    seconds: sum(runs.map(({ seconds }) => seconds)),
    transfersPerSecond: median(rates),
    latency: {
      p50: median(of('p50')),
      p99: median(of('p99')),
      p999: median(of('p999')),
      max: Math.max(0, ...of('max')),
    },
    ...lateness(runs),
    ...(runs.length < 2
      ? {}
      : {
          repeats: {
            runs: runs.length,
            transfers_per_second: spreadOf(rates, 0),
            latency_ms: Object.fromEntries(
              PERCENTILES.map((key) => [key, spreadOf(of(key), 3)]),
            ) as Repeats['latency_ms'],
          },
        }),
  };
}

/** A load that was sent late was not the load that was asked for. */
function lateness(runs: readonly Run[]): Pick<Runs, 'figures'> {
  const late = runs.flatMap((run) => run.late ?? []);
  if (late.length === 0) return {};
  const greatest = (key: keyof LatencyMs): number =>
    rounded(Math.max(...late.map((one) => one[key])), 3);
  return {
    figures: {
      sent_late_ms: { p50: greatest('p50'), p99: greatest('p99'), max: greatest('max') },
    },
  };
}
