/**
 * Uniform load: debit and credit accounts drawn evenly, nothing hot. Accounts are created, the load runs warm and then measured, and
 * afterwards the books are compared and the journals replayed. What is not measured: creating accounts, and limits, which none has.
 */
import { open } from '../client/in-process-client.ts';
import type { LatencyMs } from '../lib/histogram.ts';
import { Books } from './books.ts';
import { type HttpFigures, runHttpRounds } from './http-rounds.ts';
import { createAccounts, runLoad } from './load.ts';
import type { BenchOptions } from './options.ts';
import { residentBytes, startTarget, type Target } from './target.ts';
import { compareDigests, type Replay, replayJournals, verifyBalances } from './verify.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

/** Rows in a slot where requests have one transfer each: the slots then only say who pays whom. */
const HTTP_SLOT_ROWS = 1024;

export interface ScenarioResult {
  readonly transfers: number;
  readonly seconds: number;
  readonly latency: LatencyMs;
  readonly http: HttpFigures | undefined;
  readonly replay: Replay | undefined;
  readonly memory: MemoryUse;
  /** Why the run does not verify. */
  readonly complaints: readonly string[];
}

export interface MemoryUse {
  readonly before: number | undefined;
  readonly afterAccounts: number | undefined;
  readonly after: number | undefined;
  readonly accounts: number;
  readonly transfers: number;
}

export interface ScenarioContext {
  readonly options: BenchOptions;
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Progress, for people. */
  readonly say: (line: string) => void;
}

interface Figures {
  readonly transfers: number;
  readonly seconds: number;
  readonly latency: LatencyMs;
  readonly http: HttpFigures | undefined;
}

export async function uniform(context: ScenarioContext): Promise<ScenarioResult> {
  const { options, directory, say } = context;
  const workloadOptions: WorkloadOptions = {
    accounts: options.accounts,
    shards: options.shards,
    batch: options.transport === 'http' ? HTTP_SLOT_ROWS : options.batch,
    crossShard: options.crossShard,
    seed: options.seed,
    inFlight: options.inFlight,
  };
  const workload = new Workload(workloadOptions);
  const books = new Books(workload);
  const target = await startTarget(options, directory);
  let figures: Figures;
  let memory: MemoryUse;
  let live;
  const complaints: string[] = [];
  try {
    const before = await residentBytes(target.pid);
    say(`creating ${options.accounts} accounts`);
    await createAccounts(target.client, workload, options.inFlight);
    const afterAccounts = await residentBytes(target.pid);
    figures = await measure(context, target, { workload, workloadOptions, books });
    const after = await residentBytes(target.pid);
    memory = {
      before,
      afterAccounts,
      after,
      accounts: options.accounts,
      transfers: books.created,
    };
    say('comparing balances');
    complaints.push(...(figures.http?.complaints ?? []));
    complaints.push(...(await verifyBalances(target.client, workload, books)));
    live = await target.digests();
  } finally {
    await target.stop();
  }
  say('replaying the journals');
  const replay = await replayJournals(directory, options.shards);
  complaints.push(...compareDigests(live ?? (await reopened(context)), replay.shards));
  if (context.signal.aborted) complaints.push('the run was interrupted');
  return { ...figures, memory, replay, complaints };
}

interface Loaded {
  readonly workload: Workload;
  readonly workloadOptions: WorkloadOptions;
  readonly books: Books;
}

async function measure(context: ScenarioContext, target: Target, loaded: Loaded): Promise<Figures> {
  const { options, signal, say } = context;
  const { workload, books } = loaded;
  if (options.transport === 'http') {
    say(`warming up, then the ledger and an echo server in turns, ${options.seconds} s each`);
    const http = await runHttpRounds({ ...loaded, options, target, signal });
    return { transfers: http.transfers, seconds: http.seconds, latency: http.latency, http };
  }
  const { inFlight } = options;
  if (options.warmUpSeconds > 0) {
    say(`warming up for ${options.warmUpSeconds} s`);
    await runLoad(target.client, workload, books, {
      inFlight,
      signal,
      seconds: options.warmUpSeconds,
    });
  }
  say(`measuring for ${options.seconds} s`);
  const load = await runLoad(target.client, workload, books, {
    inFlight,
    signal,
    seconds: options.seconds,
  });
  const { transfers, seconds } = load;
  return { transfers, seconds, latency: load.latency.summary(), http: undefined };
}

/** A server in another process tells no digests: its directory is opened again, and what recovers there is compared. */
async function reopened({ directory, options }: ScenarioContext) {
  await using client = await open({ directory, shards: options.shards });
  return await client.digests();
}
