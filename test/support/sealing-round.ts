/**
 * One shard's journal with its sealer's thread and segments that are soon full, so that several are prepared, taken, filled, and sealed. Accounts are created, with
 * ids from 1 on, a group at a time. Run as a child with a directory, a line says when a group is durable.
 */
import { EventEmitter, once } from 'node:events';
import { assert } from '../../engine/assert.ts';
import { digestText } from '../../engine/digest.ts';
import { Group } from '../../engine/group.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import { DataDirectory } from '../../persistence/data-directory.ts';
import { HeadWitness, makeWitness } from '../../persistence/head-witness.ts';
import { SegmentSealer, type ToSealer } from '../../persistence/segment-sealer.ts';
import { SqliteJournal } from '../../persistence/sqlite-journal.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { replayJournal } from '../../sharding/replay.ts';
import { accountOf, accountsFrame, wordsOf } from './one-shard.ts';

export const GROUP_ACCOUNTS = 5;
const GROUPS = 8;
const IDLE = 'nothing is left to do';
const SEGMENT_BYTES = 40_000;

interface Round {
  /** Accounts that were there before. */
  readonly found: number;
  readonly digest: string;
}

export async function sealingRound(
  root: string,
  onDurable: (first: number) => void = () => undefined,
): Promise<Round> {
  using opened = DataDirectory.open({ directory: root, shards: 1, create: true });
  const { clusterId, shards, seed } = opened.meta;
  const directory = opened.shardDirectory(0);
  const identity = { clusterId, shard: 0, shards };
  const said = new EventEmitter();
  const sealer = new SegmentSealer((problem) => said.emit('problem', problem));
  const port = sealer.connect();
  const group = new Group();
  const machine = new StateMachine({ shard: 0, shards, seed }, group);
  const { accounts } = machine.ledger;
  const journal = SqliteJournal.open({
    directory,
    ...identity,
    sealer: port,
    witness: new HeadWitness(root, identity),
    segmentBytesMax: SEGMENT_BYTES,
    isHeld: true,
  });
  const records = new RecordReader(journal, shards);
  replayJournal({ journal, machine, group, records });
  const found = accounts.rows;
  makeWitness(root, { clusterId, shards, hasRows: journal.lastSequence > 0 }, () => undefined);
  journal.begin();
  for (let i = 0; i < GROUPS; i++) {
    const first = accounts.rows + 1;
    append(journal, machine, group, first);
    onDurable(first);
    // The sealer does one thing after the other: it has done what it was asked, so that each round has the same steps.
    const answer = once(said, 'problem');
    port.postMessage({ type: 'report', problem: IDLE } satisfies ToSealer, []);
    const [problem] = await answer;
    assert(problem === IDLE, String(problem));
  }
  journal.close();
  await sealer.stop();
  for (let row = 0; row < accounts.rows; row++) {
    assert(accounts.hasId(row, wordsOf(BigInt(row + 1)), 0), 'ids are those of rows');
  }
  return { found, digest: digestText(machine.digest()) };
}

function append(journal: SqliteJournal, machine: StateMachine, group: Group, first: number): void {
  const ids = Array.from({ length: GROUP_ACCOUNTS }, (_, n) => BigInt(first + n));
  const sequence = journal.lastSequence + 1;
  group.reset(sequence);
  const frame = accountsFrame(ids.map((id) => accountOf(id)));
  group.addRequest(frame, 0, frame.length);
  machine.want();
  machine.execute(first, 400_000_000);
  const { clockLow, clockHigh } = machine.ledger;
  const timestamp = (BigInt(clockHigh) << 32n) | BigInt(clockLow);
  journal.append({ sequence, timestamp, frame: group.frame() });
}

if (import.meta.main) {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  await sealingRound(process.argv[2]!, (first) => say(`answered ${first} ${GROUP_ACCOUNTS}`));
  say('done');
}
