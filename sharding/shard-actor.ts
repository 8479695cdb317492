/**
 * The single writer of one shard: rings to group to engine to journal to replies. Owns the engine and the journal; nobody else touches them.
 * Runs on a thread of its own as a synchronous loop, without an event loop: whatever arrived while a group was executed, or committed, is the next
 * one. The next group is executed while the one before is made durable, if the journal can do so beside; then it waits for it.
 *
 * I1 Single writer: only this thread touches the engine, and says what its journal gets; one row at a time may be appended by a thread of its own.
 * I2 Nothing leaves before it is durable: replies and link messages are held until the group that caused them is, and answers to reads until
 *    everything that was executed before them is.
 * I3 Inputs are journalled in the order in which they were executed, with their timestamp; replay needs nothing else.
 * I4 After a failed commit the actor never answers from memory again: the exception ends the thread, and the shard comes back from disk.
 * I8 The group, the rings, and what waits are bounded; the router admits no more than they hold.
 *
 * Called by shard-worker.ts, and by tests with a memory journal. Reads (look-ups, digests) see the group that was executed before them, and are
 * answered when it is durable, so a client reads its own acknowledged writes, and never anything that is not durable.
 */
import { Head, Input, INPUT_WORDS, InputType } from '../engine/frame.ts';
import { Group } from '../engine/group.ts';
import { SHARD_EVENTS_IN_FLIGHT_MAX } from '../engine/limits.ts';
import { linkRows } from '../engine/link-message.ts';
import { ReplyKind } from '../engine/open-requests.ts';
import { StateMachine } from '../engine/state-machine.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import type { Journal } from '../persistence/journal.ts';
import type { StorageRoom } from '../persistence/storage-room.ts';
import type { ActorSnapshots } from './actor-snapshots.ts';
import { ArchivedRecords } from './archived-records.ts';
import { type Link } from './link.ts';
import { RecordReader } from './record-reader.ts';
import { replayJournal, type Replayed } from './replay.ts';
import { ReplyOutbox } from './reply-outbox.ts';
import type { RingReader, RingWriter } from './ring.ts';
import type { ShardCounters } from './shard-counters.ts';
import { RecoveryPhase, RequestType, type LoadedFrom } from './shard-protocol.ts';
import { ShardReads } from './shard-reads.ts';

export interface ShardActorOptions {
  readonly shard: number;
  readonly shards: number;
  readonly seed: number;
  readonly session: number;
  readonly journal: Journal;
  readonly requests: RingReader;
  readonly replies: RingWriter;
  /** By peer; a hole for the shard itself. */
  readonly links: readonly (Link | undefined)[];
  readonly counters: ShardCounters;
  readonly room: StorageRoom;
  /** Wakes whoever something was written to, in the midst of a step: by peer, and the main thread behind them. */
  readonly ring: (written: Uint8Array) => void;
  /** The ledger's time, nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** The clock by which callers set their deadlines. The same as `now`, but in tests. */
  readonly wall: () => bigint;
  /** Told of what an operator should know, in a sentence each time. */
  readonly note?: (line: string) => void;
  /** None: it keeps no snapshots, and recovers by its journal alone. */
  readonly snapshots?: ActorSnapshots | undefined;
}

export interface Recovered extends Replayed {
  readonly snapshot: LoadedFrom | undefined;
}

export class ShardActor {
  readonly #options: ShardActorOptions;
  readonly #group = new Group();
  #machine: StateMachine;
  readonly #records: RecordReader;
  #reads: ShardReads;
  readonly #replies: ReplyOutbox;
  readonly #archived: ArchivedRecords;
  /** Acknowledgements that the journal does not have yet, by peer. */
  readonly #acknowledged: Float64Array;
  /** A group is executed and on its way to the disk; its outputs are held. */
  #isUnderWay = false;
  #submittedAt = 0n;
  /** When the execution of the group under way began. */
  #begunAt = 0n;
  /** Whom the last step has written to: by peer, and the main thread behind them. */
  readonly written: Uint8Array;

  constructor(options: ShardActorOptions) {
    this.#options = options;
    const { shard, shards, seed } = options;
    this.#machine = new StateMachine({ shard, shards, seed }, this.#group);
    this.#records = new RecordReader(options.journal, shards);
    this.#replies = new ReplyOutbox(options.replies);
    this.#reads = new ShardReads(this.#machine, this.#replies);
    this.#archived = new ArchivedRecords({
      machine: () => this.#machine,
      group: this.#group,
      records: this.#records,
      links: options.links,
      beat: () => options.counters.beat(),
      refuse: (request, { kind, sequence }) => this.#reads.refuse(request, kind, sequence),
      onDamage: ({ message }) => options.note?.(`an id was sent again: ${message}`),
    });
    this.#acknowledged = new Float64Array(shards);
    this.written = new Uint8Array(shards + 1);
    this.#group.onBlock = () => this.#look();
    for (const link of options.links) {
      if (link !== undefined) link.onForgotten = (body) => this.#machine.messages.give(body);
    }
  }

  get machine(): StateMachine {
    return this.#machine;
  }

  /**
   * Loads the newest snapshot that can be used, executes the journal behind it again, and compares every outcome. Afterwards the links say what
   * they have.
   */
  recover(): Recovered {
    const { journal, links, counters } = this.#options;
    const loaded = this.#options.snapshots?.load(this.#group);
    if (loaded !== undefined) {
      this.#machine = loaded.machine;
      this.#reads = new ShardReads(this.#machine, this.#replies);
    }
    const after = loaded?.from.sequence ?? 0;
    const replayed = replayJournal({
      journal,
      machine: this.#machine,
      group: this.#group,
      records: this.#records,
      after,
      beat: () => counters.beat(),
      onGroup: (sequence) => {
        this.#keepMessages();
        for (const link of links) link?.forget(this.#machine.acknowledged[link.peer]!);
        if (!isDigestAlone(this.#group)) counters.addJournalBytes(this.#group.byteLength);
        counters.replayed(sequence);
        counters.recovering(
          RecoveryPhase.replaying,
          sequence - after,
          journal.lastSequence - after,
        );
      },
    });
    for (const link of links) link?.resume(this.#machine.received[link.peer]!);
    counters.begin(journal.lastSequence, this.#machine);
    return { ...replayed, snapshot: loaded?.from };
  }

  /** Has memory made for a snapshot, which begins when it is there. */
  prepareSnapshot(attempt: number): void {
    this.#options.snapshots?.prepare(this.#machine, attempt);
  }

  /** Begins a snapshot of the state behind the last commit, between two steps. */
  beginSnapshot(attempt: number): void {
    const { snapshots, journal } = this.#options;
    if (snapshots === undefined) return;
    this.#settle();
    // What is known to have arrived is journalled first: a snapshot forgets the messages that a replay up to there would have forgotten.
    const { acknowledged } = this.#machine;
    const isBehind = this.#acknowledged.some((number, peer) => number > acknowledged[peer]!);
    if (isBehind || journal.lastSequence === 0) {
      this.#group.reset(journal.lastSequence + 1);
      this.#commit(journal.lastSequence + 1);
      this.#settle();
    }
    snapshots.begin(this.#machine, attempt);
  }

  /** One group, if there is work. False when there was none; then the caller waits for the doorbell. */
  step(): boolean {
    const { journal, counters, room } = this.#options;
    counters.beat();
    this.written.fill(0);
    if (this.#isUnderWay && journal.settle(false)) this.#release();
    const sequence = journal.lastSequence + (this.#isUnderWay ? 2 : 1);
    this.#group.reset(sequence);
    room.look();
    counters.setStorage(room);
    if (!room.isExhausted) {
      this.#drainExpiries();
      this.#drainLinks();
    }
    this.#drainRequests();
    let isBusy = this.#group.inputs > 0 || (this.#machine.pumpAgain && !room.isExhausted);
    if (isBusy) isBusy = this.#commit(sequence);
    if (this.#reads.count > 0) {
      // With a group under way they are held as its replies are: to wait for it here would keep the next one from being executed meanwhile.
      const executed = journal.lastSequence + (this.#isUnderWay ? 1 : 0);
      this.#reads.answer(executed, this.#options.session, this.#options.now());
      isBusy = true;
    }
    this.#flush();
    this.#options.snapshots?.stepped(this.#machine);
    return isBusy || this.written.includes(1);
  }

  /** How long to sleep when there is nothing to do: until the next pending transfer expires, and no longer than `most`. */
  idleMs(most: number): number {
    const next = this.#machine.ledger.pendings.nextExpiry();
    if (next === 0n || this.#options.room.isExhausted) return most;
    const left = Number((next - this.#options.now()) / 1_000_000n) + 1;
    return Math.min(most, Math.max(1, left));
  }

  /** Something is waiting for room in a ring: the caller looks again soon, without a doorbell. */
  get hasBacklog(): boolean {
    if (this.#replies.count > 0) return true;
    return this.#options.links.some((link) => link !== undefined && link.isBlocked);
  }

  /** Journals the digest of the state, which the next recovery compares with its own. Not where there is no room for it: it is not needed. */
  writeDigest(): void {
    const { journal, room } = this.#options;
    if (room.isExhausted) return;
    this.#settle();
    const sequence = journal.lastSequence + 1;
    this.#group.reset(sequence);
    this.#group.addMessage(InputType.digest, 0, null);
    this.#commit(sequence);
    this.#settle();
  }

  /** Waits until everything that was executed is durable, and releases it: before anything is done with the actor but another step. */
  settle(): void {
    this.written.fill(0);
    this.#settle();
    this.#flush();
  }

  #settle(): void {
    if (!this.#isUnderWay) return;
    const { journal, counters } = this.#options;
    if (!journal.settle(false)) {
      counters.setBlocked(true);
      journal.settle(true);
      counters.setBlocked(false);
    }
    this.#release();
  }

  /** Releases what has become durable while the next group is executed. */
  // Hot path.
  #look(): void {
    if (!this.#isUnderWay || !this.#options.journal.settle(false)) return;
    this.#release();
    this.#flush();
    this.#options.ring(this.written);
    this.written.fill(0);
  }

  #flush(): void {
    const { links } = this.#options;
    this.#replies.flush();
    for (const link of links) if (link?.flush() === true) this.written[link.peer] = 1;
    if (this.#replies.takeWritten()) this.written[links.length] = 1;
  }

  // ---- Taking inputs.

  /** Time is an input too: what has expired by now is journalled as such. */
  #drainExpiries(): void {
    const { pendings } = this.#machine.ledger;
    if (pendings.first === -1) return;
    const now = this.#options.now();
    if (!pendings.isDue(Number(now & 0xffffffffn), Number(now >> 32n))) return;
    this.#group.addMessage(InputType.expire, 0, null);
  }

  #drainLinks(): void {
    const { links } = this.#options;
    for (const link of links) {
      if (link === undefined) continue;
      const { peer } = link;
      while (!this.#archived.isHeld(peer)) {
        const message = link.peek(this.#machine.sent[peer]!);
        if (message === null) break;
        const { body } = message;
        if (!this.#group.takes((body.length + INPUT_WORDS) * 4, linkRows(body, 0))) break;
        const at = this.#group.addMessage(InputType.link, peer, body);
        const { words } = this.#group;
        words[at + Input.number] = message.number >>> 0;
        words[at + Input.number + 1] = Math.floor(message.number / 4294967296);
        words[at + Input.stamp] = message.clockLow;
        words[at + Input.stamp + 1] = message.clockHigh;
        link.take();
      }
      if (link.acknowledged > this.#acknowledged[peer]!) {
        this.#acknowledged[peer] = link.acknowledged;
      }
    }
  }

  #drainRequests(): void {
    const { requests } = this.#options;
    while (requests.peek()) {
      const { words } = requests;
      const at = requests.at / 4;
      const type = words[at]!;
      if (type >= RequestType.lookupAccounts) {
        this.#reads.take(requests);
        requests.release();
        continue;
      }
      const bytes = words[at + Input.bytes]!;
      const rows = words[at + INPUT_WORDS]! & 0xffffff;
      if (!this.#group.takes(bytes, rows)) return;
      const refusal = this.#refusalOf(words, at, rows);
      if (refusal === null) this.#addRequest(words, at, bytes / 4);
      else this.#reads.refuse(words[at + Input.request]!, refusal);
      requests.release();
    }
  }

  /** Why a create request is not started, or null. */
  #refusalOf(words: Uint32Array, at: number, rows: number): number | null {
    if (this.#isLate(words, at)) return ReplyKind.late;
    if (this.#isFull(rows)) return ReplyKind.overloaded;
    const { room, counters } = this.#options;
    if (!room.isFull) return null;
    counters.refusedForStorage();
    return ReplyKind.storageFull;
  }

  /**
   * Too much waits here already. The router admits no more than fits, but it forgets what it admitted when a shard dies, and the journal
   * does not: callers that ask again would double it with every death.
   */
  #isFull(rows: number): boolean {
    const { waitingRows } = this.#machine.requests;
    return (
      waitingRows > 0 && waitingRows + this.#group.inputRows + rows > SHARD_EVENTS_IN_FLIGHT_MAX
    );
  }

  /** A deadline is journalled as the ledger's clock has it, which is ahead of the wall's when that was put back. */
  #addRequest(words: Uint32Array, at: number, count: number): void {
    const added = this.#group.addRequest(words, at, count);
    const target = this.#group.words;
    const low = target[added + Input.deadline]!;
    const high = target[added + Input.deadline + 1]!;
    if ((low | high) === 0) return;
    const { clockLow, clockHigh } = this.#machine.ledger;
    const clock = (BigInt(clockHigh) << 32n) | BigInt(clockLow);
    const now = this.#options.now();
    const ahead = (clock > now ? clock : now) - this.#options.wall();
    if (ahead <= 0n) return;
    const deadline = ((BigInt(high) << 32n) | BigInt(low)) + ahead;
    target[added + Input.deadline] = Number(deadline & 0xffffffffn);
    target[added + Input.deadline + 1] = Number((deadline >> 32n) & 0xffffffffn);
  }

  /** What has not started by its deadline is not started. */
  #isLate(words: Uint32Array, at: number): boolean {
    const low = words[at + Input.deadline]!;
    const high = words[at + Input.deadline + 1]!;
    if ((low | high) === 0) return false;
    return this.#options.wall() > ((BigInt(high) << 32n) | BigInt(low));
  }

  /** Acknowledgements go into the journal with the next group, so that replay forgets messages as this life did. */
  #addAcknowledgements(): void {
    for (let peer = 0; peer < this.#acknowledged.length; peer++) {
      const number = this.#acknowledged[peer]!;
      if (number <= this.#machine.acknowledged[peer]!) continue;
      const at = this.#group.addMessage(InputType.acknowledged, peer, null);
      this.#group.words[at + Input.number] = number >>> 0;
      this.#group.words[at + Input.number + 1] = Math.floor(number / 4294967296);
    }
  }

  // ---- Execute, make durable, release.

  /** False: nothing of the group could be executed just now. */
  #commit(sequence: number): boolean {
    const { journal, counters, now, links, room } = this.#options;
    const machine = this.#machine;
    this.#addAcknowledgements();
    if (!this.#archived.load()) return false;
    const begunAt = process.hrtime.bigint();
    const time = now();
    machine.execute(Number(time & 0xffffffffn), Number(time >> 32n));
    const frame = this.#group.frame();
    const { words } = this.#group;
    const timestamp = (BigInt(words[Head.closed + 1]!) << 32n) | BigInt(words[Head.closed]!);
    this.#settle();
    counters.setBlocked(true);
    this.#submittedAt = process.hrtime.bigint();
    this.#begunAt = begunAt;
    journal.submit({ sequence, timestamp, frame });
    counters.setBlocked(false);
    this.#isUnderWay = true;
    this.#replies.hold();
    room.wrote(frame.byteLength);
    this.#records.keep(sequence, frame);
    for (const link of links) link?.submitted();
    this.#keepMessages();
    this.#replies.addGroup(machine.requests, this.#options.session);
    if (!isDigestAlone(this.#group)) counters.addJournalBytes(frame.byteLength);
    counters.submitted(this.#group, machine);
    if (journal.settle(false)) this.#release();
    return true;
  }

  /** What was under way is durable: its replies and messages may leave. */
  #release(): void {
    const { journal, counters, links } = this.#options;
    this.#isUnderWay = false;
    for (const link of links) link?.committed();
    this.#replies.release();
    const now = process.hrtime.bigint();
    const nanoseconds = Number(now - this.#submittedAt);
    counters.committed(journal.lastSequence, nanoseconds, Number(now - this.#begunAt));
  }

  /** Hands the messages of the group to their links. */
  #keepMessages(): void {
    const { links } = this.#options;
    const { outgoing, sent, ledger } = this.#machine;
    const left = new Map<number, number>();
    for (const { to } of outgoing) left.set(to, (left.get(to) ?? 0) + 1);
    for (const { to, body } of outgoing) {
      const behind = left.get(to)!;
      left.set(to, behind - 1);
      const link = links[to];
      if (link === undefined) {
        throw new DataDirectoryError(
          'DATA_DAMAGED',
          `the journal speaks of shard ${to}, which there is not`,
        );
      }
      const number = sent[to]! - behind + 1;
      link.send({ number, clockLow: ledger.clockLow, clockHigh: ledger.clockHigh, body });
    }
  }
}

/** What a stop leaves: nothing that would make a snapshot worth while. */
function isDigestAlone({ words, inputAt }: Group): boolean {
  return inputAt.length === 1 && words[inputAt[0]!] === InputType.digest;
}
