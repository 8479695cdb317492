/**
 * A slot is one batch of the ring, and how its transfers fared. It is made once, before the clock runs; ids, and what a scenario changes from
 * use to use, are written into its columns.
 */
import {
  type Batch,
  BatchKind,
  batchOfColumns,
  Columns,
  Transfer,
  type WireColumn,
} from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import type { Prng } from '../lib/prng.ts';
import type { Pairs } from './pairs.ts';

export const LEDGER = 1;
export const CODE = 1;

export interface Slot {
  readonly batch: Batch;
  readonly debits: Uint32Array;
  readonly credits: Uint32Array;
  readonly amounts: Uint32Array;
  /** Uses in which every transfer was created. */
  created: number;
  /** Taken and not given back: its ids may still be sent again. */
  isUnderWay: boolean;
}

/** What the transfers of a slot are besides their accounts and amounts. */
export interface TransferKind {
  /** Transfers in a linked chain; the last one of a batch may be shorter. */
  readonly chain?: number | undefined;
  /** Pending, with timeouts drawn from so many seconds to twice as many; 0 for none. */
  readonly pendingTimeoutSeconds?: number | undefined;
  /** A column of user_data_64, to be written. */
  readonly hasUserData?: boolean | undefined;
}

export interface SlotParts {
  readonly accountIds: Uint32Array;
  readonly pairs: Pairs;
  readonly random: Prng;
}

export function makeSlot(parts: SlotParts, n: number, kind: TransferKind): Slot {
  const { accountIds, pairs, random } = parts;
  const debits = new Uint32Array(n);
  const credits = new Uint32Array(n);
  const amounts = new Uint32Array(n);
  pairs.draw({ debits, credits, amounts });
  const ids = new Uint32Array(n * 4);
  const wideAmounts = new Uint32Array(n * 4);
  for (let i = 0; i < n; i++) wideAmounts[i * 4] = amounts[i]!;
  const batch = batchOfColumns(BatchKind.transfers, n, [
    column(Transfer.id, ids),
    column(Transfer.debitAccountId, pickIds(accountIds, debits)),
    column(Transfer.creditAccountId, pickIds(accountIds, credits)),
    column(Transfer.amount, wideAmounts),
    constant(Transfer.ledger, Uint32Array.of(LEDGER)),
    constant(Transfer.code, Uint16Array.of(CODE)),
    ...kindColumns(kind, n, random),
  ]);
  return { batch, debits, credits, amounts, created: 0, isUnderWay: false };
}

function kindColumns(kind: TransferKind, n: number, random: Prng): WireColumn[] {
  const { chain = 1, pendingTimeoutSeconds, hasUserData = false } = kind;
  const columns: WireColumn[] = [];
  const pending = pendingTimeoutSeconds === undefined ? 0 : TransferFlags.pending;
  if (chain > 1) {
    const isLast = (i: number): boolean => i % chain === chain - 1 || i === n - 1;
    const flags = Uint16Array.from({ length: n }, (_, i) =>
      isLast(i) ? pending : pending | TransferFlags.linked,
    );
    columns.push(column(Transfer.flags, flags));
  } else if (pending !== 0) {
    columns.push(constant(Transfer.flags, Uint16Array.of(pending)));
  }
  if (pendingTimeoutSeconds !== undefined && pendingTimeoutSeconds > 0) {
    const timeouts = Uint32Array.from({ length: n }, () =>
      random.between(pendingTimeoutSeconds, pendingTimeoutSeconds * 2),
    );
    columns.push(column(Transfer.timeout, timeouts));
  }
  if (hasUserData) {
    columns.push(
      column(
        Transfer.userData64,
        Uint32Array.from({ length: n * 2 }, () => random.uint32()),
      ),
    );
  }
  return columns;
}

/** A value that no other ordinal has, as random as ids of orders are: what an index knows of its neighbors does not help to find it. */
export function writeMark(words: Uint32Array, at: number, ordinal: number): void {
  words[at] = ordinal + 1;
  words[at + 1] = Math.imul(ordinal + 1, 0x9e3779b1);
}

export function markOf(ordinal: number): bigint {
  const words = new Uint32Array(2);
  writeMark(words, 0, ordinal);
  return (BigInt(words[1]!) << 32n) | BigInt(words[0]!);
}

/** The ids of some accounts, four words each. */
export function pickIds(accountIds: Uint32Array, accounts: Uint32Array): Uint32Array {
  const picked = new Uint32Array(accounts.length * 4);
  for (const [i, account] of accounts.entries()) {
    for (let word = 0; word < 4; word++) picked[i * 4 + word] = accountIds[account * 4 + word]!;
  }
  return picked;
}

type Cells = Uint32Array | Uint16Array;
const bytesOf = (cells: Cells): Uint8Array =>
  new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength);

export const column = (number: number, cells: Cells): WireColumn => ({
  column: number,
  constant: false,
  bytes: bytesOf(cells),
});

export const constant = (number: number, cells: Cells): WireColumn => ({
  column: number,
  constant: true,
  bytes: bytesOf(cells),
});

/** Where a column that is there begins in its batch, in words (code and flags: in halves of words). */
export function columnAt(batch: Batch, number: number): number {
  const columns = new Columns();
  columns.openBatch(batch.words, batch.halves, 0, 0);
  return columns.at[number]!;
}
