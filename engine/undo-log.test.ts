/** Chains that break leave nothing: the digest of the state is what it was, the heads of the accounts' histories included. */
import { describe, expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import type { TransferInput } from '../test/support/model-ledger.ts';
import {
  accountOf,
  accountsFrame,
  OneShard,
  requestFrame,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import { BatchKind } from './batch.ts';
import { TransferFlags } from './flags.ts';
import { Input, InputFlag, InputType } from './frame.ts';
import { AccountStatus, TransferStatus } from './status.ts';

const { linked, pending, postPendingTransfer, voidPendingTransfer, imported } = TransferFlags;
const { closingDebit, closingCredit, balancingDebit } = TransferFlags;
const HISTORY = 8;
const TIME = 1_000_000_000n;
const { created, linked_event_failed, code_must_not_be_zero } = TransferStatus;

/** Three accounts, two of them with a history; a transfer, an open pending one, and one that closes its accounts. */
function opened(): OneShard {
  const shard = new OneShard();
  const accounts = [accountOf(1n, HISTORY), accountOf(2n, HISTORY), accountOf(3n), accountOf(4n)];
  const held = { ...transferOf(11n, 1n, 2n, 50n), flags: pending, timeout: 60, userData32: 7 };
  const closing = { ...transferOf(12n, 3n, 4n, 0n), flags: pending | closingDebit | closingCredit };
  const transfers = [transferOf(10n, 1n, 2n, 100n), held, closing];
  const told = shard.run([accountsFrame(accounts), transfersFrame(transfers)], TIME);
  expect(told.flatMap(({ statuses }) => statuses).every((status) => status === created)).toBe(true);
  return shard;
}

const end = (id: bigint, pendingId: bigint, flags: number, amount = 0n): TransferInput => {
  return { ...transferOf(id, 0n, 0n, amount), pendingId, flags, ledger: 0, code: 0 };
};
/** It fails, and burns nothing. */
const WRONG: TransferInput = { ...transferOf(99n, 1n, 2n, 1n), code: 0 };

describe('a chain that breaks leaves nothing of', () => {
  for (const [name, events] of [
    ['transfers', [transferOf(20n, 1n, 2n, 5n), transferOf(21n, 2n, 1n, 7n)]],
    ['a pending transfer', [{ ...transferOf(20n, 1n, 2n, 5n), flags: pending, timeout: 9 }]],
    ['a post', [end(20n, 11n, postPendingTransfer, 30n)]],
    ['a void', [end(20n, 11n, voidPendingTransfer)]],
    ['a void that opens accounts', [end(20n, 12n, voidPendingTransfer), transferOf(21n, 3n, 1n)]],
    ['a balancing transfer', [{ ...transferOf(20n, 2n, 1n, 5n), flags: balancingDebit }]],
    [
      'a pending transfer and its post',
      [
        { ...transferOf(20n, 1n, 2n, 5n), flags: pending },
        end(21n, 20n, postPendingTransfer, 5n),
        end(22n, 11n, voidPendingTransfer),
      ],
    ],
    [
      'closing',
      [{ ...transferOf(20n, 1n, 2n, 5n), flags: pending | closingDebit | closingCredit }],
    ],
  ] as const satisfies readonly (readonly [string, readonly TransferInput[]])[]) {
    test(`what was ${name}`, () => {
      const shard = opened();
      const before = shard.digest;
      const chain = [...events, WRONG].map((event: TransferInput, i) => ({
        ...event,
        flags: (event.flags ?? 0) | (i < events.length ? linked : 0),
      }));
      const [told] = shard.run([transfersFrame(chain)], TIME + 1000n);
      const failed = events.map(() => linked_event_failed);
      expect(told!.statuses).toEqual([...failed, code_must_not_be_zero]);
      expect(shard.digest).toBe(before);
      expect(shard.replayed().digest).toBe(before);
      // All of it can be done now, in the same way as if nothing had been.
      const whole = chain.slice(0, -1).map((event, i) => {
        return i < events.length - 1 ? event : { ...event, flags: event.flags & ~linked };
      });
      const again = shard.run([transfersFrame(whole)], TIME + 2000n);
      expect(again[0]!.statuses.every((status) => status === created)).toBe(true);
      const other = opened();
      other.run([transfersFrame([{ ...WRONG, id: 98n }])], TIME + 1000n);
      other.run([transfersFrame(whole)], TIME + 2000n);
      expect(shard.digest).toBe(other.digest);
    });
  }

  test('accounts', () => {
    const shard = opened();
    const before = shard.digest;
    const chain = [accountOf(20n, linked), accountOf(21n, linked), { ...accountOf(22n), code: 0 }];
    const [told] = shard.run([accountsFrame(chain)], TIME + 1000n);
    const { linked_event_failed: failed, code_must_not_be_zero: wrong } = AccountStatus;
    expect(told!.statuses).toEqual([failed, failed, wrong]);
    expect(shard.digest).toBe(before);
    const [after] = shard.run([transfersFrame([transferOf(30n, 20n, 1n)])], TIME + 2000n);
    expect(after!.statuses).toEqual([TransferStatus.debit_account_not_found]);
  });

  test('imported transfers: they are refused now, and their time can be used again', () => {
    const shard = opened();
    const before = shard.digest;
    const past = (id: bigint, at: bigint, flags = 0): TransferInput => {
      return { ...transferOf(id, 1n, 2n), flags: imported | flags, timestamp: TIME + at };
    };
    const importing = (events: readonly TransferInput[]): Uint32Array => {
      const batch = batchOfObjects(BatchKind.transfers, events);
      const frame = requestFrame(InputType.createTransfers, batch);
      frame[Input.flags] = InputFlag.imported;
      return frame;
    };
    const wrong = { ...past(99n, 30n), code: 0 };
    const chain = [past(20n, 10n, linked), past(21n, 20n, linked), wrong];
    const [told] = shard.run([importing(chain)], TIME + 5000n);
    expect(told!.statuses).toEqual([
      linked_event_failed,
      linked_event_failed,
      code_must_not_be_zero,
    ]);
    expect(told!.timestamps).toEqual([TIME + 5001n, TIME + 5002n, TIME + 5003n]);
    expect(shard.digest).toBe(before);
    const [after] = shard.run([importing([past(20n, 10n)])], TIME + 6000n);
    expect(after!.statuses).toEqual([created]);
    expect(after!.timestamps).toEqual([TIME + 10n]);
  });
});
