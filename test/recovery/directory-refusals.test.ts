/** What a start must refuse, through the command line: with an exit code and a sentence that says where, and without changing anything. */
import { cpSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { main } from '../../cli.ts';
import { open } from '../../client/in-process-client.ts';
import { Child, TempDirectory } from '../support/cluster.ts';
import { contentOf } from '../support/directory-content.ts';
import {
  alterSegment,
  rewriteJournal,
  segments,
  shardDirectory,
  writeMeta,
} from '../support/journal-surgery.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
const SHARDS = 2;
const TRANSFERS = 30;

let whole: TempDirectory;
beforeAll(async () => {
  whole = new TempDirectory();
  const client = await open({ directory: whole.path, shards: SHARDS });
  const accounts = Array.from({ length: 8 }, (_, i) => ({ id: BigInt(i + 1), ledger: 1, code: 1 }));
  await client.createAccounts(accounts);
  for (let i = 0; i < TRANSFERS; i++) {
    const id = BigInt(i + 1);
    const debitAccountId = BigInt((i % 8) + 1);
    const creditAccountId = BigInt(((i + 1) % 8) + 1);
    await client.createTransfers([
      { id, debitAccountId, creditAccountId, amount: 5n, ledger: 1, code: 1 },
    ]);
  }
  await client.close();
  // Several segments, as a large journal has them.
  for (let shard = 0; shard < SHARDS; shard++)
    rewriteJournal(whole.path, shard, { segmentBytesMax: 120_000 });
});
afterAll(async () => whole[Symbol.asyncDispose]());

interface Refused {
  readonly code: number | null;
  readonly sentence: string;
}

async function init(directory: string, ...args: readonly string[]): Promise<Refused> {
  const log: string[] = [];
  const code = await main(['init', '--data', directory, ...args], {
    out: () => undefined,
    log: (line) => log.push(line),
  });
  return { code, sentence: log.join('\n') };
}

/** As a process of its own. */
async function spawnedInit(directory: string): Promise<Refused> {
  await using child = new Child(process.execPath, [CLI, 'init', '--data', directory]);
  const { code } = await child.exit;
  return { code, sentence: child.stderr.trim() };
}

const firstSegment = (directory: string): string =>
  join(shardDirectory(directory, 1), segments(directory, 1)[0]!);

/** What is said of the second segment when it is gone. */
function gapOf([, missing, next]: readonly string[]): readonly string[] {
  const first = sequencesOf(missing!);
  return [
    `shard-001/${missing!}, sequence ${first}: the rows ${first} to ${sequencesOf(next!) - 1} are missing`,
    `${missing!} is not there`,
    'put this file back from a backup or the archive',
  ];
}

const sequencesOf = (name: string): number => Number(/\d+/.exec(name)![0]);

interface Case {
  readonly what: string;
  readonly damage: (directory: string) => readonly (string | number)[] | void;
  readonly args?: readonly string[];
  readonly code: 1 | 3;
  /** What the sentence must say, besides what `damage` returned. */
  readonly says: readonly string[];
}

const CASES: readonly Case[] = [
  {
    what: 'another shard count',
    damage: () => undefined,
    args: ['--shards', '3'],
    code: 1,
    says: ['2 shards', '3 were asked for'],
  },
  {
    what: 'another format of the directory',
    damage: (directory) => writeMeta(directory, { format: 99 }),
    code: 3,
    says: ['sycee.json', '99'],
  },
  {
    what: 'another format of a segment',
    damage: (directory) =>
      alterSegment(firstSegment(directory), (one) => {
        one.exec('UPDATE meta SET format = 99');
        one.pragma('user_version = 99');
      }),
    code: 3,
    says: ['shard-001/segment-000000000001.sqlite', '99'],
  },
  {
    what: 'a gap: a segment in the middle is missing',
    damage: (directory) => {
      const names = segments(directory, 1);
      expect(names.length).toBeGreaterThan(2);
      const path = join(shardDirectory(directory, 1), names[1]!);
      for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
      return gapOf(names);
    },
    code: 3,
    says: ['no file has them', 'and segment-000000000001.sqlite ends with row'],
  },
  {
    what: 'a gap: of a segment in the middle only an empty WAL is there',
    damage: (directory) => {
      const names = segments(directory, 1);
      const path = join(shardDirectory(directory, 1), names[1]!);
      rmSync(path);
      writeFileSync(`${path}-wal`, '');
      return gapOf(names);
    },
    code: 3,
    says: ['though a -wal of it is'],
  },
  {
    what: 'a gap: the first segment is missing',
    damage: (directory) => {
      for (const end of ['', '-wal', '-shm'])
        rmSync(firstSegment(directory) + end, { force: true });
    },
    code: 3,
    says: ['shard-001/segment-000000000001.sqlite, sequence 1: the rows 1 to'],
  },
  {
    what: 'a row that was deleted',
    damage: (directory) =>
      alterSegment(firstSegment(directory), (one) =>
        one.exec('DELETE FROM journal_row WHERE sequence = 3'),
      ),
    code: 3,
    says: ['shard-001/segment-000000000001.sqlite, sequence 3'],
  },
  {
    what: 'a flipped bit in a frame',
    damage: (directory) => alterSegment(firstSegment(directory), flipBit),
    code: 3,
    says: ['shard-001/segment-000000000001.sqlite, sequence 2'],
  },
  {
    what: 'a timestamp that was altered',
    damage: (directory) =>
      alterSegment(firstSegment(directory), (one) =>
        one.exec('UPDATE journal_row SET timestamp = timestamp + 2 WHERE sequence = 2'),
      ),
    code: 3,
    says: ['shard-001/segment-000000000001.sqlite, sequence 2'],
  },
  {
    what: 'an outcome that was altered, with a chain of checksums that fits it',
    damage: (directory) =>
      rewriteJournal(directory, 1, {
        change: (row) => {
          if (row.sequence === 4) row.frame[row.frame.length - 1]! ^= 1;
          return row;
        },
      }),
    code: 3,
    says: ['shard-001, journal row 4: executed again'],
  },
  {
    what: 'a file that was cut off',
    damage: (directory) => truncateSync(firstSegment(directory), 5000),
    code: 3,
    says: ['shard-001/segment-000000000001.sqlite'],
  },
  {
    what: 'the journal of another shard',
    damage: (directory) => {
      rmSync(shardDirectory(directory, 1), { recursive: true });
      cpSync(shardDirectory(directory, 0), shardDirectory(directory, 1), { recursive: true });
    },
    code: 3,
    says: ['shard-001/segment-', 'shard 0 of 2, not to 1 of 2'],
  },
  {
    what: 'a shard that is missing',
    damage: (directory) => renameSync(shardDirectory(directory, 1), join(directory, 'elsewhere')),
    code: 3,
    says: ['shard-001', 'missing'],
  },
  {
    what: 'a directory of somebody else',
    damage: (directory) => {
      rmSync(directory, { recursive: true });
      mkdirSync(directory);
      writeFileSync(join(directory, 'letter.txt'), 'Dear Sir');
    },
    code: 3,
    says: ['letter.txt', 'not a data directory'],
  },
];

function flipBit(connection: Parameters<Parameters<typeof alterSegment>[1]>[0]): void {
  const { frame } = connection
    .prepare('SELECT frame FROM journal_row WHERE sequence = 2')
    .get() as { frame: Buffer };
  frame[frame.length >> 1]! ^= 0x10;
  connection.prepare('UPDATE journal_row SET frame = ? WHERE sequence = 2').run(frame);
}

test.each(CASES)(
  '$what is refused with exit code $code and a sentence',
  async ({ damage, args = [], code, says }) => {
    await using own = new TempDirectory();
    const directory = join(own.path, 'ledger');
    cpSync(whole.path, directory, { recursive: true });
    const more = damage(directory) ?? [];
    const before = contentOf(directory);
    const refused = await init(directory, ...args);
    expect(refused).toMatchObject({ code });
    for (const words of [...says, ...more]) expect(refused.sentence).toContain(String(words));
    expect(refused.sentence).not.toMatch(/\bat .*\.ts:\d/);
    expect(contentOf(directory)).toEqual(before);
  },
);

test('a process ends with the code, and says the sentence and no more', async () => {
  await using own = new TempDirectory();
  const directory = join(own.path, 'ledger');
  cpSync(whole.path, directory, { recursive: true });
  truncateSync(firstSegment(directory), 5000);
  const refused = await init(directory);
  expect(refused.code).toBe(3);
  expect(await spawnedInit(directory)).toEqual(refused);
});

test('the same directory without damage is opened, and serves', async () => {
  expect(await init(whole.path)).toMatchObject({ code: 0 });
  await using client = await open({ directory: whole.path });
  const { transfers } = await client.lookupTransfers(
    Array.from({ length: TRANSFERS }, (_, i) => BigInt(i + 1)),
  );
  expect(transfers).toHaveLength(TRANSFERS);
});
