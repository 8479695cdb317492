/** What comes back from a request, the same at the router, at the gateway, and in a client. */

/** Where an effect lies: the group of that sequence in the journal of that shard, and the group's timestamp in nanoseconds. */
export interface Position {
  readonly shard: number;
  readonly sequence: number;
  readonly timestamp: bigint;
}

/** One status number and one timestamp for each event, in request order. */
export interface CreateReply {
  readonly n: number;
  readonly statuses: Uint16Array;
  readonly timestamps: BigUint64Array;
  readonly positions: readonly Position[];
}

/** The rows that were found, in request order: n times 32 words. */
export interface RowsReply {
  readonly n: number;
  readonly rows: Uint32Array;
  /** By row, see PendingStatus: of transfers, not of accounts. */
  readonly pendingStatuses?: Uint8Array;
  readonly positions: readonly Position[];
}
