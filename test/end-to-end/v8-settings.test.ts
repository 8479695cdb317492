/** A ledger that serves has V8's threads behind those that somebody waits for. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { expect, test } from 'vitest';
import { startProcess } from '../support/cluster.ts';

test.runIf(existsSync('/proc/self/task'))(
  'when the edges are open the threads of the pool of V8 have stepped back',
  async () => {
    await using served = await startProcess({ shards: 1 });
    const { pid } = served.child;
    const tasks = `/proc/${pid}/task`;
    const pool = readdirSync(tasks).filter((id) =>
      readFileSync(`${tasks}/${id}/comm`, 'utf8').startsWith('node-V8Worker'),
    );
    expect(pool.length).toBeGreaterThan(0);
    const others = getPriority(pid);
    expect(pool.every((id) => getPriority(Number(id)) > others)).toBe(true);
  },
);
