import type { QueryFilter } from '../../engine/query.ts';

/** Lets every row pass, as many as a page may have, the oldest first. */
export const EVERY_ROW: QueryFilter = {
  userData128: 0n,
  userData64: 0n,
  userData32: 0,
  ledger: 0,
  code: 0,
  timestampMin: 0n,
  timestampMax: 0n,
  limit: 8189,
  reversed: false,
  cursor: '',
};
