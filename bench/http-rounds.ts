/**
 * HTTP: the ledger and a bare echo server under the same load generator, in turns, so that both see the same machine. The parent of
 * the children; all of them are ended here.
 */
import { endChild, startChild } from './children.ts';
import { HttpLoader, type Slice, answer } from './http-loader.ts';
import { combined, runOf, type Runs } from './runs.ts';
import type { Bench, Measured } from './scenario.ts';

/** Where no repeats are asked for, the measured time is divided into seconds, and these are so many at least: a machine that changes is in both alike. */
const ROUNDS_MIN = 3;

export interface HttpFigures {
  readonly echoRequestsPerSecond: number;
  readonly ratio: number;
  /** Requests per second of each round. */
  readonly rounds: readonly { readonly ledger: number; readonly echo: number }[];
}

export async function runHttpRounds(bench: Bench): Promise<Measured> {
  const echo = startChild('./echo-server.ts', []);
  const loader = await HttpLoader.start(bench).catch(async (error: unknown) => {
    await endChild(echo);
    throw error;
  });
  try {
    const { port } = await answer<{ port: number }>(echo);
    return await alternate(bench, loader, `http://127.0.0.1:${port}`);
  } finally {
    await Promise.all([endChild(echo), loader.stop()]);
  }
}

async function alternate(bench: Bench, loader: HttpLoader, echoUrl: string): Promise<Measured> {
  const { options, signal, say } = bench;
  const { repeat } = options.scenarioOptions;
  const rounds = repeat === 1 ? Math.max(ROUNDS_MIN, Math.round(options.seconds)) : repeat;
  const seconds = repeat === 1 ? options.seconds / rounds : options.seconds;
  if (options.warmUpSeconds > 0) {
    say(`warming up for ${options.warmUpSeconds} s each`);
    await loader.echoSlice(echoUrl, options.warmUpSeconds);
    await loader.slice(options.warmUpSeconds);
  }
  const ledger: Slice[] = [];
  const echo: Slice[] = [];
  for (let round = 0; round < rounds && !signal.aborted; round++) {
    say(`an echo server and the ledger, round ${round + 1} of ${rounds}`);
    // Who goes first takes turns as well.
    if (round % 2 === 0) echo.push(await loader.echoSlice(echoUrl, seconds));
    ledger.push(await loader.slice(seconds));
    if (round % 2 === 1) echo.push(await loader.echoSlice(echoUrl, seconds));
  }
  const complaints = await loader.closeBooks();
  const runs: Runs = combined(ledger.map(runOf));
  const echoRate = rateOf(echo);
  return {
    ...runs,
    complaints,
    http: {
      echoRequestsPerSecond: echoRate,
      ratio: rateOf(ledger) / echoRate,
      rounds: ledger.map((slice, i) => ({ ledger: rateOf([slice]), echo: rateOf([echo[i]!]) })),
    },
  };
}

const rateOf = (slices: readonly Slice[]): number =>
  slices.reduce((sum, slice) => sum + slice.transfers, 0) /
  slices.reduce((sum, slice) => sum + slice.seconds, 0);
