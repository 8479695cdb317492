/** What the rounds say in the end: medians with their spread, ratios of each round, and the ratios drawn. */
import { totalmem } from 'node:os';
import path from 'node:path';
import { median, rounded, type Spread, spreadOf } from '../figures.ts';
import type { BenchOptions } from '../options.ts';
import { type BarGroup, barPlot, shortNumber } from '../plot.ts';
import { commitOf, DURABILITY, machineOf } from '../report.ts';
import { ownSettings, type PeerName } from '../scenario-options.ts';
import { spreadText, tableOf } from '../table.ts';
import { type Contender, labelOf, type Pair, pairsOf, SYSTEM_NAMES } from './contenders.ts';
import { postgresqlSettings } from './postgresql.ts';
import { REDIS_SETTINGS } from './redis.ts';
import { findPostgresql, findRedis, versionOf } from './servers.ts';
import type { Turn } from './turn.ts';

export interface ContenderReport extends Contender {
  readonly transfers_per_second: Spread;
  /** In the order of the rounds. */
  readonly rounds: readonly number[];
  readonly p50_ms: number;
  readonly p99_ms: number;
}

export interface RatioReport extends Spread {
  readonly shape: string;
  readonly sycee: string;
  readonly peer: PeerName;
  readonly form: string;
}

export interface PeersReport {
  readonly scenario: 'peers';
  readonly accounts: number;
  readonly seconds: number;
  readonly warm_up_seconds: number;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly durability: string;
  readonly verified: boolean;
  readonly complaints?: readonly string[];
  readonly contenders?: readonly ContenderReport[];
  readonly ratios?: readonly RatioReport[];
  readonly versions: Readonly<Record<string, string>>;
  readonly server_settings: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly machine: ReturnType<typeof machineOf>;
  readonly commit: string | null;
}

export interface Rounds {
  readonly contenders: readonly Contender[];
  /** By contender, then by round. */
  readonly turns: readonly (readonly Turn[])[];
  readonly complaints: readonly string[];
}

/** Rounds that do not verify give no figure. */
export function makePeersReport(options: BenchOptions, rounds: Rounds): PeersReport {
  const { complaints } = rounds;
  const verified = complaints.length === 0;
  const { peers, tigerbeetle } = options.scenarioOptions;
  return {
    scenario: 'peers',
    accounts: options.accounts,
    seconds: options.seconds,
    warm_up_seconds: options.warmUpSeconds,
    settings: {
      ...ownSettings(options.scenario, options.scenarioOptions),
      // Where they lie is of this machine only.
      tigerbeetle: tigerbeetle !== undefined,
      plot: undefined,
    },
    durability: DURABILITY,
    verified,
    ...(verified ? figuresOf(rounds) : { complaints }),
    versions: versionsOf(peers, tigerbeetle),
    server_settings: {
      ...(peers.includes('postgresql') ? { postgresql: postgresqlSettings(totalmem()) } : {}),
      ...(peers.includes('redis') ? { redis: REDIS_SETTINGS } : {}),
    },
    machine: machineOf(),
    commit: commitOf(),
  };
}

function figuresOf({ contenders, turns }: Rounds): Pick<PeersReport, 'contenders' | 'ratios'> {
  const rates = contenders.map((_, at) => turns[at]!.map((turn) => turn.transfers / turn.seconds));
  return {
    contenders: contenders.map((contender, at) => ({
      ...contender,
      transfers_per_second: spreadOf(rates[at]!, 0),
      rounds: rates[at]!.map(Math.round),
      p50_ms: rounded(median(turns[at]!.map(({ latency }) => latency.p50)), 2),
      p99_ms: rounded(median(turns[at]!.map(({ latency }) => latency.p99)), 2),
    })),
    ratios: pairsOf(contenders).map((pair) => ratioOf(pair, contenders, rates)),
  };
}

function ratioOf(
  { shape, sycee, peer, form, others }: Pair,
  contenders: readonly Contender[],
  rates: readonly (readonly number[])[],
): RatioReport {
  const own = rates[contenders.indexOf(sycee)]!;
  const ratios = own.map((rate, round) => {
    const best = Math.max(...others.map((other) => rates[contenders.indexOf(other)]![round]!));
    return rate / best;
  });
  return { shape, sycee: sycee.form, peer, form, ...spreadOf(ratios, 3) };
}

function versionsOf(peers: readonly PeerName[], tigerbeetle: string | undefined) {
  const versions: Record<string, string> = {};
  const postgresql = findPostgresql();
  if (peers.includes('postgresql') && postgresql !== undefined) {
    versions['postgresql'] = versionOf(path.join(postgresql, 'postgres'));
  }
  const redis = findRedis();
  if (peers.includes('redis') && redis !== undefined) {
    // The rest of the line says on what machine it was built.
    versions['redis'] = versionOf(redis).split(' sha=')[0]!;
  }
  if (tigerbeetle !== undefined) versions['tigerbeetle'] = versionOf(tigerbeetle, 'version');
  return versions;
}

export function formatPeers(report: PeersReport): string {
  const { contenders = [], ratios = [], complaints = [], machine, versions } = report;
  const lines = [
    `peers, ${report.accounts.toLocaleString('en-US')} accounts, ${lengthOf(report)}`,
    `durability  ${report.durability}, and of the peers their own strictest`,
    `verified    ${report.verified ? 'yes' : 'NO'}`,
    ...complaints.map((complaint) => `            not verified: ${complaint}`),
    `machine     ${machine.cpus} × ${machine.model}, node ${machine.node}, commit ${report.commit ?? 'unknown'}`,
    ...Object.values(versions).map((version) => `beside      ${version}`),
  ];
  if (!report.verified) return lines.join('\n');
  const rows = contenders.map((one) => [
    one.shape,
    labelOf(one),
    spreadText(one.transfers_per_second, shortNumber),
    `${one.p50_ms}`,
    `${one.p99_ms}`,
  ]);
  const ratioRows = ratios.map((one) => [
    one.shape,
    `Sycee, ${one.sycee} ÷ ${SYSTEM_NAMES[one.peer]}, ${one.form}`,
    spreadText(one, shortNumber),
  ]);
  return [
    ...lines,
    '',
    ...tableOf([['shape', 'contender', 'transfers/s', 'p50 ms', 'p99 ms'], ...rows]),
    '',
    ...tableOf([['shape', 'ratio, best of the client counts', 'times'], ...ratioRows]),
  ].join('\n');
}

/** Of a turn. */
function lengthOf({ seconds, settings, contenders = [] }: PeersReport): string {
  const counted = contenders.filter(({ shape }) => shape === 'equal-counts');
  const timed =
    counted.length > 0 && counted.length === contenders.length ? [] : [`${seconds} s each`];
  const count = Number(settings['transfers']).toLocaleString('en-US');
  return [
    ...timed,
    ...(counted.length > 0 ? [`${count} transfers each in equal-counts`] : []),
  ].join(', ');
}

/** The ratios, by shape and by what Sycee is compared with. */
export function plotOf({ ratios = [] }: Pick<PeersReport, 'ratios'>): string {
  const groups = Map.groupBy(
    ratios,
    ({ shape, peer, form }) => `${shape}: against ${SYSTEM_NAMES[peer]}, ${form}`,
  );
  return barPlot({
    title: 'Durable transfers a second: Sycee, times a peer',
    axis: 'times as many (median of the rounds, least to greatest)',
    groups: [...groups].map(([label, all]): BarGroup => ({
      label,
      bars: all.map(({ sycee, median: value, least, greatest }) => ({
        label: sycee,
        value,
        least,
        greatest,
      })),
    })),
  });
}
