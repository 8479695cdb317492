import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { freshPage, ImageTable } from '../engine/before-images.ts';
import {
  accountOf,
  accountsFrame,
  OneShard,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import {
  type FromSource,
  SNAPSHOT_WORDS,
  SnapshotPhase,
  SnapshotSource,
  type SnapshotPlace,
  SnapshotWord,
} from './snapshot-source.ts';

test('pages of the log are written over only when the thread has read all of it', () => {
  const { port1, port2 } = new MessageChannel();
  const words = new SharedArrayBuffer(SNAPSHOT_WORDS * 4);
  const shared = new Int32Array(words);
  const source = new SnapshotSource({ words, port: port1 });
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n)])], 1_000_000n);
  const { machine } = shard;
  const { images } = machine.ledger;
  const place: SnapshotPlace = { sequence: 1, chain: 0, timestamp: '1', journalBytes: 0 };
  let id = 1n;
  const pageOfNext = (end: number): Uint32Array => {
    source.begin(machine, place, new Uint32Array(0));
    shard.run([transfersFrame([transferOf(id++, 1n, 2n)])], 1_000_000n * (id + 1n));
    source.stepped(machine);
    expect(Atomics.load(shared, SnapshotWord.log)).toBe(images.length);
    const page = images.pages[0]!;
    Atomics.store(shared, SnapshotWord.phase, end);
    source.stepped(machine);
    expect([source.isUnderWay, images.isActive]).toEqual([false, false]);
    return page;
  };
  const first = pageOfNext(SnapshotPhase.abandoned);
  const second = pageOfNext(SnapshotPhase.read);
  const third = pageOfNext(SnapshotPhase.abandoned);
  const fourth = pageOfNext(SnapshotPhase.read);
  expect(second).not.toBe(first);
  expect(third).toBe(second);
  expect([first, second]).not.toContain(fourth);
  port1.close();
  port2.close();
});

test('memory that the thread has made is used for the log, and counted when the next snapshot begins', () => {
  const { port1, port2 } = new MessageChannel();
  const source = new SnapshotSource({
    words: new SharedArrayBuffer(SNAPSHOT_WORDS * 4),
    port: port1,
  });
  const { machine } = new OneShard();
  const pages = [freshPage(), freshPage()];
  for (const page of pages) port2.postMessage({ page });
  const place: SnapshotPlace = { sequence: 1, chain: 0, timestamp: '1', journalBytes: 0 };
  source.begin(machine, place, new Uint32Array(0));
  const begin = receiveMessageOnPort(port2)?.message as FromSource;
  expect(begin).toMatchObject({ type: 'begin', sparePages: 2 });
  expect(machine.ledger.images.pages[0]!.buffer).toEqual(pages[1]!.buffer);
  port2.postMessage({ page: freshPage() });
  source.stepped(machine);
  expect(machine.ledger.images.spare).toBe(2);
  port1.close();
  port2.close();
});

test('what the thread has read is not logged any more, until the next snapshot begins', () => {
  const { port1, port2 } = new MessageChannel();
  const words = new SharedArrayBuffer(SNAPSHOT_WORDS * 4);
  const source = new SnapshotSource({ words, port: port1 });
  const shard = new OneShard();
  const accounts = Array.from({ length: 20 }, (_, i) => accountOf(BigInt(i + 1)));
  shard.run([accountsFrame(accounts)], 1_000_000n);
  const { machine } = shard;
  const { images } = machine.ledger;
  const place: SnapshotPlace = { sequence: 1, chain: 0, timestamp: '1', journalBytes: 0 };
  let id = 100n;
  /** Words of the log that a transfer between two accounts takes. */
  const logged = (debit: bigint, credit: bigint): number => {
    const before = images.length;
    shard.run([transfersFrame([transferOf(id++, debit, credit)])], 1_000_000n * id);
    source.stepped(machine);
    return images.length - before;
  };
  const pass = (table: ImageTable, count: number): void => {
    Atomics.store(new Int32Array(words), SnapshotWord.passed + table, count);
    source.stepped(machine);
  };
  const ACCOUNT = 3 + 20;
  const SLOT = 3 + 6;
  source.begin(machine, place, new Uint32Array(0));
  expect(logged(1n, 2n)).toBe(2 * ACCOUNT + SLOT);
  expect(logged(1n, 2n)).toBe(SLOT);
  pass(ImageTable.accounts, 4);
  expect(logged(3n, 4n)).toBe(SLOT);
  expect(logged(4n, 5n)).toBe(ACCOUNT + SLOT);
  pass(ImageTable.buckets, 64);
  expect(logged(6n, 7n)).toBe(2 * ACCOUNT);
  pass(ImageTable.accounts, 8192);
  expect(logged(8n, 9n)).toBe(0);
  Atomics.store(new Int32Array(words), SnapshotWord.phase, SnapshotPhase.read);
  source.stepped(machine);
  source.begin(machine, place, new Uint32Array(0));
  expect(logged(8n, 9n)).toBe(2 * ACCOUNT + SLOT);
  expect(logged(10n, 11n)).toBe(2 * ACCOUNT + SLOT);
  port1.close();
  port2.close();
});
