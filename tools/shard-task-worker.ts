/** Thread entry of the pool of the offline tools. */
import { shortenNearImports } from '../lib/near-imports.ts';

// All else is loaded behind it.
shortenNearImports();
const { replayShardTask } = await import('./shard-replay.ts');

export default replayShardTask;
