/** What the suite says in the end: a table of all runs, and plots of them. */
import type { LatencyMs } from '../lib/histogram.ts';
import type { Spread } from './figures.ts';
import type { GrowthStep } from './growth.ts';
import { linePlot } from './line-plot.ts';
import { type Bar, type BarGroup, barPlot, shortNumber } from './plot.ts';
import type { Repeats } from './runs.ts';
import type { SuiteDocument, SuiteEntry } from './suite.ts';
import { figuresTable, spreadText, tableOf } from './table.ts';

/** One load of a run. */
interface Row {
  readonly run: string;
  readonly transport: string;
  readonly rate: Spread;
  readonly latency: LatencyMs;
  /** Sent at a rate: its latencies are what was looked for. */
  readonly isPaced: boolean;
}

const DASH = '·';

export function suiteTable(document: SuiteDocument): string {
  const lines = document.runs.flatMap((entry) => {
    const rows = rowsOf(entry);
    if (rows.length > 0) return rows.map(cellsOf);
    return [[entry.name, transportOf(entry), outcomeOf(entry), DASH, DASH, DASH, DASH]];
  });
  const head = ['run', 'over', 'transfers/s, median (spread)', 'p50 ms', 'p99', 'p99.9', 'max'];
  const { seconds, verified, machine, commit } = document;
  const left = document.runs.filter(({ skipped }) => skipped !== undefined).length;
  return [
    ...tableOf([head, ...lines]),
    ...document.runs.flatMap(limitLines),
    '',
    `${document.runs.length - left} runs in ${seconds} s${left === 0 ? '' : `, ${left} left out`}; ${verified ? 'all verified' : 'NOT all verified'}`,
    `${machine.cpus} × ${machine.model}, node ${machine.node}, commit ${commit ?? 'unknown'}`,
  ].join('\n');
}

function outcomeOf({ failed, skipped, report }: SuiteEntry): string {
  if (failed !== undefined) return `FAILED: ${failed}`;
  if (skipped !== undefined) return `left out: ${skipped}`;
  return report?.scenario === 'limits' ? 'see below' : DASH;
}

/** A run that was left out or failed has no report: its command says. */
const transportOf = ({ command }: SuiteEntry): string =>
  /--transport (\S+)/.exec(command)?.[1] ?? (command.startsWith('limits') ? DASH : 'in-process');

function rowsOf(entry: SuiteEntry): readonly Row[] {
  const { report, name } = entry;
  if (report === undefined) return [];
  const { points, transfers_per_second: rate, latency_ms: latency, repeats } = report;
  const place = { transport: transportOf(entry), isPaced: entry.command.includes('--rate ') };
  if (points !== undefined) {
    return points.map((point) => ({
      ...place,
      run: `${name}: ${point.name}`,
      rate: spread(point.transfers_per_second, point.repeats),
      latency: point.latency_ms,
    }));
  }
  if (rate === undefined || latency === undefined) return [];
  return [{ ...place, run: name, rate: spread(rate, repeats), latency }];
}

const spread = (rate: number, repeats: Repeats | undefined): Spread =>
  repeats?.transfers_per_second ?? { median: rate, least: rate, greatest: rate };

function cellsOf({ run, transport, rate, latency }: Row): readonly string[] {
  const { p50, p99, p999, max } = latency;
  return [run, transport, spreadText(rate, whole), ...[p50, p99, p999, max].map(shortNumber)];
}

const whole = (value: number): string => value.toLocaleString('en-US');

function limitLines({ report }: SuiteEntry): readonly string[] {
  return report?.scenario === 'limits' ? ['', figuresTable('limit', report.figures ?? {})] : [];
}

/** By what they show. What has no figure is not drawn. */
export function plotsOf({ runs }: SuiteDocument): ReadonlyMap<string, string> {
  const rows = runs.flatMap(rowsOf);
  const plots = new Map<string, string>();
  const busy = rows.filter(({ isPaced, rate }) => !isPaced && rate.least > 0);
  if (busy.length > 0) plots.set('throughput', throughputPlot(busy));
  const paced = rows.filter(({ isPaced, latency }) => isPaced && latency.p50 > 0);
  if (paced.length > 0) plots.set('latency', latencyPlot(paced));
  const steps = runs.flatMap(({ report }) => report?.steps ?? []);
  if (steps.length > 1) {
    plots.set('growth', growthPlot(steps));
    plots.set('growth-bytes', bytesPlot(steps));
  }
  return plots;
}

function throughputPlot(rows: readonly Row[]): string {
  return barPlot({
    title: 'Durable transfers a second',
    axis: 'transfers/s (median of the runs, least to greatest)',
    origin: 1_000,
    groups: groupsOf(rows, ({ run, rate }) => ({
      label: run,
      value: rate.median,
      least: rate.least,
      greatest: rate.greatest,
    })),
  });
}

function latencyPlot(rows: readonly Row[]): string {
  return barPlot({
    title: 'Latency at a fixed rate, from when a request was due',
    axis: 'ms: p99, with p50 and the greatest',
    groups: groupsOf(rows, ({ run, latency }) => ({
      label: run,
      value: latency.p99,
      least: latency.p50,
      greatest: latency.max,
    })),
  });
}

function groupsOf(rows: readonly Row[], barOf: (row: Row) => Bar): readonly BarGroup[] {
  const groups = Map.groupBy(rows, ({ transport }) => transport);
  return [...groups].map(([label, of]) => ({ label, bars: of.map(barOf) }));
}

const MILLION = 1_000_000;
const MEBIBYTE = 1 << 20;

const HORIZONTAL = 'transfers stored, millions';

function growthPlot(steps: readonly GrowthStep[]): string {
  const line = (label: string, of: (step: GrowthStep) => number) => ({
    label,
    points: steps.map((step) => [step.transfers / MILLION, of(step)] as const),
  });
  return linePlot({
    title: 'Speed as the tables grow',
    horizontal: HORIZONTAL,
    vertical: 'thousands a second, and ms',
    lines: [
      line('thousand transfers/s', (step) => step.transfers_per_second / 1_000),
      line('p99 of a batch, ms', (step) => step.p99_ms),
    ],
  });
}

function bytesPlot(steps: readonly GrowthStep[]): string {
  const line = (label: string, of: (step: GrowthStep) => number | null) => ({
    label,
    points: steps.flatMap((step) => {
      const bytes = of(step);
      return bytes === null ? [] : [[step.transfers / MILLION, bytes / MEBIBYTE] as const];
    }),
  });
  return linePlot({
    title: 'Memory and disk as the tables grow',
    horizontal: HORIZONTAL,
    vertical: 'MiB',
    lines: [
      line('resident', (step) => step.resident_bytes),
      line('tables', (step) => step.table_bytes),
      line('disk', (step) => step.disk_bytes),
    ].filter(({ points }) => points.length > 0),
  });
}
