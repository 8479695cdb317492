/** Takes the columns of a batch, or of rows, apart into the bytes that a columnar message carries. */
import { assert } from '../engine/assert.ts';
import {
  type Batch,
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  HEADER_BYTES,
  ROW_BYTES,
  type WireColumn,
} from '../engine/batch.ts';

/** The present columns of a batch. Their bytes are views into the batch. */
export function columnsOfBatch(batch: Batch): WireColumn[] {
  const { words, n } = batch;
  const masks = words[1]!;
  const columns: WireColumn[] = [];
  let at = HEADER_BYTES;
  for (let column = 0; column < COLUMNS; column++) {
    if ((masks & (1 << column)) === 0) continue;
    const constant = (masks & (1 << (column + 16))) !== 0;
    const length = COLUMN_BYTES[column]! * (constant ? 1 : n);
    const bytes = new Uint8Array(words.buffer, words.byteOffset + at, length);
    columns.push({ column, constant, bytes });
    at += (length + 7) & ~7;
  }
  assert(at === batch.byteLength, 'the columns fill the batch');
  return columns;
}

/** One column of n rows of 32 words. */
export function columnOfRows(rows: Uint32Array, n: number, column: number): Uint8Array {
  assert(rows.length >= n * (ROW_BYTES / 4), 'the rows are there');
  const width = COLUMN_BYTES[column]!;
  const offset = COLUMN_OFFSETS[column]!;
  if (width === 2) {
    const halves = new Uint16Array(rows.buffer, rows.byteOffset, rows.length * 2);
    const values = new Uint16Array(n);
    for (let i = 0; i < n; i++) values[i] = halves[i * (ROW_BYTES / 2) + offset / 2]!;
    return new Uint8Array(values.buffer);
  }
  const count = width / 4;
  const values = new Uint32Array(n * count);
  for (let i = 0; i < n; i++) {
    const from = (i * ROW_BYTES + offset) / 4;
    for (let w = 0; w < count; w++) values[i * count + w] = rows[from + w]!;
  }
  return new Uint8Array(values.buffer);
}

/** Writes one column of n rows of 32 words; `bytes` may lie at any address. */
export function writeColumnOfRows(rows: Uint32Array, column: number, bytes: Uint8Array): void {
  const width = COLUMN_BYTES[column]!;
  const offset = COLUMN_OFFSETS[column]!;
  const n = bytes.length / width;
  assert(Number.isInteger(n) && rows.length >= n * (ROW_BYTES / 4), 'one value for each row');
  const aligned = new Uint8Array(bytes);
  if (width === 2) {
    const halves = new Uint16Array(rows.buffer, rows.byteOffset, rows.length * 2);
    const values = new Uint16Array(aligned.buffer);
    for (let i = 0; i < n; i++) halves[i * (ROW_BYTES / 2) + offset / 2] = values[i]!;
    return;
  }
  const count = width / 4;
  const values = new Uint32Array(aligned.buffer);
  for (let i = 0; i < n; i++) {
    const to = (i * ROW_BYTES + offset) / 4;
    for (let w = 0; w < count; w++) rows[to + w] = values[i * count + w]!;
  }
}
