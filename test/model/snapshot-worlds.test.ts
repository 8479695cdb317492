/**
 * Images of state machines that are made while these go on, with every step chosen by a seed: an image has the state of the moment when it
 * began, and a state machine that is loaded from it goes on exactly as the one that never stopped: every frame of the journal's suffix comes out
 * byte for byte, and the digests agree; whatever walks, waits, pends, or is being undone meanwhile. ROUNDS=n runs so many, SEED=n one alone.
 */
import { expect, test } from 'vitest';
import { Prng } from '../../lib/prng.ts';
import { EngineWorld } from '../support/engine-world.ts';
import { History } from '../support/serial-order.ts';
import { WorldBatches } from '../support/world-batches.ts';
import type { WorldBatch } from '../support/world-router.ts';

const FILE = 'test/model/snapshot-worlds.test.ts';
const ROUNDS = Number(process.env['ROUNDS'] ?? 15);
const TEST_MS_MAX = Math.max(60_000, ROUNDS * 4000);
const CRASH_PERCENT = 3;

function plansOf(batches: WorldBatches, prng: Prng): WorldBatch[][] {
  return Array.from({ length: prng.between(2, 5) }, () =>
    Array.from({ length: prng.between(2, 6) }, () => batches.next(prng.pick([1, 2, 5, 12, 30]))),
  );
}

function runWorld(seed: number, shards: number): EngineWorld {
  const prng = new Prng(seed);
  const world = new EngineWorld(shards, prng, { snapshots: true });
  const { shardOf } = world;
  const batches = new WorldBatches({ prng, shards, shardOf, now: () => world.now });
  for (const batch of batches.first()) world.run([[batch]], new History({ shardOf }));
  for (let round = 0; round < 4; round++) {
    world.run(plansOf(batches, prng), new History({ shardOf }), CRASH_PERCENT);
  }
  return world;
}

for (const shards of [1, 2, 3]) {
  test(
    `a state machine of ${shards} that comes from an image goes on as if it had never stopped`,
    { timeout: TEST_MS_MAX },
    () => {
      const first = Number(process.env['SEED'] ?? 1);
      const rounds = process.env['SEED'] === undefined ? ROUNDS : 1;
      const seen = { loads: 0, deferred: 0, crashes: 0, expiries: 0 };
      for (let seed = first; seed < first + rounds; seed++) {
        try {
          const { loads, deferred, crashes, expiries } = runWorld(seed, shards);
          seen.loads += loads;
          seen.deferred += deferred;
          seen.crashes += crashes;
          seen.expiries += expiries;
        } catch (error: unknown) {
          const again = `SEED=${seed} npm run test:system -- ${FILE}`;
          throw new Error(`seed ${seed}: ${String(error)}\nrun it again: ${again}`, {
            cause: error,
          });
        }
      }
      expect(seen.loads).toBeGreaterThan(rounds);
      expect(Math.min(seen.deferred, seen.crashes, seen.expiries) > 0 || rounds === 1).toBe(true);
    },
  );
}
