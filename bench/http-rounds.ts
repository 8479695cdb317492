/**
 * HTTP: the ledger and a bare echo server under the same load generator, in turns, so that both see the same machine. The parent of the
 * three children; all of them are ended here.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LatencyMs } from '../lib/histogram.ts';
import type { Books } from './books.ts';
import { type LoadRequest, type LoadSetup, pairOf, type Slice, type Tally } from './http-load.ts';
import type { BenchOptions } from './options.ts';
import { endChild, type Target } from './target.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

const ROUNDS = 3;
const PAIRS_MAX = 65_536;
const REASK_DEADLINE_MS = 30_000;
const CREATED = 201;
const OK = 200;

export interface HttpFigures extends EchoFigures {
  readonly transfers: number;
  readonly seconds: number;
  readonly latency: LatencyMs;
  readonly complaints: readonly string[];
}

interface EchoFigures {
  readonly echoRequestsPerSecond: number;
  readonly ratio: number;
  /** Requests per second of each round. */
  readonly rounds: readonly { readonly ledger: number; readonly echo: number }[];
}

export interface HttpRun {
  readonly options: BenchOptions;
  readonly target: Target;
  readonly workload: Workload;
  readonly workloadOptions: WorkloadOptions;
  readonly books: Books;
  readonly signal: AbortSignal;
}

export async function runHttpRounds(run: HttpRun): Promise<HttpFigures> {
  const echo = start('./echo-server.ts', []);
  const load = start('./http-load.ts', [JSON.stringify(setupOf(run))]);
  try {
    const [{ port }] = await Promise.all([answer<{ port: number }>(echo), answer(load)]);
    return await alternate(run, load, `http://127.0.0.1:${port}`);
  } finally {
    await Promise.all([endChild(echo), endChild(load)]);
  }
}

/** The ledger alone, for as long as it is asked to: others take turns with it. */
export async function runHttpLedger(run: HttpRun): Promise<Omit<HttpFigures, keyof EchoFigures>> {
  const { options, target } = run;
  const load = start('./http-load.ts', [JSON.stringify(setupOf(run))]);
  try {
    await answer(load);
    const measure = (seconds: number): Promise<Slice> => {
      const whole = Math.max(1, Math.round(seconds));
      const url = target.url!;
      return ask<Slice>(load, {
        type: 'slice',
        url,
        seconds: whole,
        good: CREATED,
        isLedger: true,
      });
    };
    if (options.warmUpSeconds > 0) await measure(options.warmUpSeconds);
    const { requests, seconds, latency, bad } = await measure(options.seconds);
    const complaints = await closeBooks(run, await ask<Tally>(load, { type: 'tally' }));
    return { transfers: requests, seconds, latency, complaints: withBad(complaints, bad) };
  } finally {
    await endChild(load);
  }
}

const withBad = (complaints: readonly string[], bad: number): readonly string[] =>
  bad === 0 ? complaints : [...complaints, `${bad} requests were not answered well`];

function setupOf({ options, workload, workloadOptions }: HttpRun): LoadSetup {
  const pairs = Math.min(PAIRS_MAX, workload.slots.length * workload.slots[0]!.batch.n);
  return { workload: workloadOptions, pairs, connections: options.connections };
}

async function alternate(run: HttpRun, load: ChildProcess, echoUrl: string): Promise<HttpFigures> {
  const { options, target } = run;
  const ledgerUrl = target.url!;
  const measure = async (isLedger: boolean, seconds: number): Promise<Slice> =>
    ask<Slice>(load, {
      type: 'slice',
      url: isLedger ? ledgerUrl : echoUrl,
      seconds: Math.max(1, Math.round(seconds)),
      good: isLedger ? CREATED : OK,
      isLedger,
    });
  if (options.warmUpSeconds > 0) {
    await measure(false, options.warmUpSeconds);
    await measure(true, options.warmUpSeconds);
  }
  const ledger: Slice[] = [];
  const echo: Slice[] = [];
  for (let round = 0; round < ROUNDS && !run.signal.aborted; round++) {
    echo.push(await measure(false, options.seconds / ROUNDS));
    ledger.push(await measure(true, options.seconds / ROUNDS));
  }
  const complaints = await closeBooks(run, await ask<Tally>(load, { type: 'tally' }));
  const bad = [...ledger, ...echo].reduce((sum, slice) => sum + slice.bad, 0);
  const requests = ledger.reduce((sum, slice) => sum + slice.requests, 0);
  const seconds = ledger.reduce((sum, slice) => sum + slice.seconds, 0);
  const echoRate = rateOf(echo);
  return {
    transfers: requests,
    seconds,
    latency: worst(ledger.map((slice) => slice.latency)),
    echoRequestsPerSecond: echoRate,
    ratio: rateOf(ledger) / echoRate,
    rounds: ledger.map((slice, i) => ({ ledger: rateOf([slice]), echo: rateOf([echo[i]!]) })),
    complaints: withBad(complaints, bad),
  };
}

const rateOf = (slices: readonly Slice[]): number =>
  slices.reduce((sum, slice) => sum + slice.requests, 0) /
  slices.reduce((sum, slice) => sum + slice.seconds, 0);

/** Percentiles of several slices do not add up: the worst slice speaks for all. */
function worst(all: readonly LatencyMs[]): LatencyMs {
  const most = (key: keyof LatencyMs): number => Math.max(0, ...all.map((one) => one[key]));
  return { p50: most('p50'), p99: most('p99'), p999: most('p999'), max: most('max') };
}

/** Asks again for what was under way when a slice ended, with the same ids, as any client would. */
async function closeBooks(run: HttpRun, tally: Tally): Promise<readonly string[]> {
  const { workload, books, target } = run;
  const created = [...tally.created];
  const complaints: string[] = [];
  for (const { pair, id } of tally.unanswered) {
    const { slot, row } = pairOf(workload, pair);
    const outcome = await target.client.createTransfers(
      [transferOf(workload, slot, row, BigInt(id))],
      {
        deadlineMs: REASK_DEADLINE_MS,
      },
    );
    const { status } = outcome.results[0]!;
    if (status === 'created' || status === 'exists') created[pair]!++;
    else complaints.push(`asked again, a transfer was answered ${status}`);
  }
  for (const [pair, times] of created.entries()) {
    if (times === 0) continue;
    const { slot, row } = pairOf(workload, pair);
    books.acknowledgeRow(workload.slots[slot]!, row, times);
  }
  return complaints;
}

function transferOf(workload: Workload, slot: number, row: number, id: bigint) {
  const { debits, credits, amounts } = workload.slots[slot]!;
  return {
    id,
    debitAccountId: workload.accountId(debits[row]!),
    creditAccountId: workload.accountId(credits[row]!),
    amount: BigInt(amounts[row]!),
    ledger: 1,
    code: 1,
  };
}

function start(file: string, argv: readonly string[]): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), [...argv], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

async function ask<T>(child: ChildProcess, request: LoadRequest): Promise<T> {
  const pending = answer<T>(child);
  child.send(request);
  return pending;
}

/** The next message of a child; rejects when it ends instead. */
async function answer<T>(child: ChildProcess): Promise<T> {
  if (child.exitCode !== null) throw new Error('a child process of the bench has ended');
  const stop = new AbortController();
  try {
    const message = once(child, 'message', { signal: stop.signal }).then(([first]) => first as T);
    const end = once(child, 'exit', { signal: stop.signal }).then(([code]): never => {
      throw new Error(`a child process of the bench ended with ${String(code)}`);
    });
    return await Promise.race([message, end]);
  } finally {
    stop.abort();
  }
}
