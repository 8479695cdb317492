/**
 * One bit flipped in every 512 bytes of every file of a data directory, cuts at and around every frame, each file gone, and files of two moments or
 * two ledgers mixed: each is refused, with nothing changed, or the state is the same. Of a directory as a kill leaves it, with the
 * WALs of its live segments, of one that was stopped in order, and of that without its snapshots, where every row is read.
 *
 * SEED says which bits; SWEEP=n takes n places of each file, not all.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client, TransferInput } from '../../client/client.ts';
import { open } from '../../client/in-process-client.ts';
import { TransferFlags } from '../../engine/flags.ts';
import { Prng } from '../../lib/prng.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { TempDirectory } from '../support/cluster.ts';
import { coldStart } from '../support/cold-start.ts';
import { BESIDE, copyDirectory, filesOf, Judge, pathOf } from '../support/damaged-directory.ts';

const SEED = Number(process.env['SEED'] ?? 20_261_125);
/** So many places in each file, whatever its size. */
const PLACES = Number(process.env['SWEEP'] ?? Number.MAX_SAFE_INTEGER);
const SWEEP_MS_MAX = 600_000;
const SHARDS = 2;
const ACCOUNTS = 16;
const BLOCK_BYTES = 512;
/** Of files that are smaller than a block. */
const SMALL_BLOCK_BYTES = 16;
/** Transfers. Frames of the large ones take more than a page. */
const BATCHES = [1, 1, 30, 1, 1, 110];
const WAL_HEADER_BYTES = 32;
const WAL_STRIDE = 8192 + 24;

/** Each place is written, judged, and put right again, with all files looked at: on a disk a tenth of the time is the file system's. */
const temp = new TempDirectory({ isInMemory: true });
const place = (name: string): string => join(temp.path, name);
/** As a kill leaves it; the same ledger before; after an orderly stop; that without snapshots; and another ledger. */
const killed = place('killed');
const yesterday = place('yesterday');
const stopped = place('stopped');
const bare = place('bare');
const other = place('other');

beforeAll(async () => {
  await build(place('live'), 1, [yesterday, killed]);
  copyDirectory(place('live'), stopped);
  copyDirectory(stopped, bare);
  const snapshots = filesOf(bare).filter((name) => name.includes('/snapshot-'));
  for (const name of snapshots) rmSync(pathOf(bare, name));
  await build(other, 2, []);
}, 60_000);
afterAll(() => temp[Symbol.asyncDispose]());

/** Several lives with a snapshot after each, so that there are sealed segments behind and before them; copies are taken while the last one is idle. */
async function build(directory: string, seed: number, copies: readonly string[]): Promise<void> {
  const prng = new Prng(seed);
  const ids = { next: 1n };
  for (let life = 0; life < 3; life++) {
    await using client = await open({ directory, shards: SHARDS });
    if (life === 0) {
      const accounts = Array.from({ length: ACCOUNTS }, (_, i) => ({
        id: BigInt(i + 1),
        ledger: 1,
        code: 1,
      }));
      await client.createAccounts(accounts);
    }
    await pay(client, prng, ids);
    if (life < 2) {
      await client.close();
      await takeSnapshot(directory);
      continue;
    }
    for (const copy of copies) {
      await client.digests();
      copyDirectory(directory, copy);
      await pay(client, prng, ids);
    }
    if (copies.length > 0) {
      await client.digests();
      copyDirectory(directory, copies.at(-1)!);
    }
  }
}

async function takeSnapshot(directory: string): Promise<void> {
  const supervisor = await Supervisor.start({ directory });
  await supervisor.snapshot();
  await supervisor.stop();
}

/** Single transfers, batches, and pending transfers that are posted later. */
async function pay(client: Client, prng: Prng, ids: { next: bigint }): Promise<void> {
  for (const size of BATCHES) {
    const batch: TransferInput[] = [];
    for (let row = 0; row < size; row++) {
      const debit = prng.between(1, ACCOUNTS);
      batch.push({
        id: ids.next++,
        debitAccountId: BigInt(debit),
        creditAccountId: BigInt((debit % ACCOUNTS) + 1),
        amount: BigInt(prng.between(1, 1000)),
        ledger: 1,
        code: 1,
        flags: prng.chance(20) ? TransferFlags.pending : 0,
      });
    }
    await client.createTransfers(batch);
  }
}

/** All of them, or some. */
function sample(count: number, prng: Prng): readonly number[] {
  if (count <= PLACES) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: PLACES }, () => prng.below(count));
}

/** Nothing went on that should not, and it was not for want of trying. */
const SOUND = { wrong: [], hasRefused: true };

describe.each([
  { what: 'as a kill leaves it', directory: killed },
  { what: 'after an orderly stop', directory: stopped },
  { what: 'after an orderly stop, without its snapshots', directory: bare },
])('a directory $what', ({ directory }) => {
  test('with one bit flipped is refused, or is the same', { timeout: SWEEP_MS_MAX }, () => {
    const judge = new Judge(directory);
    const prng = new Prng(SEED);
    for (const name of filesOf(directory)) {
      const { size } = statSync(pathOf(directory, name));
      const block = size > BLOCK_BYTES ? BLOCK_BYTES : SMALL_BLOCK_BYTES;
      for (const at of sample(Math.ceil(size / block), prng)) {
        judge.withFlip(name, Math.min(size - 1, at * block + prng.below(block)), prng.below(8));
      }
    }
    expect(judge.outcome, `SEED=${SEED}`).toEqual(SOUND);
  });

  test('with a file cut off is refused, or is the same', { timeout: SWEEP_MS_MAX }, () => {
    const judge = new Judge(directory);
    const prng = new Prng(SEED);
    for (const name of filesOf(directory)) {
      const whole = readFileSync(pathOf(directory, name));
      for (const at of cutsOf(name, whole.length, prng)) {
        judge.withFile(name, whole.subarray(0, at), `cut to ${at} of ${whole.length} bytes`);
      }
    }
    expect(judge.outcome, `SEED=${SEED}`).toEqual(SOUND);
  });

  test('with a file missing is refused, or is the same', () => {
    const judge = new Judge(directory);
    for (const name of filesOf(directory)) judge.withFile(name, null, 'missing');
    expect(judge.outcome, `SEED=${SEED}`).toEqual(SOUND);
  });

  test('with a file of another ledger is refused, or is the same', () => {
    const judge = new Judge(directory);
    for (const name of filesOf(other)) {
      judge.withFile(name, readFileSync(pathOf(other, name)), 'of another ledger');
    }
    expect(judge.outcome, `SEED=${SEED}`).toEqual(SOUND);
  });

  test('with a file of yesterday is refused, or is the same', () => {
    const judge = new Judge(directory);
    for (const name of filesOf(yesterday)) {
      judge.withFile(name, readFileSync(pathOf(yesterday, name)), 'of yesterday');
    }
    expect(judge.outcome, `SEED=${SEED}`).toEqual(SOUND);
  });

  test('with the file of another shard is refused', () => {
    const judge = new Judge(directory);
    for (const name of filesOf(directory).filter((one) => one.startsWith('shard-000'))) {
      const bytes = readFileSync(pathOf(directory, name));
      judge.withFile(name.replace('shard-000', 'shard-001'), bytes, 'of shard 0');
    }
    expect(judge.outcome, `SEED=${SEED}`).toEqual(SOUND);
  });
});

/** Where a file is cut: a WAL at and around its frames, others at pages. */
function cutsOf(name: string, bytes: number, prng: Prng): readonly number[] {
  const [header, stride] = name.endsWith('-wal') ? [WAL_HEADER_BYTES, WAL_STRIDE] : [0, 4096];
  const cuts = [0, 1, bytes - 1];
  const frames = Math.max(0, Math.ceil((bytes - header) / stride));
  for (const frame of sample(frames, prng)) {
    const at = header + frame * stride;
    cuts.push(at - 1, at, at + 1, at + 24);
  }
  return cuts.filter((at) => at >= 0 && at < bytes);
}

describe('an older copy', () => {
  const own = place('own');

  test('of the whole directory is refused by the witness beside it', () => {
    copyDirectory(yesterday, own);
    expect(coldStart(own).type).toBe('sound');
    const newer = readFileSync(pathOf(killed, BESIDE));
    const judge = new Judge(own);
    const verdict = judge.withFile(BESIDE, newer, 'the witness beside is newer');
    expect(verdict).toMatchObject({ type: 'refused', code: 'DATA_DAMAGED' });
    expect(JSON.stringify(verdict)).toMatch(
      /ends with sequence \d+, and the head witness .*own\.head says that sequence \d+ was committed.*sycee restore/,
    );
  });

  test('of one shard is refused by the witness inside, even without the one beside', () => {
    for (let shard = 0; shard < SHARDS; shard++) {
      copyDirectory(killed, own);
      rmSync(pathOf(own, BESIDE));
      const name = `shard-00${shard}`;
      copyDirectory(join(yesterday, name), join(own, name));
      expect(coldStart(own)).toMatchObject({ type: 'refused', code: 'DATA_DAMAGED' });
    }
  });

  test('is another ledger when the witness of another lies beside it', () => {
    copyDirectory(yesterday, own);
    const judge = new Judge(own);
    judge.withFile(BESIDE, readFileSync(pathOf(other, BESIDE)), 'the witness of another ledger');
    expect([judge.wrong, judge.harmless]).toEqual([[], 1]);
  });
});
