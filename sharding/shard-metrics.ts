/** A shard's counters as a plain object, for `/metrics` and the bench. */
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../engine/status.ts';
import type { ShardClient } from './shard-client.ts';
import type { HostState, ShardHost } from './shard-host.ts';
import { COMMIT_BUCKETS, Counter, GROUP_BUCKETS } from './shard-protocol.ts';

export interface ShardMetrics {
  readonly shard: number;
  readonly state: HostState;
  readonly sequence: number;
  readonly groups: number;
  readonly events: number;
  readonly eventsInGroupMax: number;
  readonly commitNanosecondsSum: number;
  /** Groups per bucket, not cumulative, one more than there are bounds. */
  readonly commitSecondsBuckets: readonly number[];
  readonly groupSizeBuckets: readonly number[];
  /** Upper bounds of the buckets. */
  readonly commitSecondsBounds: readonly number[];
  readonly groupSizeBounds: readonly number[];
  readonly bytesJournalled: number;
  readonly parked: number;
  readonly claimed: number;
  readonly walksInFlight: number;
  readonly requestsInFlight: number;
  /** Bytes in the request ring. */
  readonly queueDepth: number;
  /** Outcomes by name: `create_transfers.created` and so on. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly restarts: number;
  readonly accounts: number;
  readonly transfers: number;
  /** Pending transfers that are open, and those of them whose expiry has begun. */
  readonly pendings: number;
  readonly expiring: number;
  /** 1: creates are refused, since there is no room on the disk; 2: nothing is appended at all. */
  readonly storageFull: number;
  readonly storageRefused: number;
  /** Bytes of the tables of accounts, ids, and open pending transfers. */
  readonly tableBytes: number;
  /** The longest time that the beginning of a snapshot has held the actor, ms. */
  readonly snapshotHoldMs: number;
  /** The longest that one has had a processor for it, ms. */
  readonly snapshotHoldProcessorMs: number;
}

export function readShardMetrics(host: ShardHost, client: ShardClient): ShardMetrics {
  const { counters } = host;
  const buckets = (from: number, bounds: readonly number[]): number[] =>
    Array.from(counters.subarray(from, from + bounds.length + 1));
  return {
    shard: host.shard,
    state: host.state,
    sequence: counters[Counter.sequence]!,
    groups: counters[Counter.groups]!,
    events: counters[Counter.events]!,
    eventsInGroupMax: counters[Counter.eventsInGroupMax]!,
    commitNanosecondsSum: counters[Counter.commitNanoseconds]!,
    commitSecondsBuckets: buckets(Counter.commitBuckets, COMMIT_BUCKETS),
    groupSizeBuckets: buckets(Counter.groupBuckets, GROUP_BUCKETS),
    commitSecondsBounds: COMMIT_BUCKETS,
    groupSizeBounds: GROUP_BUCKETS,
    bytesJournalled: counters[Counter.bytes]!,
    parked: counters[Counter.parked]!,
    claimed: counters[Counter.claimed]!,
    walksInFlight: counters[Counter.walks]!,
    requestsInFlight: client.inFlight,
    queueDepth: client.queuedBytes,
    statuses: {
      ...named('create_accounts', counters, Counter.accountOutcomes, ACCOUNT_STATUS_NAMES),
      ...named('create_transfers', counters, Counter.transferOutcomes, TRANSFER_STATUS_NAMES),
    },
    restarts: host.restarts,
    accounts: counters[Counter.accounts]!,
    transfers: counters[Counter.transfers]!,
    pendings: counters[Counter.pendings]!,
    expiring: counters[Counter.expiring]!,
    storageFull: counters[Counter.storageFull]!,
    storageRefused: counters[Counter.storageRefused]!,
    tableBytes: counters[Counter.tableBytes]!,
    snapshotHoldMs: counters[Counter.snapshotHold]! / 1e6,
    snapshotHoldProcessorMs: counters[Counter.snapshotHoldProcessor]! / 1e6,
  };
}

function named(
  operation: string,
  counters: Float64Array,
  from: number,
  names: readonly (string | undefined)[],
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let code = 0; code < names.length; code++) {
    const name = names[code];
    if (name !== undefined) counts[`${operation}.${name}`] = counters[from + code]!;
  }
  return counts;
}
