/**
 * SIGKILL while snapshots are written one after the other, again and again on one directory: every start succeeds, from a snapshot that is at least as
 * new as the last one that was reported, and in the state that the whole journal gives. CYCLES says how often, SEED with what moments.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Prng } from '../../lib/prng.ts';
import { Child, TempDirectory } from '../support/cluster.ts';
import { digestPairs } from '../support/replay-directory.ts';

const LOOP = fileURLToPath(new URL('../support/snapshot-loop.ts', import.meta.url));
const CYCLES = Number(process.env['CYCLES'] ?? 3);
const SEED = Number(process.env['SEED'] ?? 5);

test(
  `after each of ${CYCLES} kills while snapshots are written the next start finds a whole one`,
  { timeout: 60_000 + CYCLES * 5000 },
  async () => {
    await using directory = new TempDirectory();
    const prng = new Prng(SEED);
    let last: readonly number[] = [0, 0];
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      await using child = new Child(process.execPath, [LOOP, directory.path]);
      const wanted = prng.between(1, 5);
      await child.untilReady(() => Promise.resolve(linesOf(child).length >= wanted));
      await pause(prng.below(30));
      child.kill('SIGKILL');
      await child.exit;
      expect(child.stderr, `cycle ${cycle}, SEED=${SEED}`).not.toContain('passed over');
      for (const [shard, sequence] of last.entries()) {
        expect(loadedFrom(child, shard)).toBeGreaterThanOrEqual(sequence);
      }
      last = linesOf(child).at(-1)!.split(' ').map(Number);
    }
    for (const { live, replayed } of await digestPairs(directory.path)) expect(replayed).toBe(live);
  },
);

const linesOf = (child: Child): readonly string[] => child.stdout.split('\n').slice(0, -1);

/** The sequence of the snapshot that the shard came up from; 0 for none. */
function loadedFrom(child: Child, shard: number): number {
  const line = new RegExp(`shard ${shard} recovered to sequence \\d+: snapshot at (\\d+)`);
  return Number(line.exec(child.stderr)?.[1] ?? 0);
}
