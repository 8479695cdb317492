/**
 * The shards of the events of an open batch, computed once and in one loop: the shard of the debit account, which is the transfer's home, and that
 * of the credit account. Of a post or void that leaves its credit account out, and of an account, both are the same.
 */
import { isZero } from './arithmetic.ts';
import { Account, BatchKind, Transfer, type Columns } from './batch.ts';
import { RESOLVING } from './flags.ts';
import { BATCH_EVENTS_MAX } from './limits.ts';
import { shardOf } from './placement.ts';

export class EventShards {
  /** By row of the batch. */
  readonly home = new Uint8Array(BATCH_EVENTS_MAX);
  readonly away = new Uint8Array(BATCH_EVENTS_MAX);

  // Hot path.
  compute({ words, halves, at, step, kind, n }: Columns, shards: number): void {
    const { home, away } = this;
    if (kind === BatchKind.accounts) {
      for (let i = 0; i < n; i++) {
        home[i] = shardOf(words, at[Account.id]! + i * step[Account.id]!, shards);
        away[i] = home[i]!;
      }
      return;
    }
    const debit = at[Transfer.debitAccountId]!;
    const debitStep = step[Transfer.debitAccountId]!;
    const credit = at[Transfer.creditAccountId]!;
    const creditStep = step[Transfer.creditAccountId]!;
    const flags = at[Transfer.flags]!;
    const flagsStep = step[Transfer.flags]!;
    for (let i = 0; i < n; i++) {
      home[i] = shardOf(words, debit + i * debitStep, shards);
      const cr = credit + i * creditStep;
      const isAlone = (halves[flags + i * flagsStep]! & RESOLVING) !== 0 && isZero(words, cr);
      away[i] = isAlone ? home[i]! : shardOf(words, cr, shards);
    }
  }
}
