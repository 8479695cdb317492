/**
 * Load, SIGKILL, restart, again and again on one data directory: nothing that was answered is lost, nothing is done twice.
 *
 * CYCLES says how often (100), SEED with what (a fixed one). The seed draws the transfers, the batches, and after how many answers the process is killed;
 * where exactly the threads are then is left to the machine. Most starts find a snapshot and a journal that goes on from it; the first ones
 * the journal alone, and so does the replay at the end, over all lives.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/client.ts';
import { connectHttp } from '../../client/http-client.ts';
import { connect } from '../../client/nats-client.ts';
import { snapshotLive } from '../../control/snapshot-verb.ts';
import { findNatsServer, type NatsServer, startNatsServer } from '../../lib/nats-server.ts';
import { Prng } from '../../lib/prng.ts';
import {
  type ServeProcess,
  spawnProcess,
  startProcess,
  TempDirectory,
} from '../support/cluster.ts';
import { placementOf } from '../support/placement.ts';
import { digestPairs } from '../support/replay-directory.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const SHARDS = 2;
const SEED = Number(process.env['SEED'] ?? 20_260_101);
const CYCLES = Number(process.env['CYCLES'] ?? 100);
const CYCLE_MS_MAX = 5000;
const HTTP_LOADS = 4;
const NATS_LOADS = 2;
/** In so many of a hundred cycles the process is killed while it starts as well. */
const KILLED_AT_START = 8;
/**
 * Every life begins a segment, so without snapshots starts would take longer and longer. Each life behind the last one is 0.06 s of processor time
 * in every later start, and a snapshot 0.1 s, so this is what takes least; a start still replays what one to three lives left behind it.
 */
const CYCLES_BETWEEN_SNAPSHOTS = 3;
/** In every second life there is NATS as well: what it takes at a start is a twentieth of a cycle. */
const CYCLES_BETWEEN_NATS = 2;

let nats: NatsServer | undefined;
beforeAll(async () => {
  if (findNatsServer() !== undefined) nats = await startNatsServer();
});
afterAll(async () => nats?.stop());

test(
  `after each of ${CYCLES} kills under load everything that was acknowledged is there, and no more`,
  { timeout: 60_000 + CYCLES * CYCLE_MS_MAX },
  async () => {
    await using directory = new TempDirectory();
    const options = { directory: directory.path, shards: SHARDS };
    const prng = new Prng(SEED);
    const books = new TransferBooks({
      prng,
      shards: SHARDS,
      shardOf: placementOf(SHARDS),
      accountCount: 16,
    });
    let cycle = 0;
    try {
      await startOrderly(options, books);
      for (; cycle < CYCLES; cycle++) {
        if (prng.chance(KILLED_AT_START)) await killAtStart(options, prng);
        const bus = cycle % CYCLES_BETWEEN_NATS === 0 ? nats : undefined;
        await using served = await startProcess(
          bus === undefined ? options : { ...options, nats: bus },
        );
        await using client = connectHttp(served.url);
        await books.settle(client);
        await books.audit(client);
        if ((cycle + 1) % CYCLES_BETWEEN_SNAPSHOTS === 0) await snapshotLive(directory.path);
        await loadUntilKilled(served, { books, prng, bus });
      }
      await using served = await startProcess(options);
      await using client = connectHttp(served.url);
      await books.settle(client);
      await books.audit(client, 'all');
      served.kill('SIGTERM');
      expect({ ...(await served.exit), said: served.stderr }).toMatchObject({ code: 0 });
    } catch (error: unknown) {
      throw new Error(
        `cycle ${cycle}: ${String(error)}\nrun it again with SEED=${SEED} CYCLES=${CYCLES}`,
        { cause: error },
      );
    }
    expect(books.createdCount).toBeGreaterThan(CYCLES);
    for (const { live, replayed } of await digestPairs(directory.path)) expect(replayed).toBe(live);
  },
);

type Options = Parameters<typeof startProcess>[0];

/** A first life that ends in order: it leaves accounts. */
async function startOrderly(options: Options, books: TransferBooks): Promise<void> {
  await using served = await startProcess(options);
  await using client = connectHttp(served.url);
  await books.createAccounts(client);
  served.kill('SIGTERM');
  expect({ ...(await served.exit), said: served.stderr }).toMatchObject({ code: 0 });
}

async function killAtStart(options: Options, prng: Prng): Promise<void> {
  await using served = await spawnProcess(options);
  await Promise.race([served.exit, pause(prng.between(50, 400))]);
  if (served.child.hasExited) throw new Error(`it ended by itself: ${served.stderr}`);
  served.kill('SIGKILL');
  await served.exit;
}

interface Load {
  readonly books: TransferBooks;
  readonly prng: Prng;
  readonly bus: NatsServer | undefined;
}

/** Several clients over both edges, where there are two, each with its next batch as soon as the last one is answered, until the process is gone. */
async function loadUntilKilled(served: ServeProcess, { books, prng, bus }: Load): Promise<void> {
  const clients: Client[] = [];
  for (let i = 0; i < HTTP_LOADS; i++) clients.push(connectHttp(served.url));
  if (bus !== undefined) {
    const { url } = bus;
    clients.push(
      ...(await Promise.all(Array.from({ length: NATS_LOADS }, () => connect({ servers: url })))),
    );
  }
  let answersLeft = prng.between(1, 30);
  const { promise: isDue, resolve: onDue } = Promise.withResolvers<void>();
  const load = async (client: Client): Promise<void> => {
    while (await books.send(client, books.next(prng.chance(30) ? 1 : prng.between(2, 16)))) {
      if (--answersLeft === 0) onDue();
    }
  };
  const loads = Promise.all(clients.map(load));
  await Promise.race([isDue, loads]);
  await pause(prng.below(8));
  served.kill('SIGKILL');
  await served.exit;
  // Nobody answers over NATS any more: what is under way there ends with its client.
  await Promise.all(clients.map((client) => client.close()));
  await loads;
}
