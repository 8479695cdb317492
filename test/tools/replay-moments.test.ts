/**
 * A replay to a moment gives what the ledger was at that moment: the naive model's balances, at 1,000 random sequences of one shard, no two of them the same, and
 * at times between the batches of several. At any other time, in the middle of walks, money is conserved with what is in flight. REPLAYS=n makes it more
 * or fewer moments.
 */
import { linkSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { TransportClient } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { TransferFlags } from '../../engine/flags.ts';
import { bigintOfUint128 } from '../../engine/uint128.ts';
import { Prng } from '../../lib/prng.ts';
import { listSnapshots } from '../../persistence/snapshot-manifest.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
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
import { startSystem, TempDirectory, type TestSystem } from '../support/cluster.ts';
import { feedBatch } from '../support/feed-ledgers.ts';
import type { LedgerClient } from '../support/ledger-client.ts';
import { ModelLedger } from '../support/model-ledger.ts';
import { placementOf } from '../support/placement.ts';
import { WholeBatches } from '../support/whole-batches.ts';

const REPLAYS = Number(process.env['REPLAYS'] ?? 1000);
const EVENTS_MAX = 5;
/** With one row each, but for waits in which nothing expires. */
const BATCHES = Math.max(3700, 2 * REPLAYS);
/** So that most replays are short. */
const BATCHES_PER_SNAPSHOT = 185;
/** Of the replays that begin with a snapshot, so many begin with the first row as well. */
const WHOLE_EVERY = 10;
/** So that some of them are in the middle of a walk. */
const MOMENTS_MIN = 60;
const TEST_MS_MAX = 120_000;

/** In this thread. */
function replay(capture: Pick<Capture, 'meta' | 'shards'>, request: ShardRequest): ShardAnswer {
  const progress = new SharedArrayBuffer(8 * capture.meta.shards);
  return replayShardTask({ ...taskOf(capture, request), progress });
}

function replayTo(capture: Pick<Capture, 'meta' | 'shards'>, request: ShardRequest): ShardState {
  const answer = replay(capture, request);
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
  system: Pick<TestSystem, 'shards' | 'shardOf' | 'now' | 'advance'> & { client: LedgerClient },
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

/** One shard whose snapshots are all kept. */
class Kept implements AsyncDisposable {
  readonly #place = new TempDirectory({ isInMemory: true });
  readonly directory = join(this.#place.path, 'ledger');
  readonly snapshots = join(this.#place.path, 'snapshots');
  readonly #clock = new BigInt64Array(new SharedArrayBuffer(8));
  #supervisor: Supervisor | undefined;

  constructor() {
    mkdirSync(this.snapshots);
    this.#clock[0] = BigInt(Date.now()) * 1_000_000n;
  }

  /** Feeds it, and says the model's balances after some of the batches, by the sequence that the shard had come to. */
  async fed(count: number, isWanted: (batch: number) => boolean): Promise<Map<number, string>> {
    const { directory } = this;
    const manualClock = this.#clock.buffer;
    const supervisor = await Supervisor.start({ directory, shards: 1, manualClock });
    this.#supervisor = supervisor;
    const found = new Map<number, string>();
    const system = {
      shards: 1,
      shardOf: placementOf(1),
      client: new TransportClient(new RouterTransport(supervisor.router, async () => undefined)),
      now: () => Atomics.load(this.#clock, 0),
      advance: (seconds: number) => this.#advance(supervisor, seconds),
    };
    let batch = 0;
    await feed(system, { seed: 5, batches: count }, async (model) => {
      const { sequence } = (await supervisor.digests())[0]!;
      if (isWanted(batch)) found.set(sequence, balancesOfModel(model));
      if (++batch % BATCHES_PER_SNAPSHOT === 0) await this.#snapshot(supervisor);
      if (batch === count) expectEveryKind(model);
    });
    await supervisor.stop();
    return found;
  }

  async #advance(supervisor: Supervisor, seconds: number): Promise<void> {
    Atomics.add(this.#clock, 0, BigInt(Math.round(seconds * 1e9)));
    supervisor.wake();
    await supervisor.digests();
    do await supervisor.digests();
    while (supervisor.isSettling());
  }

  async #snapshot(supervisor: Supervisor): Promise<void> {
    await supervisor.snapshot();
    const { image, manifest } = listSnapshots(join(this.directory, 'shard-000'))[0]!;
    for (const file of [image, manifest]) linkSync(file, join(this.snapshots, basename(file)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor?.stop();
    await this.#place[Symbol.asyncDispose]();
  }
}

/** The history is worth replaying. */
function expectEveryKind(model: ModelLedger): void {
  let flags = 0;
  for (const transfer of model.transfers()) flags |= transfer.flags;
  expect(flags).toBe(Object.values(TransferFlags).reduce((sum, flag) => sum | flag, 0));
  const ends = new Set(model.transfers().map((transfer) => model.pendingStatusOf(transfer)));
  expect([...ends].toSorted()).toEqual(['expired', 'none', 'pending', 'posted', 'voided']);
}

/** So many numbers below a count, no two of them the same. */
function someOf(count: number, below: number, prng: Prng): ReadonlySet<number> {
  const found = new Set<number>();
  while (found.size < count) found.add(prng.below(below));
  return found;
}

test(
  `a replay to any of ${REPLAYS} random sequences has the balances of the model`,
  { timeout: TEST_MS_MAX },
  async () => {
    await using ledger = new Kept();
    const prng = new Prng(11);
    // Some batches leave the sequence as it was.
    const wanted = someOf(Math.ceil(REPLAYS * 1.2), BATCHES, prng);
    const expected = [...(await ledger.fed(BATCHES, (batch) => wanted.has(batch)))];
    expect(expected.length).toBeGreaterThanOrEqual(REPLAYS);
    using capture = new Capture(ledger.directory);
    const shards = [{ ...capture.shards[0]!, snapshots: listSnapshots(ledger.snapshots) }];
    const kept = { meta: capture.meta, shards };
    for (const [i, at] of [...someOf(REPLAYS, expected.length, prng)].entries()) {
      const [sequence, balances] = expected[at]!;
      const state = replayTo(kept, { shard: 0, to: sequence });
      expect(state.sequence).toBe(sequence);
      expect(balancesIn([state])).toBe(balances);
      if (i % WHOLE_EVERY !== 0) continue;
      const whole = replayTo(kept, { shard: 0, to: sequence, fromStart: true });
      expect(whole).toMatchObject({ snapshot: null, sequence, digest: state.digest });
      expect(balancesIn([whole])).toBe(balances);
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
