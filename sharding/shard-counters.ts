/** The counters of one shard in shared memory: written by its actor, read by the main thread for metrics and for the watchdog. */
import { Head } from '../engine/frame.ts';
import type { Group } from '../engine/group.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import type { StorageRoom } from '../persistence/storage-room.ts';
import { COMMIT_BUCKETS, Counter, COUNTERS, GROUP_BUCKETS } from './shard-protocol.ts';

export function countersBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer(COUNTERS * 8);
}

export class ShardCounters {
  readonly values: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.values = new Float64Array(buffer);
  }

  beat(): void {
    this.#add(Counter.heartbeat, 1);
  }

  setState(state: number): void {
    this.values[Counter.state] = state;
  }

  replayed(sequence: number): void {
    this.beat();
    this.values[Counter.replayed] = sequence;
  }

  /** What the recovery is at. */
  recovering(phase: number, done: number, of: number): void {
    this.beat();
    this.values[Counter.recoveryPhase] = phase;
    this.values[Counter.recoveryDone] = done;
    this.values[Counter.recoveryOf] = of;
  }

  addJournalBytes(bytes: number): void {
    this.#add(Counter.journalBytes, bytes);
  }

  /** How long the beginning of a snapshot has held the actor, and for how long it had a processor meanwhile. */
  heldBySnapshot(nanoseconds: number, processor: number): void {
    this.#raise(Counter.snapshotHold, nanoseconds);
    this.#raise(Counter.snapshotHoldProcessor, processor);
  }

  begin(sequence: number, machine: StateMachine): void {
    machine.outcomes.accounts.fill(0);
    machine.outcomes.transfers.fill(0);
    this.values[Counter.sequence] = sequence;
    this.#state(machine);
  }

  setStorage({ isFull, isExhausted }: StorageRoom): void {
    this.values[Counter.storageFull] = Number(isFull) + Number(isExhausted);
  }

  refusedForStorage(): void {
    this.#add(Counter.storageRefused, 1);
  }

  /** The actor is blocked by the disk, or not any more. */
  setBlocked(isBlocked: boolean): void {
    this.values[Counter.isCommitting] = Number(isBlocked);
  }

  /** A group is executed, and on its way to the disk. */
  submitted(group: Group, machine: StateMachine): void {
    const { values } = this;
    const events = group.words[Head.inputRows]!;
    this.#add(Counter.groups, 1);
    this.#add(Counter.events, events);
    this.#add(Counter.bytes, group.byteLength);
    values[Counter.eventsInGroupMax] = Math.max(values[Counter.eventsInGroupMax]!, events);
    this.#add(Counter.groupBuckets + bucketOf(GROUP_BUCKETS, events), 1);
    this.#state(machine);
  }

  /** It is durable, so many nanoseconds after, and so many after its execution began. */
  committed(sequence: number, nanoseconds: number, sinceBegun: number): void {
    const { values } = this;
    values[Counter.sequence] = sequence;
    values[Counter.slowestGroup] = Math.max(values[Counter.slowestGroup]!, sinceBegun);
    this.#add(Counter.commitNanoseconds, nanoseconds);
    this.#add(Counter.commitBuckets + bucketOf(COMMIT_BUCKETS, nanoseconds / 1e9), 1);
  }

  #state(machine: StateMachine): void {
    const { values } = this;
    const { ledger } = machine;
    values[Counter.clockLow] = ledger.clockLow;
    values[Counter.clockHigh] = ledger.clockHigh;
    values[Counter.parked] = machine.parkedCount;
    values[Counter.claimed] = machine.claimedCount;
    values[Counter.walks] = machine.walksUnderWay;
    values[Counter.openRequests] = machine.requests.count;
    values[Counter.accounts] = ledger.accounts.rows;
    values[Counter.transfers] = ledger.transferIndex.count;
    values[Counter.pendings] = ledger.pendings.count;
    values[Counter.expiring] = ledger.pendings.expiring;
    values[Counter.tableBytes] = machine.tableBytes;
    values.set(machine.outcomes.accounts, Counter.accountOutcomes);
    values.set(machine.outcomes.transfers, Counter.transferOutcomes);
  }

  #raise(counter: number, to: number): void {
    this.values[counter] = Math.max(this.values[counter]!, to);
  }

  #add(counter: number, by: number): void {
    this.values[counter] = this.values[counter]! + by;
  }
}

function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0;
  while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
  return bucket;
}
