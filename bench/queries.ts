/**
 * Questions about the past: a journal is built, each kind of question is asked alone, one after the other, and then all kinds in turn while a
 * uniform load runs, in rounds without and with the readers. Every answer is looked at.
 *
 * Cold is the first question about an account, warm the same one again at once. The system's own cache of files is
 * warm all the time: the journal has just been written.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { LatencyHistogram } from '../lib/histogram.ts';
import { Prng } from '../lib/prng.ts';
import { type Figures, median, percentiles, rounded } from './figures.ts';
import { createTransfers, type Load, runLoad, runLoops } from './load.ts';
import { MarkedJournal } from './marked-journal.ts';
import { type Ask, type Past, type QuestionKind, questionKinds } from './questions.ts';
import {
  type Bench,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';

const COMPLAINTS_MAX = 5;

export function queries(context: ScenarioContext): Promise<ScenarioResult> {
  return runScenario(context, {
    load: { transfers: { hasUserData: true }, areAccountsMarked: true },
    measure,
  });
}

async function measure(bench: Bench): Promise<Measured> {
  const { options, say } = bench;
  const journal = new MarkedJournal(options.scenarioOptions.history, options.batch);
  say(`building a journal of ${journal.transfers} transfers`);
  const built = await createTransfers(bench.target.client, bench.workload, bench.books, {
    inFlight: options.inFlight,
    signal: bench.signal,
    count: journal.transfers,
    onTake: (slot) => journal.mark(slot),
  });
  const kinds = questionKinds(await pastOf(bench, journal));
  const { ask } = options.scenarioOptions;
  const desk = new Desk(
    ask === 'all' ? kinds : kinds.filter(({ name }) => name === ask),
    options.seed,
  );
  const began = performance.now();
  for (const { draw } of desk.kinds) await desk.ask(draw(desk.random));
  const firstMs = performance.now() - began;
  await askAlone(bench, desk);
  const loaded = await askUnderLoad(bench, desk, journal);
  return {
    ...loaded,
    figures: {
      built_transfers_per_second: Math.round(built.transfers / built.seconds),
      first_questions_ms: rounded(firstMs, 1),
      ...desk.figures(),
      ...loaded.figures,
    },
    complaints: desk.complaints,
  };
}

async function pastOf(bench: Bench, journal: MarkedJournal): Promise<Past> {
  const { workload, books, target } = bench;
  const { client } = target;
  const ends = [workload.accountId(0), workload.accountId(workload.accounts - 1)];
  const { accounts } = await client.lookupAccounts(ends);
  return {
    client,
    workload,
    journal,
    entries: books.entries(),
    accountsFrom: accounts[0]!.timestamp,
    accountsTo: accounts[1]!.timestamp,
    transfersTo: BigInt(Date.now()) * 1_000_000n,
  };
}

/** Asks, and keeps what the answers took. */
class Desk {
  readonly kinds: readonly QuestionKind[];
  readonly random: Prng;
  readonly complaints: string[] = [];
  readonly #latencies = new Map<string, LatencyHistogram>();
  readonly #rows = new Map<string, number>();

  constructor(kinds: readonly QuestionKind[], seed: number) {
    this.kinds = kinds;
    this.random = new Prng(seed + 1);
  }

  async ask(ask: Ask, name?: string): Promise<void> {
    const sent = performance.now();
    const { rows, complaint } = await ask();
    const ms = performance.now() - sent;
    if (complaint !== null && this.complaints.length < COMPLAINTS_MAX) {
      this.complaints.push(complaint);
    }
    if (name === undefined) return;
    let latency = this.#latencies.get(name);
    if (latency === undefined) {
      latency = new LatencyHistogram();
      this.#latencies.set(name, latency);
    }
    latency.record(ms);
    this.#rows.set(name, (this.#rows.get(name) ?? 0) + rows);
  }

  /** Milliseconds by name, and how many rows an answer had. */
  figures(): Figures {
    return Object.fromEntries(
      [...this.#latencies].map(([name, latency]) => {
        const rows = rounded(this.#rows.get(name)! / latency.count, 1);
        return [`${name}_ms`, { ...percentiles(latency), rows }];
      }),
    );
  }
}

/**
 * Each kind has a tenth of the questions as its warm-up, which has figures of its own: after a start the reader has its code to compile, files to
 * open, and frames to find.
 */
async function askAlone(bench: Bench, desk: Desk): Promise<void> {
  const { options, say } = bench;
  const { questions } = options.scenarioOptions;
  for (const kind of desk.kinds) {
    const { name, isAskedAgain } = kind;
    say(`asking ${name}`);
    const first = { questions: Math.ceil(questions / 10), seconds: options.warmUpSeconds };
    await askOne(bench, desk, kind, { ...first, names: [`${name}_first`] });
    const names = isAskedAgain ? [`${name}_cold`, `${name}_warm`] : [name];
    await askOne(bench, desk, kind, { questions, seconds: options.seconds, names });
  }
}

/** Each question once for each of the names. */
async function askOne(
  { signal }: Bench,
  desk: Desk,
  { draw }: QuestionKind,
  bounds: { questions: number; seconds: number; names: readonly string[] },
): Promise<void> {
  const end = performance.now() + bounds.seconds * 1000;
  for (let i = 0; i < bounds.questions && performance.now() < end && !signal.aborted; i++) {
    const ask = draw(desk.random);
    for (const name of bounds.names) await desk.ask(ask, name);
  }
}

/** In turns, so that both see the same machine; every other round the other way round. */
async function askUnderLoad(bench: Bench, desk: Desk, journal: MarkedJournal): Promise<Measured> {
  const { options, signal, say } = bench;
  const { rounds } = options.scenarioOptions;
  const latency = new LatencyHistogram();
  const load = (seconds: number, into?: LatencyHistogram): Promise<Load> =>
    runLoad(bench.target.client, bench.workload, bench.books, {
      inFlight: options.inFlight,
      signal,
      seconds,
      latency: into,
      onTake: (slot) => journal.mark(slot),
    });
  if (options.warmUpSeconds > 0) await load(options.warmUpSeconds);
  const alone: number[] = [];
  const withReaders: number[] = [];
  let [transfers, asked] = [0, 0];
  const runs = {
    alone: async (): Promise<void> => {
      const done = await load(options.seconds, latency);
      transfers += done.transfers;
      alone.push(done.transfers / done.seconds);
    },
    withReaders: async (): Promise<void> => {
      const over = new AbortController();
      const readers = runReaders(bench, desk, over.signal).finally(() => over.abort());
      const [done, count] = await Promise.all([
        load(options.seconds).finally(() => over.abort()),
        readers,
      ]);
      asked += count;
      withReaders.push(done.transfers / done.seconds);
    },
  };
  for (let round = 0; round < rounds && !signal.aborted; round++) {
    say(`load without readers and with them, round ${round + 1} of ${rounds}`);
    for (const run of round % 2 === 0
      ? [runs.alone, runs.withReaders]
      : [runs.withReaders, runs.alone]) {
      await run();
    }
  }
  const seconds = options.seconds * rounds;
  return {
    transfers,
    seconds,
    latency: latency.summary(),
    figures: {
      load_transfers_per_second: {
        without_readers: Math.round(median(alone)),
        with_readers: Math.round(median(withReaders)),
        ratio: rounded(median(withReaders.map((one, i) => one / alone[i]!)), 3),
      },
      questions_per_second: rounded(asked / seconds, 1),
    },
  };
}

/** Asks all kinds in turn, until told, and answers how often. */
async function runReaders(bench: Bench, desk: Desk, signal: AbortSignal): Promise<number> {
  const { readers, readRate } = bench.options.scenarioOptions;
  const start = performance.now();
  let [turns, asked] = [0, 0];
  await runLoops({ inFlight: readers, signal }, async (isOver) => {
    while (!isOver()) {
      const turn = turns++;
      const due = readRate === 0 ? 0 : start + (turn * 1000) / readRate - performance.now();
      if (due > 0) await pause(due, undefined, { signal }).catch(() => undefined);
      if (isOver()) return;
      const { name, draw } = desk.kinds[turn % desk.kinds.length]!;
      await desk.ask(draw(desk.random), `${name}_under_load`);
      asked++;
    }
  });
  return asked;
}
