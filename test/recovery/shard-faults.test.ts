/**
 * A shard's thread dies or spins while the others serve. Its callers are told soon, the others notice nothing, the shard comes back from its journal,
 * and what was under way between shards ends on both sides.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Client, TransferInput } from '../../client/client.ts';
import { Prng } from '../../lib/prng.ts';
import type { SyceeError } from '../../lib/sycee-error.ts';
import { placementOf } from '../support/placement.ts';
import { digestPairs, replayDirectory } from '../support/replay-directory.ts';
import { Supervised } from '../support/supervised.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const SEED = Number(process.env['SEED'] ?? 11);
const FAULTY = 1;
const PROMPT_MS = 2000;
/** The watchdog's patience, and room for a busy machine. */
const SPIN_MS_MAX = 15_000;
const LOADS = 6;
/** Between two calls of the other shard while one spins: the spinning takes a core already. */
const PROBE_MS = 20;

/** Accounts of one shard: two of them, on which nobody else works. */
async function localPair(
  client: Client,
  shards: number,
  shard: number,
): Promise<readonly [bigint, bigint]> {
  const shardOf = placementOf(shards);
  const ids: bigint[] = [];
  for (let id = 1_000_000n; ids.length < 2; id++) if (shardOf(id) === shard) ids.push(id);
  await client.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 7 })));
  return [ids[0]!, ids[1]!];
}

const transferOf = (
  id: bigint,
  [debitAccountId, creditAccountId]: readonly [bigint, bigint],
): TransferInput => ({
  id,
  debitAccountId,
  creditAccountId,
  amount: 1n,
  ledger: 1,
  code: 7,
});

/** How a transfer ended without retries: its status, or the code of the rejection. */
async function once(
  client: Client,
  transfer: TransferInput,
): Promise<{ readonly answer: string; readonly ms: number }> {
  const began = performance.now();
  const answer = await client
    .createTransfers([transfer], { retries: 0, deadlineMs: SPIN_MS_MAX })
    .then(
      ({ results }) => results[0]!.status as string,
      (error: SyceeError) => error.code,
    );
  return { answer, ms: performance.now() - began };
}

interface Load {
  isEnding: boolean;
  readonly done: Promise<unknown>;
}

/** Transfers over all shards, until it is told to end. */
function startLoad(client: Client, books: TransferBooks, prng: Prng): Load {
  const load: { isEnding: boolean; done: Promise<unknown> } = {
    isEnding: false,
    done: Promise.resolve(),
  };
  const run = async (): Promise<void> => {
    // A shard that is away refuses at once: whoever is refused lets the others have the thread.
    while (!load.isEnding) {
      if (!(await books.send(client, books.next(prng.between(1, 20)))))
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  load.done = Promise.all(Array.from({ length: LOADS }, run));
  return load;
}

async function ready(
  stack: AsyncDisposableStack,
  shards: number,
): Promise<{ readonly system: Supervised; readonly books: TransferBooks; readonly prng: Prng }> {
  const system = stack.use(await Supervised.start({ shards }));
  const prng = new Prng(SEED);
  const books = new TransferBooks({
    prng,
    shards,
    shardOf: placementOf(shards),
    accountCount: 6 * shards,
  });
  await books.createAccounts(system.client);
  return { system, books, prng };
}

/** The ledger at rest after a fault: everything open is settled, nothing is claimed for ever, and a replay gives what was live. */
async function auditAtRest(system: Supervised, books: TransferBooks): Promise<void> {
  await books.settle(system.client);
  await system.until('nothing claimed, nothing waiting', () => system.isAtRest());
  await books.audit(system.client, 'all');
  expect(books.lateBalances).toBe(0);
  const live = await system.supervisor.digests();
  await system.supervisor.stop();
  const replayed = replayDirectory(system.directory);
  for (const { shard, digest } of live)
    expect(replayed[shard]!.digest, `digest of shard ${shard}`).toBe(digest);
  for (const pair of await digestPairs(system.directory)) expect(pair.replayed).toBe(pair.live);
}

test('a shard whose thread throws under load is rebuilt, again and again, and nothing is lost or doubled', async () => {
  await using stack = new AsyncDisposableStack();
  const { system, books, prng } = await ready(stack, 3);
  const load = startLoad(system.client, books, prng);
  const others = await localPair(system.client, 3, 2);
  let id = 5_000_000n;
  for (let round = 1; round <= 4; round++) {
    const created = books.createdCount;
    await system.until('the load goes on', () => books.createdCount > created + 50);
    system.supervisor.injectFault(FAULTY, 'throw');
    while (system.supervisor.metrics()[FAULTY]!.restarts < round) {
      const { answer, ms } = await once(system.client, transferOf(id++, others));
      expect(answer).toBe('created');
      expect(ms).toBeLessThan(PROMPT_MS);
    }
    await system.until('the shard is back', () => system.state(FAULTY) === 'running');
  }
  load.isEnding = true;
  await load.done;
  await auditAtRest(system, books);
});

test('two shards that fail at the same time come back, and what was between them ends', async () => {
  await using stack = new AsyncDisposableStack();
  const { system, books, prng } = await ready(stack, 3);
  const load = startLoad(system.client, books, prng);
  for (let round = 1; round <= 2; round++) {
    const created = books.createdCount;
    await system.until('the load goes on', () => books.createdCount > created + 50);
    system.supervisor.injectFault(0, 'throw');
    system.supervisor.injectFault(2, 'throw');
    await system.until('both are rebuilt', () =>
      [0, 2].every(
        (shard) =>
          system.supervisor.metrics()[shard]!.restarts === round &&
          system.state(shard) === 'running',
      ),
    );
  }
  load.isEnding = true;
  await load.done;
  expect(system.supervisor.metrics()[1]!.restarts).toBe(0);
  await auditAtRest(system, books);
});

test('callers of a shard that has died are told so at once, without an effect on the others', async () => {
  await using system = await Supervised.start({ shards: 2 });
  const own = await localPair(system.client, 2, FAULTY);
  const others = await localPair(system.client, 2, 0);
  system.supervisor.injectFault(FAULTY, 'throw');
  const answers = new Set<string>();
  for (
    let id = 1n;
    system.supervisor.metrics()[FAULTY]!.restarts === 0 || system.state(FAULTY) !== 'running';
    id++
  ) {
    const { answer, ms } = await once(system.client, transferOf(id, own));
    answers.add(answer);
    expect(['created', 'unknown', 'shard_unavailable']).toContain(answer);
    expect(ms).toBeLessThan(PROMPT_MS);
    expect((await once(system.client, transferOf(id, others))).answer).toBe('created');
  }
  expect([...answers].some((answer) => answer !== 'created')).toBe(true);
  // The router hears of it a moment after the counters say so: the client asks again.
  const { results } = await system.client.createTransfers([transferOf(9_999n, own)]);
  expect(results).toMatchObject([{ status: 'created' }]);
});

test('a shard whose thread spins is ended by the watchdog and rebuilt, while the other one serves', async () => {
  await using stack = new AsyncDisposableStack();
  const { system, books, prng } = await ready(stack, 2);
  const load = startLoad(system.client, books, prng);
  await system.until('the load goes on', () => books.createdCount > 50);
  load.isEnding = true;
  const others = await localPair(system.client, 2, 0);
  const own = await localPair(system.client, 2, FAULTY);
  system.supervisor.injectFault(FAULTY, 'spin');
  const ofFaulty = once(system.client, transferOf(1_000_000n, own));
  let id = 5_000_000n;
  while (system.supervisor.metrics()[FAULTY]!.restarts === 0) {
    const { answer, ms } = await once(system.client, transferOf(id++, others));
    expect(answer).toBe('created');
    expect(ms).toBeLessThan(PROMPT_MS);
    await pause(PROBE_MS);
  }
  expect(await ofFaulty).toMatchObject({ answer: expect.stringMatching(/^(unknown|created)$/) });
  await system.until('the shard is back', () => system.state(FAULTY) === 'running');
  await load.done;
  await auditAtRest(system, books);
});

test('a shard that dies again and again stays down, and the others go on serving', async () => {
  await using system = await Supervised.start({ shards: 2 });
  const own = await localPair(system.client, 2, FAULTY);
  const others = await localPair(system.client, 2, 0);
  let restarts = -1;
  while (system.state(FAULTY) !== 'failed') {
    await system.until('it runs, or is given up', () =>
      ['running', 'failed'].includes(system.state(FAULTY)),
    );
    const seen = system.supervisor.metrics()[FAULTY]!.restarts;
    if (seen === restarts) {
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    restarts = seen;
    expect(restarts).toBeLessThan(20);
    system.supervisor.injectFault(FAULTY, 'throw');
  }
  expect(restarts).toBeGreaterThan(0);
  expect(system.lines.join('\n')).toContain(`shard ${FAULTY} stays down`);
  expect((await once(system.client, transferOf(1n, own))).answer).toBe('shard_unavailable');
  for (let id = 2n; id < 50n; id++)
    expect((await once(system.client, transferOf(id, others))).answer).toBe('created');
  const { accounts } = await system.client.lookupAccounts(others);
  expect(accounts).toMatchObject([{ debitsPosted: 48n }, { creditsPosted: 48n }]);
});
