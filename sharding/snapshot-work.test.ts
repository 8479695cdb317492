/**
 * What an actor does for a snapshot, counted: nobody is answered late because of one, however large the state is. Its beginning writes words for the buckets of
 * the index and for what is in flight, and nothing for accounts, transfers, or open pending ones; it makes no memory, and neither does the log. A group logs what
 * it changes, each row once. How long that takes is measured (`bench snapshot-under-load`), and no test's business.
 */
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { CHANGING_WORDS, freshMemory, freshPage, logPagesOf } from '../engine/before-images.ts';
import { TransferFlags } from '../engine/flags.ts';
import { imageSizes } from '../engine/image.ts';
import {
  accountOf,
  accountsFrame,
  OneShard,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import { type FromSource, SNAPSHOT_WORDS, SnapshotSource } from './snapshot-source.ts';

const ROWS_MAX = 8000;
const PLACE = { attempt: 1, sequence: 1, chain: 0, timestamp: '1', journalBytes: 0 };
/** What a state has of nothing: sums of the digest, heads of lists, marks of accounts that were used. */
const STATE_WORDS_MAX = 4096;
const STATE_WORDS_OF_BUCKET = 3;
const { SharedArrayBuffer: made } = globalThis;

afterEach(() => {
  globalThis.SharedArrayBuffer = made;
});

/** Bytes of shared memory that something makes. */
function bytesMadeBy(act: () => void): number {
  let bytes = 0;
  globalThis.SharedArrayBuffer = new Proxy(made, {
    construct: (target, args: [number]) => {
      bytes += args[0];
      return Reflect.construct(target, args);
    },
  });
  act();
  globalThis.SharedArrayBuffer = made;
  return bytes;
}

/** A shard of a size, and its source of snapshots with all the memory that it asks for. */
class Sized implements Disposable {
  readonly shard = new OneShard();
  readonly source: SnapshotSource;
  readonly #words = new SharedArrayBuffer(SNAPSHOT_WORDS * 4);
  readonly #channel = new MessageChannel();
  #id = 1n;
  #time = 1_000_000n;

  constructor(accounts: number, pendings: number) {
    this.source = new SnapshotSource({ words: this.#words, port: this.#channel.port1 });
    for (let left = accounts; left > 0; left -= ROWS_MAX) {
      const some = Array.from({ length: Math.min(left, ROWS_MAX) }, () => accountOf(this.#id++));
      this.shard.run([accountsFrame(some)], (this.#time += 1_000_000n));
    }
    for (let left = pendings; left > 0; left -= ROWS_MAX) {
      this.transfer(Math.min(left, ROWS_MAX), TransferFlags.pending);
    }
  }

  /** Over all accounts. */
  transfer(count: number, flags = 0): void {
    const { rows } = this.shard.machine.ledger.accounts;
    const transfers = Array.from({ length: count }, (_, i) => {
      const debit = BigInt(1 + ((2 * i) % rows));
      return { ...transferOf(this.#id++, debit, (debit % BigInt(rows)) + 1n), flags };
    });
    this.shard.run([transfersFrame(transfers)], (this.#time += 1_000_000n));
  }

  prepare(): void {
    const { machine } = this.shard;
    this.source.prepare(machine, PLACE.attempt);
    const sizes = imageSizes(machine.ledger);
    this.#channel.port2.postMessage({ type: 'memory', memory: freshMemory(sizes) });
    for (let page = 0; page <= logPagesOf(sizes); page++) {
      this.#channel.port2.postMessage({ type: 'page', page: freshPage() });
    }
  }

  begin(): void {
    this.source.begin(this.shard.machine, PLACE, new Uint32Array(0));
  }

  /** Messages to the thread since the last time. */
  sent(): readonly FromSource[] {
    const sent: FromSource[] = [];
    for (;;) {
      const received = receiveMessageOnPort(this.#channel.port2);
      if (received === undefined) return sent;
      sent.push(received.message as FromSource);
    }
  }

  [Symbol.dispose](): void {
    this.#channel.port1.close();
    this.#channel.port2.close();
  }
}

test.each([
  { accounts: 100, pendings: 0 },
  { accounts: 40_000, pendings: 0 },
  { accounts: 40_000, pendings: 40_000 },
])(
  'the beginning makes no memory, and writes words for buckets alone: $accounts accounts, $pendings pending transfers',
  ({ accounts, pendings }) => {
    using at = new Sized(accounts, pendings);
    const { buckets } = at.shard.machine.ledger.transferIndex;
    at.prepare();
    at.sent();
    expect(bytesMadeBy(() => at.begin())).toBe(0);
    const [begin, ...more] = at.sent();
    expect(more).toEqual([]);
    expect(begin).toMatchObject({
      type: 'begin',
      parts: { sizes: { rows: accounts, pendings, buckets } },
    });
    const { state } = (begin as FromSource & { readonly type: 'begin' }).parts;
    expect(state.length).toBeLessThan(STATE_WORDS_MAX + buckets * STATE_WORDS_OF_BUCKET);
  },
);

test('a group logs each account that it changes once, and makes no memory; a step tells of the pages it has begun', () => {
  const accounts = 40_000;
  using at = new Sized(accounts, 0);
  const { machine } = at.shard;
  const { images } = machine.ledger;
  at.prepare();
  at.begin();
  at.source.stepped(machine);
  const length = (): number => images.length;
  for (let round = 0; round < 3; round++) {
    at.sent();
    const before = { words: length(), pages: images.pages.length };
    const bytes = bytesMadeBy(() => {
      at.transfer(ROWS_MAX);
      at.source.stepped(machine);
    });
    expect(bytes).toBe(0);
    // Later rounds change the same accounts, and the slots that are filled were empty when it began.
    const changed = round === 0 ? 2 * ROWS_MAX : 0;
    expect(length() - before.words).toBeLessThanOrEqual(changed * (3 + CHANGING_WORDS));
    const pages = images.pages.length - before.pages;
    expect(at.sent().map(({ type }) => type)).toEqual(Array(pages).fill('page'));
  }
});
