/** The command line of the bench: flags to one checked BenchOptions, or a usage error. */
import { parseArgs } from 'node:util';
import { BATCH_EVENTS_MAX, SHARDS_MAX } from '../engine/limits.ts';
import {
  FLAG_TYPES,
  SCENARIO_FLAGS,
  SCENARIO_HELP,
  type ScenarioName,
  type ScenarioOptions,
  scenarioOptionsOf,
} from './scenario-options.ts';

export const TRANSPORTS = ['in-process', 'nats', 'http'] as const;
export type TransportName = (typeof TRANSPORTS)[number];

export interface BenchOptions {
  readonly scenario: ScenarioName;
  readonly transport: TransportName;
  readonly shards: number;
  readonly batch: number;
  readonly accounts: number;
  /** Undefined: as the placement has it. */
  readonly crossShard: number | undefined;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly connections: number;
  /** Load processes, over HTTP. */
  readonly workers: number;
  readonly inFlight: number;
  readonly seed: number;
  readonly directory: string | undefined;
  readonly json: boolean;
  readonly scenarioOptions: ScenarioOptions;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const HELP = `usage: sycee bench [SCENARIO…] [options]
       sycee bench [--quick] [--results DIR] [--json]
       sycee bench --compare BASE [options] [-- SCENARIO…]

Measures this machine, with every reply durable, and checks the books afterwards. A run that does not verify fails. Without a scenario the
whole suite is run, in 15 minutes at most: a table, and in bench/results/ a JSON document and plots. --quick takes 2 minutes at most, and
writes to bench/results/local/. --compare runs two commits in turns: "sycee bench --compare --help". Several scenarios are run one after
the other with the same options.

scenarios, and the options of each:
${SCENARIO_HELP}

options:
  --transport NAME       in-process, nats, or http                    (in-process)
  --shards N             1 to ${SHARDS_MAX}                                     (1)
  --batch N              transfers in one request, 1 to ${BATCH_EVENTS_MAX}           (${BATCH_EVENTS_MAX}; http: 1,
                         a chain, or ${BATCH_EVENTS_MAX} where only arrays are sent)
  --accounts N           accounts, all in one ledger                  (100000)
  --cross-shard PERCENT  exactly this share of the transfers crosses shards (as it falls)
  --seconds S            measured time                                (10; limits: 1)
  --warm-up S            time before it                               (2)
  --in-flight K          requests under way, in-process and nats      (4 a shard)
  --connections N        connections, http               (64, fewer with large batches)
  --workers N            processes that send over them, http          (1)
  --seed N               of the choice of accounts and amounts        (1)
  --data DIR             data directory to make, and to keep          (temporary, removed)
  --json                 one JSON document a scenario on stdout, and nothing else
  --list                 list the scenarios; with --json, and their own options
  --help                 this text

examples:
  sycee bench uniform --accounts 1000000
  sycee bench uniform --shards 2 --cross-shard 50 --json
  sycee bench uniform --transport nats
  sycee bench uniform --transport http --seconds 20 --workers 2
  sycee bench chains --shards 2 --legs apart
  sycee bench open-pendings --timeout 3600 --user-data
  sycee bench queries --history 1000000
  sycee bench recovery --accounts 1000000
  sycee bench peers --peers postgresql --plot ratios.svg

Two directories, or two scenarios, are compared by "node bench/compare.ts --help".

exit codes: 0 measured and verified, 1 failed or not verified, 2 wrong usage.`;

/** \`all\` has one for each scenario that was named. */
export type Asked =
  | { readonly type: 'help' }
  | { readonly type: 'list'; readonly json: boolean }
  | { readonly type: 'run'; readonly all: readonly BenchOptions[] };

const IN_PROCESS_SCENARIOS: readonly ScenarioName[] = ['crossing'];
/** What a request is over HTTP: one transfer as an object; or an array, unless told of one transfer too, of a chain, or of a full batch. */
const HTTP_REQUESTS: Partial<Record<ScenarioName, 'one' | 'some' | 'chain' | 'full'>> = {
  uniform: 'one',
  zipfian: 'one',
  'pending-post': 'some',
  chains: 'chain',
  'hot-account': 'one',
  'cross-shard': 'one',
  'small-batches': 'one',
  queries: 'full',
  growth: 'full',
  recovery: 'full',
  'snapshot-under-load': 'full',
};
/** Connections are so many, and fewer where they would be more transfers than this: the ledger is then busy, and not waited for. */
const CONNECTIONS_MAX = 64;
const CONNECTIONS_MIN = 4;
const CONNECTED_TRANSFERS = 16_384;
const WORKERS_MAX = 64;
/** Scenarios of several loads, and the options that these differ in. */
const POINT_SCENARIOS: Partial<
  Record<ScenarioName, readonly ('batch' | 'cross-shard' | 'in-flight' | 'connections')[]>
> = {
  'cross-shard': ['cross-shard'],
  crossing: ['cross-shard'],
  'small-batches': ['batch', 'in-flight', 'connections'],
};
const SCENARIO_NAMES = Object.keys(SCENARIO_FLAGS) as ScenarioName[];

export function parseBenchArguments(argv: readonly string[]): Asked {
  const { values, positionals } = parsed(argv);
  if (values.help === true) return { type: 'help' };
  if (values.list === true) return { type: 'list', json: values.json === true };
  if (positionals.length === 0) throw new UsageError('name a scenario');
  if (positionals.length > 1 && values.data !== undefined) {
    throw new UsageError('--data is for one scenario: each needs a directory of its own');
  }
  return { type: 'run', all: positionals.map((name) => optionsOf(scenarioOf(name), values)) };
}

type Values = ReturnType<typeof parsed>['values'];

function optionsOf(scenario: ScenarioName, values: Values): BenchOptions {
  const transport = TRANSPORTS.find((one) => one === (values.transport ?? 'in-process'));
  if (transport === undefined) throw new UsageError(`--transport is ${TRANSPORTS.join(', ')}`);
  if (scenario === 'peers' || scenario === 'limits') refuseFixed(scenario, values);
  if (transport !== 'in-process' && IN_PROCESS_SCENARIOS.includes(scenario)) {
    throw new UsageError(`${scenario} is measured in process only`);
  }
  if (POINT_SCENARIOS[scenario] !== undefined) refusePoints(scenario, values);
  refuseOtherLoads(scenario, transport, values);
  const isCrossing = scenario === 'cross-shard' || scenario === 'crossing';
  const shards = whole('--shards', values.shards ?? (isCrossing ? '2' : '1'), 1, SHARDS_MAX);
  const cross = values['cross-shard'];
  const crossShard = cross === undefined ? undefined : decimal('--cross-shard', cross, 0, 100);
  if (shards === 1 && crossShard !== undefined && crossShard > 0) {
    throw new UsageError('nothing crosses with one shard: --cross-shard needs --shards 2 or more');
  }
  const scenarioOptions = scenarioOptionsOf(scenario, values, (line) => new UsageError(line));
  checkLegs(scenarioOptions, shards, crossShard);
  const batch = batchOf(values, { scenario, transport }, scenarioOptions);
  return {
    scenario,
    transport,
    shards,
    crossShard,
    batch,
    accounts: whole('--accounts', values.accounts ?? '100000', 16 * shards, 100_000_000),
    seconds: decimal(
      '--seconds',
      values.seconds ?? (scenario === 'limits' ? '1' : '10'),
      0.1,
      86_400,
    ),
    warmUpSeconds: decimal('--warm-up', values['warm-up'] ?? '2', 0, 3_600),
    ...connectionsOf(values, batch),
    inFlight: whole('--in-flight', values['in-flight'] ?? String(4 * shards), 1, 4_096),
    seed: whole('--seed', values.seed ?? '1', 0, 2 ** 32 - 1),
    directory: values.data,
    json: values.json === true,
    scenarioOptions,
  };
}

function scenarioOf(name: string): ScenarioName {
  const scenario = SCENARIO_NAMES.find((one) => one === name);
  if (scenario !== undefined) return scenario;
  throw new UsageError(`there is no scenario ${name}; there is: ${SCENARIO_NAMES.join(', ')}`);
}

function refusePoints(scenario: ScenarioName, values: Values): void {
  const given = POINT_SCENARIOS[scenario]?.find((flag) => values[flag] !== undefined);
  if (given !== undefined) {
    throw new UsageError(`--${given} is not for ${scenario}, whose loads differ in it`);
  }
}

/** Whether transfers come from load processes, and not from a client of the bench's own. */
export function hasLoadProcesses({
  scenario,
  transport,
}: Pick<BenchOptions, 'scenario' | 'transport'>): boolean {
  return transport === 'http' && scenario !== 'queries';
}

/** How much is under way is said in requests or in connections. */
function refuseOtherLoads(scenario: ScenarioName, transport: TransportName, values: Values): void {
  if (transport === 'http' && HTTP_REQUESTS[scenario] === undefined) {
    const all = Object.keys(HTTP_REQUESTS).join(', ');
    throw new UsageError(`over HTTP there is ${all}, not ${scenario}`);
  }
  const isSplit = hasLoadProcesses({ scenario, transport });
  const given = isSplit
    ? (['in-flight'] as const).find((flag) => values[flag] !== undefined)
    : (['connections', 'workers'] as const).find((flag) => values[flag] !== undefined);
  if (given === undefined) return;
  const own = isSplit ? '--connections' : '--in-flight';
  // The load of queries marks what it sends.
  const where = transport === 'http' && !isSplit ? scenario : `--transport ${transport}`;
  throw new UsageError(`--${given} is not for ${where}; ${own} is`);
}

function batchOf(
  { batch }: Values,
  { scenario, transport }: Pick<BenchOptions, 'scenario' | 'transport'>,
  { chain }: ScenarioOptions,
): number {
  if (scenario === 'single-calls' && batch !== undefined) {
    throw new UsageError(`--batch is not for ${scenario}, whose client makes the batches`);
  }
  const request = transport === 'http' ? (HTTP_REQUESTS[scenario] ?? 'full') : 'full';
  if (request === 'one' && batch !== undefined && Number(batch) !== 1) {
    throw new UsageError(
      `over HTTP ${scenario} has one transfer in a request, not --batch ${batch}`,
    );
  }
  const presets = { one: 1, some: 1, chain, full: BATCH_EVENTS_MAX };
  return whole('--batch', batch ?? String(presets[request]), 1, BATCH_EVENTS_MAX);
}

function connectionsOf(
  values: Values,
  batch: number,
): Pick<BenchOptions, 'connections' | 'workers'> {
  const most = Math.floor(CONNECTED_TRANSFERS / batch);
  const preset = Math.min(CONNECTIONS_MAX, Math.max(CONNECTIONS_MIN, most));
  const connections = whole('--connections', values.connections ?? String(preset), 1, 4_096);
  const workers = whole('--workers', values.workers ?? '1', 1, WORKERS_MAX);
  if (workers <= connections) return { connections, workers };
  throw new UsageError(`--workers ${workers} need a connection each, and there are ${connections}`);
}

/** Each contender has its own, and each limit. */
function refuseFixed(scenario: ScenarioName, values: Values): void {
  const fixed = [
    'transport',
    'shards',
    'batch',
    'cross-shard',
    'connections',
    'workers',
    'in-flight',
  ] as const;
  const given = fixed.find((flag) => values[flag] !== undefined);
  if (given !== undefined) throw new UsageError(`--${given} is not for ${scenario}`);
}

function checkLegs(
  { legs }: ScenarioOptions,
  shards: number,
  crossShard: number | undefined,
): void {
  if (legs === 'fall') return;
  if (shards === 1) throw new UsageError(`--legs ${legs} needs --shards 2 or more`);
  if (crossShard !== undefined) throw new UsageError('--legs says already what crosses shards');
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        transport: { type: 'string' },
        shards: { type: 'string' },
        batch: { type: 'string' },
        accounts: { type: 'string' },
        'cross-shard': { type: 'string' },
        seconds: { type: 'string' },
        'warm-up': { type: 'string' },
        connections: { type: 'string' },
        workers: { type: 'string' },
        'in-flight': { type: 'string' },
        seed: { type: 'string' },
        data: { type: 'string' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        ...FLAG_TYPES,
      },
    });
  } catch (error: unknown) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

function whole(flag: string, text: string, min: number, max: number): number {
  const value = bounded(flag, text, { min, max });
  if (!Number.isInteger(value)) throw new UsageError(`${flag} is a whole number`);
  return value;
}

function decimal(flag: string, text: string, min: number, max: number): number {
  return bounded(flag, text, { min, max });
}

function bounded(flag: string, text: string, { min, max }: Bounds): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= min && value <= max)) throw new UsageError(`${flag} is between ${min} and ${max}`);
  return value;
}
