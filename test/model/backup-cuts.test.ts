/**
 * Random worlds over several shards are put back to cuts that `findCut` has found below random rows: recovery takes them, what was under way
 * ends, and journals, histories, and balances agree. Where all cuts can be tried, the one that was found is the last that fits. SEED=n runs one
 * seed alone, WORLDS=n so many.
 */
import { expect, test } from 'vitest';
import { findCut } from '../../backup/cut.ts';
import { ShardLinks } from '../../backup/shard-links.ts';
import { assert } from '../../engine/assert.ts';
import { Head } from '../../engine/frame.ts';
import { Group } from '../../engine/group.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import { Prng } from '../../lib/prng.ts';
import type { JournalRow } from '../../persistence/journal.ts';
import { LinkMarks } from '../../persistence/link-marks.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { replayJournal } from '../../sharding/replay.ts';
import { EngineWorld } from '../support/engine-world.ts';
import { History } from '../support/serial-order.ts';
import { WorldBatches } from '../support/world-batches.ts';
import type { WorldBatch } from '../support/world-router.ts';

const WORLDS = Number(process.env['WORLDS'] ?? 12);
const SEED = process.env['SEED'];
const CUTS = 6;
const COMBINATIONS_MAX = 4000;
const CRASH_PERCENT = 4;

class Frames {
  readonly #frames: readonly Uint8Array[];

  constructor(frames: readonly Uint8Array[]) {
    this.#frames = frames;
  }

  timestamp(sequence: number): bigint {
    if (sequence === 0) return 0n;
    const frame = this.#frames[sequence - 1]!;
    const view = new DataView(frame.buffer, frame.byteOffset);
    return view.getBigUint64(Head.closed * 4, true);
  }

  *rows(first: number): Generator<JournalRow, void, undefined> {
    for (let sequence = first; sequence <= this.#frames.length; sequence++) {
      const frame = this.#frames[sequence - 1]!;
      yield { sequence, timestamp: this.timestamp(sequence), frame };
    }
  }

  read(sequence: number): Uint8Array {
    return this.#frames[sequence - 1]!;
  }
}

interface Counted {
  /** By row, from 0 on, and peer. */
  readonly sent: readonly (readonly number[])[];
  readonly received: readonly (readonly number[])[];
  readonly acknowledged: readonly (readonly number[])[];
}

/** What each row has sent, received, and knows to be received, by executing the journal. */
function count(journal: Frames, shard: number, shards: number): Counted {
  const group = new Group(4 << 20);
  const machine = new StateMachine({ shard, shards, seed: 7 }, group);
  const records = new RecordReader(journal, shards);
  const zero = Array.from({ length: shards }, () => 0);
  const counted = { sent: [zero], received: [zero], acknowledged: [zero] };
  const onGroup = (): void => {
    counted.sent.push([...machine.sent]);
    counted.received.push([...machine.received]);
    counted.acknowledged.push([...machine.acknowledged]);
  };
  replayJournal({ journal, machine, group, records, onGroup });
  return counted;
}

function fits(counted: readonly Counted[], cut: readonly number[]): boolean {
  return counted.every(({ sent, acknowledged }, i) =>
    counted.every(({ received }, j) => {
      if (i === j) return true;
      const number = received[cut[j]!]![i]!;
      return number <= sent[cut[i]!]![j]! && number >= acknowledged[cut[i]!]![j]!;
    }),
  );
}

function* combinations(tops: readonly number[]): Generator<number[]> {
  if (tops.length === 0) {
    yield [];
    return;
  }
  for (const rest of combinations(tops.slice(1))) {
    for (let first = 0; first <= tops[0]!; first++) yield [first, ...rest];
  }
}

/** The last cut that fits, by trying all. */
function lastFitting(counted: readonly Counted[], tops: readonly number[]): readonly number[] {
  const last = tops.map(() => 0);
  for (const cut of combinations(tops)) {
    if (!fits(counted, cut)) continue;
    for (const [k, row] of cut.entries()) last[k] = Math.max(last[k]!, row);
  }
  return last;
}

/** Whether two rows of one journal have the same timestamp: then the cut may be a little earlier than it must. */
function hasTies(frames: readonly Frames[], counts: readonly number[]): boolean {
  return frames.some((one, k) => {
    for (let row = 2; row <= counts[k]!; row++) {
      if (one.timestamp(row) === one.timestamp(row - 1)) return true;
    }
    return false;
  });
}

interface Played {
  tried: number;
  lowered: number;
}

function runWorld(seed: number, played: Played): void {
  const prng = new Prng(seed);
  const shards = prng.between(2, 4);
  const world = new EngineWorld(shards, prng);
  const { shardOf } = world;
  const batches = new WorldBatches({ prng, shards, shardOf, now: () => world.now });
  const run = (plans: readonly WorldBatch[][]): void =>
    world.run(plans, new History({ shardOf }), CRASH_PERCENT);
  for (const batch of batches.first()) run([[batch]]);
  for (let round = prng.between(1, 3); round > 0; round--) {
    run(Array.from({ length: 3 }, () => [batches.next(3), batches.next(prng.between(1, 5))]));
  }
  for (let n = 0; n < CUTS; n++) {
    const frames = world.frames().map((one) => new Frames(one));
    const lasts = world.frames().map((one) => one.length);
    const tops = lasts.map((last) => prng.between(Math.floor(last / 2), last));
    const links = frames.map((journal, k) => {
      const origin = { sequence: 0, marks: new LinkMarks(shards) };
      return new ShardLinks(journal, origin, { top: tops[k]!, last: lasts[k]! });
    });
    const cut = findCut(links, tops);
    const counted = frames.map((journal, k) => count(journal, k, shards));
    expect(fits(counted, cut), `cut ${cut.join()} below ${tops.join()}`).toBe(true);
    for (const [k, one] of links.entries()) {
      const { received, acknowledged } = one.marksAt(cut[k]!);
      expect([...received]).toEqual(counted[k]!.received[cut[k]!]);
      expect([...acknowledged]).toEqual(counted[k]!.acknowledged[cut[k]!]);
    }
    if (tops.reduce((all, top) => all * (top + 1), 1) <= COMBINATIONS_MAX) {
      const last = lastFitting(counted, tops);
      played.tried++;
      const isExact = !hasTies(frames, lasts);
      const isRight = cut.every((row, k) => (isExact ? row === last[k]! : row <= last[k]!));
      assert(isRight, () => `cut ${cut.join()}, where ${last.join()} fits as well`);
    }
    if (cut.some((row, k) => row < tops[k]!)) played.lowered++;
    world.goBack(cut);
    run([[batches.next(3)], [batches.next(2)]]);
  }
}

test(
  `${WORLDS} random worlds go on soundly from the last cut that fits`,
  { timeout: 60_000 + WORLDS * 2000 },
  () => {
    const played = { tried: 0, lowered: 0 };
    const seeds = SEED === undefined ? Array.from({ length: WORLDS }, (_, i) => 500 + i) : [SEED];
    for (const seed of seeds) {
      try {
        runWorld(Number(seed), played);
      } catch (error: unknown) {
        const again = `SEED=${seed} npx vitest run test/model/backup-cuts.test.ts`;
        throw new Error(`seed ${seed}: ${String(error)}\nrun it again with ${again}`, {
          cause: error,
        });
      }
    }
    if (SEED !== undefined) return;
    expect(played.lowered, 'cuts that had to be lowered').toBeGreaterThan(WORLDS);
    expect(played.tried, 'worlds in which all cuts were tried').toBeGreaterThan(WORLDS / 10);
  },
);
