import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
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

test.runIf(existsSync('/proc/self/task'))(
  'of the threads that are there, only those of V8 step back',
  () => {
    const script = `
    const { applyV8Settings } = await import(${JSON.stringify(new URL('./v8-settings.ts', import.meta.url).href)});
    const { readdirSync, readFileSync } = await import('node:fs');
    const { getPriority } = await import('node:os');
    const before = getPriority();
    applyV8Settings();
    const threads = readdirSync('/proc/self/task').map((id) => [readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim(), getPriority(Number(id)) - before]);
    process.stdout.write(JSON.stringify(threads));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script]).toString();
    const threads = JSON.parse(output) as readonly (readonly [name: string, steps: number])[];
    const pool = threads.filter(([name]) => name.startsWith('node-V8Worker'));
    const others = threads.filter(([name]) => !name.startsWith('node-V8Worker'));
    expect(pool.length).toBeGreaterThan(0);
    expect(pool.every(([, steps]) => steps > 0)).toBe(true);
    expect(others.every(([, steps]) => steps === 0)).toBe(true);
  },
);
