/**
 * Snapshots as one shard's actor has them: where its state comes from when it recovers, and what it does for one that is taken while it runs.
 */
import { assert } from '../engine/assert.ts';
import { IMAGE_PAGE_WORDS } from '../engine/before-images.ts';
import type { Group } from '../engine/group.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { StateReader, StateWriter } from '../engine/state-words.ts';
import type { Journal } from '../persistence/journal.ts';
import type { Link } from './link.ts';
import { recoverState } from './recovery.ts';
import type { ShardCounters } from './shard-counters.ts';
import { Counter, RecoveryPhase, type LoadedFrom } from './shard-protocol.ts';
import type { SnapshotSource } from './snapshot-source.ts';

/**
 * Accounts and transfers that a shard has when it rehearses, and words of the log, or else steps, with which the rehearsal ends. V8 compiles what an
 * actor does for what it has done so far: the first changes that had to be saved took three times as long as later ones, for half a second, and
 * requests piled up. With fewer transfers nothing is compiled yet that would be compiled anew, and no slot is saved.
 */
const REHEARSAL_ACCOUNTS = 1024;
const REHEARSAL_TRANSFERS = 65_536;
const REHEARSAL_WORDS = 4 * IMAGE_PAGE_WORDS;
const REHEARSAL_STEPS = 1000;

export interface ActorSnapshotsOptions {
  readonly directory: string;
  readonly clusterId: string;
  readonly shard: number;
  readonly shards: number;
  readonly seed: number;
  readonly journal: Journal;
  readonly links: readonly (Link | undefined)[];
  readonly counters: ShardCounters;
  readonly source: SnapshotSource;
  /** For the log. */
  readonly note: (line: string) => void;
}

export class ActorSnapshots {
  readonly #options: ActorSnapshotsOptions;
  #rehearsal: 'ahead' | 'underWay' | 'over' = 'ahead';
  #rehearsedSteps = 0;

  constructor(options: ActorSnapshotsOptions) {
    this.#options = options;
  }

  /** The state of the newest snapshot that can be used, with the messages that its links keep; undefined when there is none. */
  load(group: Group): { readonly machine: StateMachine; readonly from: LoadedFrom } | undefined {
    const { counters, links, journal, note } = this.#options;
    const began = performance.now();
    const loaded = recoverState({
      ...this.#options,
      group,
      onProgress: (done, of) => counters.recovering(RecoveryPhase.loading, done, of),
    });
    if (loaded === null) return undefined;
    const { firstSequence } = journal;
    if (firstSequence > 1) note(`its journal begins with sequence ${firstSequence}`);
    const from = new StateReader(loaded.links);
    for (const link of links) link?.load(from);
    assert(from.isAtEnd, 'a snapshot has the messages of every link');
    const { machine, manifest } = loaded;
    const { sequence, bytes } = manifest;
    return { machine, from: { sequence, bytes, seconds: (performance.now() - began) / 1000 } };
  }

  /** Asks for the memory of one that is to begin soon. */
  prepare(machine: StateMachine, attempt: number): void {
    this.#options.source.prepare(machine, attempt);
  }

  /** Begins one of the state behind the last commit. The thread that writes it reads beside this one. */
  begin(machine: StateMachine, attempt: number): void {
    const { journal, links, counters, source } = this.#options;
    const began = process.hrtime.bigint();
    const processor = process.threadCpuUsage();
    this.#endRehearsal(machine);
    const { lastSequence: sequence } = journal;
    const out = new StateWriter();
    for (const link of links) link?.save(out);
    const { clockLow, clockHigh } = machine.ledger;
    const place = {
      attempt,
      sequence,
      chain: journal.checksum(sequence),
      timestamp: String((BigInt(clockHigh) << 32n) | BigInt(clockLow)),
      journalBytes: counters.values[Counter.journalBytes]!,
    };
    source.begin(machine, place, out.words());
    const { user, system } = process.threadCpuUsage(processor);
    const held = Number(process.hrtime.bigint() - began);
    // Systems count what a thread uses at ticks, some milliseconds apart: it may seem to be more than there was.
    counters.heldBySnapshot(held, Math.min((user + system) * 1000, held));
  }

  /** At the end of each step. */
  stepped(machine: StateMachine): void {
    const { source } = this.#options;
    if (source.isUnderWay) source.stepped(machine);
    else if (this.#rehearsal !== 'over') this.#rehearse(machine);
  }

  /** Early in its life the actor does what it does beside a snapshot, of which nobody makes one. */
  #rehearse(machine: StateMachine): void {
    const { accounts, transferIndex, images } = machine.ledger;
    if (this.#rehearsal === 'underWay') {
      this.#rehearsedSteps++;
      const isLong = images.length >= REHEARSAL_WORDS || this.#rehearsedSteps >= REHEARSAL_STEPS;
      if (isLong) this.#endRehearsal(machine);
    } else if (accounts.rows >= REHEARSAL_ACCOUNTS && transferIndex.count >= REHEARSAL_TRANSFERS) {
      machine.beginImage();
      this.#rehearsal = 'underWay';
    }
  }

  #endRehearsal(machine: StateMachine): void {
    if (this.#rehearsal === 'underWay') machine.endImage(true);
    this.#rehearsal = 'over';
  }
}
