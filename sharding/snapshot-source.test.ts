import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { freshPage } from '../engine/before-images.ts';
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
