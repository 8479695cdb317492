/** What the tools say of a place that is none of theirs: what it is not, and what to name. Nothing of it is the advice of whoever makes a ledger. */
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TempDirectory } from '../support/cluster.ts';
import { readMeta } from '../support/journal-surgery.ts';
import { archiveSegments, segmentedLedger } from '../support/segmented-ledger.ts';
import { sycee } from '../support/sycee.ts';

const READERS = ['verify', 'replay', 'inspect', 'snapshot'];

let made: TempDirectory;
let ledger: string;
let archive: string;

beforeAll(async () => {
  made = new TempDirectory();
  ledger = join(made.path, 'ledger');
  archive = join(made.path, 'archive');
  await segmentedLedger(ledger);
  archiveSegments(ledger, archive, 2);
});
afterAll(() => made[Symbol.asyncDispose]());

const ADVICE_TO_MAKERS = /an empty|a new one|Nothing was changed/;
const NAME_ONE = 'Name the directory that serve has with --data';

async function refusal(verb: string, place: string): Promise<{ code: number; log: string }> {
  const { code, out, log } = await sycee(verb, place);
  expect(out).toBe('');
  expect(log).not.toMatch(ADVICE_TO_MAKERS);
  return { code, log };
}

test('a place that holds no ledger is said to hold none', async () => {
  await using own = new TempDirectory();
  const foreign = join(own.path, 'foreign');
  const empty = join(own.path, 'empty');
  const file = join(foreign, 'notes.txt');
  mkdirSync(foreign);
  mkdirSync(empty);
  writeFileSync(file, 'Dear Sir');
  for (const verb of READERS) {
    for (const place of [empty, join(own.path, 'nowhere'), join(file, 'within')]) {
      const { code, log } = await refusal(verb, place);
      expect(code).toBe(1);
      expect(log).toContain(`no data directory at ${place}, and no backup or archive`);
      expect(log).toContain(NAME_ONE);
    }
    const { code, log } = await refusal(verb, foreign);
    expect(code).toBe(3);
    expect(log).toContain(`${foreign} is no data directory (it has no sycee.json), no backup, and`);
    expect(log).toContain(NAME_ONE);
    const ofFile = await refusal(verb, file);
    expect(ofFile.code).toBe(3);
    expect(ofFile.log).toContain(`${file} is not a directory. ${NAME_ONE}`);
  }
});

test('an archive, and a part of one, is told from a ledger', async () => {
  await using own = new TempDirectory();
  const copy = join(own.path, 'archive');
  cpSync(archive, copy, { recursive: true });
  const cluster = join(copy, readMeta(ledger).clusterId);
  for (const verb of ['replay', 'inspect', 'snapshot']) {
    for (const place of [copy, cluster, join(cluster, 'shard-000')]) {
      const { code, log } = await refusal(verb, place);
      expect(code).toBe(3);
      expect(log).toContain(`${place} is laid out as an archive of segments`);
      expect(log).toContain('Name the one that the segments are from');
    }
  }
  const shards = readdirSync(cluster).map((name) => join(cluster, name));
  for (const shard of shards) {
    for (const name of readdirSync(shard)) rmSync(join(shard, name));
  }
  expect((await refusal('verify', copy)).log).toContain('is laid out as an archive');
});

test('a file that is not there is named in a sentence', async () => {
  const segment = join(made.path, 'nowhere', 'segment-000000000001.sqlite');
  const ran = await sycee('inspect', '--segment', segment);
  expect(ran).toMatchObject({ code: 1, out: '' });
  expect(ran.log).toBe(`sycee: ${segment} is not there. Check the path.`);
});
