/**
 * Two checkouts on one machine: the same scenario in each, in turns, so that both see the same hours. Each run is a process of its own, with
 * its own code, and verifies itself; one that does not ends the comparison. Every other pair begins with the other one, since whoever comes
 * second may find the machine warmer. The ratio is the median of the pairs' ratios.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { median, rounded } from './figures.ts';

const HELP = `usage: node bench/compare.ts --base DIR --head DIR [--rounds N] -- SCENARIO [options of the bench]

Runs "bench SCENARIO" in two checkouts in turns, N times each (5), and prints for each figure both medians with their spread, and
the ratio head / base: the median of the ratios of the pairs, with the least and the greatest. The last line is one JSON document.
Both directories need their packages (npm ci).

example:
  git worktree add ../before HEAD~10 && (cd ../before && npm ci)
  node bench/compare.ts --base ../before --head . -- uniform --seconds 5 --accounts 1000000

exit codes: 0 compared, 1 a run failed or did not verify, 2 wrong usage.`;

const ROUNDS_DEFAULT = 5;

/** The figures of one run by name: `latency_ms.p50` and so on. */
export type RunFigures = Readonly<Record<string, number>>;

export interface Compared {
  readonly figure: string;
  readonly base: Spread;
  readonly head: Spread;
  readonly ratio: Spread;
}

interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

interface Comparison {
  readonly base: string;
  readonly head: string;
  readonly rounds: number;
  readonly command: readonly string[];
}

/** Parts of a report that are the same in each run, or mean nothing beside another's. */
const NOT_COMPARED = new Set(['settings', 'machine', 'complaints', 'rounds']);
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

/** Pair i is base[i] and head[i]. Figures that both sides always have. */
export function compareRuns(
  base: readonly RunFigures[],
  head: readonly RunFigures[],
): readonly Compared[] {
  const all = [...base, ...head];
  const names = Object.keys(base[0] ?? {}).filter((name) => all.every((run) => name in run));
  return names.map((figure) => {
    const before = base.map((run) => run[figure]!);
    const after = head.map((run) => run[figure]!);
    const ratios = after.map((one, i) => one / before[i]!).filter((one) => Number.isFinite(one));
    return { figure, base: spreadOf(before), head: spreadOf(after), ratio: spreadOf(ratios) };
  });
}

function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) return { median: 0, least: 0, greatest: 0 };
  return {
    median: rounded(median(values), 3),
    least: rounded(Math.min(...values), 3),
    greatest: rounded(Math.max(...values), 3),
  };
}

async function compare(comparison: Comparison): Promise<number> {
  const { base, head, rounds, command } = comparison;
  const runs: { readonly base: RunFigures[]; readonly head: RunFigures[] } = { base: [], head: [] };
  for (let round = 0; round < rounds; round++) {
    const sides = round % 2 === 0 ? (['base', 'head'] as const) : (['head', 'base'] as const);
    for (const side of sides) {
      const report = await runOnce(comparison[side], command);
      if (report === null) return 1;
      runs[side].push(figuresOfReport(report));
      const rate = runs[side].at(-1)!['transfers_per_second'];
      console.error(`round ${round + 1} of ${rounds}, ${side}: ${rate ?? 'no'} transfers/s`);
    }
  }
  const compared = compareRuns(runs.base, runs.head);
  console.log(table(compared));
  console.log(JSON.stringify({ base, head, rounds, command, figures: compared }));
  return 0;
}

/** The report of one run; null, and said why, when it failed or did not verify. */
async function runOnce(directory: string, command: readonly string[]): Promise<object | null> {
  const cli = path.resolve(directory, 'cli.ts');
  const child = spawn(process.execPath, [cli, 'bench', ...command, '--json'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const end = once(child, 'close');
  const out = await text(child.stdout);
  const [code] = (await end) as [number | null];
  const last = out.trimEnd().split('\n').at(-1) ?? '';
  if (code === 0) return JSON.parse(last) as object;
  console.error(`the run in ${directory} ended with ${code ?? 'a signal'}: ${last}`);
  return null;
}

function table(compared: readonly Compared[]): string {
  const number = (value: number): string =>
    value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 3 : 1 });
  const spread = ({ median: middle, least, greatest }: Spread): string =>
    `${number(middle)} (${number(least)} to ${number(greatest)})`;
  const rows = compared.map((one) => [
    one.figure,
    spread(one.base),
    spread(one.head),
    spread(one.ratio),
  ]);
  const lines = [['figure', 'base', 'head', 'head / base'], ...rows];
  const widths = lines[0]!.map((_, column) =>
    Math.max(...lines.map((line) => line[column]!.length)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Null for wrong usage. */
export function parseComparison(argv: readonly string[]): Comparison | null {
  const at = argv.indexOf('--');
  if (at === -1) return null;
  try {
    const { values } = parseArgs({
      args: argv.slice(0, at),
      options: {
        base: { type: 'string' },
        head: { type: 'string' },
        rounds: { type: 'string' },
      },
    });
    const command = argv.slice(at + 1);
    const rounds = Number(values.rounds ?? ROUNDS_DEFAULT);
    const { base, head } = values;
    if (base === undefined || head === undefined || command.length === 0) return null;
    if (!Number.isInteger(rounds) || rounds < 1) return null;
    return { base, head, rounds, command };
  } catch {
    // An unknown flag: the usage says what there is.
    return null;
  }
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
