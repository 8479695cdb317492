/**
 * query_accounts: the ids of the accounts that have every value asked for. What these are asked by never changes, so the journal knows them;
 * balances, and whether an account is closed, are to be looked up at its owner.
 */
import type { QueryFilter } from '../engine/query.ts';
import type { Position } from '../engine/reply.ts';
import { RowKind } from './frame-rows.ts';
import { queryJournals, type SearchSource } from './journal-query.ts';
import type { Pause } from './pause.ts';

export interface FoundAccounts {
  readonly n: number;
  /** Four words each. */
  readonly ids: Uint32Array<ArrayBuffer>;
  readonly next: string | null;
  readonly positions: readonly Position[];
}

export function* queryAccountIds(
  filter: QueryFilter,
  sources: readonly SearchSource[],
): Generator<Pause, FoundAccounts> {
  const { entries, next, positions } = yield* queryJournals(RowKind.account, filter, sources);
  const ids = new Uint32Array(entries.length * 4);
  for (const [i, entry] of entries.entries()) ids.set(entry.subarray(0, 4), i * 4);
  return { n: entries.length, ids, next, positions };
}
