/** The options that only some scenarios have. One that a scenario does not have is refused: it would seem to do something. */
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { HOT_SIDES, type HotSide, LEGS, type Legs } from './pairs.ts';

export const QUESTION_NAMES = [
  'history_10_newest_first',
  'history_100_newest_first',
  'history_10_oldest_first',
  'history_100_oldest_first',
  'transfers_by_rare_user_data_64',
  'transfers_by_code_of_one_batch',
  'change_events',
  'accounts_from_a_time',
  'accounts_by_user_data_64',
] as const;
export type QuestionName = (typeof QUESTION_NAMES)[number];
const ASKED = ['all', ...QUESTION_NAMES] as const;

export const PEER_NAMES = ['postgresql', 'redis', 'tigerbeetle'] as const;
export type PeerName = (typeof PEER_NAMES)[number];

/** What the peers are asked to do; `equal-counts` is TigerBeetle's alone. */
export const SHAPE_NAMES = ['uniform', 'hot-account', 'equal-counts'] as const;
export type ShapeName = (typeof SHAPE_NAMES)[number];

export interface ScenarioOptions {
  /** Runs of the measured time. */
  readonly repeat: number;
  /** How unevenly accounts are drawn, below 1. */
  readonly skew: number;
  readonly chain: number;
  readonly legs: Legs;
  readonly hotSide: HotSide;
  /** Posts name the accounts, ledger, and code of their pending transfers. */
  readonly namesAccounts: boolean;
  /** Each with one call at a time. */
  readonly callers: number;
  /** Pending transfers left open. */
  readonly pendings: number;
  readonly timeoutSeconds: number;
  readonly hasUserData: boolean;
  /** Transfers in the journal that is asked. */
  readonly history: number;
  readonly questions: number;
  readonly ask: (typeof ASKED)[number];
  readonly readers: number;
  /** Questions a second of all readers; 0: as fast as they are answered. */
  readonly readRate: number;
  readonly rounds: number;
  /** Transfers a second; 0: as fast as they are answered. */
  readonly rate: number;
  /** How long a shard stands still. */
  readonly pauseMs: number;
  /** Transfers behind the snapshot. */
  readonly suffix: number;
  /** Whom Sycee is measured beside. */
  readonly peers: readonly PeerName[];
  /** Path of the server's binary. */
  readonly tigerbeetle: string | undefined;
  /** Where the ratios are drawn. */
  readonly plot: string | undefined;
  readonly shapes: readonly ShapeName[];
  /** Of each contender where they are compared at equal numbers; in the end where tables grow. */
  readonly transfers: number;
  /** In which tables grow. */
  readonly steps: number;
}

/** By scenario, its own options. Each is `--name`. */
export const SCENARIO_FLAGS = {
  uniform: ['rate', 'repeat'],
  zipfian: ['skew', 'rate', 'repeat'],
  'pending-post': ['name-accounts', 'rate', 'repeat'],
  chains: ['chain', 'legs', 'rate', 'repeat'],
  'hot-account': ['hot-side', 'rate', 'repeat'],
  'cross-shard': ['rate', 'repeat'],
  crossing: ['pause', 'repeat'],
  'small-batches': ['rate', 'repeat'],
  'single-calls': ['callers', 'repeat'],
  'open-pendings': ['pendings', 'timeout', 'user-data'],
  queries: ['history', 'questions', 'ask', 'readers', 'read-rate', 'rounds'],
  growth: ['transfers', 'steps'],
  recovery: ['history', 'suffix'],
  'snapshot-under-load': ['history', 'rounds', 'rate'],
  limits: [],
  peers: ['rounds', 'peers', 'tigerbeetle', 'shapes', 'transfers', 'plot'],
} as const satisfies Readonly<Record<string, readonly ScenarioFlag[]>>;

export type ScenarioName = keyof typeof SCENARIO_FLAGS;
export type ScenarioFlag = keyof typeof FLAG_TYPES;

export const FLAG_TYPES = {
  repeat: { type: 'string' },
  skew: { type: 'string' },
  chain: { type: 'string' },
  legs: { type: 'string' },
  'hot-side': { type: 'string' },
  'name-accounts': { type: 'boolean' },
  callers: { type: 'string' },
  pendings: { type: 'string' },
  timeout: { type: 'string' },
  'user-data': { type: 'boolean' },
  history: { type: 'string' },
  questions: { type: 'string' },
  ask: { type: 'string' },
  readers: { type: 'string' },
  'read-rate': { type: 'string' },
  rounds: { type: 'string' },
  rate: { type: 'string' },
  pause: { type: 'string' },
  suffix: { type: 'string' },
  peers: { type: 'string' },
  tigerbeetle: { type: 'string' },
  shapes: { type: 'string' },
  transfers: { type: 'string' },
  steps: { type: 'string' },
  plot: { type: 'string' },
} as const;

/** What parseArgs makes of FLAG_TYPES. */
export type FlagValues = {
  readonly [Flag in ScenarioFlag]?:
    | ((typeof FLAG_TYPES)[Flag]['type'] extends 'boolean' ? boolean : string)
    | undefined;
};

const TIMEOUT_SECONDS_MAX = 1_000_000_000;

export const SCENARIO_HELP = `  uniform                debit and credit accounts drawn evenly
  zipfian                the account of rank r is drawn in proportion to 1 / r^skew
    --skew X             above 0, below 1                             (0.99, as YCSB has it)
  pending-post           batches of pending transfers, each followed by a batch that posts them whole
    --name-accounts      posts name accounts, ledger, and code, which they else inherit
  chains                 linked transfers, accounts drawn evenly
    --chain N            transfers in a chain, 2 to ${BATCH_EVENTS_MAX}                  (2)
    --legs WHERE         as the accounts fall; all on one shard; each on one, the
                         next apart on another; each across shards    (fall)
                         WHERE is ${LEGS.join(', ')}
  hot-account            one account is a side of every transfer
    --hot-side SIDE      ${HOT_SIDES.join(', ').padEnd(48)}(either)
  cross-shard            0, 10, 50, and 100 percent of the transfers cross shards, in turns;
                         with one shard 0 alone
  crossing               what crossing costs, in process: half of the transfers, a hot account and
                         a fee account for chains, on the lowest and the highest shard; then
                         all again while one of these two shards stands still; with one shard
                         nothing crosses
    --pause MS           for so long                                   (1000)
  small-batches          batches of 1, 16, 128, 1024, and ${BATCH_EVENTS_MAX}, in turns, each with as many
                         in flight as it takes to keep the ledger busy
  single-calls           one transfer a call, through the batching client
    --callers N          each with one call at a time                 (1000)
  open-pendings          what an open pending transfer takes in memory
    --pendings N         left open                                    (1000000)
    --timeout S          each has a timeout of S to 2 S seconds       (0: none)
    --user-data          each has a user_data_64
  queries                pages of the past, alone and under a load
    --history N          transfers in the journal                     (10000000)
    --questions N        of each kind, at most --seconds of them      (1000)
    --ask KIND           that kind only, named as in the report       (all)
    --readers N          questions under way under the load           (1)
    --read-rate N        questions a second then; 0: no bound         (0)
    --rounds N           of load without readers and with them        (3)
  growth                 speed, memory, and disk as tables grow, in equal steps
    --transfers N        in the end                                   (100000000)
    --steps N            so many                                      (20)
  recovery               a start from a snapshot and the journal behind it
    --history N          transfers in the snapshot                    (10000000)
    --suffix N           transfers behind it                          (1000000)
  snapshot-under-load    load without snapshots, and while they are written one after the other
    --history N          transfers before the load                    (10000000)
    --rounds N           of load without and with                     (3)
    --rate N             transfers a second; 0: no bound              (0)
  limits                 what the machine can do: memory, disk, NATS, HTTP; --seconds of each
  peers                  Sycee and other systems in turns, the same work, all durable
    --peers NAMES        ${PEER_NAMES.join(', ').padEnd(45)}(postgresql,redis)
    --tigerbeetle PATH   its server; then tigerbeetle is one of the peers
    --shapes NAMES       ${SHAPE_NAMES.join(', ').padEnd(45)}(all)
    --transfers N        of each contender in equal-counts            (1000000)
    --rounds N           in which each contender has one turn         (3)
    --plot FILE          draw the ratios, as SVG

  of all down to single-calls:
    --repeat N           runs of the measured time, after one warm-up; figures are
                         medians, with their spread                   (1)
    --rate N             transfers a second, each batch when it is due; latencies count
                         from then. 0: as fast as answered; not for crossing and
                         single-calls                                 (0)`;

/** Throws what `refuse` makes of a sentence. */
export function scenarioOptionsOf(
  scenario: ScenarioName,
  values: FlagValues,
  refuse: (sentence: string) => Error,
): ScenarioOptions {
  const own: readonly ScenarioFlag[] = SCENARIO_FLAGS[scenario];
  for (const flag of Object.keys(FLAG_TYPES) as ScenarioFlag[]) {
    if (values[flag] !== undefined && !own.includes(flag)) {
      throw refuse(`--${flag} is not for ${scenario}`);
    }
  }
  const defaults = { ...DEFAULTS, ...(scenario === 'growth' ? GROWTH_DEFAULTS : {}) };
  const whole = (flag: NumberFlag, [least, most]: readonly [number, number]): number => {
    const text = values[flag] ?? defaults[flag];
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw refuse(`--${flag} is a whole number between ${least} and ${most}`);
  };
  const fraction = (flag: 'skew'): number => {
    const value = Number(values[flag] ?? '0.99');
    if (value > 0 && value < 1) return value;
    throw refuse(`--${flag} is above 0 and below 1`);
  };
  const oneOf = <T extends string>(
    flag: 'legs' | 'hot-side' | 'ask',
    all: readonly [T, ...T[]],
  ): T => {
    const found = all.find((one) => one === (values[flag] ?? all[0]));
    if (found === undefined) throw refuse(`--${flag} is ${all.join(', ')}`);
    return found;
  };
  return {
    repeat: whole('repeat', [1, 1_000]),
    skew: fraction('skew'),
    chain: whole('chain', [2, BATCH_EVENTS_MAX]),
    legs: oneOf('legs', LEGS),
    hotSide: oneOf('hot-side', HOT_SIDES),
    namesAccounts: values['name-accounts'] === true,
    callers: whole('callers', [1, 100_000]),
    pendings: whole('pendings', [1, 100_000_000]),
    timeoutSeconds: whole('timeout', [0, TIMEOUT_SECONDS_MAX]),
    hasUserData: values['user-data'] === true,
    history: whole('history', [1_000, 1_000_000_000]),
    questions: whole('questions', [1, 1_000_000]),
    ask: oneOf('ask', ASKED),
    readers: whole('readers', [1, 64]),
    readRate: whole('read-rate', [0, 1_000_000]),
    rounds: whole('rounds', [1, 100]),
    rate: whole('rate', [0, 100_000_000]),
    pauseMs: whole('pause', [20, 20_000]),
    suffix: whole('suffix', [0, 1_000_000_000]),
    ...peerOptions(values, refuse),
    transfers: whole('transfers', [1, 1_000_000_000]),
    steps: whole('steps', [1, 1_000]),
  };
}

/** The binary brings TigerBeetle along, and TigerBeetle its shape. */
function peerOptions(
  values: FlagValues,
  refuse: (sentence: string) => Error,
): Pick<ScenarioOptions, 'peers' | 'tigerbeetle' | 'plot' | 'shapes'> {
  const some = <T extends string>(flag: 'peers' | 'shapes', all: readonly T[]): T[] => {
    const named = (values[flag] ?? '').split(',').map((name) => name.trim());
    const unknown = named.find((name) => !all.some((one) => one === name));
    if (unknown !== undefined) throw refuse(`--${flag} is of ${all.join(', ')}, with commas`);
    return all.filter((one) => named.includes(one));
  };
  const { tigerbeetle, plot } = values;
  const peers: PeerName[] =
    values.peers === undefined ? ['postgresql', 'redis'] : some('peers', PEER_NAMES);
  if (tigerbeetle === undefined && peers.includes('tigerbeetle')) {
    throw refuse('tigerbeetle needs its server: --tigerbeetle PATH');
  }
  if (tigerbeetle !== undefined && !peers.includes('tigerbeetle')) peers.push('tigerbeetle');
  const shapes = values.shapes === undefined ? SHAPE_NAMES : some('shapes', SHAPE_NAMES);
  return { peers, tigerbeetle, plot, shapes };
}

const DEFAULTS = {
  repeat: '1',
  chain: '2',
  callers: '1000',
  pendings: '1000000',
  timeout: '0',
  history: '10000000',
  questions: '1000',
  readers: '1',
  'read-rate': '0',
  rounds: '3',
  rate: '0',
  pause: '1000',
  suffix: '1000000',
  transfers: '1000000',
  steps: '20',
} as const;
const GROWTH_DEFAULTS = { transfers: '100000000' } as const;
type NumberFlag = keyof typeof DEFAULTS;

/** The settings of a scenario that are its own, for its report. */
export function ownSettings(
  scenario: ScenarioName,
  options: ScenarioOptions,
): Readonly<Record<string, string | number | boolean>> {
  const all: Readonly<Record<ScenarioFlag, string | number | boolean>> = {
    repeat: options.repeat,
    skew: options.skew,
    chain: options.chain,
    legs: options.legs,
    'hot-side': options.hotSide,
    'name-accounts': options.namesAccounts,
    callers: options.callers,
    pendings: options.pendings,
    timeout: options.timeoutSeconds,
    'user-data': options.hasUserData,
    history: options.history,
    questions: options.questions,
    ask: options.ask,
    readers: options.readers,
    'read-rate': options.readRate,
    rounds: options.rounds,
    rate: options.rate,
    pause: options.pauseMs,
    suffix: options.suffix,
    peers: options.peers.join(','),
    tigerbeetle: options.tigerbeetle ?? '',
    shapes: options.shapes.join(','),
    transfers: options.transfers,
    steps: options.steps,
    plot: options.plot ?? '',
  };
  return Object.fromEntries(
    SCENARIO_FLAGS[scenario].map((flag: ScenarioFlag) => [flag.replaceAll('-', '_'), all[flag]]),
  );
}
