/** Thread entry of a shard's actor: the one place in sharding/ that names SQLite. */
import { workerData } from 'node:worker_threads';
import { SqliteJournal } from '../persistence/sqlite-journal.ts';
import type { ShardThreadOptions } from './shard-protocol.ts';
import { runShardThread } from './shard-thread.ts';

const options = workerData as ShardThreadOptions;
const { directory, clusterId, shard, shards, sealer } = options;
await runShardThread(options, () =>
  SqliteJournal.open({ directory, clusterId, shard, shards, sealer }),
);
