/**
 * A replay does not end early without a word: where the head witness says that rows are gone from the end of a journal, what needs them is refused, as a
 * start and verify refuse it; so is what inspect shows of the end of all journals. The witness is written here as if more rows had been committed.
 */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HeadWitness, makeWitness, resetWitness } from '../../persistence/head-witness.ts';
import { Capture } from '../../tools/capture.ts';
import { TempDirectory } from '../support/cluster.ts';
import { readMeta, segments } from '../support/journal-surgery.ts';
import { segmentedLedger } from '../support/segmented-ledger.ts';
import { sycee, syceeJson } from '../support/sycee.ts';

const SHARD = 1;
const LOST = 2;

let made: TempDirectory;
let whole: string;
/** Of the shard, and what the row has. */
let last: number;
let checksum: number;
/** Timestamps of the last two rows. */
let times: readonly [bigint, bigint];

beforeAll(async () => {
  made = new TempDirectory();
  whole = join(made.path, 'whole');
  await segmentedLedger(whole);
  using capture = new Capture(whole);
  last = capture.shards[SHARD]!.last!;
  using journal = capture.journal(SHARD, capture.shards[SHARD]!);
  checksum = journal.checksum(last - 1);
  times = [journal.timestamp(last - 1), journal.timestamp(last)];
});
afterAll(() => made[Symbol.asyncDispose]());

interface Ledger extends AsyncDisposable {
  readonly directory: string;
}

/** Whose witness says one thing of the shard, and nothing of the other; of a process that was killed, or that goes on, when it is live. */
function ledger(head: { sequence: number; checksum: number } | null, isLive = false): Ledger {
  const own = new TempDirectory();
  const directory = join(own.path, 'ledger');
  cpSync(whole, directory, { recursive: true });
  resetWitness(directory);
  if (isLive) writeFileSync(join(directory, 'lock.pid'), '1\n');
  if (head !== null) {
    const { clusterId, shards } = readMeta(directory);
    makeWitness(directory, { clusterId, shards, hasRows: true }, () => undefined);
    using witness = new HeadWitness(directory, { clusterId, shard: SHARD, shards });
    witness.open();
    witness.write(head.sequence, head.checksum);
  }
  return { directory, [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() };
}

const ahead = (): { sequence: number; checksum: number } => ({
  sequence: last + LOST,
  checksum: 1,
});

/** What is said: where, how far it goes, how far it went, and what to do. */
const sentence = (directory: string): RegExp =>
  new RegExp(
    `^sycee: shard ${SHARD}, ${segments(directory, SHARD).at(-1)}, sequence ${last}: .*ends with sequence ${last}, and the head witness .*head says ` +
      `that sequence ${last + LOST} was committed.*Put back the newer copy`,
  );

test.each([false, true])(
  'a replay to what the witness says is gone is refused with exit code 3 as verify does (live: %s)',
  async (isLive) => {
    await using at = ledger(ahead(), isLive);
    const shard = ['--shard', String(SHARD)];
    const asked = [
      [],
      ['--json'],
      ['--from-start'],
      ['--to', '2100-01-01T00:00:00Z'],
      ['--to', String(times[1])],
      shard,
      [...shard, '--to', String(last + 1)],
      [...shard, '--to', String(last + LOST + 1)],
    ];
    for (const args of asked) {
      const { log, ...ran } = await sycee('replay', at.directory, ...args);
      expect({ args, ...ran }).toEqual({ args, code: 3, out: '' });
      expect(log).toMatch(sentence(at.directory));
    }
    const verified = await syceeJson('verify', at.directory);
    expect(verified).toMatchObject({ code: 3, live: isLive });
    const [finding] = verified['findings'] as readonly { readonly rule: string }[];
    expect(finding).toMatchObject({ check: 'witness', shard: SHARD, sequence: last });
    const { log } = await sycee('replay', at.directory);
    expect(log).toContain(finding!.rule);
  },
);

test.each([false, true])(
  'what inspect shows of the end of all journals is refused where the witness says that it is gone (live: %s)',
  async (isLive) => {
    for (const args of [
      ['--pending'],
      ['--links'],
      ['--pending', '--json'],
      ['--links', '--json'],
    ]) {
      await using at = ledger(ahead(), isLive);
      const { log, ...ran } = await sycee('inspect', at.directory, ...args);
      expect({ args, ...ran }).toEqual({ args, code: 3, out: '' });
      expect(log).toMatch(sentence(at.directory));
      expect(log.match(/^sycee: /gm)).toHaveLength(1);
    }
    for (const head of [null, { sequence: last - 1, checksum }]) {
      await using sound = ledger(head, isLive);
      const ran = await sycee('inspect', sound.directory, '--pending');
      expect(ran).toMatchObject({ code: 0, log: '' });
    }
  },
);

test('a replay to an earlier moment that is all there goes on, and says what is gone', async () => {
  await using at = ledger(ahead());
  const asked = [
    ['--shard', String(SHARD), '--to', String(last)],
    ['--shard', String(SHARD), '--to', '1'],
    ['--to', String(times[0])],
  ];
  for (const args of asked) {
    const { log, code, out } = await sycee('replay', at.directory, ...args);
    const same = await sycee('replay', whole, ...args);
    expect(code).toBe(0);
    expect(out).toBe(same.out.replace(whole, at.directory));
    expect(log).toMatch(sentence(at.directory));
    expect(log).toContain('All rows up to the moment that was asked for are here.');
  }
  // Of a shard that is whole nothing is said.
  const other = await sycee('replay', at.directory, '--shard', String(1 - SHARD));
  expect(other).toMatchObject({ code: 0, log: '' });
});

test.each([false, true])(
  'a replay without a witness, or with one that is behind, is as it was (live: %s)',
  async (isLive) => {
    const heads = [null, { sequence: last - 1, checksum }];
    for (const head of heads) {
      await using at = ledger(head, isLive);
      const ran = await syceeJson('replay', at.directory);
      expect(ran).toMatchObject({ code: 0, log: '', live: isLive });
      expect(ran['shards'][SHARD]).toMatchObject({ sequence: last });
    }
  },
);

test('a replay to the end of a journal that has another row than the witness says is refused', async () => {
  await using at = ledger({ sequence: last - 1, checksum: checksum ^ 1 });
  const ran = await sycee('replay', at.directory);
  expect(ran).toMatchObject({ code: 3, out: '' });
  expect(ran.log).toContain(`has another row at sequence ${last - 1} than the head witness`);
});
