import { describe, expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import { Prng } from '../lib/prng.ts';
import { ImageMaking, loadMade } from '../test/support/image-making.ts';
import {
  accountOf,
  accountsFrame,
  failedWalk,
  idOn,
  idsWithOneHash,
  OneShard,
  requestFrame,
  transferOf,
  transfersFrame,
  type Arriving,
} from '../test/support/one-shard.ts';
import { BatchKind } from './batch.ts';
import { InputType } from './frame.ts';
import { BATCH_EVENTS_MAX, GROUP_ROWS_MAX } from './limits.ts';
import { LinkHead, LinkKind, WalkHead } from './link-message.ts';
import { EventState, TransferStatus } from './status.ts';

const TIME = 1_000_000n;
const SHARDS = 2;
const FAILED = TransferStatus.code_must_not_be_zero;
const LOW = idOn(0, SHARDS);
const HIGH = idOn(1, SHARDS);
const OTHER = idOn(1, SHARDS, 2);

/** What the shard has sent last, on its way to the other one. */
function arriving({ machine, shard, clock }: OneShard, number: number): Arriving {
  return { from: shard, number, clock, body: machine.outgoing[0]!.body.slice() };
}

/** A shard that comes back from an image of this one, as this one is now. */
function fromImage({ machine, shard, shards, store }: OneShard): OneShard {
  const again = new OneShard({ shard, shards, store });
  loadMade(again.machine, new ImageMaking(machine, new Prng(1)).finish());
  return again;
}

describe('a walk that finds no room in the group', () => {
  /** Shard 1 has taken a walk that it is to decide, and so many rows of requests that what it derives may not fit. */
  function fullShard(): OneShard {
    const [first, last] = [0, 1].map((shard) => new OneShard({ shard, shards: SHARDS }));
    first!.run([accountsFrame([accountOf(LOW)])], TIME);
    last!.run([accountsFrame([accountOf(HIGH)])], TIME);
    first!.run([transfersFrame([transferOf(1n, LOW, HIGH)])], TIME);
    const refused = Array<ReturnType<typeof transferOf>>(BATCH_EVENTS_MAX).fill(
      transferOf(0n, OTHER, OTHER),
    );
    const frame = transfersFrame(refused);
    const frames = Array<Uint32Array>(Math.floor(GROUP_ROWS_MAX / BATCH_EVENTS_MAX)).fill(frame);
    const told = last!.run(frames, TIME, [arriving(first!, 1)]);
    expect(new Set(told.flatMap(({ statuses }) => statuses))).toEqual(
      new Set([TransferStatus.id_must_not_be_zero]),
    );
    expect(last!.machine.parkedCount).toBe(1);
    expect(last!.machine.outgoing).toEqual([]);
    return last!;
  }

  test.each([
    ['the next group', (shard: OneShard) => shard],
    ['the next group of a shard that comes back from its image', fromImage],
  ])('is decided by %s, without inputs', (_name, next) => {
    const shard = next(fullShard());
    expect(shard.machine.pumpAgain).toBe(true);
    shard.run([], TIME);
    expect(shard.machine.pumpAgain).toBe(false);
    expect(shard.machine.parkedCount).toBe(0);
    const [decision] = shard.machine.outgoing;
    expect(decision!.body[LinkHead.kind]).toBe(LinkKind.apply);
    expect(shard.replayed().digest).toBe(shard.digest);
  });
});

test('after an image, what is late by then is given up in a turn that frees nothing of it', () => {
  const shard = new OneShard({ shard: 0, shards: SHARDS });
  const ids = [1, 2, 3].map((n) => idOn(0, SHARDS, n));
  shard.run([accountsFrame(ids.map((id) => accountOf(id)))], TIME);
  // A group each, so that three walks are under way.
  for (const [i, id] of ids.entries()) {
    shard.run([transfersFrame([transferOf(BigInt(i + 1), id, HIGH)], i + 1)], TIME);
  }
  const batch = batchOfObjects(BatchKind.transfers, [transferOf(9n, ids[0]!, HIGH)]);
  const deadline = TIME + 3_000_000_000n;
  const frame = requestFrame(InputType.createTransfers, batch, { request: 9, deadline });
  expect(shard.run([frame], TIME)).toEqual([]);
  const again = fromImage(shard);
  const early = again.run([], TIME * 2n, [failedWalk(FAILED, TIME, { walk: 2, number: 1 })]);
  expect(early.map(({ request }) => request)).toEqual([2]);
  const late = again.run([], deadline + TIME, [failedWalk(FAILED, TIME, { walk: 3, number: 2 })]);
  expect(late.map(({ request, statuses }) => [request, statuses])).toEqual([
    [3, [FAILED]],
    [9, [EventState.notStarted]],
  ]);
  expect(again.machine.parkedCount).toBe(0);
  expect(again.replayed().digest).toBe(again.digest);
});

test('a walk does not take an account along for another one with the same hash', () => {
  const [first, last] = [0, 1].map((shard) => new OneShard({ shard, shards: SHARDS }));
  const [there, missing] = idsWithOneHash(first!);
  first!.run([accountsFrame([accountOf(there)])], TIME);
  last!.run([accountsFrame([accountOf(HIGH)])], TIME);
  first!.run([transfersFrame([transferOf(1n, missing, HIGH), transferOf(2n, there, HIGH)])], TIME);
  const walk = arriving(first!, 1);
  expect(walk.body[WalkHead.accounts]).toBe(1);
  last!.run([], TIME, [walk]);
  const [told] = first!.run([], TIME, [arriving(last!, 1)]);
  expect(told!.statuses).toEqual([TransferStatus.debit_account_not_found, TransferStatus.created]);
});
