/**
 * The bench: arguments to one scenario to one report. The data directory is temporary unless named, lies on a real disk, and is removed
 * whatever happens; an interrupt ends the load early and cleans up in the same way, and a second one at once.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { unreachable } from '../engine/assert.ts';
import { killChildren } from './children.ts';
import { COMPARE_HELP, compareCommits, parseCommitComparison } from './compare-commits.ts';
import { crossing } from './crossing.ts';
import { growth } from './growth.ts';
import { Interrupt } from './interrupt.ts';
import { openPendings } from './open-pendings.ts';
import { type BenchOptions, HELP, parseBenchArguments, UsageError } from './options.ts';
import { pendingPost } from './pending-post.ts';
import { crossShard, smallBatches } from './points.ts';
import { queries } from './queries.ts';
import { formatReport, makeReport } from './report.ts';
import { requireRoom } from './room.ts';
import { SCENARIO_FLAGS, type ScenarioName } from './scenario-options.ts';
import type { ScenarioContext, ScenarioResult } from './scenario.ts';
import { singleCalls } from './single-calls.ts';
import { recovery, snapshotUnderLoad } from './snapshots.ts';
import { parseSuite, runSuite } from './suite.ts';
import { chains, hotAccount, uniform, zipfian } from './uniform.ts';

/** What a scenario ends with: a document for machines, and the same for people. */
export interface Finished {
  readonly report: {
    readonly verified: boolean;
    readonly complaints?: readonly string[] | undefined;
  };
  readonly text: string;
}

const SCENARIOS: Readonly<Record<ScenarioName, (context: ScenarioContext) => Promise<Finished>>> = {
  uniform: reported(uniform),
  zipfian: reported(zipfian),
  'pending-post': reported(pendingPost),
  chains: reported(chains),
  'hot-account': reported(hotAccount),
  'cross-shard': reported(crossShard),
  crossing: reported(crossing),
  'small-batches': reported(smallBatches),
  'single-calls': reported(singleCalls),
  'open-pendings': reported(openPendings),
  queries: reported(queries),
  growth: reported(growth),
  recovery: reported(recovery),
  'snapshot-under-load': reported(snapshotUnderLoad),
  // Their packages are for development: the others do without.
  limits: async (context) => (await import('./limits.ts')).limits(context),
  peers: async (context) => (await import('./peers/rounds.ts')).peers(context),
};

function reported(scenario: (context: ScenarioContext) => Promise<ScenarioResult>) {
  return async (context: ScenarioContext): Promise<Finished> => {
    const report = makeReport(context.options, await scenario(context));
    return { report, text: formatReport(report) };
  };
}

const EXIT_OK: number = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Answers the exit code. */
export async function runBench(argv: string[]): Promise<number> {
  try {
    if (argv.some((one) => one.startsWith('--compare'))) return await runComparison(argv);
    if (isSuite(argv)) return await runSuite(parseSuite(argv));
    const asked = parseBenchArguments(argv);
    switch (asked.type) {
      case 'help':
        console.log(HELP);
        return EXIT_OK;
      case 'list':
        console.log(asked.json ? JSON.stringify(listed()) : Object.keys(SCENARIOS).join('\n'));
        return EXIT_OK;
      case 'run':
        return await runAll(asked.all);
      default:
        return unreachable(asked);
    }
  } catch (error: unknown) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\nTry: sycee bench --help`);
      return EXIT_USAGE;
    }
    console.error(`the bench failed: ${describe(error)}`);
    return EXIT_FAILED;
  }
}

function listed(): object {
  const scenarios = Object.entries(SCENARIO_FLAGS).map(([scenario, flags]) => ({
    scenario,
    options: flags.map((flag) => `--${flag}`),
  }));
  return { type: 'scenarios', scenarios };
}

/** Nothing but what the suite knows: whoever gives other options without a scenario has forgotten it. */
const isSuite = (argv: readonly string[]): boolean =>
  argv.every((one, at) => /^--(quick|json|results)(=|$)/.test(one) || argv[at - 1] === '--results');

function runComparison(argv: readonly string[]): Promise<number> {
  if (!argv.includes('--help')) return compareCommits(parseCommitComparison(argv));
  console.log(COMPARE_HELP);
  return Promise.resolve(EXIT_OK);
}

/** One after the other, whatever becomes of the ones before, until it is interrupted. The greatest exit code counts. */
async function runAll(all: readonly BenchOptions[]): Promise<number> {
  using interrupt = new Interrupt();
  let code = EXIT_OK;
  for (const options of all) {
    if (interrupt.signal.aborted) break;
    code = Math.max(code, await runAsked(options, interrupt));
  }
  return code;
}

async function runAsked(options: BenchOptions, interrupt: Interrupt): Promise<number> {
  const directory = await makeDirectory(options);
  const remove = (): void => {
    if (options.directory === undefined) removeDirectory(directory);
  };
  interrupt.onSecond = (): void => {
    killChildren();
    remove();
  };
  try {
    const { report, text } = await SCENARIOS[options.scenario]({
      options,
      directory,
      signal: interrupt.signal,
      say: (line) => {
        if (process.stderr.isTTY) console.error(line);
      },
    });
    if (options.json) {
      for (const complaint of report.complaints ?? []) console.error(`not verified: ${complaint}`);
      console.log(JSON.stringify(report));
    } else {
      console.log(text);
    }
    return report.verified ? EXIT_OK : EXIT_FAILED;
  } finally {
    remove();
    interrupt.onSecond = (): void => undefined;
  }
}

/** Whoever still writes in it, when the bench does not wait for that, makes it take several tries. */
function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  rmSync(`${directory}.head`, { force: true });
}

async function makeDirectory(options: BenchOptions): Promise<string> {
  requireRoom(options);
  if (options.directory === undefined) return mkdtemp(path.join(tmpdir(), 'sycee-bench-'));
  const found = await readdir(options.directory).catch(() => []);
  if (found.length > 0) {
    throw new UsageError(`--data ${options.directory} is not empty; the bench makes a new one`);
  }
  return options.directory;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.message}${cause}`;
}
