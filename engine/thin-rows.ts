/**
 * Rows of words most of which are 0, as messages carry them: of each a mask of the words that are not, and these words, in order. Of the 32 words of a
 * transfer or an account ten or so are not 0, so that a message has a third of the bytes to copy, to journal, and to write.
 */
import { assert } from './assert.ts';
import {
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  type Columns,
  ROW_WORDS,
  Transfer,
} from './batch.ts';
import type { WordList } from './link-message.ts';

/** The mask is one word. */
const ROW_WORDS_MAX = 32;

/** Appends a row of `count` words, which begin at `at`. */
// Hot path.
export function appendThin(list: WordList, source: Uint32Array, at: number, count: number): void {
  assert(count <= ROW_WORDS_MAX, 'a row has a mask of one word');
  const start = list.extend(1 + count);
  const { words } = list;
  let mask = 0;
  let to = start + 1;
  for (let w = 0; w < count; w++) {
    const word = source[at + w]!;
    if (word === 0) continue;
    mask |= 1 << w;
    words[to++] = word;
  }
  words[start] = mask >>> 0;
  list.length = to;
}

/** Appends row i of a batch, as if it had been copied into 32 words before. */
// Hot path.
export function appendThinRow(list: WordList, columns: Columns, i: number): void {
  const { words, halves, at, step, present } = columns;
  const start = list.extend(1 + ROW_WORDS);
  const target = list.words;
  let mask = 0;
  let to = start + 1;
  for (let column = 0; column < COLUMNS; column++) {
    if (column === Transfer.code) {
      // It shares a word with the next one.
      const code = halves[at[column]! + i * step[column]!]!;
      const flags = halves[at[Transfer.flags]! + i * step[Transfer.flags]!]!;
      if ((code | flags) === 0) continue;
      mask |= 1 << (COLUMN_OFFSETS[column]! >> 2);
      target[to++] = code | (flags << 16);
      continue;
    }
    if ((present & (1 << column)) === 0 || column === Transfer.flags) continue;
    const from = at[column]! + i * step[column]!;
    const bit = COLUMN_OFFSETS[column]! >> 2;
    const width = COLUMN_BYTES[column]! >> 2;
    for (let w = 0; w < width; w++) {
      const word = words[from + w]!;
      if (word === 0) continue;
      mask |= 1 << (bit + w);
      target[to++] = word;
    }
  }
  target[start] = mask >>> 0;
  list.length = to;
}

/** A word of a row that begins at `from`. */
// Hot path.
export function thinWord(words: Uint32Array, from: number, word: number): number {
  const mask = words[from]!;
  if (((mask >>> word) & 1) === 0) return 0;
  return words[from + 1 + countOnes(mask & ((1 << word) - 1))]!;
}

/** Reads a row that begins at `from` into `count` words at `to`. Returns where it ends. */
// Hot path.
// oxlint-disable-next-line max-params -- A place to read, and one to write.
export function readThin(
  words: Uint32Array,
  from: number,
  target: Uint32Array,
  to: number,
  count: number,
): number {
  const mask = words[from]!;
  let at = from + 1;
  for (let w = 0; w < count; w++) {
    if (((mask >>> w) & 1) === 0) target[to + w] = 0;
    else target[to + w] = words[at++]!;
  }
  return at;
}

/** Where so many rows end that begin at `from`, each with `behind` more words behind it. */
// Hot path.
export function skipThin(words: Uint32Array, from: number, rows: number, behind: number): number {
  let at = from;
  for (let i = 0; i < rows; i++) at += 1 + countOnes(words[at]!) + behind;
  return at;
}

// Hot path.
function countOnes(mask: number): number {
  const pairs = mask - ((mask >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Where what is behind thin rows begins in a message: an even number of words from `first`, where they begin. */
export function evenEnd(first: number, end: number): number {
  return end + ((end - first) & 1);
}

/** Makes a list's length even. */
export function evenOut(list: WordList): void {
  if ((list.length & 1) === 0) return;
  const at = list.extend(1);
  list.words[at] = 0;
}

/** Makes whole rows of `count` words of the thin rows that are all that is in a list. */
export function widen(list: WordList, rows: number, count: number): void {
  const thin = list.copy();
  list.length = 0;
  let from = 0;
  for (let i = 0; i < rows; i++) {
    const to = list.extend(count);
    from = readThin(thin, from, list.words, to, count);
  }
}
