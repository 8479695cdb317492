/**
 * Two checkouts on one machine, or two scenarios of one: in turns, so that both see the same hours. Each run is a process of its own, with
 * its own code, and verifies itself; one that does not ends the comparison. Every other pair begins with the other one, since whoever comes
 * second may find the machine warmer. The ratio is the median of the pairs' ratios.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BenchRun, runBenchProcess } from './bench-process.ts';
import { type Spread, spreadOf } from './figures.ts';
import { spreadText, tableOf } from './table.ts';

const HELP = `usage: node bench/compare.ts [--base DIR] [--head DIR] [--rounds N] -- SCENARIO [options of the bench] [-- SCENARIO [options]]

Runs "bench SCENARIO" in two checkouts in turns, N times each (5), and prints for each figure both medians with their spread, and
the ratio head / base: the median of the ratios of the pairs, with the least and the greatest. The last line is one JSON document.
Two commits are compared by "npm run bench -- --compare BASE", which makes the directories itself.
Both directories need their packages (npm ci); one that is not given is this checkout. What comes after a second -- is run in head instead.

examples:
  git worktree add ../before HEAD~10 && (cd ../before && npm ci)
  node bench/compare.ts --base ../before --head . -- uniform --seconds 5 --accounts 1000000
  node bench/compare.ts -- uniform --seconds 5 -- pending-post --seconds 5

exit codes: 0 compared, 1 a run failed or did not verify, 2 wrong usage.`;

const OWN_DIRECTORY = fileURLToPath(new URL('..', import.meta.url));

/** The figures of one run by name: `latency_ms.p50` and so on. */
export type RunFigures = Readonly<Record<string, number>>;

/** `before` is of the base, `after` of the head. */
export interface Compared {
  readonly figure: string;
  readonly before: Spread;
  readonly after: Spread;
  readonly ratio: Spread;
}

export interface Comparison {
  readonly before: BenchRun;
  readonly after: BenchRun;
  readonly rounds: number;
}

type Side = 'before' | 'after';
const SIDE_NAMES: Readonly<Record<Side, string>> = { before: 'base', after: 'head' };

/** Parts of a report that are the same in each run, or mean nothing beside another's. */
const NOT_COMPARED = new Set(['settings', 'machine', 'complaints', 'rounds', 'repeats', 'steps']);
const SETTINGS = new Set(['shards', 'batch', 'accounts', 'cross_shard_percent', 'in_flight']);

/** All numbers of a report that were measured. */
export function figuresOfReport(report: object): RunFigures {
  const figures: Record<string, number> = {};
  const collect = (from: object, prefix: string): void => {
    for (const [name, value] of Object.entries(from) as [string, unknown][]) {
      if (prefix === '' && (NOT_COMPARED.has(name) || SETTINGS.has(name))) continue;
      if (typeof value === 'number') figures[prefix + name] = value;
      else if (typeof value === 'object' && value !== null) collect(value, `${prefix}${name}.`);
    }
  };
  collect(report, '');
  return figures;
}

/** Pair i is before[i] and after[i]. Figures that all runs have. */
export function compareRuns(
  before: readonly RunFigures[],
  after: readonly RunFigures[],
): readonly Compared[] {
  const all = [...before, ...after];
  const names = Object.keys(before[0] ?? {}).filter((name) => all.every((run) => name in run));
  return names.map((figure) => {
    const [from, to] = [before, after].map((runs) => runs.map((run) => run[figure]!));
    const ratios = to!.map((one, i) => one / from![i]!).filter((one) => Number.isFinite(one));
    return {
      figure,
      before: spreadOf(from!, 3),
      after: spreadOf(to!, 3),
      ratio: spreadOf(ratios, 3),
    };
  });
}

/** Runs both in turns. Undefined, and said why, when a run failed or did not verify. */
export async function compareInTurns(
  comparison: Comparison,
  signal?: AbortSignal,
): Promise<readonly Compared[] | undefined> {
  const { rounds } = comparison;
  const runs: Readonly<Record<Side, RunFigures[]>> = { before: [], after: [] };
  for (let round = 0; round < rounds; round++) {
    const sides: readonly Side[] = round % 2 === 0 ? ['before', 'after'] : ['after', 'before'];
    for (const side of sides) {
      const { directory, command } = comparison[side];
      const end = await runBenchProcess({ directory, command }, signal);
      if (end.type === 'failed') {
        console.error(`the run in ${directory}: ${end.why}`);
        return undefined;
      }
      const figures = figuresOfReport(end.report);
      runs[side].push(figures);
      const rate = figures['transfers_per_second'];
      console.error(`round ${round + 1} of ${rounds}, ${SIDE_NAMES[side]}: ${rate} transfers/s`);
    }
  }
  return compareRuns(runs.before, runs.after);
}

async function compare(comparison: Comparison): Promise<number> {
  const compared = await compareInTurns(comparison);
  if (compared === undefined) return 1;
  const { before, after, rounds } = comparison;
  console.log(textOf(compared));
  console.log(JSON.stringify({ base: before, head: after, rounds, figures: reported(compared) }));
  return 0;
}

/** As it stands in a document. */
export function reported(compared: readonly Compared[]) {
  return compared.map(({ figure, before, after, ratio }) => ({
    figure,
    base: before,
    head: after,
    ratio,
  }));
}

function textOf(compared: readonly Compared[]): string {
  const rows = compared.map(({ figure, before, after, ratio }) => [
    figure,
    ...[before, after, ratio].map((spread) => spreadText(spread, numberText)),
  ]);
  return tableOf([['figure', 'base', 'head', 'head / base'], ...rows]).join('\n');
}

export const numberText = (value: number): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) < 10 ? 3 : 1 });

/** Null for wrong usage. */
export function parseComparison(argv: readonly string[]): Comparison | null {
  const [flags, ...commands] = splitAtDashes(argv);
  const [first, second = first] = commands;
  if (first === undefined || second === undefined || commands.length > 2) return null;
  if (first.length === 0 || second.length === 0) return null;
  try {
    const { values } = parseArgs({
      args: [...flags!],
      options: {
        base: { type: 'string', default: OWN_DIRECTORY },
        head: { type: 'string', default: OWN_DIRECTORY },
        rounds: { type: 'string', default: '5' },
      },
    });
    const rounds = Number(values.rounds);
    if (!Number.isInteger(rounds) || rounds < 1) return null;
    return {
      before: { directory: values.base, command: first },
      after: { directory: values.head, command: second },
      rounds,
    };
  } catch {
    // An unknown flag: the usage says what there is.
    return null;
  }
}

export function splitAtDashes(argv: readonly string[]): readonly (readonly string[])[] {
  const parts: string[][] = [[]];
  for (const one of argv) {
    if (one === '--') parts.push([]);
    else parts.at(-1)!.push(one);
  }
  return parts;
}

if (import.meta.main) {
  const argv = process.argv.slice(2);
  const comparison = parseComparison(argv);
  if (argv.includes('--help')) {
    console.log(HELP);
  } else if (comparison === null) {
    console.error(HELP);
    process.exitCode = 2;
  } else {
    process.exitCode = await compare(comparison);
  }
}
