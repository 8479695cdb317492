/**
 * The journal of one shard: durable, append-only, one row for each group. It is the system of record; nothing in it is ever updated.
 *
 * Durability contract. `append` returns only when the row would survive power loss. When it throws, the outcome is unknown: the row may
 * or may not be found later, so the caller never answers from memory again (I4). Sequences are dense and start at 1.
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
  /** 0 when empty. */
  readonly lastSequence: number;
  /** The first row that is here; what lies before it was archived. 1 when nothing was. */
  readonly firstSequence: number;
  /** Makes it ready to append. Nothing where the journal lies is changed before. */
  begin(): void;
  /** Makes one group durable as row `lastSequence + 1`, which must be the row's sequence. The frame is not kept by reference. */
  append(row: JournalRow): void;
  /** The frame of one durable row. Throws JOURNAL_CORRUPT when it is missing or altered. */
  read(sequence: number): Uint8Array;
  /** The checksum of a durable row in the chain, itself not checked; for the row before the first, what that one follows. */
  checksum(sequence: number): number;
  /** All rows from `first` on, in order, with checksums, chain and density checked. */
  rows(first: number): IterableIterator<JournalRow>;
  close(): void;
}
