/** The tables of the rules against whole systems. Owners start on shard 0 and then on another, so that money crosses shards both ways. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSystem, type TestSystem } from '../support/cluster.ts';
import { runTable } from '../support/ledger-table.ts';
import { EVERY_TABLE } from './every-table.ts';
import { holdsAt } from './rule-table.ts';

for (const { shards, firstShard } of [
  { shards: 1, firstShard: 0 },
  { shards: 2, firstShard: 1 },
  { shards: 5, firstShard: 3 },
  { shards: 16, firstShard: 14 },
]) {
  describe(`${shards} shards, the first owner on shard ${firstShard}`, () => {
    // One question after the other: on a disk each would wait for its fsync, and nothing else would happen meanwhile.
    let system: TestSystem;
    beforeAll(async () => {
      system = await startSystem({ shards, hasManualClock: true, isInMemory: true });
    });
    afterAll(async () => {
      await system[Symbol.asyncDispose]();
    });

    for (const [table, { title, text }] of EVERY_TABLE.entries()) {
      if (!holdsAt(EVERY_TABLE[table]!, shards)) continue;
      test(`table: ${title}`, async () => {
        const { client, shardOf } = system;
        const place = { table, shards, shardOf, firstShard };
        const advance = (seconds: number): Promise<void> => system.advance(seconds);
        const run = runTable(text, client, { ...place, advance });
        await expect(run).resolves.toBeUndefined();
      });
    }
  });
}
