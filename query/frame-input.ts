/**
 * One request input of a frame, and the records of its rows, of which each column is read by itself. What the columns have in common for all
 * rows, where they begin and what the constant ones say, is found with the first row that is asked for.
 */
import {
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  HEADER_BYTES,
  ROW_WORDS,
  Transfer,
} from '../engine/batch.ts';
import { AccountFlags, TransferFlags } from '../engine/flags.ts';
import { Derived, Input, INPUT_WORDS, InputType } from '../engine/frame.ts';
import type { FrameBytes } from './frame-bytes.ts';

/** Code and flags share a word. */
const FLAGS_WORD = COLUMN_OFFSETS[Transfer.code]! >> 2;
export const TIMESTAMP_WORD = COLUMN_OFFSETS[Transfer.timestamp]! >> 2;
/** Words at the start of an input: its header and that of the batch. */
export const OPENING_WORDS = INPUT_WORDS + HEADER_BYTES / 4;

export function isTransfers(type: number): boolean {
  return type === InputType.createTransfers || type === InputType.createTransfersTogether;
}

export function isAccounts(type: number): boolean {
  return type === InputType.createAccounts || type === InputType.createAccountsTogether;
}

/* Shared by all, as those in frame-view.ts. */
const scratch = new Uint32Array(1);
/** Every column padded to 8 bytes. */
const constantWords = new Uint32Array(2 * ROW_WORDS);

/** Numbers for each column that has a value of its own for every row: {column, byte where it begins}. */
const COLUMN_NUMBERS = 2;

export class FrameInput {
  readonly firstRow: number;
  readonly n: number;
  readonly isOfTransfers: boolean;
  /** Where the input begins, in bytes. */
  readonly #at: number;
  readonly #masks: number;
  readonly #stampLow: number;
  readonly #stampHigh: number;
  #columns: readonly number[] | undefined;
  /** Words of a record and their values, of the columns with one value for all rows. */
  #constants: readonly number[] = [];

  /** Of what its OPENING_WORDS say, from a word of `words` on. */
  constructor(at: number, words: Uint32Array, word: number) {
    this.#at = at;
    this.firstRow = words[word + Input.firstRow]!;
    this.n = words[word + INPUT_WORDS]! & 0xffffff;
    this.isOfTransfers = isTransfers(words[word + Input.type]!);
    this.#masks = words[word + INPUT_WORDS + 1]!;
    this.#stampLow = words[word + Input.stamp]!;
    this.#stampHigh = words[word + Input.stamp + 1]!;
  }

  /** Writes the record of a row, and when it was decided. */
  // Hot path.
  record(frame: Pick<FrameBytes, 'copy'>, row: number, target: Uint32Array, shards: number): void {
    const within = row - this.firstRow;
    target.fill(0, 0, ROW_WORDS);
    const columns = (this.#columns ??= this.#open(frame));
    for (let i = 0; i < columns.length; i += COLUMN_NUMBERS) {
      const column = columns[i]!;
      const width = COLUMN_BYTES[column]!;
      const at = columns[i + 1]! + width * within;
      const word = COLUMN_OFFSETS[column]! >> 2;
      if (width > 2) frame.copy(at, target, word, width >> 2);
      else {
        frame.copy(at & ~3, scratch, 0, 1);
        const half = (at & 2) === 0 ? scratch[0]! & 0xffff : scratch[0]! >>> 16;
        target[word] = (target[word]! | halfIn(column, half)) >>> 0;
      }
    }
    const constants = this.#constants;
    for (let i = 0; i < constants.length; i += 2) {
      const word = constants[i]!;
      target[word] = (target[word]! | constants[i + 1]!) >>> 0;
    }
    this.stamp(within, shards, target, Derived.decided);
    const flags = target[FLAGS_WORD]! >>> 16;
    const imported = this.isOfTransfers ? TransferFlags.imported : AccountFlags.imported;
    if ((flags & imported) !== 0) return;
    target[TIMESTAMP_WORD] = target[Derived.decided]!;
    target[TIMESTAMP_WORD + 1] = target[Derived.decided + 1]!;
  }

  /** Writes when a row was decided, two words: its timestamp, but for imported ones. */
  stamp(within: number, shards: number, target: Uint32Array, at: number): void {
    const stamp = this.#stampLow + within * shards;
    target[at] = stamp % 4294967296;
    target[at + 1] = this.#stampHigh + Math.floor(stamp / 4294967296);
  }

  /** The byte at which a column with a value for each row begins; -1 when it has one value for all of them. */
  columnAt(frame: Pick<FrameBytes, 'copy'>, column: number): number {
    const columns = (this.#columns ??= this.#open(frame));
    for (let i = 0; i < columns.length; i += COLUMN_NUMBERS) {
      if (columns[i] === column) return columns[i + 1]!;
    }
    return -1;
  }

  /** What a word of a record has from the columns with one value for all rows. */
  constant(frame: Pick<FrameBytes, 'copy'>, word: number): number {
    this.#columns ??= this.#open(frame);
    let value = 0;
    for (let i = 0; i < this.#constants.length; i += 2) {
      if (this.#constants[i] === word) value = (value | this.#constants[i + 1]!) >>> 0;
    }
    return value;
  }

  /** Finds where the columns begin. Constant ones that follow each other are read in one go. */
  #open(frame: Pick<FrameBytes, 'copy'>): number[] {
    const columns: number[] = [];
    const constants: number[] = [];
    let at = this.#at + OPENING_WORDS * 4;
    for (let column = 0; column < COLUMNS;) {
      const from = at;
      const first = column;
      for (; column < COLUMNS && !this.#isRowByRow(column); column++) {
        if (this.#isConstant(column)) at += paddedBytes(COLUMN_BYTES[column]!);
      }
      if (at > from) {
        frame.copy(from, constantWords, 0, (at - from) >> 2);
        this.#keepConstants(first, column, constants);
      }
      if (column < COLUMNS) {
        columns.push(column, at);
        at += paddedBytes(COLUMN_BYTES[column]! * this.n);
      }
      column++;
    }
    this.#constants = constants;
    return columns;
  }

  #keepConstants(first: number, end: number, constants: number[]): void {
    let word = 0;
    for (let column = first; column < end; column++) {
      if (!this.#isConstant(column)) continue;
      const width = COLUMN_BYTES[column]!;
      const to = COLUMN_OFFSETS[column]! >> 2;
      if (width > 2)
        for (let w = 0; w < width >> 2; w++) constants.push(to + w, constantWords[word + w]!);
      else constants.push(to, halfIn(column, constantWords[word]! & 0xffff));
      word += paddedBytes(width) >> 2;
    }
  }

  #isConstant(column: number): boolean {
    const masks = this.#masks;
    return (masks & (1 << column)) !== 0 && (masks & (1 << (column + 16))) !== 0;
  }

  #isRowByRow(column: number): boolean {
    const masks = this.#masks;
    return (masks & (1 << column)) !== 0 && (masks & (1 << (column + 16))) === 0;
  }
}

function paddedBytes(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** A value of 16 bits at its place in the word that code and flags share. */
function halfIn(column: number, half: number): number {
  return column === Transfer.flags ? half * 65_536 : half;
}
