import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { connectHttp } from '../../client/http-client.ts';
import { Prng } from '../../lib/prng.ts';
import { startProcess } from '../support/cluster.ts';
import { placementOf } from '../support/placement.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const PAUSES = 3;
/** Longer than several looks of the watchdog. */
const PAUSE_MS = 700;

test('a process that is stopped and continued under load goes on with the same shards, and loses nothing', async () => {
  await using served = await startProcess({ shards: 2 });
  await using client = connectHttp(served.url);
  const prng = new Prng(3);
  const books = new TransferBooks({ prng, shards: 2, shardOf: placementOf(2), accountCount: 10 });
  await books.createAccounts(client);
  const load = { isEnding: false };
  let answers = 0;
  let onAnswer = (): void => undefined;
  const loads = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!load.isEnding) {
        expect(await books.send(client, books.next(prng.between(1, 20)), 30_000)).toBe(true);
        answers++;
        onAnswer();
      }
    }),
  );
  for (let i = 0; i < PAUSES; i++) {
    const goal = answers + 40;
    await Promise.race([
      loads,
      new Promise<void>((resolve) => (onAnswer = () => (answers >= goal ? resolve() : undefined))),
    ]);
    served.kill('SIGSTOP');
    await pause(PAUSE_MS);
    served.kill('SIGCONT');
  }
  load.isEnding = true;
  await loads;
  await books.audit(client, 'all');
  expect(served.stderr).not.toContain('rebuilt');
});
