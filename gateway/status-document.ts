/** The document of `GET /v1/status` and of the NATS operation `status`. */
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { AccountStatus, TransferStatus } from '../engine/status.ts';
import type { Edge } from './edge.ts';

export interface StatusDocument {
  readonly name: 'sycee';
  readonly version: string;
  readonly node: string;
  readonly ready: boolean;
  readonly shards: readonly {
    readonly shard: number;
    readonly state: string;
    readonly sequence: number;
    /** Nanoseconds, as a decimal string like every u64. */
    readonly timestamp: string;
    readonly queue_depth: number;
    readonly in_flight: number;
    readonly storage_full: boolean;
  }[];
  readonly admission: {
    readonly requests: number;
    readonly requests_max: number;
    readonly bytes: number;
    readonly bytes_max: number;
    readonly refused: number;
  };
  readonly limits: { readonly batch_events_max: number };
  readonly statuses: {
    readonly create_accounts: Readonly<Record<string, number>>;
    readonly create_transfers: Readonly<Record<string, number>>;
  };
}

export function statusDocument(edge: Edge): StatusDocument {
  const { admission } = edge;
  return {
    name: 'sycee',
    version: edge.version,
    node: process.version,
    ready: edge.isReady(),
    shards: edge.router.status().shards.map((one) => ({
      shard: one.shard,
      state: one.state,
      sequence: one.sequence,
      timestamp: String(one.timestamp),
      queue_depth: one.queueDepth,
      in_flight: one.inFlight,
      storage_full: one.isFull,
    })),
    admission: {
      requests: admission.requests,
      requests_max: admission.requestsMax,
      bytes: admission.bytes,
      bytes_max: admission.bytesMax,
      refused: admission.refused,
    },
    limits: { batch_events_max: BATCH_EVENTS_MAX },
    statuses: { create_accounts: AccountStatus, create_transfers: TransferStatus },
  };
}
