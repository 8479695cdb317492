/** query_transfers: the stored transfers of all shards, each on the shard of its debit account, that have every value asked for. */
import { ROW_WORDS } from '../engine/batch.ts';
import type { QueryFilter } from '../engine/query.ts';
import type { Position } from '../engine/reply.ts';
import { RowKind } from './frame-rows.ts';
import { queryJournals, type SearchSource } from './journal-query.ts';
import type { Pause } from './pause.ts';

export interface FoundTransfers {
  readonly n: number;
  readonly rows: Uint32Array<ArrayBuffer>;
  readonly next: string | null;
  readonly positions: readonly Position[];
}

export function* queryTransfers(
  filter: QueryFilter,
  sources: readonly SearchSource[],
): Generator<Pause, FoundTransfers> {
  const { entries, next, positions } = yield* queryJournals(RowKind.transfer, filter, sources);
  const rows = new Uint32Array(entries.length * ROW_WORDS);
  for (const [i, entry] of entries.entries()) rows.set(entry.subarray(0, ROW_WORDS), i * ROW_WORDS);
  return { n: entries.length, rows, next, positions };
}
