/** What a filter asks of a row: equal values in some columns, and a span of time. 0 means "not asked for". */
import { COLUMN_BYTES, COLUMN_OFFSETS, type Columns, Transfer } from '../engine/batch.ts';
import type { UserFilter } from '../engine/query.ts';
import { UINT64_MAX, writeUint128 } from '../engine/uint128.ts';

/** The columns that can be asked for, the same for accounts and transfers. */
export const QUERIED_COLUMNS = [
  Transfer.userData128,
  Transfer.userData64,
  Transfer.userData32,
  Transfer.ledger,
  Transfer.code,
] as const;

export interface Asked {
  /** Index in QUERIED_COLUMNS, and the column. */
  readonly index: number;
  readonly column: number;
  /** Four words. */
  readonly value: Uint32Array;
}

export interface Span {
  readonly min: bigint;
  readonly max: bigint;
}

export class RowFilter {
  readonly asked: readonly Asked[];
  readonly span: Span;
  readonly #minLow: number;
  readonly #minHigh: number;
  readonly #maxLow: number;
  readonly #maxHigh: number;

  constructor(filter: UserFilter & { readonly ledger?: number }, span: Span) {
    const values = [
      filter.userData128,
      filter.userData64,
      BigInt(filter.userData32),
      BigInt(filter.ledger ?? 0),
      BigInt(filter.code),
    ];
    this.asked = values.flatMap((wanted, index) => {
      if (wanted === 0n) return [];
      const value = new Uint32Array(4);
      writeUint128(wanted, value, 0);
      return [{ index, column: QUERIED_COLUMNS[index]!, value }];
    });
    this.span = span;
    this.#minLow = Number(span.min & 0xffffffffn);
    this.#minHigh = Number(span.min >> 32n);
    this.#maxLow = Number(span.max & 0xffffffffn);
    this.#maxHigh = Number(span.max >> 32n);
  }

  /** Whether row i of some columns has every value that is asked for. */
  // Hot path.
  matches(columns: Columns, i: number): boolean {
    const { words, halves, at, step } = columns;
    for (const { column, value } of this.asked) {
      const from = at[column]! + i * step[column]!;
      if (column === Transfer.code) {
        if (halves[from]! !== value[0]!) return false;
        continue;
      }
      const count = COLUMN_BYTES[column]! >> 2;
      for (let w = 0; w < count; w++) if (words[from + w]! !== value[w]!) return false;
    }
    return true;
  }

  /** The same for a record of 32 words. */
  matchesRecord(record: Uint32Array): boolean {
    for (const { column, value } of this.asked) {
      const word = COLUMN_OFFSETS[column]! >> 2;
      if (column === Transfer.code) {
        if ((record[word]! & 0xffff) !== value[0]!) return false;
        continue;
      }
      const count = COLUMN_BYTES[column]! >> 2;
      for (let w = 0; w < count; w++) if (record[word + w]! !== value[w]!) return false;
    }
    return true;
  }

  // Hot path.
  spans(low: number, high: number): boolean {
    if (high < this.#minHigh || (high === this.#minHigh && low < this.#minLow)) return false;
    return high < this.#maxHigh || (high === this.#maxHigh && low <= this.#maxLow);
  }
}

/** Undefined when nothing can be within: the filter is invalid, which is an empty page. */
export function spanOf(filter: {
  readonly timestampMin: bigint;
  readonly timestampMax: bigint;
}): Span | undefined {
  const { timestampMin: min, timestampMax } = filter;
  const max = timestampMax === 0n ? UINT64_MAX : timestampMax;
  if (min < 0n || max > UINT64_MAX || max < min) return undefined;
  return { min, max };
}
