import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parseBenchArguments } from './options.ts';
import type { ScenarioContext, ScenarioResult } from './scenario.ts';
import { uniform, zipfian } from './uniform.ts';

const roots: string[] = [];

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

/** Interrupted when it says something. */
function interruptedAt(
  scenario: (context: ScenarioContext) => Promise<ScenarioResult>,
  line: string,
  said: RegExp,
): Promise<ScenarioResult> {
  const asked = parseBenchArguments(line.split(' '));
  if (asked.type !== 'run') throw new Error('no scenario');
  const root = mkdtempSync(path.join(tmpdir(), 'sycee-bench-test-'));
  roots.push(root);
  const stop = new AbortController();
  const say = (text: string): void => {
    if (said.test(text)) stop.abort();
  };
  const directory = path.join(root, 'ledger');
  return scenario({ options: asked.all[0]!, directory, signal: stop.signal, say });
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
