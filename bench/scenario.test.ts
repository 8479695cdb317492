import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parseBenchArguments } from './options.ts';
import {
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import { uniform, zipfian } from './uniform.ts';

const roots: string[] = [];

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

function contextOf(line: string): Omit<ScenarioContext, 'signal' | 'say'> {
  const asked = parseBenchArguments(line.split(' '));
  if (asked.type !== 'run') throw new Error('no scenario');
  const root = mkdtempSync(path.join(tmpdir(), 'sycee-bench-test-'));
  roots.push(root);
  return { options: asked.all[0]!, directory: path.join(root, 'ledger') };
}

/** Interrupted when it says something. */
function interruptedAt(
  scenario: (context: ScenarioContext) => Promise<ScenarioResult>,
  line: string,
  said: RegExp,
): Promise<ScenarioResult> {
  const stop = new AbortController();
  const say = (text: string): void => {
    if (said.test(text)) stop.abort();
  };
  return scenario({ ...contextOf(line), signal: stop.signal, say });
}

test.each([/^creating/, /^measuring/, /^replaying/])(
  'an interrupted run says that and no more, when it comes while %s',
  async (said) => {
    const line = 'uniform --accounts 200 --seconds 3600 --warm-up 0 --batch 100';
    // What is interrupted while it replays has had its load.
    const short = said.test('replaying') ? line.replace('3600', '0.1') : line;
    const result = await interruptedAt(uniform, short, said);
    expect(result.complaints).toEqual(['the run was interrupted']);
  },
);

test('over HTTP an interrupt ends the load that is under way', async () => {
  const line = 'zipfian --transport http --accounts 200 --seconds 3600 --warm-up 0';
  const result = await interruptedAt(zipfian, line, /^measuring/);
  expect(result.complaints).toEqual(['the run was interrupted']);
}, 20_000);

const latency = { p50: 0, p99: 0, p999: 0, max: 0 };

test.each<[string, Partial<Measured>, string]>([
  ['a load', { transfers: 0 }, 'no request was answered within the measured time'],
  [
    'one of several loads',
    {
      transfers: 9,
      points: [pointOf('batches of 1', 9), pointOf('batches of 16', 0)],
    },
    'batches of 16: no request was answered within the measured time',
  ],
])(
  '%s that had no answer in time has no figure, and the run is not verified',
  async (_, part, why) => {
    const measured: Measured = { transfers: 0, seconds: 1, latency, ...part };
    const result = await runScenario(
      {
        ...contextOf('uniform --accounts 200'),
        signal: new AbortController().signal,
        say: () => undefined,
      },
      { load: { batch: 100 }, measure: () => Promise.resolve(measured) },
    );
    expect(result.complaints).toEqual([`${why}; measure for longer, with --seconds`]);
  },
);

function pointOf(name: string, transfers: number) {
  return {
    name,
    transfers,
    batch: 1,
    in_flight: 1,
    transfers_per_second: transfers,
    latency_ms: latency,
  };
}
