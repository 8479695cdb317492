/** When the thread that writes snapshots is there, and what it is asked for then. What it writes has tests of its own. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { freshMemory, ImageTable, logPagesOf } from '../engine/before-images.ts';
import { digestText } from '../engine/digest.ts';
import { imageSizes } from '../engine/image.ts';
import { DOORBELL_BYTES } from '../lib/doorbell.ts';
import { listSnapshots } from '../persistence/snapshot-manifest.ts';
import { TempDirectory } from '../test/support/cluster.ts';
import {
  accountOf,
  accountsFrame,
  OneShard,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import {
  type FromSource,
  type SnapshotChannel,
  SnapshotPhase,
  type SnapshotPlace,
  SnapshotSource,
  SnapshotWord,
} from './snapshot-source.ts';
import { Snapshots, type SnapshotTaken, type SnapshotTriggers } from './snapshots.ts';

class Asked implements AsyncDisposable {
  readonly snapshots: Snapshots;
  /** The shard's end of it. */
  readonly channel: SnapshotChannel;
  journalBytes = 0;
  /** What the shard was asked for, and for which attempt last. */
  readonly asked: string[] = [];
  attempt = 0;
  readonly directory = new TempDirectory();
  #onAsk = (): void => undefined;

  constructor(triggers: SnapshotTriggers) {
    this.snapshots = new Snapshots({
      clusterId: '0'.repeat(32),
      shards: 1,
      directories: [this.directory.path],
      doorbells: new SharedArrayBuffer(DOORBELL_BYTES),
      triggers,
      log: () => undefined,
      journalBytes: () => this.journalBytes,
      hasRoom: () => true,
      isRunning: () => true,
      ask: (_, what, attempt) => {
        this.asked.push(what);
        this.attempt = attempt;
        this.#onAsk();
      },
      onWritten: () => undefined,
    });
    this.channel = this.snapshots.connect(0);
  }

  get place(): SnapshotPlace {
    return { attempt: this.attempt, sequence: 7, chain: 0, timestamp: '1', journalBytes: 0 };
  }

  /** Resolves when the shard is asked for the next thing. */
  nextAsk(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAsk = resolve;
    });
  }

  /** Wishes for a snapshot, and resolves when the shard is asked for it. */
  async wish(): Promise<{ readonly taken: Promise<readonly SnapshotTaken[]> }> {
    const asked = this.nextAsk();
    const taken = this.snapshots.take();
    taken.catch(() => undefined);
    await asked;
    return { taken };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.snapshots.stop();
    this.channel.port.close();
    await this.directory[Symbol.asyncDispose]();
  }
}

/** Of the thread of that name in this process; undefined where /proc does not show it. */
function niceOf(name: string): number | undefined {
  const tasks = '/proc/self/task';
  if (!existsSync(tasks)) return undefined;
  const stats = readdirSync(tasks).map((id) => readFileSync(`${tasks}/${id}/stat`, 'utf8'));
  const stat = stats.find((one) => one.includes(`(${name})`));
  return stat === undefined ? undefined : Number(stat.split(') ')[1]!.split(' ')[16]);
}

/** Its end is told soon after its error. */
const THREAD_ENDS_MS = 200;

/** Longer than a thread that has loaded needs for a copy of a small image. */
const COPY_MS = 100;

const OFF: SnapshotTriggers = { minutes: 0, mib: 0 };
const SOME_DAY: SnapshotTriggers = { minutes: 60, mib: 0 };

test('a shard begins no image before the thread that reads it has loaded', async () => {
  await using at = new Asked(OFF);
  const asked = at.nextAsk();
  void at.snapshots.take().catch(() => undefined);
  expect(at.asked).toEqual([]);
  await asked;
  expect(at.asked).toEqual(['prepareSnapshot']);
  expect(niceOf('snapshots')).toBeOneOf([undefined, Math.min(getPriority() + 10, 19)]);
});

test('the thread loads when there is something that a trigger will want, long before it is due', async () => {
  await using at = new Asked(SOME_DAY);
  at.snapshots.look();
  expect(at.snapshots.thread).toBe('none');
  at.journalBytes = 1;
  at.snapshots.look();
  expect([at.snapshots.thread, at.asked]).toEqual(['loading', []]);
  await expect.poll(() => at.snapshots.thread, { timeout: 30_000 }).toBe('ready');
  void at.snapshots.take().catch(() => undefined);
  expect(at.asked).toEqual(['prepareSnapshot']);
});

test('without triggers the thread waits for the first wish', async () => {
  await using at = new Asked(OFF);
  at.journalBytes = 1;
  at.snapshots.look();
  expect(at.snapshots.thread).toBe('none');
});

test('a stop while the thread loads ends it, and whoever waits is told', async () => {
  const at = new Asked(OFF);
  const taken = at.snapshots.take();
  taken.catch(() => undefined);
  expect(at.snapshots.thread).toBe('loading');
  await at[Symbol.asyncDispose]();
  await expect(taken).rejects.toThrow('the ledger is stopping');
  expect(at.asked).toEqual([]);
});

test('a thread that has ended by an error gives up what it was at, and refuses the rest', async () => {
  await using at = new Asked(OFF);
  const { taken: underWay } = await at.wish();
  const words = new Int32Array(at.channel.words);
  Atomics.store(words, SnapshotWord.phase, SnapshotPhase.underWay);
  // Not a message of the protocol.
  at.channel.port.postMessage(null, []);
  await expect(underWay).rejects.toThrow('null');
  expect(Atomics.load(words, SnapshotWord.phase)).toBe(SnapshotPhase.abandoned);
  await expect(at.snapshots.take()).rejects.toThrow('the thread that writes them has ended');
  // When it is gone a stop has nobody to wait for.
  await setTimeout(THREAD_ENDS_MS);
});

test('a shard is asked to begin when its memory is there, and once', async () => {
  await using at = new Asked(OFF);
  await at.wish();
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n)])], 1_000_000n);
  const { machine } = shard;
  const { images } = machine.ledger;
  const source = new SnapshotSource(at.channel);
  const begin = at.nextAsk();
  source.prepare(machine, at.attempt);
  expect([images.spare, images.isActive, at.asked]).toEqual([0, false, ['prepareSnapshot']]);
  await begin;
  expect(at.asked).toEqual(['prepareSnapshot', 'snapshot']);
  const sizes = imageSizes(machine.ledger);
  source.begin(machine, at.place, new Uint32Array(0));
  expect(images.slotBits.buffer.byteLength).toBe(freshMemory(sizes).marks.byteLength);
  expect([logPagesOf(sizes), images.pages.length, images.spare]).toEqual([1, 1, 0]);
  await expect
    .poll(() => (source.stepped(machine), source.isUnderWay), { timeout: 30_000 })
    .toBe(false);
  // None was made ahead of a log that has not grown.
  expect(images.spare).toBe(1);
});

test('a snapshot for which there is no memory is refused, and the next one is not', async () => {
  await using at = new Asked(OFF);
  const { taken } = await at.wish();
  const sizes = { rows: 0, buckets: 2 ** 50, pendings: 0, users: 0 };
  const { attempt } = at;
  const wanted: FromSource = { type: 'prepare', attempt, sizes, sparePages: 0 };
  at.channel.port.postMessage(wanted, []);
  await expect(taken).rejects.toThrow(/No snapshot of shard 0: .*(array buffer|allocation)/i);
  void at.snapshots.take().catch(() => undefined);
  expect(at.asked).toEqual(['prepareSnapshot', 'prepareSnapshot']);
  const begin = at.nextAsk();
  new SnapshotSource(at.channel).prepare(new OneShard().machine, at.attempt);
  await begin;
  expect(at.asked.at(-1)).toBe('snapshot');
});

test('a shard that ends fails its snapshot at once, and what is reported of it later is not taken for the next one', async () => {
  await using at = new Asked(OFF);
  const { machine } = new OneShard();
  /** As the shard's thread does what it is asked for. */
  const begun = async (channel: SnapshotChannel): Promise<SnapshotSource> => {
    const source = new SnapshotSource(channel);
    const begin = at.nextAsk();
    source.prepare(machine, at.attempt);
    await begin;
    source.begin(machine, at.place, new Uint32Array(0));
    return source;
  };
  const { taken: first } = await at.wish();
  await begun(at.channel);
  at.snapshots.ended(0);
  await expect(first).rejects.toThrow('No snapshot of shard 0: the shard has ended');
  machine.endImage(false);
  at.channel.port.close();
  const channel = at.snapshots.connect(0);
  const second = at.snapshots.take();
  second.catch(() => undefined);
  const source = await begun(channel);
  await expect
    .poll(() => (source.stepped(machine), source.isUnderWay), { timeout: 30_000 })
    .toBe(false);
  expect(await second).toMatchObject([{ shard: 0, sequence: 7 }]);
  expect(at.asked).toEqual(['prepareSnapshot', 'snapshot', 'prepareSnapshot', 'snapshot']);
  channel.port.close();
});

test('a snapshot that was read when its shard ended is finished, and says nothing of what the next life has journalled', async () => {
  await using at = new Asked(OFF);
  const { taken } = await at.wish();
  const { machine } = new OneShard();
  const source = new SnapshotSource(at.channel);
  at.journalBytes = 100;
  source.begin(machine, { ...at.place, journalBytes: 100 }, new Uint32Array(0));
  const words = new Int32Array(at.channel.words);
  // Nothing that the thread says is heard until it has read everything.
  while (Atomics.load(words, SnapshotWord.phase) !== SnapshotPhase.read) {
    source.stepped(machine);
    Atomics.wait(words, SnapshotWord.hurry, 0, 1);
  }
  at.snapshots.ended(0);
  at.channel.port.close();
  const { port } = at.snapshots.connect(0);
  at.snapshots.recovered(0, undefined);
  expect(await taken).toMatchObject([{ shard: 0, sequence: 7 }]);
  void at.snapshots.take().catch(() => undefined);
  expect(at.asked).toEqual(['prepareSnapshot', 'prepareSnapshot']);
  port.close();
});

test('a log that grows has pages ahead', async () => {
  await using at = new Asked(OFF);
  await at.wish();
  const shard = new OneShard();
  const ids = Array.from({ length: 140_000 }, (_, i) => BigInt(i + 1));
  for (let i = 0; i < ids.length; i += 7000) {
    const accounts = ids.slice(i, i + 7000).map((id) => accountOf(id));
    shard.run([accountsFrame(accounts)], 1_000_000n * BigInt(i + 1));
  }
  const { machine } = shard;
  const { images } = machine.ledger;
  const source = new SnapshotSource(at.channel);
  source.begin(machine, at.place, new Uint32Array(0));
  for (let i = 0; i < ids.length; i += 14_000) {
    const transfers = Array.from({ length: 7000 }, (_, n) =>
      transferOf(BigInt(1_000_000 + i + n), ids[i + n]!, ids[i + 7000 + n]!),
    );
    shard.run([transfersFrame(transfers)], 1_000_000n * BigInt(1_000_000 + i));
  }
  expect(images.pages).toHaveLength(3);
  await expect
    .poll(() => (source.stepped(machine), source.isUnderWay), { timeout: 30_000 })
    .toBe(false);
  // Three that the shard has made, and twice as many that were made for it.
  expect(images.spare).toBe(3 + 6);
});

test('the thread says that it has read something only when it has taken the log of it', async () => {
  await using at = new Asked(OFF);
  await at.wish();
  const shard = new OneShard();
  const accounts = Array.from({ length: 100 }, (_, i) => accountOf(BigInt(i + 1)));
  shard.run([accountsFrame(accounts)], 1_000_000n);
  const digest = digestText(shard.machine.digest());
  const source = new SnapshotSource(at.channel);
  source.begin(shard.machine, at.place, new Uint32Array(0));
  const words = new Int32Array(at.channel.words);
  const passed = (table: ImageTable): number => Atomics.load(words, SnapshotWord.passed + table);
  // The copy is made long before; it waits for two steps of the actor.
  await setTimeout(COPY_MS);
  expect([passed(ImageTable.accounts), passed(ImageTable.slots)]).toEqual([0, 0]);
  shard.run([transfersFrame([transferOf(1000n, 1n, 2n)])], 2_000_000n);
  source.stepped(shard.machine);
  expect(Atomics.load(words, SnapshotWord.log)).toBeGreaterThan(0);
  source.stepped(shard.machine);
  await expect.poll(() => passed(ImageTable.slots), { timeout: 30_000 }).toBe(64 * 2048);
  expect(passed(ImageTable.accounts)).toBe(8192);
  const manifests = (): string[] =>
    listSnapshots(at.directory.path).map(({ manifest }) => readFileSync(manifest, 'utf8'));
  await expect.poll(() => manifests().length, { timeout: 30_000 }).toBe(1);
  expect(JSON.parse(manifests()[0]!)).toMatchObject({ sequence: 7, digest });
});

test('nothing begins for a thread that has ended since the shard was asked', async () => {
  await using at = new Asked(OFF);
  const { taken: underWay } = await at.wish();
  // The thread cannot read this, and ends.
  at.channel.port.postMessage(null, []);
  await expect(underWay).rejects.toThrow('null');
  const { machine } = new OneShard();
  const source = new SnapshotSource(at.channel);
  source.begin(machine, at.place, new Uint32Array(0));
  expect([source.isUnderWay, machine.ledger.images.isActive]).toEqual([false, false]);
});
