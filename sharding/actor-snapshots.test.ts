/** The rehearsal: an image that nobody reads, early in a shard's life. Snapshots themselves have tests of their own. */
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { BeforeImages, freshPage, IMAGE_PAGE_WORDS } from '../engine/before-images.ts';
import {
  accountOf,
  accountsFrame,
  OneShard,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import { ActorSnapshots, type ActorSnapshotsOptions } from './actor-snapshots.ts';
import { countersBuffer, ShardCounters } from './shard-counters.ts';
import {
  type FromSource,
  SNAPSHOT_WORDS,
  SnapshotPhase,
  SnapshotSource,
  SnapshotWord,
} from './snapshot-source.ts';

class Rehearsing implements Disposable {
  readonly shard = new OneShard();
  readonly snapshots: ActorSnapshots;
  readonly said: FromSource[] = [];
  readonly #channel = new MessageChannel();
  readonly #words = new SharedArrayBuffer(SNAPSHOT_WORDS * 4);
  #time = 1n;
  #id = 1n;

  constructor() {
    const source = new SnapshotSource({ words: this.#words, port: this.#channel.port1 });
    const counters = new ShardCounters(countersBuffer());
    const journal = { lastSequence: 1, checksum: () => 0 } as unknown;
    const options = { directory: '', clusterId: '', shard: 0, shards: 1, seed: 1, links: [] };
    this.snapshots = new ActorSnapshots({
      ...options,
      counters,
      source,
      journal: journal as ActorSnapshotsOptions['journal'],
      note: () => undefined,
    });
  }

  get images(): BeforeImages {
    return this.shard.machine.ledger.images;
  }

  get isUnderWay(): boolean {
    return Atomics.load(new Int32Array(this.#words), SnapshotWord.phase) === SnapshotPhase.underWay;
  }

  accounts(count: number): void {
    const accounts = Array.from({ length: count }, () => accountOf(this.#id++));
    this.shard.run([accountsFrame(accounts)], (this.#time += 1_000_000n));
    this.snapshots.stepped(this.shard.machine);
  }

  transfer(debit: bigint, credit: bigint): void {
    this.transfers(1, debit, credit);
  }

  transfers(count: number, debit: bigint, credit: bigint): void {
    const transfers = Array.from({ length: count }, () => transferOf(this.#id++, debit, credit));
    this.shard.run([transfersFrame(transfers)], (this.#time += 1_000_000n));
    this.snapshots.stepped(this.shard.machine);
  }

  /** So many in the ledger, in as many steps as they need. */
  transfersUpTo(count: number): void {
    const { transferIndex } = this.shard.machine.ledger;
    while (transferIndex.count < count)
      this.transfers(Math.min(8000, count - transferIndex.count), 1n, 2n);
  }

  end(phase: number): void {
    Atomics.store(new Int32Array(this.#words), SnapshotWord.phase, phase);
    this.snapshots.stepped(this.shard.machine);
  }

  [Symbol.dispose](): void {
    this.#channel.port1.close();
    this.#channel.port2.close();
  }
}

test('a shard rehearses once it has accounts and transfers, and not for ever', () => {
  using at = new Rehearsing();
  at.accounts(1023);
  at.transfersUpTo(65_536);
  expect(at.images.isActive).toBe(false);
  at.accounts(1);
  expect(at.images.isActive).toBe(true);
  const before = at.images.length;
  at.transfer(1n, 2n);
  expect(at.images.length).toBeGreaterThan(before);
  for (let step = 0; step < 1000; step++) at.snapshots.stepped(at.shard.machine);
  expect([at.images.isActive, at.images.spare]).toEqual([false, 1]);
  at.transfer(3n, 4n);
  expect(at.images.isActive).toBe(false);
});

test('few transfers are no rehearsal', () => {
  using at = new Rehearsing();
  at.accounts(1100);
  at.transfersUpTo(65_535);
  expect(at.images.isActive).toBe(false);
  at.transfersUpTo(65_536);
  expect(at.images.isActive).toBe(true);
});

test('a log of 4 MiB is the end of a rehearsal', () => {
  using at = new Rehearsing();
  at.accounts(1000);
  // So many that splits of their buckets log more than that.
  at.transfersUpTo(200_000);
  at.accounts(100);
  expect(at.images.isActive).toBe(true);
  let most = 0;
  while (at.images.isActive) {
    most = at.images.length;
    at.transfers(8000, 1n, 2n);
  }
  expect([most < 4 * IMAGE_PAGE_WORDS, at.images.spare >= 4]).toEqual([true, true]);
});

test('a snapshot ends it, and there is no other one', () => {
  using at = new Rehearsing();
  at.accounts(1100);
  at.transfersUpTo(65_536);
  expect(at.images.isActive).toBe(true);
  at.transfer(1n, 2n);
  at.snapshots.begin(at.shard.machine, 1);
  expect([at.isUnderWay, at.images.isActive, at.images.length]).toEqual([true, true, 0]);
  // What the rehearsal has saved is saved once more: it belongs to another image.
  at.transfer(1n, 2n);
  expect(at.images.length).toBeGreaterThan(0);
  at.end(SnapshotPhase.read);
  at.transfer(1n, 2n);
  expect(at.images.isActive).toBe(false);
});

test('the log takes pages that were made for it, as many as are kept', () => {
  const images = new BeforeImages();
  const page = freshPage();
  images.supply(page);
  images.begin({ rows: 1, buckets: 0, pendings: 0, users: 0 });
  expect(images.pages).toEqual([page]);
  expect(images.pages[0]).toBe(page);
  images.end(true);
  for (let i = 0; i < 70; i++) images.supply(page);
  expect([images.spare, page.length]).toEqual([64, IMAGE_PAGE_WORDS]);
});
