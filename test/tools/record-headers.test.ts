/** A bit flipped in SQLite's header of one row, as tools and a start see it: each names file, sequence, and rule, and tools end with exit code 3. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { main } from '../../cli.ts';
import { open } from '../../client/in-process-client.ts';
import { JournalReader } from '../../persistence/journal-reader.ts';
import { TempDirectory } from '../support/cluster.ts';
import { coldStart } from '../support/cold-start.ts';
import { copyDirectory } from '../support/damaged-directory.ts';
import { readMeta, segments, shardDirectory } from '../support/journal-surgery.ts';

const ROW = 4;
/** The type of each column is in the bytes before the timestamp, which is the first one with bytes of its own: one for each, two for the frame. */
const DAMAGES = [
  { what: 'a timestamp is a fraction', before: 4, mask: 0x01 },
  { what: 'a timestamp is a row of bytes', before: 4, mask: 0x10 },
  { what: 'a checksum is something else', before: 3, mask: 0x10 },
  { what: 'a frame is text', before: 1, mask: 0x01 },
];

let whole: TempDirectory;
let segment: string;
let timestampAt = 0;

beforeAll(async () => {
  whole = new TempDirectory({ isInMemory: true });
  const client = await open({ directory: whole.path, shards: 1 });
  await client.createAccounts([1n, 2n].map((id) => ({ id, ledger: 1, code: 1 })));
  for (let id = 1n; id <= 5n; id++) {
    const sides = { debitAccountId: 1n, creditAccountId: 2n };
    await client.createTransfers([{ id, ...sides, amount: 1n, ledger: 1, code: 1 }]);
  }
  await client.close();
  segment = join('shard-000', segments(whole.path, 0)[0]!);
  const identity = { shard: 0, shards: 1, clusterId: readMeta(whole.path).clusterId };
  using journal = JournalReader.open({ directory: shardDirectory(whole.path, 0), ...identity });
  const timestamp = Buffer.alloc(8);
  timestamp.writeBigUInt64BE(journal.timestamp(ROW));
  timestampAt = readFileSync(join(whole.path, segment)).indexOf(timestamp);
});
afterAll(() => whole[Symbol.asyncDispose]());

async function sycee(...args: readonly string[]): Promise<{ code: number | null; said: string }> {
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  return { code: await main(args, { out: say, log: say }), said: said.join('\n') };
}

test.each(DAMAGES)('of which $what', async ({ before, mask }) => {
  await using temp = new TempDirectory({ isInMemory: true });
  const directory = join(temp.path, 'damaged');
  copyDirectory(whole.path, directory);
  const path = join(directory, segment);
  const bytes = readFileSync(path);
  bytes[timestampAt - before]! ^= mask;
  writeFileSync(path, bytes);

  const where =
    /segment-000000000001\.sqlite, sequence 4: (the .* is not of the type|SQLite cannot)/;
  const sentence = expect.stringMatching(where) as string;
  expect(coldStart(directory)).toEqual({ type: 'refused', code: 'JOURNAL_CORRUPT', sentence });
  for (const args of [
    ['verify', directory],
    ['replay', directory, '--from-start'],
    ['inspect', directory, '--frame', `0:${ROW}`],
  ]) {
    expect(await sycee(...args)).toEqual({ code: 3, said: sentence });
  }
});
