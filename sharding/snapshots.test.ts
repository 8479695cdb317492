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
  SnapshotSource,
  SnapshotWord,
} from './snapshot-source.ts';
import { Snapshots, type SnapshotTriggers } from './snapshots.ts';

class Asked implements AsyncDisposable {
  readonly snapshots: Snapshots;
  /** The shard's end of it. */
  readonly channel: SnapshotChannel;
  journalBytes = 0;
  /** What the shard was asked for. */
  readonly asked: string[] = [];
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
      ask: (_, what) => {
        this.asked.push(what);
        this.#onAsk();
      },
      onWritten: () => undefined,
    });
    this.channel = this.snapshots.connect(0);
  }

  /** Resolves when the shard is asked for the next thing. */
  nextAsk(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAsk = resolve;
    });
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

const PLACE = { sequence: 7, chain: 0, timestamp: '1', journalBytes: 0 };

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
  const asked = at.nextAsk();
  const underWay = at.snapshots.take();
  underWay.catch(() => undefined);
  await asked;
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
  const prepare = at.nextAsk();
  void at.snapshots.take().catch(() => undefined);
  await prepare;
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n)])], 1_000_000n);
  const { machine } = shard;
  const { images } = machine.ledger;
  const source = new SnapshotSource(at.channel);
  const begin = at.nextAsk();
  source.prepare(machine);
  expect([images.spare, images.isActive, at.asked]).toEqual([0, false, ['prepareSnapshot']]);
  await begin;
  expect(at.asked).toEqual(['prepareSnapshot', 'snapshot']);
  const sizes = imageSizes(machine.ledger);
  // As for a life of the shard that has ended; it has its memory besides.
  at.channel.port.postMessage({ type: 'prepare', sizes, sparePages: 1 } satisfies FromSource, []);
  source.begin(machine, PLACE, new Uint32Array(0));
  expect(images.slotBits.buffer.byteLength).toBe(freshMemory(sizes).marks.byteLength);
  expect([logPagesOf(sizes), images.pages.length, images.spare]).toEqual([1, 1, 0]);
  const step = (): boolean => {
    source.stepped(machine);
    return source.isUnderWay;
  };
  await expect.poll(step, { timeout: 30_000 }).toBe(false);
  // Sixteen ahead, and the one that was used.
  expect(images.spare).toBe(17);
  await setTimeout(COPY_MS);
  expect(at.asked).toEqual(['prepareSnapshot', 'snapshot']);
});

test('a snapshot for which there is no memory is refused, and the next one is not', async () => {
  await using at = new Asked(OFF);
  const prepare = at.nextAsk();
  const taken = at.snapshots.take();
  taken.catch(() => undefined);
  await prepare;
  const sizes = { rows: 0, buckets: 2 ** 50, pendings: 0, users: 0 };
  at.channel.port.postMessage({ type: 'prepare', sizes, sparePages: 0 } satisfies FromSource, []);
  await expect(taken).rejects.toThrow(/No snapshot of shard 0: .*(array buffer|allocation)/i);
  void at.snapshots.take().catch(() => undefined);
  expect(at.asked).toEqual(['prepareSnapshot', 'prepareSnapshot']);
  const begin = at.nextAsk();
  new SnapshotSource(at.channel).prepare(new OneShard().machine);
  await begin;
  expect(at.asked.at(-1)).toBe('snapshot');
});

test('the thread says that it has read something only when it has taken the log of it', async () => {
  await using at = new Asked(OFF);
  const asked = at.nextAsk();
  void at.snapshots.take().catch(() => undefined);
  await asked;
  const shard = new OneShard();
  const accounts = Array.from({ length: 100 }, (_, i) => accountOf(BigInt(i + 1)));
  shard.run([accountsFrame(accounts)], 1_000_000n);
  const digest = digestText(shard.machine.digest());
  const source = new SnapshotSource(at.channel);
  source.begin(shard.machine, PLACE, new Uint32Array(0));
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
  const asked = at.nextAsk();
  const underWay = at.snapshots.take();
  underWay.catch(() => undefined);
  await asked;
  // The thread cannot read this, and ends.
  at.channel.port.postMessage(null, []);
  await expect(underWay).rejects.toThrow('null');
  const { machine } = new OneShard();
  const source = new SnapshotSource(at.channel);
  source.begin(machine, PLACE, new Uint32Array(0));
  expect([source.isUnderWay, machine.ledger.images.isActive]).toEqual([false, false]);
});
