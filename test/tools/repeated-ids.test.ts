/** An id that a journal says was new, and that was there before, every checksum being right: replay and verify do not look for each id, and name its row. */
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HEAD_WORDS, INPUT_WORDS } from '../../engine/frame.ts';
import { Capture } from '../../tools/capture.ts';
import { taskOf } from '../../tools/shard-pool.ts';
import { replayShardTask } from '../../tools/shard-replay.ts';
import { TempDirectory } from '../support/cluster.ts';
import { rewriteJournal, shardDirectory } from '../support/journal-surgery.ts';
import { Supervised } from '../support/supervised.ts';
import { sycee, syceeJson } from '../support/sycee.ts';

const BATCHES = 30;
const EVENTS = 4;
/** The batches follow the row of the accounts. */
const WRONG = 20;
const SNAPSHOT_BATCH = 25n;
/** Word of the first id of the batch that a frame has alone. */
const FIRST_ID = HEAD_WORDS + INPUT_WORDS + 4;

let made: TempDirectory;
let whole: string;
let wrong: string;

beforeAll(async () => {
  made = new TempDirectory();
  whole = join(made.path, 'whole');
  wrong = join(made.path, 'wrong');
  const system = await Supervised.start({ shards: 1 });
  const { client, supervisor } = system;
  await client.createAccounts([1n, 2n].map((id) => ({ id, ledger: 1, code: 1 })));
  for (let batch = 1n; batch <= BATCHES; batch++) {
    const ids = Array.from({ length: EVENTS }, (_, i) => 100n * batch + BigInt(i));
    const parties = { debitAccountId: 1n, creditAccountId: 2n, ledger: 1, code: 1 };
    await client.createTransfers(ids.map((id) => ({ id, amount: batch, ...parties })));
    // Behind what will be wrong, and before any row that has a digest.
    if (batch === SNAPSHOT_BATCH) await supervisor.snapshot();
  }
  await supervisor.stop();
  cpSync(system.directory, whole, { recursive: true });
  await system[Symbol.asyncDispose]();
  cpSync(whole, wrong, { recursive: true });
  let earlier = new Uint32Array(4);
  rewriteJournal(wrong, 0, {
    change: (row) => {
      const words = new Uint32Array(row.frame.buffer);
      if (row.sequence === 3) earlier = words.slice(FIRST_ID, FIRST_ID + 4);
      if (row.sequence === WRONG) words.set(earlier, FIRST_ID + 8);
      return row;
    },
  });
});
afterAll(() => made[Symbol.asyncDispose]());

test('verify names the row, and so does it where another one is wrong behind it', async () => {
  expect(await syceeJson('verify', whole)).toMatchObject({ code: 0, sound: true });
  const finding = { check: 'journal', shard: 0, sequence: WRONG };
  const found = await syceeJson('verify', wrong);
  expect(found).toMatchObject({ code: 3, sound: false });
  expect(found['findings'][0]).toMatchObject(finding);
  const worse = join(made.path, 'worse');
  cpSync(wrong, worse, { recursive: true });
  rewriteJournal(worse, 0, {
    change: (row) => {
      if (row.sequence === WRONG + 5) row.frame[row.frame.length - 1]! ^= 1;
      return row;
    },
  });
  expect((await syceeJson('verify', worse))['findings'][0]).toMatchObject(finding);
});

test('nothing counts of what was seen behind the row before its place was looked for', async () => {
  const snapshots = readdirSync(shardDirectory(whole, 0)).filter((name) => name.startsWith('snap'));
  expect(snapshots.length).toBeGreaterThan(1);
  for (const name of snapshots) {
    cpSync(join(shardDirectory(whole, 0), name), join(shardDirectory(wrong, 0), name));
  }
  const { findings, snapshots: checked } = await syceeJson('verify', wrong);
  for (const name of snapshots) rmSync(join(shardDirectory(wrong, 0), name));
  expect(findings).toHaveLength(1);
  expect(checked.length).toBeGreaterThan(0);
  for (const one of checked) expect(one).toMatchObject({ compared: false, sound: true });

  using capture = new Capture(wrong);
  const progressUpTo = (to: number): number => {
    const progress = new SharedArrayBuffer(8);
    const task = taskOf(capture, { shard: 0, to, fromStart: true });
    const { type } = replayShardTask({ ...task, progress });
    expect(type).toBe(to < WRONG ? 'state' : 'damage');
    return new Float64Array(progress)[0]!;
  };
  expect(progressUpTo(WRONG - 1)).toBeGreaterThan(0);
  expect(progressUpTo(WRONG + 8)).toBe(progressUpTo(WRONG - 1));
});

test('replay names the row, whatever it is asked for, and knows what was before it', async () => {
  for (const args of [[], ['--account', '1'], ['--from', '5'], ['--to', String(WRONG)]]) {
    const { code, log } = await sycee('replay', wrong, '--from-start', ...args);
    expect(code).toBe(3);
    expect(log).toContain(`journal row ${WRONG}`);
  }
  const before = ['--from-start', '--to', String(WRONG - 1)];
  const { shards } = await syceeJson('replay', whole, ...before);
  expect(shards).toMatchObject([{ transfer_ids: EVENTS * (WRONG - 2) }]);
  expect(await syceeJson('replay', wrong, ...before)).toMatchObject({ code: 0, shards });
});
