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
import { StateMachine } from '../engine/state-machine.ts';
import { DataDirectoryError, JournalError } from '../persistence/errors.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import type { JournalRow } from '../persistence/journal.ts';
import { segmentName } from '../persistence/segment.ts';
import { RecordReader } from '../sharding/record-reader.ts';
import { replayGroup } from '../sharding/replay.ts';
import { copyAccounts, orderById, sharedWords } from './account-rows.ts';
import { partitionIds } from './duplicate-ids.ts';
import { Outbox } from './outbox.ts';
import type { ShardAnswer, ShardDamage, ShardState, ShardTask } from './shard-task.ts';
import { accountComplaints } from './state-checks.ts';
import { StatementWriter } from './statement.ts';

/** Never throws for what the journal says: damage is an answer. */
export function replayShardTask(task: ShardTask): ShardAnswer {
  let replay: ShardReplay | undefined;
  try {
    replay = new ShardReplay(task);
    return { type: 'state', state: replay.run() };
  } catch (error: unknown) {
    const damage = damageOf(error, task, replay?.sequence ?? 1);
    if (damage === undefined) throw error;
    return replay === undefined ? firstDamage(task, damage) : { type: 'damage', damage };
  } finally {
    replay?.close();
  }
}

/** The last segment cannot be opened, which shows before anything is read: what lies before it may be wrong as well. */
function firstDamage(task: ShardTask, damage: ShardDamage): ShardAnswer {
  const view = task.view.slice(0, -1);
  const earlier =
    view.length === 0 ? undefined : replayShardTask({ ...task, view, statement: null });
  return earlier?.type === 'damage' ? earlier : { type: 'damage', damage };
}

function damageOf(error: unknown, task: ShardTask, sequence: number): ShardDamage | undefined {
  const { shard, view } = task;
  if (error instanceof JournalError && error.damage !== undefined) {
    return { shard, ...error.damage };
  }
  if (!(error instanceof DataDirectoryError)) return undefined;
  const file = fileOf(view, sequence);
  return { shard, sequence, file, rule: error.message };
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
  readonly #progress: Float64Array;
  #before: Uint32Array | null = null;
  #timestamp = 0n;
  #events = 0;

  constructor(task: ShardTask) {
    const { directory, clusterId, shard, shards, seed, view, statement } = task;
    this.#task = task;
    this.#progress = new Float64Array(task.progress);
    this.#journal = JournalReader.open({ directory, clusterId, shard, shards, view });
    this.#machine = new StateMachine({ shard, shards, seed }, this.#group);
    this.#records = new RecordReader(this.#journal, shards);
    this.#outbox = new Outbox(this.#machine, task.keepFrom);
    this.#statement =
      statement === null ? null : new StatementWriter(this.#machine, this.#group, statement);
  }

  run(): ShardState {
    const began = performance.now();
    const { from, to } = this.#task;
    this.#machine.requests.isReplay = true;
    if (from === 0) this.#keepBefore();
    else if (from === null) this.#statement?.begin();
    // Counted here, so that a row that cannot be read has a number as well.
    this.sequence = 1;
    for (const row of to === 0 ? [] : this.#journal.rows(1)) {
      this.#execute(row);
      if (row.sequence === from) this.#keepBefore();
      this.sequence = row.sequence + 1;
      if (row.sequence === to) break;
    }
    this.#statement?.end();
    this.sequence--;
    return this.#state((performance.now() - began) / 1000);
  }

  #execute(row: JournalRow): void {
    const group = this.#group;
    replayGroup(row, { machine: this.#machine, group, records: this.#records });
    const closed = this.#machine.ledger;
    const clock = (BigInt(closed.clockHigh) << 32n) | BigInt(closed.clockLow);
    if (clock !== row.timestamp || row.timestamp < this.#timestamp) {
      throw new DataDirectoryError('DATA_DAMAGED', 'the row has another time than its frame');
    }
    this.#timestamp = row.timestamp;
    this.#events += group.words[Head.inputRows]!;
    this.#outbox.add();
    this.#statement?.add(row.sequence);
    const { shard } = this.#task;
    this.#progress[shard] = this.#progress[shard]! + row.frame.byteLength;
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
      timestamp: this.#timestamp,
      digest: digestText(machine.digest()),
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

function copyPendings(machine: StateMachine): Uint32Array {
  const records = sharedWords(machine.ledger.pendings.count * ROW_WORDS);
  let at = 0;
  machine.forEachPending((record) => {
    records.set(record, at);
    at += record.length;
  });
  return records;
}
