import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { removeInParts } from './remove-file.ts';

const MIB = 1 << 20;

test('a large file becomes shorter and goes away; a small one, and none, just do', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sycee-remove-'));
  try {
    const large = join(directory, 'large');
    writeFileSync(large, '');
    truncateSync(large, 400 * MIB);
    const entry = new URL('./remove-file.ts', import.meta.url).href;
    const code = `import('${entry}').then((m) => m.removeInParts(${JSON.stringify(large)}))`;
    const worker = new Worker(code, { eval: true });
    const sizes = new Set<number>();
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    for (let size = 400 * MIB; size > 0;) {
      size = statSync(large, { throwIfNoEntry: false })?.size ?? 0;
      sizes.add(size);
      // oxlint-disable-next-line no-await-in-loop -- the worker goes on meanwhile
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await ended;
    expect(sizes.size).toBeGreaterThan(3);
    const small = join(directory, 'small');
    writeFileSync(small, 'few bytes');
    removeInParts(small);
    removeInParts(join(directory, 'none'));
    expect([existsSync(large), existsSync(small)]).toEqual([false, false]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
