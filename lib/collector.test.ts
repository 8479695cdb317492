import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const SCRIPT = path.join(import.meta.dirname, '../test/support/old-space-growth.ts');
const RUNS_MAX = 10;

function growthBytes(...args: readonly string[]): number {
  return Number(execFileSync(process.execPath, ['--expose-gc', SCRIPT, ...args]));
}

test('objects that die young are made young, also where others of their place have lived long', () => {
  expect(growthBytes('young')).toBeLessThan(1 << 20);
});

test('without that V8 makes them old', () => {
  // It learns by chance: what it has compiled may be dropped with the full collection in between.
  const hasGrown = Array.from({ length: RUNS_MAX }).some(() => growthBytes() > 8 << 20);
  expect(hasGrown).toBe(true);
});
