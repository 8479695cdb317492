/** Thread entry of the pool of the offline tools. */
export { replayShardTask as default } from './shard-replay.ts';
