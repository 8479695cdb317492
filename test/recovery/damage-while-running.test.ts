/**
 * A row behind the snapshot is damaged, which a start does not read: the ledger runs, and whoever asks for that row is refused without a place, while
 * the log names it, once.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TransportClient } from '../../client/client.ts';
import { open } from '../../client/in-process-client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { TempDirectory } from '../support/cluster.ts';
import { alterSegment, segments, shardDirectory } from '../support/journal-surgery.ts';

const ROW = 4;
const TRANSFER = 3n;

let directory: TempDirectory;
const lines: string[] = [];
let supervisor: Supervisor;

beforeAll(async () => {
  directory = new TempDirectory();
  const { path } = directory;
  const client = await open({ directory: path, shards: 1 });
  await client.createAccounts([1n, 2n].map((id) => ({ id, ledger: 1, code: 1 })));
  const sides = { debitAccountId: 1n, creditAccountId: 2n };
  for (let id = 1n; id <= 5n; id++) {
    await client.createTransfers([{ id, ...sides, amount: 1n, ledger: 1, code: 1 }]);
  }
  await client.close();
  const before = await Supervisor.start({ directory: path });
  await before.snapshot();
  await before.stop();
  alterSegment(join(shardDirectory(path, 0), segments(path, 0)[0]!), (segment) => {
    const altered = "CAST(substr(frame, 1, 100) || x'ff' || substr(frame, 102) AS BLOB)";
    segment.exec(`UPDATE journal_row SET frame = ${altered} WHERE sequence = ${ROW}`);
  });
  const log = (line: string): void => void lines.push(line);
  supervisor = await Supervisor.start({ directory: path, log });
});
afterAll(async () => {
  await supervisor.stop();
  await directory[Symbol.asyncDispose]();
});

test('damage that only a reader meets is refused to callers, and named in the log once', async () => {
  const transport = new RouterTransport(supervisor.router, () => Promise.resolve());
  const client = new TransportClient(transport);
  const quick = { retries: 0 };
  const asked = [
    () => client.lookupTransfers([TRANSFER], quick),
    () => client.getAccountTransfers({ accountId: 1n }, quick),
    () => client.queryTransfers({}, quick),
    () => client.changeEvents({}, quick).next(),
  ];
  for (let round = 0; round < 3; round++) {
    for (const ask of asked) {
      const refusal = await ask().then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(refusal).toMatchObject({ code: 'shard_unavailable', retryable: true });
      const { message } = refusal as Error;
      expect(message).toContain(
        'the journal is damaged there, and the log of the server says where',
      );
      expect(message).not.toMatch(/segment|\//);
    }
  }
  // The readers' indexes go on by themselves.
  await pause(50);
  const named = lines.filter((line) => line.includes('damaged'));
  const where = `shard 0, segment-000000000001.sqlite, sequence ${ROW}: the row does not match its checksum`;
  expect(named).toEqual([expect.stringContaining(`a journal is damaged: ${where}`)]);
});

test('an id that is sent again, and whose record is damaged, is refused, and the shard goes on', async () => {
  const transport = new RouterTransport(supervisor.router, () => Promise.resolve());
  const client = new TransportClient(transport);
  const sides = { debitAccountId: 1n, creditAccountId: 2n };
  const again = { id: TRANSFER, ...sides, amount: 1n, ledger: 1, code: 1 };
  for (let round = 0; round < 3; round++) {
    await expect(
      client.createTransfers([{ ...again, id: 50n }, again], { retries: 0 }),
    ).rejects.toMatchObject({
      code: 'shard_unavailable',
      message: expect.stringContaining('the log of the server says where') as string,
    });
    const other = await client.createTransfers([{ ...again, id: BigInt(60 + round) }]);
    expect(other.results).toMatchObject([{ status: 'created' }]);
  }
  expect((await client.lookupTransfers([50n])).transfers).toEqual([]);
  const said = lines.filter((line) => line.includes('an id was sent again'));
  expect(said).toEqual([expect.stringContaining(`segment-000000000001.sqlite, sequence ${ROW}`)]);
});
