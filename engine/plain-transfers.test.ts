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
import { AccountFlags } from './flags.ts';
import { InputType } from './frame.ts';
import { isPlainBatch } from './plain-transfers.ts';
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
