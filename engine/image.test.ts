import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { ImageMaking, loadMade } from '../test/support/image-making.ts';
import type { TransferInput } from '../test/support/model-ledger.ts';
import {
  accountOf,
  accountsFrame,
  OneShard,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import { TransferFlags } from './flags.ts';
import { imageSizes } from './image.ts';
import { StateReader, StateWriter } from './state-words.ts';

const BATCH = 4000;
/** More than one chunk of accounts, so that some of a chunk and some of the next are changed. */
const ACCOUNTS = 8300;

class Busy {
  readonly shard = new OneShard();
  readonly #prng = new Prng(3);
  #time = 1_000_000n;
  #id = 1n;
  readonly #open: bigint[] = [];

  constructor() {
    for (let first = 1; first <= ACCOUNTS; first += BATCH) {
      const count = Math.min(BATCH, ACCOUNTS + 1 - first);
      const accounts = Array.from({ length: count }, (_, i) => accountOf(BigInt(first + i)));
      this.#run(accountsFrame(accounts));
    }
  }

  #run(frame: Uint32Array): void {
    this.#time += 1_000_000n;
    this.shard.run([frame], this.#time);
  }

  /** A batch of transfers: plain ones, chains of which some break, pending ones with user data, posts. */
  batch(n = BATCH): void {
    const prng = this.#prng;
    const transfers = Array.from({ length: n }, () => {
      const dr = BigInt(prng.between(1, ACCOUNTS - 1));
      const plain = transferOf(this.#id++, dr, dr + 1n);
      const kind = prng.below(20);
      if (kind < 3) return { ...plain, flags: TransferFlags.linked };
      if (kind === 3) return { ...plain, creditAccountId: 999_999n };
      if (kind < 6) {
        this.#open.push(plain.id);
        const timeout = prng.below(3);
        return { ...plain, flags: TransferFlags.pending, userData64: plain.id, timeout };
      }
      if (kind > 6 || this.#open.length < 40) return plain;
      const [pendingId] = this.#open.splice(prng.below(this.#open.length), 1);
      const flags = TransferFlags.postPendingTransfer;
      const { id } = plain;
      const nobody = { debitAccountId: 0n, creditAccountId: 0n, ledger: 0, code: 0 };
      return { ...plain, ...nobody, id, pendingId: pendingId!, amount: 2n ** 128n - 1n, flags };
    });
    this.#run(transfersFrame(transfers));
  }

  /** A batch of pending transfers. */
  pendings(n: number): void {
    const flags = TransferFlags.pending;
    const transfers = Array.from({ length: n }, (_, i) => {
      const dr = BigInt(this.#prng.between(1, ACCOUNTS - 1));
      const userData64 = i % 3 === 0 ? this.#id : 0n;
      this.#open.push(this.#id);
      return { ...transferOf(this.#id++, dr, dr + 1n), userData64, timeout: i % 2, flags };
    });
    this.#run(transfersFrame(transfers));
  }

  /** Posts of the newest pending transfers: their entries, and rows of user data, are free afterwards. */
  posts(n: number): void {
    const flags = TransferFlags.postPendingTransfer;
    const posts = this.#open.splice(-n).map((pendingId) => ({
      ...transferOf(this.#id++, 0n, 0n, 2n ** 128n - 1n),
      ledger: 0,
      code: 0,
      pendingId,
      flags,
    }));
    this.#run(transfersFrame(posts));
  }

  plainBatch(): void {
    const dr = BigInt(this.#prng.between(1, ACCOUNTS - BATCH));
    this.#run(
      transfersFrame(
        Array.from({ length: BATCH }, (_, i) => {
          const from = dr + BigInt(i);
          return transferOf(this.#id++, from, from + 1n);
        }),
      ),
    );
  }
}

describe('an image that is made while its state machine goes on', () => {
  test('has the state of its beginning, though buckets split, chains break, and rows are used again', () => {
    const busy = new Busy();
    for (let i = 0; i < 3; i++) busy.batch();
    const prng = new Prng(1);
    for (let round = 0; round < 3; round++) {
      const { machine, journal } = busy.shard;
      busy.posts(40);
      const sequence = journal.lastSequence;
      const before = imageSizes(machine.ledger);
      const making = new ImageMaking(machine, prng);
      // First of all, while nothing else has saved their accounts.
      busy.posts(30);
      busy.pendings(20);
      for (let i = 0; i < 6; i++) {
        busy.batch();
        busy.plainBatch();
        busy.posts(10);
        making.advance();
        making.tear();
        if (i % 2 === 1) making.pass();
      }
      const made = making.finish();
      expect(imageSizes(machine.ledger).buckets).toBeGreaterThan(before.buckets);
      const again = new OneShard({ store: busy.shard.store });
      loadMade(again.machine, made);
      expect(imageSizes(again.machine.ledger)).toEqual(before);
      again.follow(sequence);
      expect(again.digest).toBe(busy.shard.digest);
      expect(imageSizes(again.machine.ledger)).toEqual(imageSizes(machine.ledger));
      busy.batch(100);
    }
  });

  test('has every word of an account that changes: sums of 128 bits, what is pending, its head, and whether it is closed', () => {
    const shard = new OneShard();
    shard.run([accountsFrame([1n, 2n, 3n, 4n].map((id) => accountOf(id)))], 1_000_000n);
    let time = 2_000_000n;
    const run = (...transfers: readonly TransferInput[]): void => {
      shard.run([transfersFrame(transfers)], (time += 1_000_000n));
    };
    const large = 0x1111_1111_2222_2222_3333_3333_4444_4444n;
    const pending = TransferFlags.pending;
    const closing = pending | TransferFlags.closingDebit;
    /** All four sums of two accounts. */
    const runAll = (first: bigint): void => {
      run(transferOf(first, 1n, 2n, large), transferOf(first + 1n, 2n, 1n, large));
      run({ ...transferOf(first + 2n, 1n, 2n, large), flags: pending });
      run({ ...transferOf(first + 3n, 2n, 1n, large), flags: pending });
    };
    runAll(10n);
    const making = new ImageMaking(shard.machine, new Prng(1));
    runAll(20n);
    run({ ...transferOf(30n, 3n, 4n), flags: closing });
    // It compares every word.
    expect(making.finish().digest).toBe(making.digest);
  });

  test('logs each row once, and nothing once it has ended', () => {
    const busy = new Busy();
    busy.batch();
    const { images } = busy.shard.machine.ledger;
    const making = new ImageMaking(busy.shard.machine, new Prng(2));
    busy.plainBatch();
    const first = images.length;
    // Most accounts have a sum, code and flags, and a head of two words.
    expect(first).toBeGreaterThan(BATCH * (3 + 4));
    busy.plainBatch();
    busy.plainBatch();
    making.finish();
    expect(images.isActive).toBe(false);
    expect(images.pages).toHaveLength(0);
    busy.plainBatch();
    expect(images.pages).toHaveLength(0);
  });
});

test('words of a state are read as they were written, and not beyond their end', () => {
  const out = new StateWriter();
  out.put(7);
  out.putNumber(2 ** 40 + 3);
  out.putList(Uint32Array.of(1, 2, 3));
  out.putBytes(Uint8Array.of(9, 8, 7, 6, 5));
  const from = new StateReader(out.words());
  expect(from.take()).toBe(7);
  expect(from.takeNumber()).toBe(2 ** 40 + 3);
  expect([...from.takeList()]).toEqual([1, 2, 3]);
  expect([...from.takeBytes()]).toEqual([9, 8, 7, 6, 5]);
  expect(from.isAtEnd).toBe(true);
  expect(() => from.take()).toThrow(/has what is asked of it/);
});

test('words of a state lie in the room that was made for them, as long as they fit', () => {
  const room = new Uint32Array(new SharedArrayBuffer(6 * 4));
  const made = (count: number): StateWriter => {
    const out = new StateWriter(room);
    out.putBytes(Uint8Array.of(9, 8, 7, 6, 5));
    for (let i = 0; i < count; i++) out.put(i);
    return out;
  };
  const fits = made(2).words();
  expect(fits.buffer).toBe(room.buffer);
  const goesOn = made(3).words();
  expect(goesOn.buffer).not.toBe(room.buffer);
  expect([...goesOn]).toEqual([...fits, 2]);
  expect(goesOn.buffer.byteLength).toBe(goesOn.byteLength);
});
