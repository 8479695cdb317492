/**
 * Run as a child with a directory: one shard's journal with its sealer's thread and segments that are soon full, so that several are prepared, taken, filled, and
 * sealed. Accounts are created, a group at a time; a line says when one is durable.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Group } from '../../engine/group.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import { DataDirectory } from '../../persistence/data-directory.ts';
import { HeadWitness, makeWitness } from '../../persistence/head-witness.ts';
import { SegmentSealer } from '../../persistence/segment-sealer.ts';
import { PREPARED_NAME, segmentName, segmentsIn } from '../../persistence/segment.ts';
import { SqliteJournal } from '../../persistence/sqlite-journal.ts';
import { preflightWal } from '../../persistence/wal-preflight.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { replayJournal } from '../../sharding/replay.ts';
import { accountOf, accountsFrame } from './one-shard.ts';

const GROUP_ACCOUNTS = 5;
const GROUPS = 8;
const SEGMENT_BYTES = 40_000;
const POLL_MS = 2;

using opened = DataDirectory.open({ directory: process.argv[2]!, shards: 1, create: true });
const { directory: root, meta } = opened;
const { clusterId, shards, seed } = meta;
const directory = opened.shardDirectory(0);
const prepared = join(directory, PREPARED_NAME);
const identity = { clusterId, shard: 0, shards };
const sealer = new SegmentSealer((problem) => process.stderr.write(`${problem}\n`));
const group = new Group();
const machine = new StateMachine({ shard: 0, shards, seed }, group);
const journal = SqliteJournal.open({
  directory,
  ...identity,
  sealer: sealer.connect(),
  witness: new HeadWitness(root, identity),
  segmentBytesMax: SEGMENT_BYTES,
  isHeld: true,
});
const records = new RecordReader(journal, shards);
replayJournal({ journal, machine, group, records });
makeWitness(root, { clusterId, shards, hasRows: journal.lastSequence > 0 }, () => undefined);
journal.begin();

/** Whether the sealer still has something to do. From half of a segment on it prepares the next. */
function isSealerBusy(): boolean {
  const firsts = segmentsIn(directory);
  const live = firsts.pop()!;
  const isSealing = firsts.some((first) => {
    const wal = statSync(`${pathOf(first)}-wal`, { throwIfNoEntry: false });
    return wal !== undefined && wal.size > 0;
  });
  if (isSealing || isOneSpent()) return true;
  return preflightWal(pathOf(live), live) >= SEGMENT_BYTES / 2 && !existsSync(prepared);
}

const pathOf = (first: number): string => join(directory, segmentName(first));

/** Until a sealed segment's WAL is kept, or removed. */
const isOneSpent = (): boolean => readdirSync(directory).some((name) => name.endsWith('.spent'));

for (let i = 0; i < GROUPS; i++) {
  const first = machine.ledger.accounts.rows + 1;
  const accounts = Array.from({ length: GROUP_ACCOUNTS }, (_, n) => accountOf(BigInt(first + n)));
  group.reset(journal.lastSequence + 1);
  const frame = accountsFrame(accounts);
  group.addRequest(frame, 0, frame.length);
  machine.want();
  machine.execute(first, 400_000_000);
  const { clockLow, clockHigh } = machine.ledger;
  const timestamp = (BigInt(clockHigh) << 32n) | BigInt(clockLow);
  journal.append({ sequence: journal.lastSequence + 1, timestamp, frame: group.frame() });
  process.stdout.write(`answered ${first} ${GROUP_ACCOUNTS}\n`);
  // The sealer has time for what it was asked, so that each round has the same steps.
  while (isSealerBusy()) await pause(POLL_MS);
}
journal.close();
await sealer.stop();
opened.close();
process.stdout.write('done\n');
