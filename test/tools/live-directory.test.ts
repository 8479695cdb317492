/**
 * The offline tools at a directory that a process goes on with: what it moves to its archive, and snapshots that it retires, after the tool has looked
 * at the directory and before it reads them. What the process would do is done here in between, by the modules that it uses.
 */
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Capture } from '../../tools/capture.ts';
import { inspectOverview } from '../../tools/inspect-overview.ts';
import { inspectTransfer } from '../../tools/inspect-transfer.ts';
import { replayShards } from '../../tools/shard-pool.ts';
import { Sink } from '../../tools/sink.ts';
import { subjectOf } from '../../tools/verify-subject.ts';
import { verify } from '../../tools/verify.ts';
import { TempDirectory } from '../support/cluster.ts';
import { segments } from '../support/journal-surgery.ts';
import { archiveSegments, segmentedLedger } from '../support/segmented-ledger.ts';
import type { Json } from '../support/sycee.ts';

const MOVED = 2;
/** Of the first rows. */
const TRANSFER_ID = '1000';

let made: TempDirectory;
let whole: string;

beforeAll(async () => {
  made = new TempDirectory();
  whole = join(made.path, 'whole');
  await segmentedLedger(whole);
});
afterAll(() => made[Symbol.asyncDispose]());

interface Live extends AsyncDisposable {
  readonly directory: string;
  readonly archive: string;
}

function live(): Live {
  const own = new TempDirectory();
  const directory = join(own.path, 'ledger');
  cpSync(whole, directory, { recursive: true });
  const archive = join(own.path, 'archive');
  return { directory, archive, [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() };
}

/** What an inspection shows, as its lines. */
function shown(inspect: (sink: Sink) => void): string {
  let text = '';
  const sink = new Sink({ out: (part) => (text += part), log: (line) => (text += line) });
  inspect(sink);
  sink.end();
  return text;
}

const nothing = { out: () => undefined, log: () => undefined };

const fromStart = (capture: Capture): ReturnType<typeof replayShards> =>
  replayShards(
    capture,
    capture.shards.map(({ last }, shard) => ({ shard, to: last!, fromStart: true })),
    'replay',
  );

test('segments that are archived after they were seen are read in the archive', async () => {
  await using at = live();
  using capture = new Capture(at.directory);
  const [first] = segments(at.directory, 0);
  archiveSegments(at.directory, at.archive, MOVED);
  expect(segments(at.directory, 0)).not.toContain(first);
  expect(await fromStart(capture)).toMatchObject([{ type: 'state' }, { type: 'state' }]);
  expect(await verify(subjectOf(capture), { archive: undefined })).toMatchObject({
    findings: [],
    notes: [],
  });
  const found = shown((sink) =>
    inspectTransfer(sink, capture, { id: TRANSFER_ID, json: true }, nothing),
  );
  expect((JSON.parse(found) as Json)['appearances'].length).toBeGreaterThan(0);
  const overview = JSON.parse(
    shown((sink) => inspectOverview(sink, capture, { json: true, output: nothing })),
  ) as Json;
  expect(overview['segments'][0]).toMatchObject({ file: first, first: 1, state: 'sealed' });
});

test('segments that are archived after they were seen are read in the archive that is named', async () => {
  await using at = live();
  const named = `${at.archive}-here`;
  mkdirSync(named);
  using capture = new Capture(at.directory, named);
  archiveSegments(at.directory, at.archive, MOVED);
  renameSync(at.archive, named);
  expect(await fromStart(capture)).toMatchObject([{ type: 'state' }, { type: 'state' }]);
  expect(await verify(subjectOf(capture), { archive: undefined })).toMatchObject({
    findings: [],
    notes: [],
  });
});

test('segments that are archived after they were seen, in an archive that cannot be found, are named', async () => {
  await using at = live();
  using capture = new Capture(at.directory);
  const [first] = segments(at.directory, 0);
  archiveSegments(at.directory, at.archive, MOVED);
  rmSync(at.archive, { recursive: true });
  const refused = {
    code: 'DATA_ARCHIVED',
    message: expect.stringMatching(new RegExp(`shard 0.*shard-000/${first}.*with --archive`)),
  };
  await expect(fromStart(capture)).rejects.toMatchObject(refused);
  await expect(verify(subjectOf(capture), { archive: undefined })).rejects.toMatchObject({
    code: 'SEGMENT_ARCHIVED',
    message: expect.stringMatching(new RegExp(`shard-000/${first}.*with --archive`)),
  });
});

test('a snapshot that is retired after it was seen is none, and the next one is taken', async () => {
  await using at = live();
  using capture = new Capture(at.directory);
  const older = capture.shards.map(({ snapshots }) => {
    const [newest, next] = snapshots;
    // In this order, as a process does.
    rmSync(newest!.manifest);
    rmSync(newest!.image);
    return next!.sequence;
  });
  const requests = capture.shards.map(({ last }, shard) => ({ shard, to: last! }));
  const answers = await replayShards(capture, requests, 'replay');
  expect(answers).toMatchObject(
    older.map((snapshot) => ({ type: 'state', state: { snapshot }, passedOver: [] })),
  );
  const overview = JSON.parse(
    shown((sink) => inspectOverview(sink, capture, { json: true, output: nothing })),
  ) as Json;
  expect(overview['snapshots']).toMatchObject(older.map((sequence) => ({ sequence, rule: null })));
  const found = await verify(subjectOf(capture), { archive: undefined });
  expect(found).toMatchObject({ findings: [], notes: [] });
  expect(found.snapshots).toMatchObject(older.map((sequence) => ({ sequence })));
});

test('a snapshot whose image is gone, and its manifest is not, is passed over with a line', async () => {
  await using at = live();
  using capture = new Capture(at.directory);
  rmSync(capture.shards[0]!.snapshots[0]!.image);
  const [answer] = await replayShards(
    capture,
    [{ shard: 0, to: capture.shards[0]!.last! }],
    'replay',
  );
  expect(answer!.passedOver).toEqual([
    expect.stringMatching(/^shard 0: a snapshot is passed over: .*the image is missing/),
  ]);
});
