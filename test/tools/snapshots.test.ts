/**
 * The offline tools and snapshots: a replay gives the same with them and without, verify finds each that is not what the journal gives, inspect shows
 * them. Of a ledger whose snapshots were taken in the middle of walks, so that something is in flight in them. Nothing is written into the directory.
 */
import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TransportClient } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { Group } from '../../engine/group.ts';
import { imagePieces, ImageSection, imageSizes, imageWords } from '../../engine/image.ts';
import { Prng } from '../../lib/prng.ts';
import {
  listSnapshots,
  manifestText,
  readOwnManifest,
  snapshotFiles,
  type SnapshotFiles,
  type SnapshotManifest,
} from '../../persistence/snapshot-manifest.ts';
import { loadSnapshot, SnapshotBeing } from '../../persistence/snapshot-store.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { Capture } from '../../tools/capture.ts';
import { sequencesAt } from '../../tools/moments-of-shards.ts';
import { replayMoment } from '../../tools/replay-moment.ts';
import { type ShardRequest, taskOf } from '../../tools/shard-pool.ts';
import { replayShardTask } from '../../tools/shard-replay.ts';
import type { ShardAnswer, ShardState } from '../../tools/shard-task.ts';
import { TempDirectory } from '../support/cluster.ts';
import { untouchedContentOf } from '../support/directory-content.ts';
import { readMeta, rewriteJournal, shardDirectory } from '../support/journal-surgery.ts';
import { placementOf } from '../support/placement.ts';
import { Supervised } from '../support/supervised.ts';
import { type Json, sycee } from '../support/sycee.ts';
import { TransferBooks } from '../support/transfer-books.ts';

const SHARDS = 3;
const LOADS = 6;
const FLIPS = Number(process.env['FLIPS'] ?? 30);
const CUTS = 12;

let made: TempDirectory;
let whole: string;

beforeAll(async () => {
  made = new TempDirectory();
  whole = join(made.path, 'ledger');
  await using stack = new AsyncDisposableStack();
  const system = stack.use(await Supervised.start({ shards: SHARDS }));
  const prng = new Prng(21);
  const shardOf = placementOf(SHARDS);
  const books = new TransferBooks({ prng, shards: SHARDS, shardOf, accountCount: 18 });
  await books.createAccounts(system.client);
  const load = { isEnding: false };
  const loads = Array.from({ length: LOADS }, async () => {
    while (!load.isEnding) await books.send(system.client, books.next(prng.between(1, 20)));
  });
  const more = async (count: number): Promise<void> => {
    const created = books.createdCount;
    await system.until('the load goes on', () => books.createdCount > created + count);
  };
  await more(100);
  await system.supervisor.snapshot();
  await more(100);
  await system.supervisor.snapshot();
  await more(50);
  load.isEnding = true;
  await Promise.all(loads);
  await system.until('nothing claimed, nothing waiting', () => system.isAtRest());
  await system.supervisor.stop();
  cpSync(system.directory, whole, { recursive: true });
});
afterAll(() => made[Symbol.asyncDispose]());

async function json(...args: readonly string[]): Promise<Json> {
  const { out, ...rest } = await sycee(...args, '--json');
  if (out === '') throw new Error(rest.log);
  return { ...(JSON.parse(out) as Json), ...rest };
}

/** Without what says how the replay went. */
function resultOf(document: Json): Json {
  const { shards, log: _, ...rest } = document;
  return {
    ...rest,
    shards: (shards as readonly Json[]).map(
      ({ events: _events, snapshot: _snapshot, ...one }) => one,
    ),
  };
}

const snapshotsOf = (document: Json): readonly unknown[] =>
  (document['shards'] as readonly Json[]).map(({ snapshot }) => snapshot as unknown);

function copied(own: TempDirectory): string {
  const directory = join(own.path, 'ledger');
  cpSync(whole, directory, { recursive: true });
  return directory;
}

function snapshotsIn(directory: string, shard: number): readonly [SnapshotFiles, SnapshotFiles] {
  const [newest, older] = listSnapshots(shardDirectory(directory, shard));
  return [newest!, older!];
}

function flip(path: string, at: number, bit = 4): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1 << bit;
  writeFileSync(path, bytes);
}

/** With a checksum that fits. */
function alterManifest(files: SnapshotFiles, change: Partial<SnapshotManifest>): void {
  writeFileSync(files.manifest, manifestText({ ...readOwnManifest(files), ...change }));
}

/** In this thread, which is what costs least. */
function answerOf(capture: Capture, request: ShardRequest): ShardAnswer {
  const progress = new SharedArrayBuffer(8 * capture.meta.shards);
  return replayShardTask({ ...taskOf(capture, request), progress });
}

/** With snapshots and without: what is found must be the same. Says with which snapshot it began. */
function expectSame(capture: Capture, request: ShardRequest): number | null {
  const [one, other] = [false, true].map((fromStart) => {
    const answer = answerOf(capture, { ...request, fromStart });
    expect(answer).toMatchObject({ type: 'state', passedOver: [] });
    return (answer as { state: ShardState }).state;
  });
  expect(foundOf(one!)).toEqual(foundOf(other!));
  expect(other!.snapshot).toBe(null);
  return one!.snapshot;
}

/** Without what says how the replay went. */
function foundOf(state: ShardState): object {
  return { ...state, events: 0, seconds: 0, snapshot: null };
}

/** Writes the journal of a shard anew, up to a row, and leaves its snapshots. */
function cutJournal(directory: string, shard: number, end: number, segmentBytesMax?: number): void {
  const own = shardDirectory(directory, shard);
  const names = readdirSync(own).filter((name) => name.startsWith('snapshot-'));
  const kept = names.map((name) => [join(own, name), readFileSync(join(own, name))] as const);
  rewriteJournal(directory, shard, {
    end,
    ...(segmentBytesMax === undefined ? {} : { segmentBytesMax }),
  });
  for (const [path, bytes] of kept) writeFileSync(path, bytes);
}

function verified(directory: string, shard: number): ShardAnswer {
  using capture = new Capture(directory);
  return answerOf(capture, { shard, to: Number.MAX_SAFE_INTEGER, checksSnapshots: true });
}

/** Puts the state of one snapshot into the files of another, with checksums that fit. Returns what is said of it. */
function disguise(directory: string, from: SnapshotFiles, to: SnapshotFiles): string {
  const { clusterId, seed } = readMeta(directory);
  const { shard, shards, digest, timestamp, chain } = {
    ...readOwnManifest(to),
    digest: readOwnManifest(from).digest,
  };
  const group = new Group();
  const identity = { clusterId, shard, shards };
  const { machine, links } = loadSnapshot({ files: from, identity, seed, group });
  const { sequence } = to;
  const parts = machine.beginImage();
  machine.endImage(true);
  using being = new SnapshotBeing(shardDirectory(directory, shard), { ...identity, sequence });
  being.image.write(ImageSection.state, parts.state);
  being.image.write(ImageSection.links, links);
  for (const piece of imagePieces(imageSizes(machine.ledger))) {
    being.image.write(piece.section, imageWords(machine.ledger, piece));
  }
  being.publish({ chain, timestamp, digest });
  return `digest, numbers on the links`;
}

test('a replay gives the same from snapshots and from the start, to any moment', async () => {
  const before = untouchedContentOf(whole);
  using capture = new Capture(whole);
  for (let shard = 0; shard < SHARDS; shard++) {
    const [newest, older] = snapshotsIn(whole, shard).map(({ sequence }) => sequence) as [
      number,
      number,
    ];
    const last = capture.shards[shard]!.last!;
    const wants = { shard, wantsIds: true, wantsPendings: true };
    const same = (to: number, from: number | null = null): number | null =>
      expectSame(capture, { ...wants, to, from });
    expect(same(last)).toBe(newest);
    expect(same(newest)).toBe(newest);
    expect(same(newest + 1)).toBe(newest);
    expect(same(newest - 1)).toBe(older);
    expect(same(older - 1)).toBe(null);
    expect(same(last, newest)).toBe(newest);
    expect(same(last, newest - 1)).toBe(older);
    expect(same(last, 0)).toBe(null);
  }
  const [end, start] = [await json('replay', whole), await json('replay', whole, '--from-start')];
  expect(resultOf(end)).toEqual(resultOf(start));
  expect(snapshotsOf(start)).toEqual([null, null, null]);
  const account = (end['accounts'] as readonly Json[])[0]!['id'] as string;
  const statement = await json('replay', whole, '--account', account);
  expect((statement['entries'] as readonly Json[]).length).toBeGreaterThan(0);
  expect(untouchedContentOf(whole)).toEqual(before);
});

test('the cut at any time, in the middle of walks, is the same with snapshots and without', async () => {
  using capture = new Capture(whole);
  const shards = capture.shards.map((_, shard) => shard);
  const prng = new Prng(5);
  let begun = 0;
  for (let i = 0; i < CUTS; i++) {
    const shard = prng.below(SHARDS);
    using journal = capture.journal(shard, capture.shards[shard]!);
    const time = journal.timestamp(prng.between(1, capture.shards[shard]!.last!));
    const ends = sequencesAt(capture, shards, { type: 'time', time }, '--to');
    const [one, other] = await Promise.all(
      [false, true].map((fromStart) =>
        replayMoment(
          ends.map((to, k) => ({ shard: k, to, fromStart })),
          (some) => Promise.resolve(some.map((request) => answerOf(capture, request))),
          { isTime: true },
        ),
      ),
    );
    expect(one!.states.map(foundOf)).toEqual(other!.states.map(foundOf));
    begun += one!.states.filter(({ snapshot }) => snapshot !== null).length;
  }
  expect(begun).toBeGreaterThan(0);
});

test('a damaged snapshot is passed over with a line, and the replay gives the same', async () => {
  await using own = new TempDirectory();
  const directory = copied(own);
  const sound = await json('replay', directory);
  const [newest, older] = snapshotsIn(directory, 1);
  flip(newest.image, 5000);
  const first = await json('replay', directory);
  expect(first['log']).toMatch(/shard 1: a snapshot is passed over: snapshot-\d+\.image: byte \d+/);
  expect(snapshotsOf(first)[1]).toBe(older.sequence);
  rmSync(older.image);
  const second = await json('replay', directory);
  expect(second['log']).toMatch(/snapshot-\d+\.image: the image is missing/);
  expect(snapshotsOf(second)[1]).toBe(null);
  for (const one of [first, second]) expect(resultOf(one)).toEqual(resultOf(sound));
  alterManifest(snapshotsIn(directory, 2)[0], { chain: 1 });
  const other = await sycee('replay', directory);
  expect(other).toMatchObject({ code: 3, out: '' });
  expect(other.log).toContain('different histories');
  expect(await sycee('replay', directory, '--from-start')).toMatchObject({ code: 0, log: '' });
});

test('verify compares each snapshot with what the journal gives, with what is in flight', async () => {
  const document = await json('verify', whole);
  expect(document).toMatchObject({ code: 0, sound: true, findings: [], log: '' });
  expect(document['snapshots']).toHaveLength(2 * SHARDS);
  for (const one of document['snapshots'] as readonly Json[]) {
    expect(one).toMatchObject({ sound: true, compared: true });
  }
  const shown = await sycee('verify', whole);
  expect(shown.out).toContain('what the journal gives');
  const parts = Array.from({ length: SHARDS }, (_, k) => snapshotsIn(whole, k)).flat();
  const states: Json[] = [];
  for (const { image } of parts) states.push(await json('inspect', '--snapshot', image));
  const inFlight = states.map((one) => Number(one['state']['claims']) + one['messages'].length);
  expect(Math.max(...inFlight), 'something was in flight in a snapshot').toBeGreaterThan(0);
});

test('a bit that is flipped anywhere in an image or a manifest is found, with its file and sequence', async () => {
  await using own = new TempDirectory();
  const directory = copied(own);
  using capture = new Capture(directory);
  const prng = new Prng(9);
  for (let i = 0; i < FLIPS; i++) {
    const shard = prng.below(SHARDS);
    const files = prng.pick(snapshotsIn(directory, shard));
    const path = i % 2 === 0 ? files.image : files.manifest;
    const place = [prng.below(statSync(path).size), prng.below(8)] as const;
    flip(path, ...place);
    const what = `${basename(path)}, byte ${place[0]}, bit ${place[1]}`;
    const to = Number.MAX_SAFE_INTEGER;
    const { checks } = answerOf(capture, { shard, to, checksSnapshots: true });
    const wrong = checks.filter(({ rule }) => rule !== null);
    const found = wrong.map((one) => `${what}: ${one.shard}, ${one.sequence}`);
    expect(found).toEqual([`${what}: ${shard}, ${files.sequence}`]);
    expect([basename(files.image), basename(files.manifest)]).toContain(wrong[0]!.file);
    expect(wrong[0]!.rule).toContain('A start that comes to it passes it over');
    flip(path, ...place);
  }
  const [{ image, sequence }] = snapshotsIn(directory, 1);
  flip(image, statSync(image).size - 1);
  const document = await json('verify', directory);
  expect(document).toMatchObject({ code: 3, sound: false });
  const file = basename(image);
  expect(document['findings']).toMatchObject([{ check: 'snapshot', shard: 1, sequence, file }]);
  const shown = await sycee('verify', directory);
  expect(shown.log).toContain(`snapshot: shard 1, ${file}, sequence ${sequence}: `);
  expect(shown.log).toContain('Its journals are');
});

test('a snapshot with sound checksums that is not what the journal gives is found, and what it means is said', async () => {
  await using own = new TempDirectory();
  const directory = copied(own);
  const rules: { shard: number; sequence: number; rule: string }[] = [];
  const alter = (
    shard: number,
    at: 0 | 1,
    change: Partial<SnapshotManifest>,
    rule: string,
  ): void => {
    const files = snapshotsIn(directory, shard)[at];
    alterManifest(files, change);
    rules.push({ shard, sequence: files.sequence, rule });
  };
  alter(
    0,
    1,
    { digest: '0123456789abcdef' },
    'the state has another digest than its manifest says',
  );
  alter(0, 0, { chain: 7 }, 'different histories. A start is refused');
  alter(1, 1, { timestamp: '5' }, 'is not the one that the journal gives at that sequence: time');
  alter(1, 0, { shards: 4 }, 'it is of another shard or directory');
  // The state of an older row, with all that belongs to the newer one.
  const [newest, older] = snapshotsIn(directory, 2);
  const disguised = disguise(directory, older, newest);
  rules.push({ shard: 2, sequence: newest.sequence, rule: disguised });
  const beyond = snapshotFiles(shardDirectory(directory, 2), 999_999);
  cpSync(newest.image, beyond.image);
  const manifest = { ...readOwnManifest(newest), sequence: 999_999 };
  writeFileSync(beyond.manifest, manifestText(manifest));
  rules.push({ shard: 2, sequence: 999_999, rule: 'the image is of another state' });
  const document = await json('verify', directory);
  expect(document).toMatchObject({ code: 3, sound: false });
  const findings = document['findings'] as readonly Json[];
  expect(findings.map(({ check }) => check as string)).toEqual(rules.map(() => 'snapshot'));
  for (const { shard, sequence, rule } of rules) {
    const found = findings.find((one) => one['shard'] === shard && one['sequence'] === sequence);
    expect(found?.['rule']).toContain(rule);
  }
});

test('a snapshot of a row that the journal does not have any more is found', async () => {
  await using own = new TempDirectory();
  const directory = copied(own);
  const [newest, older] = snapshotsIn(directory, 0);
  const end = older.sequence + 1;
  cutJournal(directory, 0, end);
  const { checks } = verified(directory, 0);
  expect(checks).toMatchObject([
    { sequence: older.sequence, rule: null, isCompared: true },
    { sequence: newest.sequence, isCompared: false },
  ]);
  expect(checks[1]!.rule).toContain(`the journal ends with ${end}`);
});

/** Four lives, with a snapshot after each but the last; then the segments of the first ones are in the archive. The last one sends an id of the first again. */
async function archivedLedger(directory: string, archive: string): Promise<void> {
  const between = { debitAccountId: 1n, creditAccountId: 2n, ledger: 1, code: 1, amount: 3n };
  for (const life of [1n, 2n, 3n, 4n]) {
    const supervisor = await Supervisor.start({ directory, shards: 1, archive });
    const client = new TransportClient(
      new RouterTransport(supervisor.router, () => Promise.resolve()),
    );
    if (life === 1n) {
      await client.createAccounts([1n, 2n].map((id) => ({ id, ledger: 1, code: 1 })));
      await client.createTransfers([{ ...between, id: 5n }]);
    }
    await client.createTransfers([{ ...between, id: 10n * life }]);
    if (life === 4n) {
      await client.createTransfers([{ ...between, id: 5n }]);
    } else {
      await supervisor.snapshot();
      await supervisor.archiveNow();
    }
    await supervisor.stop();
    if (life === 3n) cpSync(directory, `${directory}-before`, { recursive: true });
  }
}

test('first segments that are away are no hindrance as long as a snapshot covers them and nothing needs their rows', async () => {
  await using own = new TempDirectory();
  const [directory, archive] = [join(own.path, 'data'), join(own.path, 'archive')];
  await archivedLedger(directory, archive);
  const all = await json('replay', directory, '--from-start');
  const [newest] = snapshotsIn(directory, 0);
  const to = ['--to', String(newest.sequence + 1)];
  const some = await json('replay', directory, '--from-start', ...to);
  expect(await json('verify', directory)).toMatchObject({ code: 0, sound: true, notes: [] });
  const away = `${archive}-away`;
  renameSync(archive, away);
  const missing = async (...args: readonly string[]): Promise<void> => {
    const ran = await sycee(...args);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.log).toContain('--archive');
  };
  for (const isListed of [true, false]) {
    if (!isListed) rmSync(join(shardDirectory(directory, 0), 'archived.json'));
    const found = await json('replay', directory, ...to);
    expect(found['log']).toBe('');
    expect(resultOf(found)).toEqual(resultOf(some));
    expect(snapshotsOf(found)).toEqual([newest.sequence]);
    // An id that was sent again is compared with its record.
    await missing('replay', directory);
    if (isListed) await missing('verify', directory);
  }
  const named = await json('replay', directory, '--from-start', '--archive', away);
  expect(resultOf(named)).toEqual(resultOf(all));
  const partly = await json('verify', `${directory}-before`);
  expect(partly).toMatchObject({ code: 0, sound: true });
  expect(partly['notes'][0]).toContain('--archive DIR checks all of it');
  const snapshots = partly['snapshots'] as readonly Json[];
  expect(snapshots.map(({ compared }) => compared as boolean)).toEqual([false, true]);
});

test('inspect shows snapshots and the head witness, and one snapshot by its image or its manifest', async () => {
  const overview = await json('inspect', whole);
  const [newest] = snapshotsIn(whole, 0);
  const { digest, bytes } = readOwnManifest(newest);
  expect(overview['snapshots']).toHaveLength(2 * SHARDS);
  expect(overview['snapshots'][0]).toMatchObject({
    shard: 0,
    sequence: newest.sequence,
    digest,
    bytes,
    rule: null,
  });
  expect(overview['witness']).toHaveLength(2 * SHARDS);
  expect(overview['witness'][0]).toMatchObject({ file: 'head', shard: 0, state: 'head' });
  const shown = await sycee('inspect', whole);
  for (const text of [basename(newest.manifest), digest, 'witness'])
    expect(shown.out).toContain(text);
  const one = await json('inspect', '--snapshot', newest.manifest);
  expect(one).toMatchObject({ type: 'snapshot', sequence: newest.sequence, shard: 0, digest });
  expect((one['sections'] as readonly Json[]).map(({ name }) => name as string)).toContain(
    'accounts',
  );
  expect(one['state']).toMatchObject({ accounts: 6 });
  const text = await sycee('inspect', '--snapshot', newest.image);
  expect(text).toMatchObject({ code: 0, log: '' });
  for (const word of [digest, 'transfer ids', 'accounts']) expect(text.out).toContain(word);
  await using own = new TempDirectory();
  const directory = copied(own);
  const [broken] = snapshotsIn(directory, 0);
  flip(broken.image, 100);
  const damaged = await sycee('inspect', '--snapshot', broken.image);
  expect(damaged).toMatchObject({ code: 3, out: '' });
  expect(await sycee('inspect', '--snapshot', join(directory, 'head'))).toMatchObject({ code: 2 });
  renameSync(broken.manifest, `${broken.manifest}.away`);
  expect((await sycee('inspect', '--snapshot', broken.image)).log).toContain('cannot be read');
});
