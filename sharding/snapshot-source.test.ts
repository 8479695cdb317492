import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { assert } from '../engine/assert.ts';
import { freshMemory, freshPage, ImageTable } from '../engine/before-images.ts';
import { TransferFlags } from '../engine/flags.ts';
import { imageSizes } from '../engine/image.ts';
import type { TransferInput } from '../test/support/model-ledger.ts';
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
  type ToSource,
} from './snapshot-source.ts';

const PLACE: SnapshotPlace = {
  attempt: 5,
  sequence: 1,
  chain: 0,
  timestamp: '1',
  journalBytes: 0,
};

/** A source, and the thread's end of its channel. */
class Connected implements Disposable {
  readonly source: SnapshotSource;
  readonly words = new Int32Array(new SharedArrayBuffer(SNAPSHOT_WORDS * 4));
  readonly #channel = new MessageChannel();

  constructor() {
    const { port1: port } = this.#channel;
    this.source = new SnapshotSource({ words: this.words.buffer, port });
  }

  get phase(): number {
    return Atomics.load(this.words, SnapshotWord.phase);
  }

  set phase(phase: number) {
    Atomics.store(this.words, SnapshotWord.phase, phase);
  }

  send(message: ToSource): void {
    this.#channel.port2.postMessage(message);
  }

  receive(): FromSource | undefined {
    return receiveMessageOnPort(this.#channel.port2)?.message as FromSource | undefined;
  }

  [Symbol.dispose](): void {
    this.#channel.port1.close();
    this.#channel.port2.close();
  }
}

test('pages of the log are written over only when the thread has read all of it', () => {
  using at = new Connected();
  const { source } = at;
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n)])], 1_000_000n);
  const { machine } = shard;
  const { images } = machine.ledger;
  let id = 1n;
  const pageOfNext = (end: number): Uint32Array => {
    at.phase = SnapshotPhase.idle;
    source.begin(machine, PLACE, new Uint32Array(0));
    shard.run([transfersFrame([transferOf(id++, 1n, 2n)])], 1_000_000n * (id + 1n));
    source.stepped(machine);
    expect(at.words[SnapshotWord.log]).toBe(images.length);
    const page = images.pages[0]!;
    at.phase = end;
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
});

test('a log that is too long gives up its own snapshot, and not the next one', () => {
  using at = new Connected();
  const { source } = at;
  const { machine } = new OneShard();
  const { images } = machine.ledger;
  const begin = (): void => {
    at.phase = SnapshotPhase.idle;
    source.begin(machine, PLACE, new Uint32Array(0));
    expect(source.isUnderWay).toBe(true);
  };
  begin();
  Object.defineProperty(images, 'length', { get: () => 2 ** 31 + 1 });
  source.stepped(machine);
  expect([source.isUnderWay, at.phase]).toEqual([false, SnapshotPhase.abandoned]);
  begin();
  // The thread has failed meanwhile, and the supervisor goes on.
  at.phase = SnapshotPhase.idle;
  source.stepped(machine);
  expect([source.isUnderWay, at.phase]).toEqual([false, SnapshotPhase.idle]);
});

test('memory that the thread has made is used for the log, and counted when the next snapshot begins', () => {
  using at = new Connected();
  const { source } = at;
  const { machine } = new OneShard();
  const pages = [freshPage(), freshPage()];
  for (const page of pages) at.send({ type: 'page', page });
  source.begin(machine, PLACE, new Uint32Array(0));
  const begin = at.receive();
  expect(begin).toMatchObject({ type: 'begin', sparePages: 2 });
  expect(machine.ledger.images.pages[0]!.buffer).toEqual(pages[1]!.buffer);
  at.send({ type: 'page', page: freshPage() });
  source.stepped(machine);
  expect(machine.ledger.images.spare).toBe(2);
});

test('marks that the thread has made are those of the next image alone, and only where they are enough', () => {
  using at = new Connected();
  const { source } = at;
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n)])], 1_000_000n);
  const { machine } = shard;
  const { images } = machine.ledger;
  let id = 1n;
  /** The words of an image's marks behind some change. */
  const marked = (): Uint8Array => {
    at.phase = SnapshotPhase.idle;
    source.begin(machine, PLACE, new Uint32Array(0));
    const { buffer } = images.slotBits;
    shard.run([transfersFrame([transferOf(id++, 1n, 2n)])], 1_000_000n * (id + 1n));
    expect(filledIn(images.slotBits)).toBe(1);
    at.phase = SnapshotPhase.read;
    source.stepped(machine);
    return new Uint8Array(buffer);
  };
  source.prepare(machine, 5);
  const asked = at.receive();
  const sizes = imageSizes(machine.ledger);
  expect(asked).toEqual({ type: 'prepare', attempt: 5, sizes, sparePages: 0 });
  const memory = freshMemory(sizes);
  const { marks, state } = memory;
  at.send({ type: 'memory', memory });
  const first = marked();
  const begin = at.receive();
  assert(begin?.type === 'begin', 'the source says what there is');
  expect(new Uint8Array(begin.parts.state.buffer)).toEqual(new Uint8Array(state));
  expect(state.byteLength).toBeGreaterThan(begin.parts.state.byteLength);
  expect(first).toEqual(new Uint8Array(marks));
  const second = marked();
  expect(new Uint8Array(marks)).toEqual(first);
  expect(second.length).toBeLessThan(marks.byteLength);
  const short = new SharedArrayBuffer(second.length - 1);
  at.send({ type: 'memory', memory: { marks: short, state } });
  expect(marked().length).toBe(second.length);
  expect(new Uint8Array(short).every((byte) => byte === 0)).toBe(true);
});

test('what the thread has read is not logged any more, until the next snapshot begins', () => {
  using at = new Connected();
  const { source } = at;
  const shard = new OneShard();
  const accounts = Array.from({ length: 20 }, (_, i) => accountOf(BigInt(i + 1)));
  shard.run([accountsFrame(accounts)], 1_000_000n);
  const { machine } = shard;
  const { images } = machine.ledger;
  const pendings = [50n, 51n, 52n].map((id) => ({
    ...transferOf(id, 19n, 20n),
    flags: TransferFlags.pending,
  }));
  shard.run([transfersFrame(pendings)], 2_000_000n);
  let id = 100n;
  /** Words of the log that something takes, and the slots it has filled. */
  const logged = (transfer: TransferInput): readonly number[] => {
    const before = images.length;
    const filled = filledIn(images.slotBits);
    shard.run([transfersFrame([{ ...transfer, id }])], 1_000_000n * ++id);
    source.stepped(machine);
    return [images.length - before, filledIn(images.slotBits) - filled];
  };
  const plain = (debit: bigint, credit: bigint): readonly number[] =>
    logged(transferOf(id, debit, credit));
  const post = (pendingId: bigint): readonly number[] => {
    const nobody = { ...transferOf(id, 0n, 0n, 2n ** 128n - 1n), ledger: 0, code: 0 };
    return logged({ ...nobody, pendingId, flags: TransferFlags.postPendingTransfer });
  };
  const pass = (table: ImageTable, count: number): void => {
    Atomics.store(at.words, SnapshotWord.passed + table, count);
    source.stepped(machine);
  };
  // Of each its code and flags; of one that has a transfer its sum and its head besides, of two words.
  const ACCOUNT = 3 + 1;
  const USED_ACCOUNT = ACCOUNT + 3;
  const SLOT = 3 + 1 + 6;
  const ENTRY = 3 + 18;
  source.begin(machine, PLACE, new Uint32Array(0));
  expect(plain(1n, 2n)).toEqual([2 * ACCOUNT, 1]);
  expect(plain(1n, 2n)).toEqual([0, 1]);
  expect(post(50n)).toEqual([2 * USED_ACCOUNT + SLOT + ENTRY, 1]);
  pass(ImageTable.accounts, 4);
  expect(plain(3n, 4n)).toEqual([0, 1]);
  expect(plain(4n, 5n)).toEqual([ACCOUNT, 1]);
  expect(post(51n)).toEqual([SLOT + ENTRY, 1]);
  pass(ImageTable.slots, 64 * 2048);
  expect(plain(6n, 7n)).toEqual([2 * ACCOUNT, 0]);
  pass(ImageTable.accounts, 8192);
  expect(plain(8n, 9n)).toEqual([0, 0]);
  expect(post(52n)).toEqual([ENTRY, 0]);
  at.phase = SnapshotPhase.read;
  source.stepped(machine);
  at.phase = SnapshotPhase.idle;
  source.begin(machine, PLACE, new Uint32Array(0));
  expect(plain(8n, 9n)).toEqual([2 * USED_ACCOUNT, 1]);
  expect(plain(10n, 11n)).toEqual([2 * ACCOUNT, 1]);
});

/** Slots that were filled, according to their bits. */
function filledIn(slotBits: Uint32Array): number {
  let count = 0;
  for (const word of slotBits) {
    for (let bits = word & 0xaaaaaaaa; bits !== 0; bits &= bits - 1) count++;
  }
  return count;
}
