/**
 * Replays one shard's journal up to a sequence, in a thread of its own, and gives what it then knows. Every row's checksum and place in the chain
 * is checked as it is read, and every frame is executed again and compared. The journal is streamed; memory is that of the state, and of what
 * was asked for.
 */
import { performance } from 'node:perf_hooks';
import { ROW_WORDS } from '../engine/batch.ts';
import { digestText } from '../engine/digest.ts';
import { Head } from '../engine/frame.ts';
import { Group } from '../engine/group.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { DataDirectoryError, isSegmentArchived, JournalError } from '../persistence/errors.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import type { JournalRow } from '../persistence/journal.ts';
import { segmentName } from '../persistence/segment.ts';
import { RecordReader } from '../sharding/record-reader.ts';
import { deferringIds, refuseRepeats, replayGroup } from '../sharding/replay.ts';
import { copyAccounts, orderById, sharedWords } from './account-rows.ts';
import { partitionIds } from './duplicate-ids.ts';
import { Outbox } from './outbox.ts';
import type { ShardAnswer, ShardDamage, ShardState, ShardTask } from './shard-task.ts';
import { SnapshotChecks } from './snapshot-checks.ts';
import { firstAtHand, replayStart, type ReplayStart } from './snapshot-start.ts';
import { accountComplaints } from './state-checks.ts';
import { StatementWriter } from './statement.ts';

/** Never throws for what the journal says: damage is an answer. */
export function replayShardTask(task: ShardTask): ShardAnswer {
  return deferringIds((defersIds) => {
    if (defersIds) return answerOf(task, defersIds);
    // Once more, for the place of the damage: nothing of the first time counts.
    new Float64Array(task.progress)[task.shard] = 0;
    return answerOf({ ...task, statement: null }, defersIds);
  });
}

function answerOf(task: ShardTask, defersIds: boolean): ShardAnswer {
  const passedOver: string[] = [];
  const snapshots = task.checksSnapshots ? task.snapshots : [];
  const checks = new SnapshotChecks({ ...task, snapshots }, GROUP);
  const found = replayed(task, { passedOver, checks, defersIds });
  const end = found.type === 'state' ? found.state.sequence : undefined;
  return { ...found, passedOver, checks: checks.results(end) };
}

interface Told {
  readonly passedOver: string[];
  readonly checks: SnapshotChecks;
  readonly defersIds: boolean;
}

type Found =
  | { readonly type: 'state'; readonly state: ShardState }
  | { readonly type: 'damage'; readonly damage: ShardDamage };

function replayed(task: ShardTask, told: Told): Found {
  let replay: ShardReplay | undefined;
  try {
    replay = new ShardReplay(task, told);
    return { type: 'state', state: replay.run() };
  } catch (error: unknown) {
    replay?.refuseRepeats(error);
    const damage = damageOf(error, task, replay?.sequence ?? 1);
    if (damage === undefined) throw error;
    return replay === undefined ? firstDamage(task, told, damage) : { type: 'damage', damage };
  } finally {
    replay?.close();
  }
}

/** The last segment cannot be opened, which shows before anything is read: what lies before it may be wrong as well. */
function firstDamage(task: ShardTask, told: Told, damage: ShardDamage): Found {
  const view = task.view.slice(0, -1);
  if (view[0]?.first !== 1) return { type: 'damage', damage };
  const earlier = replayed({ ...task, view, statement: null, snapshots: [] }, told);
  return earlier.type === 'damage' ? earlier : { type: 'damage', damage };
}

function damageOf(error: unknown, task: ShardTask, sequence: number): ShardDamage | undefined {
  const { shard, view } = task;
  if (error instanceof JournalError && error.damage !== undefined) {
    return { shard, ...error.damage };
  }
  const file = fileOf(view, sequence);
  if (isSegmentArchived(error)) {
    return { shard, sequence, file, rule: error.message, isAway: true };
  }
  if (!(error instanceof DataDirectoryError)) return undefined;
  const missing = missingRule(error.cause, view);
  if (missing !== undefined || error.code === 'DATA_ARCHIVED') {
    return { shard, sequence, file, rule: missing ?? error.message, isAway: true };
  }
  return { shard, sequence, file, rule: error.message };
}

/** A row that follows from one that is not here. */
function missingRule(cause: unknown, view: ShardTask['view']): string | undefined {
  if (!(cause instanceof JournalError) || cause.damage === undefined) return undefined;
  const { sequence } = cause.damage;
  if (sequence >= (view[0]?.first ?? 1)) return undefined;
  return `to execute it again, row ${sequence} is needed, whose segment is not here: say with --archive where it is`;
}

/** The segment that a sequence is in. */
export function fileOf(view: ShardTask['view'], sequence: number): string {
  return segmentName(view.findLast(({ first }) => first <= sequence)?.first ?? 1);
}

/** A thread replays one shard after the other; the buffer has megabytes, and is used again. */
const GROUP = new Group();

class ShardReplay {
  /** The row under way. */
  sequence = 0;
  readonly #task: ShardTask;
  readonly #journal: JournalReader;
  readonly #group = GROUP;
  readonly #machine: StateMachine;
  readonly #records: RecordReader;
  readonly #outbox: Outbox;
  readonly #statement: StatementWriter | null;
  readonly #checks: SnapshotChecks;
  /** The last row whose effects were there at the beginning. */
  readonly #after: number;
  readonly #progress: Float64Array;
  #before: Uint32Array | null = null;
  #timestamp = 0n;
  #events = 0;

  constructor(task: ShardTask, { checks, passedOver, defersIds }: Told) {
    const { directory, clusterId, shard, shards, view, statement } = task;
    this.#task = task;
    this.#checks = checks;
    this.#progress = new Float64Array(task.progress);
    this.#journal = JournalReader.open({
      directory,
      clusterId,
      shard,
      shards,
      view,
      lendsFrames: true,
    });
    const start = this.#start(passedOver);
    this.#machine = start.machine;
    this.#machine.defersIds = defersIds;
    this.#after = start.sequence;
    this.#records = new RecordReader(this.#journal, shards);
    this.#outbox = new Outbox(this.#machine, task.keepFrom);
    this.#timestamp = timeOf(this.#machine);
    if (start.links !== null) this.#outbox.load(start.links);
    this.#statement =
      statement === null ? null : new StatementWriter(this.#machine, this.#group, statement);
  }

  /** What is compared with its snapshots is executed from the first row on, if it is there. */
  #start(passedOver: string[]): ReplayStart {
    const task = this.#task;
    const journal = this.#journal;
    const first = firstAtHand(journal);
    const forChecks = first === 1 ? [] : this.#checks.covering(first);
    const candidates = task.checksSnapshots ? forChecks : task.snapshots;
    const note = (line: string): void => void passedOver.push(`shard ${task.shard}: ${line}`);
    try {
      return replayStart({ task, journal, group: this.#group, candidates, note });
    } catch (error: unknown) {
      journal.close();
      throw error;
    }
  }

  run(): ShardState {
    const began = performance.now();
    const { from, to } = this.#task;
    const after = this.#after;
    this.#machine.requests.isReplay = true;
    if (from === after) this.#keepBefore();
    else if (from === null) this.#statement?.begin();
    // Counted here, so that a row that cannot be read has a number as well.
    this.sequence = after + 1;
    for (const row of to === after ? [] : this.#journal.rows(after + 1)) {
      this.#execute(row);
      if (this.#checks.has(row.sequence)) this.#compare(row.sequence);
      if (row.sequence === from) this.#keepBefore();
      this.sequence = row.sequence + 1;
      if (row.sequence === to) break;
    }
    this.refuseRepeats();
    this.#statement?.end();
    this.sequence--;
    return this.#state((performance.now() - began) / 1000);
  }

  /** See `deferringIds`. */
  refuseRepeats(cause?: unknown): void {
    refuseRepeats(this.#machine, cause);
  }

  #execute(row: JournalRow): void {
    const group = this.#group;
    replayGroup(row, { machine: this.#machine, group, records: this.#records });
    if (timeOf(this.#machine) !== row.timestamp || row.timestamp < this.#timestamp) {
      throw new DataDirectoryError('DATA_DAMAGED', 'the row has another time than its frame');
    }
    this.#timestamp = row.timestamp;
    this.#events += group.words[Head.inputRows]!;
    this.#outbox.add();
    this.#statement?.add(row.sequence);
    const { shard } = this.#task;
    this.#progress[shard] = this.#progress[shard]! + row.frame.byteLength;
  }

  #compare(sequence: number): void {
    const { messages } = this.#outbox;
    const chain = this.#journal.checksum(sequence);
    this.#checks.compare(sequence, { machine: this.#machine, messages, chain });
  }

  #keepBefore(): void {
    this.#before = copyAccounts(this.#machine);
    this.#statement?.begin();
  }

  #state(seconds: number): ShardState {
    const { shard, view, wantsIds, wantsPendings } = this.#task;
    const machine = this.#machine;
    const { ledger } = machine;
    const accounts = copyAccounts(machine);
    const { sequence } = this;
    const where = { shard, sequence, file: fileOf(view, sequence) };
    return {
      shard,
      sequence,
      timestamp: timeOf(machine),
      digest: digestText(machine.digest()),
      snapshot: this.#after === 0 ? null : this.#after,
      events: this.#events,
      seconds,
      accounts,
      order: orderById(accounts),
      before: this.#before,
      sent: machine.sent,
      received: machine.received,
      acknowledged: machine.acknowledged,
      outbox: this.#outbox.messages,
      transfers: ledger.transferIndex.count,
      openPendings: ledger.pendings.count,
      expiring: ledger.pendings.expiring,
      walks: machine.walksUnderWay,
      claims: machine.claimedCount,
      parked: machine.parkedCount,
      pendings: wantsPendings ? copyPendings(machine) : null,
      ids: wantsIds ? partitionIds(ledger) : null,
      complaints: accountComplaints(machine, accounts).map((rule) => ({ ...where, rule })),
      statement: this.#statement?.head ?? null,
    };
  }

  close(): void {
    this.#statement?.close();
    this.#journal.close();
  }
}

function timeOf({ ledger }: StateMachine): bigint {
  return (BigInt(ledger.clockHigh) << 32n) | BigInt(ledger.clockLow);
}

function copyPendings(machine: StateMachine): Uint32Array {
  const records = sharedWords(machine.ledger.pendings.count * ROW_WORDS);
  let at = 0;
  machine.forEachPending((record) => {
    records.set(record, at);
    at += record.length;
  });
  return records;
}
