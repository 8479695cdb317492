import { expect, test } from 'vitest';
import type { TransferInput } from '../test/support/model-ledger.ts';
import {
  accountOf,
  accountsFrame,
  idOn,
  OneShard,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import { TransferFlags } from './flags.ts';
import { TransferStatus } from './status.ts';

const { pending, postPendingTransfer, voidPendingTransfer } = TransferFlags;
const SECOND = 1_000_000_000n;

function opened(timeout = 0): { readonly shard: OneShard; readonly timestamp: bigint } {
  const shard = new OneShard();
  const held = { ...transferOf(10n, 1n, 2n, 50n), flags: pending, timeout };
  const accounts = accountsFrame([accountOf(1n), accountOf(2n)]);
  const told = shard.run([accounts, transfersFrame([held], 2)], SECOND);
  expect(told[1]!.statuses).toEqual([TransferStatus.created]);
  return { shard, timestamp: told[1]!.timestamps[0]! };
}

const post = (id: bigint, more: Partial<TransferInput> = {}): TransferInput => {
  const event = { ...transferOf(id, 0n, 0n, 50n), pendingId: 10n, flags: postPendingTransfer };
  return { ...event, ledger: 0, code: 0, ...more };
};

test('a pending transfer can be posted until its expiry, and not at that moment, be the expiry executed or not', () => {
  for (const [before, status] of [
    [1n, TransferStatus.created],
    [0n, TransferStatus.pending_transfer_expired],
    [-1n, TransferStatus.pending_transfer_expired],
  ] as const) {
    const { shard, timestamp } = opened(3);
    // The event has the timestamp after the time of its group.
    const [told] = shard.run([transfersFrame([post(11n)])], timestamp + 3n * SECOND - before - 1n);
    expect(told!.timestamps).toEqual([timestamp + 3n * SECOND - before]);
    expect(told!.statuses).toEqual([status]);
  }
});

test("the id of a post comes again as something else, in a later group, with the post's pending transfer", () => {
  const { shard } = opened();
  shard.run([transfersFrame([post(11n)])], 2n * SECOND);
  for (const [i, flags] of [0, pending, voidPendingTransfer].entries()) {
    const again = post(11n, { flags, debitAccountId: 1n, creditAccountId: 2n, ledger: 1, code: 1 });
    const [told] = shard.run([transfersFrame([again])], BigInt(3 + i) * SECOND);
    expect(told!.statuses).toEqual([TransferStatus.exists_with_different_flags]);
  }
  const [told] = shard.run([transfersFrame([post(11n)])], 9n * SECOND);
  expect(told!.statuses).toEqual([TransferStatus.exists]);
});

test('with several shards, a post that the router has found no accounts for finds nothing', () => {
  const shard = new OneShard({ shard: 0, shards: 2 });
  const [a, b] = [idOn(0, 2, 1), idOn(0, 2, 2)];
  const held = { ...transferOf(10n, a, b, 50n), flags: pending };
  shard.run([accountsFrame([accountOf(a), accountOf(b)]), transfersFrame([held], 2)], SECOND);
  const open = post(11n, { debitAccountId: a, creditAccountId: 0n });
  const named = post(12n, { debitAccountId: a, creditAccountId: b });
  const [told] = shard.run([transfersFrame([open, named])], 2n * SECOND);
  expect(told!.statuses).toEqual([
    TransferStatus.pending_transfer_not_found,
    TransferStatus.created,
  ]);
});
