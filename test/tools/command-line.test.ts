/** replay, verify, and inspect as commands: on a stopped directory, on a live one, on an archive, and on damage. Nothing they look at is changed. */
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { main } from '../../cli.ts';
import { connectHttp } from '../../client/http-client.ts';
import { open } from '../../client/in-process-client.ts';
import { archiveShard } from '../../persistence/archiver.ts';
import { Child, startProcess, TempDirectory } from '../support/cluster.ts';
import { untouchedContentOf } from '../support/directory-content.ts';
import {
  alterSegment,
  readMeta,
  rewriteJournal,
  segments,
  shardDirectory,
} from '../support/journal-surgery.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
const SHARDS = 2;
const ACCOUNTS = 8;
const ROUNDS = 12;
const PENDING = 2;
const POST = 4;
/** With four at a time still many commits in each look at the directory. */
const LOAD_PAUSE_MS = 40;

let whole: TempDirectory;
/** Between the first and the second half of the transfers. */
let middle = 0n;

beforeAll(async () => {
  whole = new TempDirectory();
  const client = await open({ directory: whole.path, shards: SHARDS });
  const ids = Array.from({ length: ACCOUNTS }, (_, i) => BigInt(i + 1));
  await client.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 1 })));
  for (let round = 0; round < ROUNDS; round++) {
    const plain = ids
      .map((debitAccountId, i) => ({
        id: BigInt(1000 + round * 100 + i),
        debitAccountId,
        creditAccountId: BigInt(((i + 1 + round) % ACCOUNTS) + 1),
        amount: 5n + BigInt(i),
        ledger: 1,
        code: 1,
        flags: i === 3 ? PENDING : 0,
      }))
      .filter((one) => one.debitAccountId !== one.creditAccountId);
    const { positions } = await client.createTransfers(plain);
    if (round === ROUNDS / 2) {
      for (const { timestamp } of positions) if (timestamp > middle) middle = timestamp;
    }
    const pending = plain.find(({ flags }) => flags === PENDING);
    if (round % 2 === 1 || pending === undefined) continue;
    const id = pending.id + 50n;
    const accounts = { debitAccountId: 0n, creditAccountId: 0n };
    await client.createTransfers([
      { id, ...accounts, pendingId: pending.id, amount: 3n, ledger: 0, code: 0, flags: POST },
    ]);
  }
  await client.close();
  // Several segments, as a large journal has them.
  for (let shard = 0; shard < SHARDS; shard++) {
    rewriteJournal(whole.path, shard, { segmentBytesMax: 120_000 });
  }
});
afterAll(async () => whole[Symbol.asyncDispose]());

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly log: string;
}

/** In this process, which is what costs least. */
async function sycee(...args: readonly string[]): Promise<Ran> {
  const out: string[] = [];
  const log: string[] = [];
  const code = await main(args, {
    out: (text) => out.push(`${text}\n`),
    log: (line) => log.push(line),
  });
  return { code, out: out.join(''), log: log.join('\n') };
}

/** As a process of its own. */
async function spawned(...args: readonly string[]): Promise<Ran> {
  await using child = new Child(process.execPath, [CLI, ...args]);
  const { code } = await child.exit;
  return { code, out: child.stdout, log: child.stderr.trim() };
}

// oxlint-disable-next-line typescript/no-explicit-any -- Documents of many shapes, whose fields are then compared.
type Json = Readonly<Record<string, any>>;
const parsed = (ran: Ran): Json => JSON.parse(ran.out) as Json;
const sumOf = (rows: readonly Json[], name: string): bigint =>
  rows.reduce((sum, row) => sum + BigInt(row[name] as string), 0n);

test('a stopped directory is replayed, verified, and inspected, and stays as it is', async () => {
  const before = untouchedContentOf(whole.path);
  const replayed = parsed(await spawned('replay', whole.path, '--json'));
  expect(replayed).toMatchObject({ type: 'balances', live: false, in_flight: [] });
  expect(replayed['accounts']).toHaveLength(ACCOUNTS);
  const debits = sumOf(replayed['accounts'], 'debits_posted');
  expect(debits).toBeGreaterThan(0n);
  expect(sumOf(replayed['accounts'], 'credits_posted')).toBe(debits);
  expect(replayed['ledgers']).toMatchObject([{ ledger: 1, debits_posted: String(debits) }]);

  const verified = await spawned('verify', whole.path, '--json');
  expect(verified).toMatchObject({ code: 0, log: '' });
  expect(parsed(verified)).toMatchObject({ type: 'verify', sound: true, findings: [] });
  const digests = (document: Json): readonly string[] =>
    (document['shards'] as readonly Json[]).map((shard) => shard['digest'] as string);
  expect(digests(parsed(verified))).toEqual(digests(replayed));

  const overview = await spawned('inspect', whole.path);
  expect(overview.code).toBe(0);
  for (const name of segments(whole.path, 1)) expect(overview.out).toContain(name);
  expect(untouchedContentOf(whole.path)).toEqual(before);
});

test('a replay to a time, the difference since, and what came before it add up', async () => {
  const at = parsed(await sycee('replay', whole.path, '--to', String(middle), '--json'));
  const since = parsed(await sycee('replay', whole.path, '--from', String(middle), '--json'));
  const end = parsed(await sycee('replay', whole.path, '--json'));
  expect(since['type']).toBe('difference');
  const changes = (since['accounts'] as readonly Json[]).map((one) => ({
    ...(one['change'] as Json),
  }));
  const before = sumOf(at['accounts'], 'debits_posted');
  const change = sumOf(changes, 'debits_posted');
  expect(before).toBeGreaterThan(0n);
  expect(change).toBeGreaterThan(0n);
  expect(before + change).toBe(sumOf(end['accounts'], 'debits_posted'));
});

test('a statement has every transfer of the account, and ends with its balances', async () => {
  const end = parsed(await sycee('replay', whole.path, '--json'));
  const account = (end['accounts'] as readonly Json[]).find((one) => one['id'] === '4')!;
  const statement = parsed(await sycee('replay', whole.path, '--account', '4', '--json'));
  const entries = statement['entries'] as readonly Json[];
  const { debits_posted, credits_posted, debits_pending, credits_pending } = account;
  const balances = { debits_posted, credits_posted, debits_pending, credits_pending };
  expect(statement['closing']).toEqual(balances);
  expect(entries.at(-1)!['balances']).toEqual(balances);
  await using client = await open({ directory: whole.path });
  const { transfers } = await client.getAccountTransfers({ accountId: 4n, limit: 1000 });
  expect(entries.map(({ transfer }) => transfer as string)).toEqual(
    transfers.map(({ id }) => String(id)),
  );
  const half = parsed(
    await sycee('replay', whole.path, '--account', '4', '--from', String(middle), '--json'),
  );
  const rest = half['entries'] as readonly Json[];
  expect(rest.length).toBeLessThan(entries.length);
  expect(entries.slice(-rest.length)).toEqual(rest);
  expect(entries.at(-rest.length - 1)!['balances']).toEqual(half['opening']);
});

test('tables, CSV, and files say the same', async () => {
  await using own = new TempDirectory();
  const [csv, out] = [join(own.path, 'a.csv'), join(own.path, 'a.txt')];
  const ran = await sycee('replay', whole.path, '--csv', csv, '--out', out);
  expect(ran).toMatchObject({ code: 0, out: '', log: '' });
  const [head, ...lines] = readFileSync(csv, 'utf8').trimEnd().split('\n');
  expect(head).toBe(
    'id,shard,ledger,code,flags,timestamp,debits_pending,debits_posted,credits_pending,credits_posted',
  );
  expect(lines).toHaveLength(ACCOUNTS);
  expect((await sycee('replay', whole.path, '--csv', '-')).out.trimEnd().split('\n')).toEqual([
    head,
    ...lines,
  ]);
  expect(readFileSync(out, 'utf8')).toContain('nothing is in flight between the shards');
  expect(readdirSync(own.path).toSorted()).toEqual(['a.csv', 'a.txt']);
  const within = join(whole.path, 'a.csv');
  expect(await sycee('replay', whole.path, '--csv', within)).toMatchObject({ code: 2 });
});

test('a group, a row of it, an id, what is pending, and the links are shown', async () => {
  const ask = async (...args: readonly string[]): Promise<Json> =>
    parsed(await sycee('inspect', whole.path, ...args, '--json'));
  const { appearances } = await ask('--transfer', '1003');
  const home = (appearances as readonly Json[]).findLast(
    (one) => one['kind'] === 'transfer' && one['record']['id'] === '1003',
  )!;
  expect(home['record']).toMatchObject({ id: '1003', amount: '8', flags: ['pending'] });
  const ids = (appearances as readonly Json[]).map((one) => (one['record'] as Json)['id']);
  expect(ids).toContain('1053');
  const place = `${home['shard']}:${home['sequence']}`;
  const frame = await ask('--frame', place);
  expect(frame['rows'][home['row']]['record']).toEqual(home['record']);
  const row = await ask('--transfer', `${place}:${home['row']}`);
  expect(row['record']).toEqual(home['record']);
  const { pendings } = await ask('--pending');
  expect(pendings.length).toBeGreaterThan(0);
  expect(pendings[0]).toMatchObject({ expires_at: null, flags: ['pending'] });
  const { links } = await ask('--links');
  for (const link of links) expect(link['sent']).toBe(link['received']);
  const [name] = segments(whole.path, 0);
  const file = join(shardDirectory(whole.path, 0), name!);
  const segment = parsed(await sycee('inspect', '--segment', file, '--json'));
  expect(segment['rows'][0]).toMatchObject({ sequence: 1 });
});

test('a live directory is verified and replayed up to its last commits while it is written', async () => {
  await using own = new TempDirectory();
  await using served = await startProcess({ shards: SHARDS });
  const client = connectHttp(served.url);
  const ids = Array.from({ length: ACCOUNTS }, (_, i) => BigInt(i + 1));
  await client.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 1 })));
  const load = { isOver: false };
  let last = 0n;
  const send = async (first: number): Promise<void> => {
    for (let id = first; !load.isOver; id += 4) {
      const transfers = ids.map((debitAccountId, i) => ({
        id: BigInt(id * 100 + i),
        debitAccountId,
        creditAccountId: BigInt(((i + first) % ACCOUNTS) + 1),
        amount: 1n,
        ledger: 1,
        code: 1,
      }));
      await client.createTransfers(transfers);
      last += 1n;
      // A load without a pause takes from the tools what they need, and so makes more for them to read.
      await pause(LOAD_PAUSE_MS);
    }
  };
  const loads = [1, 2, 3, 4].map((first) => send(first));
  for (let i = 0; i < 3; i++) {
    const answered = last;
    // The process has removed the eldest at the third time.
    expect(await sycee('snapshot', served.directory)).toMatchObject({ code: 0 });
    const verified = await spawned('verify', served.directory, '--json');
    const document = parsed(verified);
    expect(document).toMatchObject({ sound: true, live: true, findings: [] });
    expect(verified).toMatchObject({ code: 0, log: '' });
    const snapshots = document['snapshots'] as readonly Json[];
    expect(snapshots.length).toBe(SHARDS * Math.min(2, i + 1));
    expect(snapshots.every(({ sound, compared }) => sound === true && compared === true)).toBe(
      true,
    );
    const posted = BigInt(document['ledgers'][0]['debits_posted'] as string);
    expect(posted).toBeGreaterThanOrEqual(answered * BigInt(ACCOUNTS));
  }
  // What is in flight at the cut of a backup is counted as well.
  const backup = join(own.path, 'backup');
  expect(await sycee('backup', served.directory, backup)).toMatchObject({ code: 0 });
  expect(await sycee('verify', backup)).toMatchObject({ code: 0, log: '' });
  load.isOver = true;
  await Promise.all(loads);
  await client.close();
  const replayed = parsed(await spawned('replay', served.directory, '--json'));
  expect(replayed).toMatchObject({ live: true });
  for (const shard of replayed['shards']) expect(shard['snapshot']).toBeGreaterThan(0);
  served.kill('SIGTERM');
  expect(await served.exit).toMatchObject({ code: 0 });
});

/** With what SQLite has left beside it. */
function removeSegment(directory: string, shard: number, name: string): void {
  const path = join(shardDirectory(directory, shard), name);
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
}

interface Damage {
  readonly what: string;
  readonly harm: (directory: string) => void;
  readonly finding: Json;
}

const middleSegment = (directory: string): string =>
  join(shardDirectory(directory, 1), segments(directory, 1)[1]!);

const DAMAGES: readonly Damage[] = [
  {
    what: 'a flipped bit in a frame',
    harm: (directory) =>
      alterSegment(join(shardDirectory(directory, 1), segments(directory, 1)[0]!), (one) => {
        const select = one.prepare('SELECT frame FROM journal_row WHERE sequence = 2').pluck();
        const frame = select.get() as Buffer;
        frame[frame.length >> 1]! ^= 0x10;
        one.prepare('UPDATE journal_row SET frame = ? WHERE sequence = 2').run(frame);
      }),
    finding: { check: 'journal', shard: 1, sequence: 2, file: 'segment-000000000001.sqlite' },
  },
  {
    what: 'an outcome that was altered, with a chain that fits it',
    harm: (directory) =>
      rewriteJournal(directory, 1, {
        change: (row) => {
          if (row.sequence === 4) row.frame[row.frame.length - 1]! ^= 1;
          return row;
        },
      }),
    finding: { check: 'journal', shard: 1, sequence: 4 },
  },
  {
    what: 'a segment that is missing in the middle',
    harm: (directory) => removeSegment(directory, 1, segments(directory, 1)[1]!),
    finding: {
      check: 'journal',
      shard: 1,
      rule: expect.stringMatching(
        /^the rows (\d+) to \d+ are missing: no file has them; segment-0+\1\.sqlite is not there, and segment-000000000001\.sqlite ends with/,
      ),
    },
  },
  {
    what: 'a segment that is no database',
    harm: (directory) => writeFileSync(middleSegment(directory), 'Dear Sir'),
    finding: { check: 'journal', shard: 1 },
  },
  {
    what: 'a WAL without its segment',
    harm: (directory) =>
      writeFileSync(join(shardDirectory(directory, 1), 'segment-000000000099.sqlite-wal'), ''),
    finding: { check: 'journal', shard: 1, sequence: 99, file: 'segment-000000000099.sqlite' },
  },
  {
    what: 'a directory that does not say whose it is any more',
    harm: (directory) => writeFileSync(join(directory, 'sycee.json'), '{}'),
    finding: { check: 'directory', shard: null },
  },
  {
    what: 'a shard that was put back to an older state',
    harm: (directory) => {
      const names = segments(directory, 1);
      for (const name of names.slice(1)) removeSegment(directory, 1, name);
    },
    finding: { check: 'links', shard: 1 },
  },
];

test.each(DAMAGES)('$what is found, with exit code 3 and the place', async ({ harm, finding }) => {
  await using own = new TempDirectory();
  const directory = join(own.path, 'ledger');
  cpSync(whole.path, directory, { recursive: true });
  harm(directory);
  const before = untouchedContentOf(directory);
  const ran = await sycee('verify', directory, '--json');
  expect(ran.code).toBe(3);
  const document = parsed(ran);
  expect(document).toMatchObject({ sound: false });
  expect(document['findings'][0]).toMatchObject(finding);
  expect(untouchedContentOf(directory)).toEqual(before);
});

test('sealed segments in an archive are read from there, and are verified alone', async () => {
  await using place = new TempDirectory();
  const directory = join(place.path, 'ledger');
  cpSync(whole.path, directory, { recursive: true });
  const archive = join(place.path, 'archive');
  const { clusterId } = readMeta(directory);
  const archived = join(archive, clusterId, 'shard-001');
  const [first, second] = segments(directory, 1);
  const own = shardDirectory(directory, 1);
  // Sealed, as everything is that goes into an archive.
  alterSegment(join(own, first!), (one) => one.pragma('wal_checkpoint(TRUNCATE)'));
  const behind = Number(/\d+/.exec(second!)![0]) - 1;
  archiveShard({ directory: own, clusterId, shard: 1, shards: SHARDS, archive, behind });
  const away = join(place.path, 'away');
  renameSync(archive, away);
  expect(await sycee('verify', directory)).toMatchObject({ code: 1 });
  expect(await sycee('verify', directory, '--archive', away)).toMatchObject({ code: 0 });
  renameSync(away, archive);
  expect(await sycee('verify', directory)).toMatchObject({ code: 0 });
  const alone = await sycee('verify', archive);
  expect(alone).toMatchObject({ code: 0 });
  expect(alone.out).toContain('shard 1 of 2');
  alterSegment(join(archived, first!), (one) =>
    one.exec('UPDATE journal_row SET timestamp = timestamp + 2 WHERE sequence = 3'),
  );
  const broken = await sycee('verify', archive);
  expect(broken.code).toBe(3);
  expect(broken.log).toContain(`${first}, sequence 3`);
});

test.each([
  [['replay', '--to', '3'], 'say which with --shard'],
  [['replay', '--to', '999999', '--shard', '0'], 'shard 0 ends with sequence'],
  [['replay', '--shard', '2'], 'no shard of this directory'],
  [['replay', '--shard', '0', '--from', '3', '--to', '2'], '--from is later than --to'],
  [['inspect', '--frame', '0:999999'], 'there is no sequence 999999'],
] as const)('wrong usage %s is exit code 2 and a sentence', async (args, sentence) => {
  const [verb, ...rest] = args;
  const ran = await sycee(verb, whole.path, ...rest);
  expect(ran).toMatchObject({ code: 2, out: '' });
  expect(ran.log).toContain(sentence);
});

test('a directory that is not there is exit code 1', async () => {
  for (const verb of ['replay', 'verify', 'inspect']) {
    expect(await sycee(verb, join(whole.path, 'nowhere'))).toMatchObject({ code: 1, out: '' });
  }
});
