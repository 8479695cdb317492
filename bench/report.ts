/** What a run says in the end: one JSON document for machines, a table for people, with the machine and what a reply waited for. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Figures, growthOfEach, rounded } from './figures.ts';
import type { GrowthStep } from './growth.ts';
import { type BenchOptions, hasLoadProcesses } from './options.ts';
import type { PointReport } from './points.ts';
import type { Repeats } from './runs.ts';
import { ownSettings } from './scenario-options.ts';
import type { MemoryUse, ScenarioResult } from './scenario.ts';
import { spreadText } from './table.ts';

export const DURABILITY = 'FULL fsync before reply';

export interface BenchReport {
  readonly scenario: string;
  readonly transport: string;
  readonly shards: number;
  readonly batch: number;
  readonly accounts: number;
  readonly cross_shard_percent: number | null;
  readonly in_flight: number;
  readonly seconds: number;
  /** Of the options that only some scenarios have, those of this one. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  readonly durability: string;
  readonly verified: boolean;
  readonly complaints?: readonly string[];
  readonly transfers?: number;
  readonly transfers_per_second?: number;
  readonly latency_ms?: Readonly<Record<'p50' | 'p99' | 'p999' | 'max', number>>;
  /** Of several runs: what transfers_per_second and latency_ms are the medians of. */
  readonly repeats?: Repeats;
  /** Of a scenario that measures several loads, each of them. */
  readonly points?: readonly PointReport[];
  readonly steps?: readonly GrowthStep[];
  readonly echo_requests_per_second?: number;
  readonly ratio?: number;
  readonly rounds?: readonly { readonly ledger: number; readonly echo: number }[];
  readonly replay_transfers_per_second?: number;
  /** What this scenario alone measures. */
  readonly figures?: Figures;
  readonly memory?: Readonly<Record<string, number | null>>;
  readonly machine: { readonly cpus: number; readonly model: string; readonly node: string };
  readonly commit: string | null;
}

/** A run that does not verify gives no throughput. */
export function makeReport(options: BenchOptions, result: ScenarioResult): BenchReport {
  const verified = result.complaints.length === 0;
  const isSplit = hasLoadProcesses(options);
  const settings = {
    ...ownSettings(options.scenario, options.scenarioOptions),
    ...(isSplit ? { workers: options.workers } : {}),
  };
  return {
    scenario: options.scenario,
    transport: options.transport,
    shards: options.shards,
    batch: options.batch,
    accounts: options.accounts,
    cross_shard_percent: options.crossShard ?? null,
    in_flight: isSplit ? options.connections : options.inFlight,
    seconds: rounded(result.seconds, 2),
    ...(Object.keys(settings).length === 0 ? {} : { settings }),
    durability: DURABILITY,
    verified,
    ...(verified ? figuresOf(result) : { complaints: result.complaints }),
    machine: machineOf(),
    commit: commitOf(),
  };
}

function figuresOf(result: ScenarioResult): Partial<BenchReport> {
  const { http, replay, latency, figures, repeats, points, steps } = result;
  return {
    transfers: result.transfers,
    transfers_per_second: Math.round(
      result.transfersPerSecond ?? result.transfers / result.seconds,
    ),
    latency_ms: {
      p50: rounded(latency.p50, 3),
      p99: rounded(latency.p99, 3),
      p999: rounded(latency.p999, 3),
      max: rounded(latency.max, 3),
    },
    ...(repeats === undefined ? {} : { repeats }),
    ...(points === undefined ? {} : { points }),
    ...(steps === undefined ? {} : { steps }),
    ...(http === undefined
      ? {}
      : {
          echo_requests_per_second: Math.round(http.echoRequestsPerSecond),
          ratio: rounded(http.ratio, 3),
          rounds: http.rounds.map(({ ledger, echo }) => ({
            ledger: Math.round(ledger),
            echo: Math.round(echo),
          })),
        }),
    ...(replay === undefined
      ? {}
      : { replay_transfers_per_second: Math.round(replay.eventsPerSecond) }),
    ...(figures === undefined ? {} : { figures }),
    memory: memoryOf(result.memory),
  };
}

/** Resident memory of the process that holds the ledger, its code, caches and (in process) the load included. */
function memoryOf(memory: MemoryUse): Readonly<Record<string, number | null>> {
  const { before, afterFirst, afterAccounts, after } = memory;
  return {
    rss_before_bytes: before ?? null,
    rss_after_accounts_bytes: afterAccounts ?? null,
    rss_after_bytes: after ?? null,
    bytes_per_account: growthOfEach(
      afterFirst,
      afterAccounts,
      memory.accounts - memory.firstAccounts,
    ),
    bytes_per_transfer: growthOfEach(afterAccounts, after, memory.transfers),
  };
}

export function machineOf(): BenchReport['machine'] {
  return {
    cpus: availableParallelism(),
    model: cpus()[0]?.model.trim() ?? 'unknown',
    node: process.version,
  };
}

export function commitOf(): string | null {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
    }).trim();
  } catch {
    // Not a clone: the report is still worth having.
    return null;
  }
}

export function formatReport(report: BenchReport): string {
  const rows: [string, string][] = [
    ['scenario', `${report.scenario}, ${report.transport}, ${report.shards} shards`],
    ['load', loadLine(report)],
    ['durability', report.durability],
    ['verified', report.verified ? 'yes' : 'NO'],
  ];
  for (const complaint of report.complaints ?? []) rows.push(['', `not verified: ${complaint}`]);
  if (report.transfers_per_second !== undefined) {
    rows.push(['transfers/s', rateText(report.transfers_per_second, report.repeats)]);
  }
  if (report.latency_ms !== undefined) rows.push(['latency ms', latencyText(report.latency_ms)]);
  for (const point of report.points ?? []) {
    const rate = rateText(point.transfers_per_second, point.repeats);
    const text = `${rate} transfers/s · ${latencyText(point.latency_ms)} · ${point.in_flight} in flight`;
    rows.push([point.name, text]);
  }
  for (const step of report.steps ?? []) rows.push(['grown to', stepText(step)]);
  if (report.ratio !== undefined) {
    const echo = whole(report.echo_requests_per_second!);
    rows.push(['bare echo', `${echo} requests/s; the ledger has ${report.ratio} of it`]);
  }
  if (report.replay_transfers_per_second !== undefined) {
    rows.push(['replay', `${whole(report.replay_transfers_per_second)} events/s`]);
  }
  for (const [name, figure] of Object.entries(report.figures ?? {})) {
    rows.push([name.replaceAll('_', ' '), figureText(figure)]);
  }
  const memory = report.memory;
  if (memory !== undefined) {
    const accounts = memory['bytes_per_account'] ?? 'unknown';
    const transfers = memory['bytes_per_transfer'] ?? 'unknown';
    rows.push(['memory', `${accounts} bytes/account · ${transfers} bytes/transfer (resident)`]);
  }
  const { cpus: cores, model, node } = report.machine;
  rows.push(['machine', `${cores} × ${model}, node ${node}, commit ${report.commit ?? 'unknown'}`]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)} ${text}`).join('\n');
}

function rateText(rate: number, repeats: Repeats | undefined): string {
  if (repeats === undefined) return whole(rate);
  return `${spreadText(repeats.transfers_per_second, whole)}, ${repeats.runs} runs`;
}

function latencyText({ p50, p99, p999, max }: NonNullable<BenchReport['latency_ms']>): string {
  return `p50 ${p50} · p99 ${p99} · p99.9 ${p999} · max ${max}`;
}

const MEBIBYTE = 1 << 20;

function stepText(step: GrowthStep): string {
  const mebibytes = (bytes: number | null): string =>
    bytes === null ? 'unknown' : `${whole(Math.round(bytes / MEBIBYTE))} MiB`;
  return [
    `${whole(step.transfers)} transfers: ${whole(step.transfers_per_second)} a second`,
    `p99 ${step.p99_ms} ms`,
    `resident ${mebibytes(step.resident_bytes)}`,
    `tables ${mebibytes(step.table_bytes)}`,
    `disk ${mebibytes(step.disk_bytes)}`,
  ].join(' · ');
}

function figureText(figure: Figures[string]): string {
  if (figure === null || typeof figure === 'number') return numberText(figure);
  const parts = Object.entries(figure);
  return parts
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${numberText(value)}`)
    .join(' · ');
}

const numberText = (value: number | null): string =>
  value === null ? 'unknown' : value.toLocaleString('en-US', { maximumFractionDigits: 3 });

function loadLine(report: BenchReport): string {
  const cross =
    report.cross_shard_percent === null ? '' : `, ${report.cross_shard_percent} % cross-shard`;
  const own = Object.entries(report.settings ?? {})
    .map(([name, value]) => `, ${name.replaceAll('_', ' ')} ${String(value)}`)
    .join('');
  return `${whole(report.accounts)} accounts, batches of ${report.batch}, ${report.in_flight} in flight, ${report.seconds} s${cross}${own}`;
}

const whole = (value: number): string => value.toLocaleString('en-US');
