/**
 * The gate against regressions: two commits are checked out beside this one, and each of some scenarios is run in both in turns. The median
 * of the pairs' ratios of transfers a second decides, one scenario at a time.
 */
import { parseArgs } from 'node:util';
import { findNatsServer } from '../lib/nats-server.ts';
import { endRuns } from './bench-process.ts';
import { Checkouts, commitNamed, isChanged } from './checkouts.ts';
import { type Compared, compareInTurns, numberText, reported, splitAtDashes } from './compare.ts';
import { Interrupt } from './interrupt.ts';
import { parseBenchArguments, UsageError } from './options.ts';
import { sayResult } from './output.ts';
import { spreadText, tableOf } from './table.ts';

export const COMPARE_HELP = `usage: npm run bench -- --compare BASE [options] [-- SCENARIO [its options]] [-- SCENARIO …]

Checks out two commits in a temporary directory, runs each scenario in both in turns, and fails when one has become slower: when the median
of the pairs' ratios head / base of its transfers/s is below the threshold. What is not committed takes no part.

  --head COMMIT          compared with BASE                           (HEAD)
  --threshold R          the least ratio that passes, 0.1 to 2        (0.9: pairs of the
                         same commit differ by that much on a shared machine)
  --rounds N             pairs of each scenario, 1 to 100             (5)
  --json                 one JSON document on stdout, text on stderr

Without scenarios: uniform in process, over two shards, in batches of 128, over NATS where there is a nats-server, and pending-post.

exit codes: 0 as fast, 1 slower, or a run failed or did not verify, 2 wrong usage.`;

export interface CommitComparison {
  readonly before: string;
  readonly after: string;
  readonly threshold: number;
  readonly rounds: number;
  readonly json: boolean;
  /** Arguments of the bench. */
  readonly commands: readonly (readonly string[])[];
}

const THRESHOLD_DEFAULT = '0.9';
const ROUNDS_DEFAULT = '5';
const DECIDES = 'transfers_per_second';

/** Every version of the bench knows them. */
const COMMANDS = [
  'uniform --seconds 3 --warm-up 1',
  'uniform --shards 2 --cross-shard 50 --seconds 3 --warm-up 1',
  'uniform --batch 128 --in-flight 128 --seconds 3 --warm-up 1',
  'pending-post --seconds 3 --warm-up 1',
];
const NATS_COMMANDS = ['uniform --transport nats --seconds 3 --warm-up 1'];

export function parseCommitComparison(argv: readonly string[]): CommitComparison {
  const [flags, ...commands] = splitAtDashes(argv);
  const values = parsed(flags!);
  const threshold = Number(values.threshold);
  if (!(threshold >= 0.1 && threshold <= 2)) {
    throw new UsageError('--threshold is between 0.1 and 2');
  }
  const rounds = Number(values.rounds);
  if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= 100)) {
    throw new UsageError('--rounds is a whole number between 1 and 100');
  }
  for (const command of commands) checkCommand(command);
  return {
    before: commitOf('--compare', values.compare),
    after: commitOf('--head', values.head),
    threshold,
    rounds,
    json: values.json,
    commands: commands.length > 0 ? commands : defaultCommands(),
  };
}

/** By this checkout, before the others are made: what they are asked is in most cases what this one knows. */
function checkCommand(command: readonly string[]): void {
  if (command.length === 0) throw new UsageError('name a scenario behind each --');
  const asked = parseBenchArguments(command);
  if (asked.type !== 'run' || asked.all.length !== 1) {
    throw new UsageError(`behind each -- is one scenario; "${command.join(' ')}" is not`);
  }
  const { scenario } = asked.all[0]!;
  if (scenario === 'limits' || scenario === 'peers') {
    throw new UsageError(`${scenario} has no ${DECIDES} to compare`);
  }
}

function parsed(flags: readonly string[]) {
  try {
    return parseArgs({
      args: [...flags],
      options: {
        compare: { type: 'string', default: '' },
        head: { type: 'string', default: 'HEAD' },
        threshold: { type: 'string', default: THRESHOLD_DEFAULT },
        rounds: { type: 'string', default: ROUNDS_DEFAULT },
        json: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error: unknown) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function commitOf(flag: string, name: string): string {
  const commit = name === '' ? undefined : commitNamed(name);
  if (commit === undefined) throw new UsageError(`${flag} is a commit; "${name}" names none`);
  return commit;
}

function defaultCommands(): readonly (readonly string[])[] {
  const all = findNatsServer() === undefined ? COMMANDS : [...COMMANDS, ...NATS_COMMANDS];
  return all.map((command) => command.split(' '));
}

interface Verdict {
  readonly command: string;
  readonly compared: readonly Compared[];
  readonly rate: Compared;
  readonly passes: boolean;
}

/** Answers the exit code. */
export async function compareCommits(asked: CommitComparison): Promise<number> {
  const { before, after, rounds, threshold } = asked;
  if (isChanged()) console.error('changes that are not committed take no part');
  using stop = new Interrupt();
  using checkouts = Checkouts.make();
  stop.onSecond = (): void => {
    endRuns();
    checkouts[Symbol.dispose]();
  };
  const directories = [await checkouts.add('base', before), await checkouts.add('head', after)];
  const verdicts: Verdict[] = [];
  for (const command of asked.commands) {
    console.error(`${command.join(' ')}:`);
    const [from, to] = directories.map((directory) => ({ directory, command }));
    const compared = await compareInTurns({ before: from!, after: to!, rounds }, stop.signal);
    if (compared === undefined) return 1;
    verdicts.push(verdictOf(command, compared, threshold));
  }
  sayResult(textOf(verdicts, threshold), asked.json ? documentOf(asked, verdicts) : undefined);
  return verdicts.every(({ passes }) => passes) ? 0 : 1;
}

export function verdictOf(
  command: readonly string[],
  compared: readonly Compared[],
  threshold: number,
): Verdict {
  const rate = compared.find(({ figure }) => figure === DECIDES);
  if (rate === undefined) throw new Error(`${command.join(' ')} says no ${DECIDES}`);
  return { command: command.join(' '), compared, rate, passes: rate.ratio.median >= threshold };
}

function textOf(verdicts: readonly Verdict[], threshold: number): string {
  const rows = verdicts.map(({ command, rate, passes }) => [
    command,
    ...[rate.before, rate.after, rate.ratio].map((spread) => spreadText(spread, numberText)),
    passes ? 'passes' : `SLOWER than ${threshold}`,
  ]);
  const head = ['scenario', 'base, transfers/s', 'head, transfers/s', 'head / base', ''];
  return tableOf([head, ...rows]).join('\n');
}

function documentOf(
  { before, after, rounds, threshold }: CommitComparison,
  all: readonly Verdict[],
) {
  return {
    base: before,
    head: after,
    rounds,
    threshold,
    passes: all.every(({ passes }) => passes),
    scenarios: all.map(({ command, passes, compared }) => ({
      command,
      passes,
      figures: reported(compared),
    })),
  };
}
