/**
 * Writes some rows of a batch as a batch of their own, straight into a ring: same columns, constants stay constants. Marks of the rows, a
 * byte each, follow behind.
 */
import { assert } from '../engine/assert.ts';
import { COLUMN_BYTES, COLUMNS, HEADER_BYTES, type BatchKind } from '../engine/batch.ts';

/** A batch that lies by column: `words` and `halves` see the same buffer, the header is at word `at`. */
export interface EncodedBatch {
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  readonly at: number;
  /** Of each row, for a source that has some; null or left out otherwise. */
  readonly marks?: Uint8Array | null;
}

const padded = (bytes: number): number => (bytes + 7) & ~7;

/** Bytes of a batch of `count` of the rows, with their marks. */
export function splitBytes(source: EncodedBatch, count: number): number {
  const hasMarks = source.marks !== undefined && source.marks !== null;
  return batchBytes(source, count) + (hasMarks ? padded(count) : 0);
}

function batchBytes(source: EncodedBatch, count: number): number {
  const masks = source.words[source.at + 1]!;
  let bytes = HEADER_BYTES;
  for (let column = 0; column < COLUMNS; column++) {
    if ((masks & (1 << column)) === 0) continue;
    const isConstant = (masks & (1 << (column + 16))) !== 0;
    bytes += padded(COLUMN_BYTES[column]! * (isConstant ? 1 : count));
  }
  return bytes;
}

/** Writes the rows into `target` at word `to`. The rows are in the order in which they go out. */
export function splitBatch(
  source: EncodedBatch,
  rows: Uint16Array,
  count: number,
  target: EncodedBatch,
): void {
  const { words, halves, at } = source;
  const masks = words[at + 1]!;
  const n = words[at]! & 0xffffff;
  const kind = (words[at]! >>> 24) as BatchKind;
  assert(count > 0 && count <= n, 'some of the rows');
  const bytes = batchBytes(source, count);
  target.words[target.at] = (kind << 24) | count;
  target.words[target.at + 1] = masks;
  target.words[target.at + 2] = bytes;
  target.words[target.at + 3] = 0;
  let from = at * 4 + HEADER_BYTES;
  let to = target.at * 4 + HEADER_BYTES;
  for (let column = 0; column < COLUMNS; column++) {
    if ((masks & (1 << column)) === 0) continue;
    const width = COLUMN_BYTES[column]!;
    const isConstant = (masks & (1 << (column + 16))) !== 0;
    const copied = isConstant ? 1 : count;
    if (width === 2) {
      for (let i = 0; i < copied; i++) {
        target.halves[to / 2 + i] = halves[from / 2 + (isConstant ? 0 : rows[i]!)]!;
      }
    } else {
      const step = width / 4;
      for (let i = 0; i < copied; i++) {
        const source32 = from / 4 + (isConstant ? 0 : rows[i]!) * step;
        const target32 = to / 4 + i * step;
        for (let w = 0; w < step; w++) target.words[target32 + w] = words[source32 + w]!;
      }
    }
    from += padded(width * (isConstant ? 1 : n));
    to += padded(width * copied);
  }
  assert(to - target.at * 4 === bytes, 'the rows fill their batch');
  if (source.marks !== undefined && source.marks !== null) {
    copyMarks(source.marks, rows, count, target.words.subarray(to / 4));
  }
}

function copyMarks(marks: Uint8Array, rows: Uint16Array, count: number, target: Uint32Array): void {
  target.fill(0, 0, padded(count) / 4);
  for (let i = 0; i < count; i++) target[i >> 2]! |= marks[rows[i]!]! << (8 * (i & 3));
}
