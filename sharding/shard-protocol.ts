/**
 * What crosses the thread boundary between the main thread and a shard's actor: ring frames, control messages, and shared counters.
 *
 * Requests to the actor are ring frames that begin with an input header (engine/group.ts): the three create operations go into the journal
 * as they are; the others are reads, which do not. Replies are ring frames that begin with a reply header (engine/open-requests.ts).
 * Control messages are rare (a peer came back, stop); the actor has no event loop, and looks for them when `Counter.control` has moved.
 */
import type { MessagePort } from 'node:worker_threads';
import { InputType } from '../engine/frame.ts';
import { ReplyKind } from '../engine/open-requests.ts';
import { Doorbell, DOORBELL_BYTES } from '../lib/doorbell.ts';
import type { SnapshotChannel } from './snapshot-source.ts';

/**
 * Words of a position in a reply: {row of the request, sequence low, second position word, pending status}; of an account's head the last one is
 * its flags.
 */
export const POSITION_WORDS = 4;

/** Frames in the request ring beside the journalled inputs. */
export const RequestType = {
  ...InputType,
  lookupAccounts: 16,
  lookupTransfers: 17,
  stateDigest: 18,
  /** Where the newest transfer of each account is. */
  accountHeads: 19,
  watermark: 20,
} as const;

/** Frames in the reply ring. `refused` carries its reason in the word after the header. */
export { ReplyKind };

/** Rings to and from one other shard, as the actor sees them. */
export interface LinkRings {
  readonly peer: number;
  readonly incoming: SharedArrayBuffer;
  readonly outgoing: SharedArrayBuffer;
}

export interface ShardThreadOptions {
  readonly shard: number;
  readonly shards: number;
  readonly seed: number;
  readonly clusterId: string;
  readonly directory: string;
  /** Which life of this shard it is: replies to requests of an earlier one are dropped. */
  readonly session: number;
  /** Added to the monotonic clock to give nanoseconds since the epoch: one source for all shards of a process. */
  readonly clockOffset: bigint;
  /** Tests only: the ledger's time, ns, as one BigInt64, instead of the clock. Deadlines go by the clock all the same. */
  readonly manualClock: SharedArrayBuffer | undefined;
  readonly requests: SharedArrayBuffer;
  readonly replies: SharedArrayBuffer;
  readonly links: readonly LinkRings[];
  readonly counters: SharedArrayBuffer;
  /** One doorbell for each shard, in order, and the main thread's behind them. */
  readonly doorbells: SharedArrayBuffer;
  readonly control: MessagePort;
  readonly sealer: MessagePort;
  /** Whether it changes nothing on disk, and takes nothing, before it is told to begin: the other shards may refuse the start. */
  readonly isHeld: boolean;
  readonly storage: ShardStorage;
  readonly snapshots: SnapshotChannel;
}

/** What a shard goes by to know whether there is room on its disk. */
export interface ShardStorage {
  readonly reserveBytes: number;
  /** Tests only: the free bytes, as one BigInt64, instead of what the file system says. */
  readonly free: SharedArrayBuffer | undefined;
  /** The life before found no room: it is not believed in at once. */
  readonly wasFull: boolean;
}

export type ControlMessage =
  | { readonly type: 'begin' }
  | { readonly type: 'relink'; readonly rings: LinkRings }
  | { readonly type: 'stop' }
  | { readonly type: 'prepareSnapshot' | 'snapshot'; readonly attempt: number }
  | { readonly type: 'fault'; readonly fault: ShardFault };

/** What tests can make an actor do. */
export type ShardFault = 'throw' | 'spin';

/** Numbers of the messages to and from each shard, as a journal has them. */
export interface LinkCounters {
  readonly sent: Float64Array;
  readonly received: Float64Array;
  readonly acknowledged: Float64Array;
}

/** The snapshot that a shard came up from. */
export interface LoadedFrom {
  readonly sequence: number;
  readonly bytes: number;
  readonly seconds: number;
}

export type FromShard =
  | {
      readonly type: 'recovered';
      readonly sequence: number;
      readonly groups: number;
      readonly events: number;
      readonly seconds: number;
      readonly links: LinkCounters;
      /** What was loaded before the journal was replayed. */
      readonly snapshot: LoadedFrom | undefined;
    }
  /** The journal can be appended to. */
  | { readonly type: 'begun' }
  /** A line for the log. */
  | { readonly type: 'note'; readonly line: string }
  | { readonly type: 'failed'; readonly error: SerializedError }
  | { readonly type: 'stopped' };

export interface SerializedError {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly exitCode: number | undefined;
  readonly stack: string | undefined;
  readonly cause: SerializedError | undefined;
}

/** Classes and own fields do not survive `postMessage`: errors cross as plain objects, recognised by `code`. */
export function serializeError(error: unknown): SerializedError {
  if (!(error instanceof Error)) {
    return {
      name: 'Error',
      message: String(error),
      code: undefined,
      exitCode: undefined,
      stack: undefined,
      cause: undefined,
    };
  }
  const { code, exitCode } = error as { code?: unknown; exitCode?: unknown };
  return {
    name: error.name,
    message: error.message,
    code: typeof code === 'string' ? code : undefined,
    exitCode: typeof exitCode === 'number' ? exitCode : undefined,
    stack: error.stack,
    cause: error.cause === undefined ? undefined : serializeError(error.cause),
  };
}

/** Float64 slots of a shard's shared counters. Written by the actor only, but for `control`, which the main thread moves. */
export const Counter = {
  heartbeat: 0,
  state: 1,
  sequence: 2,
  /** The shard's clock: nanoseconds since the epoch, two words. */
  clockLow: 3,
  clockHigh: 15,
  groups: 4,
  events: 5,
  eventsInGroupMax: 6,
  bytes: 7,
  commitNanoseconds: 8,
  parked: 9,
  claimed: 10,
  walks: 11,
  openRequests: 12,
  control: 13,
  /** The actor is inside a commit, which may take as long as the disk does. */
  isCommitting: 14,
  /** 1: no room for creates; 2: none for anything. */
  storageFull: 16,
  replayed: 17,
  accounts: 18,
  transfers: 19,
  tableBytes: 20,
  /** Open pending transfers, and those whose expiry is under way or due. */
  pendings: 21,
  expiring: 22,
  /** Create requests that were refused for it. */
  storageRefused: 23,
  commitBuckets: 24,
  groupBuckets: 40,
  accountOutcomes: 56,
  transferOutcomes: 128,
  /** Bytes of journal that this life has behind its snapshot, replayed or written; digests that stops leave are not counted. */
  journalBytes: 200,
  /** What a recovering shard is at, how much of it is done, and of how much: bytes of a snapshot, or groups. */
  recoveryPhase: 201,
  recoveryDone: 202,
  recoveryOf: 203,
  /** The longest time that the beginning of a snapshot has held the actor, ns. */
  snapshotHold: 204,
  /** The same as time of a processor that the actor has had: without what other threads took from it meanwhile. */
  snapshotHoldProcessor: 206,
  /** The slowest group since the word was last cleared, ns: from the beginning of its execution until it was durable. */
  slowestGroup: 205,
} as const;
export const COUNTERS = 208;

/** What a shard is at while it recovers. */
export const RecoveryPhase = { opening: 0, loading: 1, replaying: 2 } as const;

/** Upper bounds: seconds of a commit, events of a group. The last bucket has none. */
export const COMMIT_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1,
];
export const GROUP_BUCKETS = [0, 1, 4, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768];

export const ShardState = { recovering: 0, running: 1, failed: 2, stopped: 3 } as const;

/** Bytes of the rings. A ring takes frames of up to half its size; link messages travel in parts. */
export const REQUEST_RING_BYTES = 8 << 20;
export const REPLY_RING_BYTES = 4 << 20;
const LINK_RINGS_BYTES_MAX = 256 << 20;
const LINK_RING_BYTES_MIN = 64 << 10;
const LINK_RING_BYTES_MAX = 4 << 20;

/** All link rings together stay within their bound, whatever the number of shards. */
export function linkRingBytes(shards: number): number {
  const share = LINK_RINGS_BYTES_MAX / Math.max(1, shards * (shards - 1));
  const power = 2 ** Math.floor(Math.log2(share));
  return Math.min(LINK_RING_BYTES_MAX, Math.max(LINK_RING_BYTES_MIN, power));
}

/** A doorbell for each shard, and the main thread's behind them. */
export function doorbellsOf(buffer: SharedArrayBuffer, shards: number): Doorbell[] {
  return Array.from({ length: shards + 1 }, (_, i) => new Doorbell(buffer, i * DOORBELL_BYTES));
}
