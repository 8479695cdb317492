/** Thread entry of a shard's actor: the one place in sharding/ that names SQLite. */
import { dirname } from 'node:path';
import { workerData } from 'node:worker_threads';
import { HeadWitness } from '../persistence/head-witness.ts';
import { SqliteJournal } from '../persistence/sqlite-journal.ts';
import type { ShardThreadOptions } from './shard-protocol.ts';
import { runShardThread } from './shard-thread.ts';

const options = workerData as ShardThreadOptions;
const { directory, clusterId, shard, shards, sealer } = options;
const identity = { clusterId, shard, shards };
await runShardThread(options, (onProblem) => {
  const witness = new HeadWitness(dirname(directory), identity, onProblem);
  return SqliteJournal.open({ directory, ...identity, sealer, witness, isHeld: true });
});
