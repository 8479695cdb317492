/** One field of an event, changed at random to what a rule may be about. */
import type { Prng } from '../../lib/prng.ts';
import { U128_MAX, type AccountInput, type TransferInput } from './ledger-records.ts';

export function changeOfAccount(prng: Prng): Partial<AccountInput> {
  switch (prng.below(15)) {
    case 0:
      return { id: prng.pick([0n, U128_MAX]) };
    case 1:
      return { flags: prng.pick([0, 2, 4, 6, 8, 32, 64, 66, 32768]) };
    case 2:
      return { userData128: prng.bits(128) };
    case 3:
      return { userData64: prng.bits(64) };
    case 4:
      return { userData32: prng.uint32() };
    case 5:
      return { ledger: prng.below(4) };
    case 6:
      return { code: prng.below(4) };
    case 7:
      return { reserved: 1 };
    case 8:
      return { timestamp: 1n };
    case 9:
      return { debitsPending: 1n };
    case 10:
      return { debitsPosted: prng.bits(128) };
    case 11:
      return { creditsPending: U128_MAX };
    case 12:
      return { creditsPosted: 1n << 64n };
    case 13:
      return { flags: 32 };
    default:
      return { code: 0, ledger: 0 };
  }
}

export function changeOfTransfer(
  prng: Prng,
  accountIds: readonly bigint[],
  amount: () => bigint,
): Partial<TransferInput> {
  switch (prng.below(14)) {
    case 0:
      return { id: prng.pick([0n, U128_MAX]) };
    case 1:
      return { flags: prng.pick([512, 32768, 2, 16, 32, 66, 128]) };
    case 2:
    case 3:
      return { debitAccountId: prng.pick(accountIds) };
    case 4:
      return { creditAccountId: prng.pick([0n, U128_MAX, 999_999n, ...accountIds]) };
    case 5:
      return { amount: amount() };
    case 6:
      return { pendingId: prng.pick([1n, U128_MAX, prng.bits(128)]) };
    case 7:
      return { timeout: prng.pick([0, 1]) };
    case 8:
      return { userData128: prng.bits(128) };
    case 9:
      return { userData64: prng.bits(64) };
    case 10:
      return { userData32: prng.uint32() };
    case 11:
      return { ledger: prng.below(4) };
    case 12:
      return { code: prng.below(4) };
    default:
      return { timestamp: prng.pick([1n, 2n ** 64n - 1n]) };
  }
}
