/**
 * A real process under load, killed with SIGKILL; then its directory is damaged, and started. Whatever the damage, no start goes on without a row whose
 * answer somebody has seen: it is refused with exit code 3 and a sentence, nothing changed, or everything is there.
 *
 * What the command line says is tried on one case of each kind; cuts and flips in the live WALs are judged by the same checks in this process.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/client.ts';
import { connectHttp } from '../../client/http-client.ts';
import { Prng } from '../../lib/prng.ts';
import { startProcess, TempDirectory } from '../support/cluster.ts';
import { coldStart, type Verdict } from '../support/cold-start.ts';
import { copyDirectory, Judge, pathOf } from '../support/damaged-directory.ts';
import { contentOf } from '../support/directory-content.ts';
import { sycee } from '../support/sycee.ts';

const SEED = Number(process.env['SEED'] ?? 5);
const SHARDS = 2;
const LOADS = 6;
const ANSWERS_BEFORE_COPY = 40;
const ANSWERS_BEFORE_KILL = 120;
const ANSWERS_MORE = 10;
const WAL_HEADER_BYTES = 32;
const WAL_STRIDE = 8192 + 24;
/** Commits of each WAL whose boundaries are tried, the last ones among them. */
const CUTS_MAX = 10;
const FLIPS = 12;

const temp = new TempDirectory();
const killed = join(temp.path, 'killed');
const yesterday = join(temp.path, 'yesterday');
const own = join(temp.path, 'own');
const prng = new Prng(SEED);
/** The newest sequence of each shard that an answer has named. */
const answered = Array.from({ length: SHARDS }, () => 0);
let nextId = 1n;
let neededWal: string | undefined;

beforeAll(async () => {
  await load('SIGTERM', ANSWERS_BEFORE_COPY);
  copyDirectory(killed, yesterday);
  await load('SIGKILL', ANSWERS_BEFORE_KILL);
  while ((neededWal = findNeededWal()) === undefined) await load('SIGKILL', ANSWERS_MORE);
}, 60_000);
afterAll(() => temp[Symbol.asyncDispose]());

/** One life of the process under load, ended by a signal after so many answers. */
async function load(signal: 'SIGTERM' | 'SIGKILL', answers: number): Promise<void> {
  await using served = await startProcess({ directory: killed, shards: SHARDS });
  await using client = connectHttp(served.url);
  const accounts = Array.from({ length: 16 }, (_, i) => ({
    id: BigInt(i + 1),
    ledger: 1,
    code: 1,
  }));
  await client.createAccounts(accounts);
  let left = answers;
  const run = async (): Promise<void> => {
    while (await pay(client)) {
      if (--left === 0) served.kill(signal);
    }
  };
  await Promise.all(Array.from({ length: LOADS }, run));
  await served.exit;
}

/** False when nobody answers any more. */
async function pay(client: Client): Promise<boolean> {
  const n = prng.chance(80) ? 1 : 100;
  const transfers = Array.from({ length: n }, () => {
    const debit = prng.between(1, 16);
    return {
      id: nextId++,
      debitAccountId: BigInt(debit),
      creditAccountId: BigInt((debit % 16) + 1),
      amount: 1n,
      ledger: 1,
      code: 1,
    };
  });
  try {
    const { positions } = await client.createTransfers(transfers, { retries: 0 });
    for (const { shard, sequence } of positions) {
      answered[shard] = Math.max(answered[shard]!, sequence);
    }
    return true;
  } catch {
    return false;
  }
}

function liveWals(): readonly string[] {
  return Array.from({ length: SHARDS }, (_, shard) => {
    const directory = `shard-00${shard}`;
    const names = readdirSync(join(killed, directory)).filter((name) =>
      /^segment-\d+\.sqlite-wal$/.test(name),
    );
    const live = names
      .toSorted()
      .findLast((name) => statSync(join(killed, directory, name)).size > 0);
    return join(directory, live!);
  });
}

/** A live WAL without which rows are missing: those that the sealer has moved, perhaps a moment before the kill, are in the segment's file. */
function findNeededWal(): string | undefined {
  copyDirectory(killed, own);
  const judge = new Judge(own);
  return liveWals().find((name) => judge.withFile(name, null, 'removed').type === 'refused');
}

/** Where the commits of a WAL end. */
function commitsOf(wal: Buffer): readonly number[] {
  const ends: number[] = [];
  for (let at = WAL_HEADER_BYTES; at + WAL_STRIDE <= wal.length; at += WAL_STRIDE) {
    if (wal.readUInt32BE(at + 4) !== 0) ends.push(at + WAL_STRIDE);
  }
  return ends;
}

/** True when it is refused; else every row of the shard is there that an answer has named. */
function isRefusedOrWhole(verdict: Verdict, shard: number, what: string): boolean {
  if (verdict.type === 'refused') return true;
  const { sequence } = verdict.shards[0]!;
  expect(sequence >= answered[shard]!, `${what}: it ends with ${sequence}`).toBe(true);
  return false;
}

test('what was answered before the kill is there', () => {
  expect(Math.min(...answered)).toBeGreaterThan(10);
  for (const shard of answered.keys()) {
    expect(isRefusedOrWhole(coldStart(killed, shard), shard, 'undamaged')).toBe(false);
  }
});

test('a live WAL that is cut at and around a commit loses nothing that was answered, or is refused', () => {
  copyDirectory(killed, own);
  const judge = new Judge(own);
  for (const [shard, name] of liveWals().entries()) {
    const whole = readFileSync(pathOf(killed, name));
    const ends = commitsOf(whole);
    const every = Math.ceil(ends.length / CUTS_MAX);
    for (const [i, end] of ends.entries()) {
      if (i % every !== 0 && i < ends.length - 2) continue;
      for (const at of [end - WAL_STRIDE, end - 1, end, end + 24]) {
        const verdict = judge.withFile(name, whole.subarray(0, at), `cut to ${at}`);
        isRefusedOrWhole(verdict, shard, `${name} cut to ${at}`);
      }
    }
  }
  expect(judge.refused).toBeGreaterThan(20);
});

test('a live WAL with one bit flipped loses nothing that was answered, or is refused', () => {
  copyDirectory(killed, own);
  const judge = new Judge(own);
  for (const [shard, name] of liveWals().entries()) {
    const whole = readFileSync(pathOf(killed, name));
    // Behind it there may be room that nothing was written to.
    const written = commitsOf(whole).at(-1)!;
    for (let flip = 0; flip < FLIPS; flip++) {
      const at = prng.below(written);
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1 << prng.below(8);
      const verdict = judge.withFile(name, bytes, `byte ${at} flipped`);
      isRefusedOrWhole(verdict, shard, `${name}: byte ${at}`);
    }
  }
  expect(judge.refused).toBeGreaterThan(FLIPS);
});

interface Case {
  readonly what: string;
  readonly damage: () => void;
  readonly says: RegExp;
}

const CASES: readonly Case[] = [
  {
    what: 'the live WAL removed',
    damage: () => rmSync(join(own, neededWal!)),
    says: /shard [01] ends with sequence \d+, and the head witness .*head says that sequence \d+/,
  },
  {
    what: 'a bit flipped in the middle of the live WAL',
    damage: () => flipMiddle(join(own, liveWals()[1]!)),
    says: /segment-\d+\.sqlite-wal, sequence \d+: the frame of the WAL at byte \d+ is damaged, and a later/,
  },
  {
    what: 'yesterday put back as a whole',
    damage: () => {
      copyDirectory(yesterday, own);
      copyDirectory(`${killed}.head`, `${own}.head`);
    },
    says: /own\.head says that sequence \d+ was committed.*\.\/sycee restore/,
  },
  {
    what: 'one shard of yesterday put back',
    damage: () => copyDirectory(join(yesterday, 'shard-001'), join(own, 'shard-001')),
    says: /shard 1 ends with sequence \d+/,
  },
];

function flipMiddle(path: string): void {
  const bytes = readFileSync(path);
  const ends = commitsOf(bytes);
  bytes[ends[ends.length >> 1]! - 100]! ^= 4;
  writeFileSync(path, bytes);
}

test.each(CASES)(
  '$what is refused with exit code 3, and nothing is changed',
  async ({ damage, says }) => {
    copyDirectory(killed, own);
    damage();
    const before = contentOf(own);
    const started = await sycee('init', '--data', own);
    expect(started).toMatchObject({ code: 3 });
    expect(started.log).toMatch(says);
    expect(started.log).toContain('Nothing was changed');
    expect(contentOf(own)).toEqual(before);
    const replayed = await sycee('replay', own);
    expect(replayed).toMatchObject({ code: 3, out: '' });
    expect(replayed.log).toMatch(says);
  },
);

test('the undamaged directory is opened by the command line, and a lost witness is one line', async () => {
  copyDirectory(killed, own);
  rmSync(join(own, 'head'));
  await using served = await startProcess({ directory: own });
  expect(served.stderr).toMatch(/the head witness .*head was missing: it is made anew/);
  await using client = connectHttp(served.url);
  expect(await pay(client)).toBe(true);
  served.kill('SIGTERM');
  expect(await served.exit).toMatchObject({ code: 0 });
});
