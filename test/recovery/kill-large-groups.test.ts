/**
 * SIGKILL while groups are large: then one is appended by a thread beside its actor, which executes the next one meanwhile. What was answered is
 * there afterwards, over both shards, and the replay of all lives gives the live state. CYCLES and SEED as in kill-cycles.test.ts, but fewer.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { connectHttp } from '../../client/http-client.ts';
import { Prng } from '../../lib/prng.ts';
import { type ServeProcess, startProcess, TempDirectory } from '../support/cluster.ts';
import { placementOf } from '../support/placement.ts';
import { digestPairs } from '../support/replay-directory.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const SHARDS = 2;
const SEED = Number(process.env['SEED'] ?? 9);
const CYCLES = Number(process.env['CYCLES'] ?? 2);
const CYCLE_MS_MAX = 20_000;
const LOADS = 4;
/** Frames of such batches are larger than what an actor appends by itself. */
const TRANSFERS_MIN = 1000;
const TRANSFERS_MAX = 1400;
const GONE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ESRCH']);

test(
  `after each of ${CYCLES} kills in the midst of large groups everything that was acknowledged is there, and no more`,
  { timeout: 30_000 + CYCLES * CYCLE_MS_MAX },
  async () => {
    await using directory = new TempDirectory();
    const options = { directory: directory.path, shards: SHARDS };
    const prng = new Prng(SEED);
    const shardOf = placementOf(SHARDS);
    const books = new TransferBooks({ prng, shards: SHARDS, shardOf, accountCount: 200 });
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      await using served = await startProcess(options);
      await using client = connectHttp(served.url);
      await books.createAccounts(client);
      await books.settle(client);
      await books.audit(client);
      await loadUntilKilled(served, books, prng);
    }
    await using served = await startProcess(options);
    await using client = connectHttp(served.url);
    await books.settle(client);
    await books.audit(client, 'all');
    served.kill('SIGTERM');
    expect({ ...(await served.exit), said: served.stderr }).toMatchObject({ code: 0 });
    for (const { live, replayed } of await digestPairs(directory.path)) expect(replayed).toBe(live);
  },
);

/** Until both shards append beside, and some answers more. */
async function loadUntilKilled(
  served: ServeProcess,
  books: TransferBooks,
  prng: Prng,
): Promise<void> {
  const clients = Array.from({ length: LOADS }, () => connectHttp(served.url));
  let answersLeft = prng.between(1, 6);
  const { promise: isDue, resolve: onDue } = Promise.withResolvers<void>();
  const load = async (client: (typeof clients)[0]): Promise<void> => {
    const size = (): number => prng.between(TRANSFERS_MIN, TRANSFERS_MAX);
    while (await books.send(client, books.next(size()))) {
      if (appenders(served.child.pid) === SHARDS && --answersLeft === 0) onDue();
    }
  };
  const loads = Promise.all(clients.map(load));
  await Promise.race([isDue, loads]);
  await pause(prng.below(12));
  expect(appenders(served.child.pid)).toBe(SHARDS);
  served.kill('SIGKILL');
  await served.exit;
  await Promise.all(clients.map((client) => client.close()));
  await loads;
}

/** Threads of that name in a process. */
function appenders(pid: number): number {
  const tasks = join('/proc', String(pid), 'task');
  return readdirSync(tasks).filter((task) => nameOf(join(tasks, task)) === 'appender\n').length;
}

/** Undefined of a thread that has ended since it was listed. */
function nameOf(task: string): string | undefined {
  try {
    return readFileSync(join(task, 'comm'), 'utf8');
  } catch (error: unknown) {
    if (GONE.has((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}
