/** What one thread is asked to do with one shard's journal, and what it answers: plain words, which go from thread to thread. */
import type { ViewedSegment } from '../persistence/journal-view.ts';
import type { SnapshotFiles } from '../persistence/snapshot-manifest.ts';
import type { SnapshotCheck } from './snapshot-checks.ts';
import type { StatementHead } from './statement.ts';

export interface ShardTask {
  readonly clusterId: string;
  readonly shard: number;
  readonly shards: number;
  readonly seed: number;
  readonly directory: string;
  readonly view: readonly ViewedSegment[];
  /** Replay up to here, inclusive; or to the end, where that comes first. */
  readonly to: number;
  /** Keep the balances as they were after this sequence; 0 for before everything, null for not at all. */
  readonly from: number | null;
  /** Write a statement of this account (four words) into a file, of what came after `from`. */
  readonly statement: { readonly account: Uint32Array; readonly file: string } | null;
  /** By peer: messages to keep from this number on although they are acknowledged; null for none. */
  readonly keepFrom: readonly number[] | null;
  /** Snapshots from which the replay may begin, the newest first; or, with `checksSnapshots`, all that are compared with what it gives. */
  readonly snapshots: readonly SnapshotFiles[];
  readonly checksSnapshots: boolean;
  /** Whether the pending transfers, and the ids of all transfers, are wanted too. */
  readonly wantsPendings: boolean;
  readonly wantsIds: boolean;
  /** A number for each shard: bytes of frames that it has read so far. */
  readonly progress: SharedArrayBuffer;
}

/** Where a journal is wrong first. */
export interface ShardDamage {
  readonly shard: number;
  readonly sequence: number;
  readonly file: string;
  readonly rule: string;
  /** Nothing is wrong: what is needed is in an archive that is not there. */
  readonly isAway?: true;
}

/** A message that the peer is not known to have. */
export interface SentMessage {
  readonly to: number;
  readonly number: number;
  readonly body: Uint32Array;
}

export interface ShardState {
  readonly shard: number;
  /** The last row that was executed, and its timestamp. */
  readonly sequence: number;
  readonly timestamp: bigint;
  readonly digest: string;
  /** The snapshot that the replay began with; null: with the first row. */
  readonly snapshot: number | null;
  /** Inputs of the rows that were executed. */
  readonly events: number;
  readonly seconds: number;
  /** By creation, 32 words each, and the row numbers in order of ids. */
  readonly accounts: Uint32Array;
  readonly order: Uint32Array;
  /** The first of them as they were at `from`; later ones were not there. */
  readonly before: Uint32Array | null;
  readonly sent: Float64Array;
  readonly received: Float64Array;
  readonly acknowledged: Float64Array;
  readonly outbox: readonly SentMessage[];
  readonly transfers: number;
  readonly openPendings: number;
  readonly expiring: number;
  readonly walks: number;
  readonly claims: number;
  readonly parked: number;
  /** Records of the open pending transfers, 32 words each. */
  readonly pendings: Uint32Array | null;
  /** Ids of the stored transfers, four words each, those of a part together; where each part begins. */
  readonly ids: { readonly words: Uint32Array; readonly starts: Uint32Array } | null;
  /** What replay saw that no checksum shows: accounts over a limit, for one. */
  readonly complaints: readonly ShardDamage[];
  readonly statement: StatementHead | null;
}

export type ShardAnswer = {
  /** Snapshots that could not be used, as sentences. */
  readonly passedOver: readonly string[];
  /** What was found of those that were to be checked, in order of their sequences. */
  readonly checks: readonly SnapshotCheck[];
} & (
  | { readonly type: 'state'; readonly state: ShardState }
  | { readonly type: 'damage'; readonly damage: ShardDamage }
);
