/** What inspect says of a shard whose journal is damaged, beside what can be read of the others. */
import { JournalError } from '../persistence/errors.ts';
import type { Capture } from './capture.ts';
import { damagedBeginning } from './part-checks.ts';
import type { ShardDamage } from './shard-task.ts';

/** What is known before a row is read: files that cannot be listed, and first segments that are gone. */
export function knownDamage(capture: Capture, shard: number): ShardDamage | undefined {
  const damage = capture.shards[shard]!.damage ?? damagedBeginning(capture, shard);
  return damage === undefined ? undefined : { ...damage, shard };
}

/** The damage that reading a shard has met. Throws whatever is none. */
export function damageIn(error: unknown, shard: number): ShardDamage {
  if (!(error instanceof JournalError) || error.damage === undefined) throw error;
  return { ...error.damage, shard };
}
