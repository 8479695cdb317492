/**
 * Rows that a parser fills before they become a batch, which copies them. One store for all requests: parsing is synchronous, so only
 * one request uses it at a time, and a row is cleared before anything is written into it.
 */
import { assert } from '../engine/assert.ts';
import { COLUMN_BYTES, COLUMN_OFFSETS, ROW_WORDS } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';

export const scratchRows = new Uint32Array(BATCH_EVENTS_MAX * ROW_WORDS);
export const scratchBytes = new Uint8Array(scratchRows.buffer);
export const scratchIds = new Uint32Array(BATCH_EVENTS_MAX * 4);

export function clearRow(row: number): void {
  assert(row < BATCH_EVENTS_MAX, 'the row is within its bound');
  scratchRows.fill(0, row * ROW_WORDS, (row + 1) * ROW_WORDS);
}

/** Writes a value, four words of which a narrow column takes the first, into a column that is still 0. */
// Hot path.
export function putWords(row: number, column: number, words: Uint32Array): void {
  const offset = COLUMN_OFFSETS[column]!;
  const to = row * ROW_WORDS + (offset >> 2);
  switch (COLUMN_BYTES[column]!) {
    case 16:
      scratchRows[to] = words[0]!;
      scratchRows[to + 1] = words[1]!;
      scratchRows[to + 2] = words[2]!;
      scratchRows[to + 3] = words[3]!;
      return;
    case 8:
      scratchRows[to] = words[0]!;
      scratchRows[to + 1] = words[1]!;
      return;
    case 4:
      scratchRows[to] = words[0]!;
      return;
    default:
      scratchRows[to] = scratchRows[to]! | (words[0]! << ((offset & 2) * 8));
  }
}

/** Whether a value of four words fits into a column. */
// Hot path.
export function fitsColumn(column: number, words: Uint32Array): boolean {
  switch (COLUMN_BYTES[column]!) {
    case 16:
      return true;
    case 8:
      return (words[2]! | words[3]!) === 0;
    case 4:
      return (words[1]! | words[2]! | words[3]!) === 0;
    default:
      return (words[1]! | words[2]! | words[3]!) === 0 && words[0]! <= 0xffff;
  }
}

/** A number up to 2^53 - 1 as four words. */
export function setWords(words: Uint32Array, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  words[0] = value - high * 0x1_0000_0000;
  words[1] = high;
  words[2] = 0;
  words[3] = 0;
}
