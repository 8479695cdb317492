import { expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import { Prng } from '../lib/prng.ts';
import type { TransferInput } from '../test/support/model-ledger.ts';
import { accountOf, accountsFrame, OneShard, requestFrame } from '../test/support/one-shard.ts';
import {
  batchOfColumns,
  BatchKind,
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  Columns,
  ROW_WORDS,
  type Batch,
} from './batch.ts';
import { AccountFlags, TransferFlags } from './flags.ts';
import { Input, InputFlag, InputType } from './frame.ts';
import { isPlainBatch, isPlainChainBatch } from './plain-transfers.ts';
import { TransferStatus } from './status.ts';

const MAX = 2n ** 128n - 1n;
/** Of the accounts 1 to 12: two with limits, one with a history of balances, one of another ledger. */
const ACCOUNTS = Array.from({ length: 12 }, (_, i) => {
  const flags =
    [
      AccountFlags.debitsMustNotExceedCredits,
      AccountFlags.creditsMustNotExceedDebits,
      AccountFlags.history,
    ][i] ?? 0;
  return { ...accountOf(BigInt(i + 1), flags), ledger: i === 3 ? 2 : 1 };
});

/** The same rows with every column written out, so that flags could differ, though they do not. */
function writtenOut(batch: Batch, n: number): Batch {
  const columns = openBatch(batch);
  const rows = new Uint32Array(n * ROW_WORDS);
  for (let i = 0; i < n; i++) columns.copyRow(i, rows, i * ROW_WORDS);
  const bytes = new Uint8Array(rows.buffer);
  const written = Array.from({ length: COLUMNS }, (_, column) => {
    const width = COLUMN_BYTES[column]!;
    const values = new Uint8Array(width * n);
    for (let i = 0; i < n; i++) {
      const from = i * ROW_WORDS * 4 + COLUMN_OFFSETS[column]!;
      values.set(bytes.subarray(from, from + width), i * width);
    }
    return { column, constant: false, bytes: values };
  });
  return batchOfColumns(BatchKind.transfers, n, written);
}

function openBatch(batch: Batch): Columns {
  const columns = new Columns();
  const words = new Uint32Array(batch.words.length + 4);
  words.set(batch.words);
  columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
  return columns;
}

function drawTransfer(prng: Prng, used: bigint): TransferInput {
  const draw = (): bigint => BigInt(prng.between(0, 14));
  const transfer: TransferInput = {
    id: prng.chance(85) ? used + BigInt(prng.between(1, 40)) : draw(),
    debitAccountId: draw(),
    creditAccountId: draw(),
    amount: prng.chance(90) ? draw() : MAX - draw() * 2n ** 124n,
    ledger: prng.chance(95) ? 1 : 2,
    code: prng.chance(97) ? 1 : 0,
  };
  if (prng.chance(2)) return { ...transfer, id: MAX };
  return prng.chance(2) ? { ...transfer, debitAccountId: MAX } : transfer;
}

test.each([1, 2, 3, 4, 5, 6])(
  'the short way and the rules make the same of every batch of plain transfers, seed %i',
  (seed) => {
    const prng = new Prng(seed);
    const [short, long] = [new OneShard(), new OneShard()];
    for (const shard of [short, long]) shard.run([accountsFrame(ACCOUNTS)], 1000n);
    let created = 0;
    for (let round = 1; round <= 60; round++) {
      const n = prng.between(1, 30);
      const used = BigInt(round * 20);
      const transfers = Array.from({ length: n }, () => drawTransfer(prng, used));
      const batch = batchOfObjects(BatchKind.transfers, transfers);
      const other = writtenOut(batch, n);
      expect(isPlainBatch(openBatch(batch))).toBe(true);
      expect(isPlainBatch(openBatch(other))).toBe(false);
      const [told] = short.run(
        [requestFrame(InputType.createTransfers, batch)],
        BigInt(round) * 10_000n,
      );
      const [wanted] = long.run(
        [requestFrame(InputType.createTransfers, other)],
        BigInt(round) * 10_000n,
      );
      expect(told).toEqual(wanted);
      expect(short.digest).toBe(long.digest);
      created += told!.statuses.filter((status) => status === TransferStatus.created).length;
    }
    expect(created).toBeGreaterThan(100);
    expect(short.replayed().digest).toBe(short.digest);
  },
);

/** The same request, but with a note for each row that says nothing: what has notes goes the long way. */
function noted(batch: Batch): Uint32Array {
  const plain = requestFrame(InputType.createTransfers, batch);
  const words = plain.length + Math.ceil(batch.n / 8) * 2;
  const frame = new Uint32Array(words);
  frame.set(plain);
  frame[Input.bytes] = words * 4;
  frame[Input.flags] = InputFlag.marks;
  return frame;
}

test.each([1, 2, 3, 4, 5, 6])('and of every batch with chains of them, seed %i', (seed) => {
  const prng = new Prng(100 + seed);
  const [short, long] = [new OneShard(), new OneShard()];
  for (const shard of [short, long]) shard.run([accountsFrame(ACCOUNTS)], 1000n);
  let linked = 0;
  for (let round = 1; round <= 60; round++) {
    const n = prng.between(1, prng.chance(20) ? 700 : 40);
    const used = BigInt(round * 800);
    const isCalm = prng.chance(70);
    const transfers = Array.from({ length: n }, (_, i) => {
      const calm = {
        ...drawTransfer(prng, used),
        id: used + BigInt(prng.chance(4) && i > 0 ? i - 1 : i),
        ledger: 1,
        code: 1,
      };
      const [debitAccountId, creditAccountId] = [5n, 6n].map(
        (id) => id + BigInt(prng.below(3)) * 2n,
      ) as [bigint, bigint];
      const one =
        isCalm && prng.chance(97)
          ? { ...calm, debitAccountId, creditAccountId, amount: 1n }
          : drawTransfer(prng, used);
      return prng.chance(55) ? { ...one, flags: TransferFlags.linked } : one;
    });
    const batch = batchOfObjects(BatchKind.transfers, transfers);
    expect(isPlainChainBatch(openBatch(batch))).toBe(true);
    const [told] = short.run(
      [requestFrame(InputType.createTransfers, batch)],
      BigInt(round) * 10_000n,
    );
    const [wanted] = long.run([noted(batch)], BigInt(round) * 10_000n);
    expect(told).toEqual(wanted);
    expect(short.digest).toBe(long.digest);
    linked += told!.statuses.filter(
      (status, i) =>
        status === TransferStatus.created && transfers[i]!.flags === TransferFlags.linked,
    ).length;
  }
  expect(linked).toBeGreaterThan(100);
  expect(short.replayed().digest).toBe(short.digest);
});

test('a chain whose sums an account cannot hold fails as a whole, however its legs look one by one', () => {
  const shard = new OneShard();
  shard.run([accountsFrame(ACCOUNTS)], 1000n);
  const legs = Array.from({ length: 8 }, (_, i) => ({
    id: BigInt(i + 1),
    debitAccountId: 5n,
    creditAccountId: 6n,
    amount: 2n ** 127n,
    ledger: 1,
    code: 1,
    flags: i < 7 ? TransferFlags.linked : 0,
  }));
  const [told] = shard.run(
    [requestFrame(InputType.createTransfers, batchOfObjects(BatchKind.transfers, legs))],
    2000n,
  );
  expect(told!.statuses).toEqual([
    TransferStatus.linked_event_failed,
    TransferStatus.overflows_debits_posted,
    ...Array.from({ length: 6 }, () => TransferStatus.linked_event_failed),
  ]);
});
