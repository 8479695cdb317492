/**
 * What is known of an event besides its row: where its unit ends, and what its batch or its router says of it. A unit is what succeeds or
 * fails together: a chain of linked events with the one after them, or a single event. Marks travel with events that wait or walk.
 */
import { type Columns, Transfer } from './batch.ts';
import { TransferFlags } from './flags.ts';

export const EventMark = {
  /** The last event of its unit. */
  end: 1,
  /** Linked, and the last of its batch: nothing follows that could close the chain. */
  open: 2,
  /** The first event of its batch is imported. */
  imported: 4,
  /** No event of a client: the pending transfer of this row is to expire. */
  expire: 8,
  /** A post or void whose row has the accounts of its pending transfer, because it named another debit account than that has. */
  otherDebit: 16,
  otherCredit: 32,
} as const;

/** In the bytes behind a batch. */
const OTHER_DEBIT = 1;
const OTHER_CREDIT = 2;

/**
 * Writes a mark for each row of a request. `notes` are the bytes behind its batch, or null. Flags of accounts and of transfers agree in the
 * bit that matters here.
 */
export function markRows(
  columns: Columns,
  isImported: boolean,
  notes: Uint8Array | null,
  marks: Uint8Array,
): void {
  const { n, halves, at, step } = columns;
  const start = at[Transfer.flags]!;
  const stride = step[Transfer.flags]!;
  for (let i = 0; i < n; i++) {
    const isLinked = (halves[start + i * stride]! & TransferFlags.linked) !== 0;
    let mark: number = isImported ? EventMark.imported : 0;
    if (!isLinked) mark |= EventMark.end;
    else if (i === n - 1) mark |= EventMark.end | EventMark.open;
    if (notes !== null) {
      if ((notes[i]! & OTHER_DEBIT) !== 0) mark |= EventMark.otherDebit;
      if ((notes[i]! & OTHER_CREDIT) !== 0) mark |= EventMark.otherCredit;
    }
    marks[i] = mark;
  }
}
