/**
 * The journal of one shard: durable, append-only, one row for each group. It is the system of record; nothing in it is ever updated.
 *
 * Durability contract. A row is durable, which is to say that it would survive power loss, when `append` has returned, or `settle` has said so after
 * `submit`. When one of them throws, the outcome is unknown: the row may or may not be found later, so the caller never answers from memory
 * again (I4). Sequences are dense and start at 1.
 * Integrity. Every row carries a CRC-32 that chains over the previous row's; `rows` and `read` check it and throw JOURNAL_CORRUPT.
 */
export interface JournalRow {
  readonly sequence: number;
  /** Nanoseconds since the epoch: the last timestamp of the group. */
  readonly timestamp: bigint;
  /** Valid until the next row is asked for. */
  readonly frame: Uint8Array;
}

export interface Journal extends Disposable {
  /** Of the last durable row; 0 when empty. */
  readonly lastSequence: number;
  /** The first row that is here; what lies before it was archived. 1 when nothing was. */
  readonly firstSequence: number;
  /** What it has is durable, also what a killed process has left: before anybody is told of it. Nothing where the journal lies is changed before. */
  secure(): void;
  /** The same, and makes it ready to append. */
  begin(): void;
  /** Makes one group durable as row `lastSequence + 1`, which must be the row's sequence. The frame is not kept by reference. */
  append(row: JournalRow): void;
  /** Begins what `append` does. One row is under way at a time: the one before is to be settled. The frame is not kept by reference. */
  submit(row: JournalRow): void;
  /** Whether nothing is under way any more, so that all that was submitted is durable. Blocks until then when asked to. */
  settle(isWaiting: boolean): boolean;
  /** The frame of one row; one that is under way is waited for. Throws JOURNAL_CORRUPT when it is missing or altered. */
  read(sequence: number): Uint8Array;
  /** The checksum of a durable row in the chain, itself not checked; for the row before the first, what that one follows. */
  checksum(sequence: number): number;
  /** All rows from `first` on, in order, with checksums, chain and density checked. */
  rows(first: number): IterableIterator<JournalRow>;
  close(): void;
}
