/** What shares a key with a walk that begins in its group goes with it: a shard begins walks, and another decides them. */
import { describe, expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import type { TransferInput } from '../test/support/model-ledger.ts';
import {
  accountOf,
  accountsFrame,
  idOn,
  OneShard,
  requestFrame,
  transferOf,
  transfersFrame,
  type Arriving,
  type Told,
} from '../test/support/one-shard.ts';
import { BatchKind } from './batch.ts';
import { AccountFlags, TransferFlags } from './flags.ts';
import { FrameVersion, Head, InputType } from './frame.ts';
import { WALK_EVENTS_MAX, WALK_GROWS_EVENTS_MAX } from './limits.ts';
import { LinkHead, LinkKind, WalkHead } from './link-message.ts';
import { EventState, TransferStatus } from './status.ts';

const SHARDS = 3;
const ACCOUNTS = 100;
const { created, linked_event_failed, exceeds_credits } = TransferStatus;

/** The n-th account of a shard. */
const [LOW, MIDDLE, HIGH] = [0, 1, 2].map((shard) =>
  Array.from({ length: ACCOUNTS }, (_, n) => idOn(shard, SHARDS, n + 1)),
) as [bigint[], bigint[], bigint[]];
const [HOT, CALM, OTHER, LIMITED] = LOW as unknown as readonly [bigint, bigint, bigint, bigint];

/** Three shards, stepped by hand; the accounts are there. The last of the named ones may not spend what it has not. */
class World {
  readonly shards = [LOW, MIDDLE, HIGH].map((_, shard) => new OneShard({ shard, shards: SHARDS }));
  readonly #sent = this.shards.map(() => [0, 0, 0]);
  /** Messages on their way to each shard. */
  readonly waiting = this.shards.map((): Arriving[] => []);
  time = 1_000_000n;

  constructor() {
    for (const [shard, ids] of [LOW, MIDDLE, HIGH].entries()) {
      const flags = (id: bigint): number =>
        id === LIMITED ? AccountFlags.debitsMustNotExceedCredits : 0;
      this.step(shard, [accountsFrame(ids.map((id) => accountOf(id, flags(id))))]);
    }
  }

  get low(): OneShard {
    return this.shards[0]!;
  }

  /** One group of a shard: the messages that are there, and these requests. */
  step(shard: number, requests: readonly Uint32Array[] = []): Told[] {
    const one = this.shards[shard]!;
    this.time += 1_000_000n;
    const told = one.run(requests, this.time, this.waiting[shard]!.splice(0));
    for (const { to, body } of one.machine.outgoing) {
      const number = ++this.#sent[shard]![to]!;
      this.waiting[to]!.push({ from: shard, number, clock: one.clock, body: body.slice() });
    }
    return told;
  }

  /** Lets everything happen that is under way; by request, what was answered meanwhile. */
  finish(): Map<number, Told> {
    const all: Told[] = [];
    while (this.waiting.some(({ length }) => length > 0)) {
      for (const shard of this.shards.keys()) all.push(...this.step(shard));
    }
    return new Map(all.map((told) => [told.request, told]));
  }

  /** Of the walks that set out in the last step of the lowest shard: how many events, and which shards. */
  get walks(): readonly (readonly [rows: number, path: number])[] {
    return this.low.machine.outgoing
      .filter(({ body }) => body[LinkHead.kind] === LinkKind.walk)
      .map(({ body }) => [body[LinkHead.rows]!, body[WalkHead.pathLow]!] as const);
  }

  get parked(): number {
    return this.low.machine.parkedCount;
  }
}

let ids = 0n;
const from = (dr: bigint, cr: bigint, amount = 1n): TransferInput =>
  transferOf(++ids, dr, cr, amount);
/** Requests with numbers from 1 on, each of one batch. */
const requests = (...batches: readonly (readonly TransferInput[])[]): Uint32Array[] =>
  batches.map((batch, i) => transfersFrame(batch, i + 1));

describe('a transfer of the lower shard alone', () => {
  test('goes with a walk that begins in its group and has an account of it, in its order', () => {
    const world = new World();
    const told = world.step(
      0,
      requests([from(HOT, MIDDLE[0]!)], [from(CALM, HOT)], [from(HOT, MIDDLE[1]!)]),
    );
    expect([told, world.walks, world.parked]).toEqual([[], [[3, 0b011]], 0]);
    const answers = world.finish();
    const stamps = [1, 2, 3].map((request) => {
      const { statuses, timestamps } = answers.get(request)!;
      expect(statuses).toEqual([created]);
      return timestamps[0]!;
    });
    expect(stamps).toEqual(stamps.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(world.low.machine.claimedCount).toBe(0);
    expect(world.low.replayed().digest).toBe(world.low.digest);
    // A walk of its own takes none along that has nothing to do with it.
    world.step(0, requests([from(HOT, MIDDLE[0]!)], [from(CALM, OTHER)]));
    expect(world.walks).toEqual([[1, 0b011]]);
  });

  test('goes with it when both have waited for the one before', () => {
    const world = new World();
    world.step(0, requests([from(HOT, MIDDLE[0]!)]));
    const [first, second] = [[from(HOT, MIDDLE[1]!)], [from(CALM, HOT)]];
    world.step(0, [transfersFrame(first, 2), transfersFrame(second, 3)]);
    expect([world.walks, world.parked]).toEqual([[], 2]);
    world.step(1);
    world.step(0);
    expect([world.walks, world.parked]).toEqual([[[2, 0b011]], 0]);
    const answers = world.finish();
    expect([2, 3].map((request) => answers.get(request)!.statuses)).toEqual([[created], [created]]);
  });

  test('waits for a walk that has set out, and is then executed here', () => {
    const world = new World();
    world.step(0, requests([from(HOT, MIDDLE[0]!)]));
    world.step(0, [transfersFrame([from(CALM, HOT)], 2)]);
    expect([world.walks, world.parked]).toEqual([[], 1]);
    world.step(1);
    const told = world.step(0);
    expect(told.map(({ request, statuses }) => [request, statuses])).toEqual([
      [1, [created]],
      [2, [created]],
    ]);
    expect(world.walks).toEqual([]);
  });

  test('waits when it has keys of two walks', () => {
    const world = new World();
    const batches = [[from(HOT, MIDDLE[0]!)], [from(CALM, HIGH[0]!)], [from(HOT, CALM)]];
    world.step(0, requests(...batches));
    expect([world.walks.length, world.parked]).toEqual([2, 1]);
    expect(world.finish().get(3)!.statuses).toEqual([created]);
  });

  test('does not pass somebody who came earlier', () => {
    const world = new World();
    world.step(0, requests([from(HOT, MIDDLE[0]!)]));
    // The second one has an account of the walk that begins, and one for which the first one waits.
    const batches = [[from(HOT, CALM)], [from(OTHER, MIDDLE[1]!)], [from(CALM, OTHER)]];
    world.step(
      0,
      batches.map((batch, i) => transfersFrame(batch, i + 2)),
    );
    expect([world.walks, world.parked]).toEqual([[[1, 0b011]], 2]);
    const answers = world.finish();
    const stamps = [2, 4].map((request) => answers.get(request)!.timestamps[0]!);
    expect(stamps[0]).toBeLessThan(stamps[1]!);
  });

  test('goes as the chain that it is, and fails as one', () => {
    const world = new World();
    const linked = { flags: TransferFlags.linked };
    const chain = [{ ...from(HOT, LIMITED, 5n), ...linked }, from(LIMITED, CALM, 6n)];
    const good = [{ ...from(HOT, LIMITED, 5n), ...linked }, from(LIMITED, CALM, 5n)];
    world.step(0, requests([from(HOT, MIDDLE[0]!)], chain, good));
    expect([world.walks, world.parked]).toEqual([[[5, 0b011]], 0]);
    const answers = world.finish();
    expect(answers.get(2)!.statuses).toEqual([linked_event_failed, exceeds_credits]);
    expect(answers.get(3)!.statuses).toEqual([created, created]);
    expect(world.low.replayed().digest).toBe(world.low.digest);
  });

  test('is not taken along when it is late', () => {
    const world = new World();
    world.step(0, requests([from(HOT, MIDDLE[0]!)]));
    const batch = batchOfObjects(BatchKind.transfers, [from(CALM, HOT)]);
    const deadline = world.time + 1_500_000n;
    const late = requestFrame(InputType.createTransfers, batch, { request: 3, deadline });
    world.step(0, [transfersFrame([from(HOT, MIDDLE[1]!)], 2), late]);
    world.step(1);
    world.step(0);
    expect([world.walks, world.parked]).toEqual([[[1, 0b011]], 1]);
    expect(world.finish().get(3)!.statuses).toEqual([EventState.notStarted]);
  });

  test('waits when the walk is full', () => {
    const world = new World();
    const many = Array.from({ length: WALK_EVENTS_MAX }, () => from(HOT, MIDDLE[0]!));
    world.step(0, requests(many, [from(CALM, HOT)]));
    expect([world.walks, world.parked]).toEqual([[[WALK_EVENTS_MAX, 0b011]], 1]);
    expect(world.finish().get(2)!.statuses).toEqual([created]);
  });
});

describe('transfers that cross to different shards and share an account', () => {
  test('are one walk over all of them, while it is short', () => {
    const world = new World();
    const few = Array.from({ length: 5 }, () => from(HOT, MIDDLE[0]!));
    world.step(0, requests(few, [from(HIGH[0]!, HOT)], [from(HOT, MIDDLE[1]!)]));
    expect([world.walks, world.parked]).toEqual([[[7, 0b111]], 0]);
    const answers = world.finish();
    expect([1, 2, 3].map((request) => answers.get(request)!.statuses.at(-1))).toEqual([
      created,
      created,
      created,
    ]);
    for (const shard of world.shards) expect(shard.replayed().digest).toBe(shard.digest);
  });

  test('wait once it is long, but for those that go its way', () => {
    const world = new World();
    const many = Array.from({ length: WALK_GROWS_EVENTS_MAX + 1 }, () => from(HOT, MIDDLE[0]!));
    world.step(0, requests(many, [from(HOT, HIGH[0]!)]));
    expect([world.walks, world.parked]).toEqual([[[many.length, 0b011]], 1]);
    expect(world.finish().get(2)!.statuses).toEqual([created]);
    world.step(0, requests([from(HOT, HIGH[0]!)], many.slice(1), [from(HOT, MIDDLE[1]!)]));
    expect([world.walks, world.parked]).toEqual([[[many.length + 1, 0b111]], 0]);
  });

  test('are joined by what goes the way that their walk had at first', () => {
    const world = new World();
    const pairs = [10, 11, 12].map((n) => [
      from(LOW[n]!, HIGH[n]!),
      // A fee, say.
      from(LOW[n]!, MIDDLE[0]!),
    ]);
    world.step(0, requests(...pairs));
    expect([world.walks, world.parked]).toEqual([[[6, 0b111]], 0]);
  });

  test('wait when they share it by chance, and most of the walk does not', () => {
    const world = new World();
    const many = Array.from({ length: 10 }, (_, n) => from(LOW[10 + n]!, HIGH[n]!));
    world.step(0, requests(many, [from(LOW[14]!, MIDDLE[0]!)]));
    expect([world.walks, world.parked]).toEqual([[[10, 0b101]], 1]);
    expect(world.finish().get(2)!.statuses).toEqual([created]);
  });

  test('are walks of their own when they share nothing', () => {
    const world = new World();
    world.step(0, requests([from(HOT, MIDDLE[0]!)], [from(CALM, HIGH[0]!)]));
    expect(world.walks).toEqual([
      [1, 0b011],
      [1, 0b101],
    ]);
  });
});

test('groups of earlier versions are executed as they were then: nothing goes with a walk', () => {
  const world = new World();
  const batches = [[from(HOT, MIDDLE[0]!)], [from(CALM, HOT)], [from(HIGH[0]!, HOT)]];
  world.step(0, requests(...batches));
  expect([world.walks, world.parked]).toEqual([[[3, 0b111]], 0]);
  for (const version of [FrameVersion.wholeRows, FrameVersion.thinRows]) {
    const again = new OneShard({ shard: 0, shards: SHARDS });
    for (const row of world.low.store.rows) {
      const { frame, timestamp } = row!;
      const words = new Uint32Array(frame.slice().buffer);
      words[Head.version] = version;
      again.group.load(new Uint8Array(words.buffer), again.group.sequence + 1);
      again.machine.want();
      again.machine.execute(Number(timestamp & 0xffffffffn), Number(timestamp >> 32n));
    }
    const [walk] = again.machine.outgoing;
    expect([walk!.body[LinkHead.rows], walk!.body[WalkHead.pathLow]]).toEqual([1, 0b011]);
    expect([again.machine.outgoing.length, again.machine.parkedCount]).toEqual([1, 2]);
  }
});
