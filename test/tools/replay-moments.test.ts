/**
 * A replay to a moment gives what the ledger was at that moment: the naive model's balances, at 1,000 random sequences of one shard, and at times
 * between the batches of several. At any other time, in the middle of walks, money is conserved with what is in flight. REPLAYS=n makes it more or
 * fewer moments.
 */
import { expect, test } from 'vitest';
import { bigintOfUint128 } from '../../engine/uint128.ts';
import { Prng } from '../../lib/prng.ts';
import { balanceList, balancesOf, inOrder } from '../../tools/account-rows.ts';
import { Capture } from '../../tools/capture.ts';
import {
  ledgerTotals,
  linkComplaints,
  messagesInFlight,
  totalComplaints,
} from '../../tools/conservation.ts';
import { sequencesAt } from '../../tools/moments-of-shards.ts';
import { replayMoment } from '../../tools/replay-moment.ts';
import { type ShardRequest, taskOf } from '../../tools/shard-pool.ts';
import { replayShardTask } from '../../tools/shard-replay.ts';
import type { ShardAnswer, ShardState } from '../../tools/shard-task.ts';
import { startSystem, type TestSystem } from '../support/cluster.ts';
import { feedBatch } from '../support/feed-ledgers.ts';
import { ModelLedger } from '../support/model-ledger.ts';
import { WholeBatches } from '../support/whole-batches.ts';

const REPLAYS = Number(process.env['REPLAYS'] ?? 1000);
const EVENTS_MAX = 5;
/** So that some of them are in the middle of a walk. */
const MOMENTS_MIN = 60;
const TEST_MS_MAX = 120_000;

/** In this thread. */
function replay(capture: Capture, request: ShardRequest): ShardAnswer {
  const progress = new SharedArrayBuffer(8 * capture.meta.shards);
  return replayShardTask({ ...taskOf(capture, request), progress });
}

function replayTo(capture: Capture, shard: number, to: number): ShardState {
  const answer = replay(capture, { shard, to });
  if (answer.type === 'damage') throw new Error(JSON.stringify(answer.damage));
  expect(answer.state.complaints).toEqual([]);
  return answer.state;
}

async function replayToTime(capture: Capture, time: bigint): Promise<readonly ShardState[]> {
  const shards = capture.shards.map((_, shard) => shard);
  const sequences = sequencesAt(capture, shards, { type: 'time', time }, '--to');
  const { states, damages } = await replayMoment(
    sequences.map((to, shard) => ({ shard, to })),
    (some) => Promise.resolve(some.map((request) => replay(capture, request))),
    { isTime: true },
  );
  expect(damages).toEqual([]);
  return states;
}

/** All balances by id, as text. */
function balancesIn(states: readonly ShardState[]): string {
  const lines: string[] = [];
  for (const { shard, at } of inOrder(states)) {
    const { accounts } = states[shard]!;
    const id = bigintOfUint128(accounts, at);
    lines.push(`${id}: ${balanceList(balancesOf(accounts, at)).join(' ')}`);
  }
  return lines.join('\n');
}

function balancesOfModel(model: ModelLedger): string {
  return model
    .accounts()
    .toSorted((one, two) => (one.id < two.id ? -1 : 1))
    .map((one) => {
      const { id, debitsPending, debitsPosted, creditsPending, creditsPosted } = one;
      return `${id}: ${debitsPending} ${debitsPosted} ${creditsPending} ${creditsPosted}`;
    })
    .join('\n');
}

/** Feeds a system and the model, and calls back after each batch, when nothing is under way. */
async function feed(
  system: TestSystem,
  { seed, batches: count }: { readonly seed: number; readonly batches: number },
  after: (model: ModelLedger) => Promise<void>,
): Promise<void> {
  const { shards, shardOf, client } = system;
  const model = new ModelLedger(shardOf);
  const batches = new WholeBatches({
    seed,
    placement: { shards, shardOf },
    now: () => system.now(),
    hasOverflows: false,
  });
  const advance = (seconds: number): Promise<void> => system.advance(seconds);
  const sizes = new Prng(seed);
  for (let i = 0; i < count; i++) {
    await feedBatch({ client, model, batches, advance }, batches.next(1 + sizes.below(EVENTS_MAX)));
    await after(model);
  }
}

test(
  'a replay to any of many random sequences has the balances of the model',
  { timeout: TEST_MS_MAX },
  async () => {
    await using system = await startSystem({ shards: 1, hasManualClock: true, isInMemory: true });
    const expected: { readonly sequence: number; readonly balances: string }[] = [];
    await feed(system, { seed: 5, batches: 300 }, async (model) => {
      const { sequence } = (await system.client.digests())[0]!;
      if (sequence === expected.at(-1)?.sequence) expected.pop();
      expected.push({ sequence, balances: balancesOfModel(model) });
    });
    await system.client.close();
    using capture = new Capture(system.directory);
    const prng = new Prng(11);
    const digests = new Map<number, string>();
    for (let i = 0; i < REPLAYS; i++) {
      const { sequence, balances } = prng.pick(expected);
      const state = replayTo(capture, 0, sequence);
      expect(state.sequence).toBe(sequence);
      expect(balancesIn([state])).toBe(balances);
      expect(digests.get(sequence) ?? state.digest).toBe(state.digest);
      digests.set(sequence, state.digest);
    }
  },
);

test(
  'several shards at a time between two batches have the balances of the model, and at any time in between money is conserved',
  { timeout: TEST_MS_MAX },
  async () => {
    await using system = await startSystem({ shards: 3, hasManualClock: true, isInMemory: true });
    const expected: { readonly time: bigint; readonly balances: string }[] = [];
    await feed(system, { seed: 6, batches: 150 }, async (model) => {
      // All that was done is earlier than this.
      await system.advance(0.001);
      model.advance(0.001);
      expected.push({ time: system.now(), balances: balancesOfModel(model) });
    });
    await system.client.close();
    using capture = new Capture(system.directory);
    const prng = new Prng(12);
    for (let i = 0; i < REPLAYS / 50; i++) {
      const { time, balances } = prng.pick(expected);
      expect(balancesIn(await replayToTime(capture, time))).toBe(balances);
    }
    let changes = 0;
    for (let i = 0; i < Math.max(MOMENTS_MIN, REPLAYS / 20); i++) {
      const shard = prng.below(3);
      using journal = capture.journal(shard, capture.shards[shard]!);
      const sequence = 1 + prng.below(capture.shards[shard]!.last!);
      const states = await replayToTime(capture, journal.timestamp(sequence));
      const messages = messagesInFlight(states);
      expect(linkComplaints(states, true)).toEqual([]);
      expect(totalComplaints(ledgerTotals(states, messages))).toEqual([]);
      changes += messages.filter((one) => one.changes.size > 0).length;
    }
    expect(changes, 'messages that change balances were in flight').toBeGreaterThan(0);
  },
);
