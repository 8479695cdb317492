/** Thread entry of a shard's actor: the one place in sharding/ that names SQLite. */
import { dirname } from 'node:path';
import { workerData } from 'node:worker_threads';
import { shortenNearImports } from '../lib/near-imports.ts';
import type { ShardThreadOptions } from './shard-protocol.ts';

// All else is loaded behind it.
shortenNearImports();
const { DOORBELL_BYTES } = await import('../lib/doorbell.ts');
const { HeadWitness } = await import('../persistence/head-witness.ts');
const { SqliteJournal } = await import('../persistence/sqlite-journal.ts');
const { runShardThread } = await import('./shard-thread.ts');

const options = workerData as ShardThreadOptions;
const { directory, clusterId, shard, shards, sealer, doorbells } = options;
const identity = { clusterId, shard, shards };
const beside = { bell: { buffer: doorbells, offset: shard * DOORBELL_BYTES } };
await runShardThread(options, (onProblem) => {
  const witness = new HeadWitness(dirname(directory), identity, onProblem);
  return SqliteJournal.open({ directory, ...identity, sealer, witness, beside, isHeld: true });
});
