/**
 * The frame of every scenario: a target is started, accounts are created, the scenario measures, and then the books are compared and the
 * journals replayed. A scenario brings its load and what it measures, and never its own verdict.
 */
import { open } from '../client/in-process-client.ts';
import type { LatencyMs } from '../lib/histogram.ts';
import type { ShardDigest } from '../sharding/supervisor.ts';
import { Books } from './books.ts';
import type { Figures } from './figures.ts';
import type { GrowthStep } from './growth.ts';
import type { HttpFigures } from './http-rounds.ts';
import { createAccounts, type Load, runLoad, runPacedLoad } from './load.ts';
import type { BenchOptions } from './options.ts';
import type { PointReport } from './points.ts';
import { RoomWatch } from './room.ts';
import { NOTHING_ANSWERED, type Repeats } from './runs.ts';
import { residentBytes, startTarget, type Target } from './target.ts';
import {
  type AMOUNTS_IN,
  compareDigests,
  type Replay,
  replayJournals,
  verifyBalances,
} from './verify.ts';
import { type SlotSource, Workload, type WorkloadOptions } from './workload.ts';

const PACED_PLACES_MAX = 4_096;
/** What every run that was interrupted says, and nothing else: it has not gone wrong. */
export const INTERRUPTED = 'the run was interrupted';

export interface ScenarioResult extends Measured {
  readonly replay: Replay | undefined;
  readonly memory: MemoryUse;
  /** Why the run does not verify. */
  readonly complaints: readonly string[];
}

/** What a scenario has measured. */
export interface Measured {
  /** Created within the measured time. */
  readonly transfers: number;
  readonly seconds: number;
  /** Where it is not simply the one divided by the other: the median of several runs. */
  readonly transfersPerSecond?: number | undefined;
  readonly latency: LatencyMs;
  readonly repeats?: Repeats | undefined;
  /** Of a scenario that measures several loads in one run, each of them. */
  readonly points?: readonly PointReport[] | undefined;
  /** Of a scenario that measures as it goes, each step. */
  readonly steps?: readonly GrowthStep[] | undefined;
  readonly http?: HttpFigures | undefined;
  /** What this scenario alone measures. */
  readonly figures?: Figures | undefined;
  /** What was answered and should not have been. */
  readonly complaints?: readonly string[] | undefined;
}

export interface MemoryUse {
  readonly before: number | undefined;
  /** After the first `firstAccounts` of the accounts. */
  readonly afterFirst: number | undefined;
  readonly firstAccounts: number;
  readonly afterAccounts: number | undefined;
  readonly accounts: number;
  readonly after: number | undefined;
  /** Stored by the end. */
  readonly transfers: number;
}

export interface ScenarioContext {
  readonly options: BenchOptions;
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Progress, for people. */
  readonly say: (line: string) => void;
}

/** A running ledger with its accounts. */
export interface Bench extends ScenarioContext {
  readonly target: Target;
  readonly workload: Workload;
  readonly workloadOptions: WorkloadOptions;
  readonly books: Books;
}

export interface Scenario {
  /** What its transfers are, besides what every workload is told by the options. */
  readonly load: Partial<WorkloadOptions>;
  readonly measure: (bench: Bench) => Promise<Measured>;
  /** For `sycee serve`, where the ledger is in another process. */
  readonly serveFlags?: readonly string[] | undefined;
  /** Where the acknowledged amounts are in the end: `posted` unless given. */
  readonly amountsIn?: keyof typeof AMOUNTS_IN | undefined;
  /** Transfers stored for each one in the books: 1 unless given. */
  readonly storedPerEntry?: number | undefined;
}

export async function runScenario(
  context: ScenarioContext,
  scenario: Scenario,
): Promise<ScenarioResult> {
  const { options, directory, signal, say } = context;
  const workloadOptions = { ...plainLoad(options), ...scenario.load };
  const workload = new Workload(workloadOptions);
  const books = new Books(workload);
  using room = new RoomWatch(options);
  const target = await startTarget(options, directory, scenario.serveFlags);
  const stop = AbortSignal.any([signal, room.signal]);
  const bench = { ...context, signal: stop, target, workload, workloadOptions, books };
  const work = take(bench, scenario);
  let taken: Taken | undefined;
  try {
    taken = await Promise.race([work, room.full]);
    room.signal.throwIfAborted();
  } catch (error: unknown) {
    // What was interrupted may fail in any way, and that says nothing.
    if (!signal.aborted) throw room.reasonOf(error);
  } finally {
    // Calls that wait for room end with their client.
    await target.stop();
    await Promise.allSettled([work]);
  }
  if (taken === undefined || signal.aborted) return INTERRUPTED_RESULT;
  say('replaying the journals');
  const replay = await replayJournals(directory, options.shards);
  const { measured, memory, live } = taken;
  const complaints = [
    ...taken.complaints,
    ...compareDigests(live ?? (await reopened(context)), replay.shards),
    ...(signal.aborted ? [INTERRUPTED] : []),
  ];
  return { ...measured, memory, replay, complaints };
}

/** Of a run whose books were compared; its journals were not replayed yet. */
interface Taken {
  readonly measured: Measured;
  readonly memory: MemoryUse;
  readonly live: readonly ShardDigest[] | undefined;
  readonly complaints: readonly string[];
}

/** Undefined when it was interrupted: then nothing was compared. */
async function take(bench: Bench, scenario: Scenario): Promise<Taken | undefined> {
  const { target, workload, books, options, signal, say } = bench;
  const before = await residentBytes(target.pid);
  say(`creating ${options.accounts} accounts`);
  const accounts = await createAllAccounts(bench);
  if (signal.aborted) return undefined;
  const measured = await scenario.measure(bench);
  if (signal.aborted) return undefined;
  const after = await residentBytes(target.pid);
  const transfers = books.created * (scenario.storedPerEntry ?? 1);
  say('comparing balances');
  const complaints = [
    ...(measured.complaints ?? []),
    ...nothingAnswered(measured),
    ...(await verifyBalances(target.client, workload, books, scenario.amountsIn)),
  ];
  const memory = { before, ...accounts, after, transfers };
  return { measured, memory, live: await target.digests(), complaints };
}

/** Of several loads each has to have its figures. */
function nothingAnswered({ transfers, points = [] }: Measured): readonly string[] {
  if (transfers === 0) return [NOTHING_ANSWERED];
  return points
    .filter((point) => point.transfers === 0)
    .map(({ name }) => `${name}: ${NOTHING_ANSWERED}`);
}

const INTERRUPTED_RESULT: ScenarioResult = {
  transfers: 0,
  seconds: 0,
  latency: { p50: 0, p99: 0, p999: 0, max: 0 },
  memory: {
    before: undefined,
    afterFirst: undefined,
    firstAccounts: 0,
    afterAccounts: undefined,
    accounts: 0,
    after: undefined,
    transfers: 0,
  },
  replay: undefined,
  complaints: [INTERRUPTED],
};

/** In two steps: with the first ones everything begins that large batches need, and that is no account's. */
async function createAllAccounts({
  target: { client, pid },
  workload,
  options: { inFlight },
  signal,
}: Bench): Promise<Omit<MemoryUse, 'before' | 'after' | 'transfers'>> {
  const batches = untilAborted(workload.accountBatches(), signal);
  const firstAccounts = await createAccounts(client, batches, inFlight, workload.accounts / 4);
  const afterFirst = await residentBytes(pid);
  const accounts = firstAccounts + (await createAccounts(client, batches, inFlight));
  return { afterFirst, firstAccounts, afterAccounts: await residentBytes(pid), accounts };
}

function* untilAborted<T>(all: Iterable<T>, signal: AbortSignal): Generator<T, void> {
  for (const one of all) {
    if (signal.aborted) return;
    yield one;
  }
}

function plainLoad(options: BenchOptions): WorkloadOptions {
  const { accounts, shards, batch, crossShard, seed, inFlight } = options;
  return { accounts, shards, batch, crossShard, seed, inFlight };
}

/** One batch of the ring after the other: each when one was answered, or when it is due if there is a rate. */
export function loadOf(
  bench: Bench,
  { source = bench.workload, inFlight = bench.options.inFlight }: Partial<LoadPlace> = {},
): (seconds: number) => Promise<Load> {
  const { target, books, options, signal } = bench;
  const { client } = target;
  const { rate } = options.scenarioOptions;
  if (rate === 0) {
    return (seconds) => runLoad(client, source, books, { inFlight, signal, seconds });
  }
  const places = pacedPlaces(source);
  return (seconds) =>
    runPacedLoad(client, source, books, { inFlight: places, signal, seconds, rate });
}

/** Of a load at a rate: more than one for each batch that is due within the longest stall that is looked for. */
export const pacedPlaces = ({ slots }: SlotSource): number =>
  Math.min(slots.length, PACED_PLACES_MAX);

/** Where a load takes its batches, and how many of them are under way. */
export interface LoadPlace {
  readonly source: SlotSource;
  readonly inFlight: number;
}

/** A server in another process tells no digests: its directory is opened again, and what recovers there is compared. */
async function reopened({ directory, options }: ScenarioContext) {
  await using client = await open({ directory, shards: options.shards });
  return await client.digests();
}
