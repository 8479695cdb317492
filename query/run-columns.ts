/**
 * Some columns of a request of which every row was created as it came, out of a frame that is not read whole: from the first of them to the last in
 * one read. One object, opened anew for each input.
 */
import { assert } from '../engine/assert.ts';
import { BatchKind, COLUMN_BYTES, COLUMN_OFFSETS, Columns, Transfer } from '../engine/batch.ts';
import { CLOSING, REWRITTEN, TransferFlags } from '../engine/flags.ts';
import type { FrameInput } from './frame-input.ts';
import type { FrameView } from './frame-view.ts';

const FLAGS_WORD = COLUMN_OFFSETS[Transfer.code]! >> 2;
/** The widest column. */
const VALUE_WORDS = 4;
/** Small requests are not worth a read of their own. */
const INPUTS_MAX = 4;

/** The inputs of a frame that has plain runs only (`FrameRows.isPlain`), and none of whose flags are among `others`. */
export function plainInputs(view: FrameView, others = 0): readonly FrameInput[] | undefined {
  const inputs = view.plainInputs(INPUTS_MAX);
  const excluded = REWRITTEN | TransferFlags.imported | others;
  const arePlain = inputs?.every((input) => {
    if (!input.isOfTransfers || input.columnAt(view, Transfer.flags) !== -1) return false;
    return ((input.constant(view, FLAGS_WORD) >>> 16) & excluded) === 0;
  });
  return arePlain === true ? inputs : undefined;
}

/** The same where all that a row does is to add its amount to what both accounts have posted: POSTING_COLUMNS are all that counts of it. */
export function singlePhaseInputs(view: FrameView): readonly FrameInput[] | undefined {
  return plainInputs(view, TransferFlags.pending | CLOSING);
}

export const POSTING_COLUMNS = [
  Transfer.debitAccountId,
  Transfer.creditAccountId,
  Transfer.amount,
] as const;

export class RunColumns {
  readonly columns = new Columns();
  /** Ascending. */
  readonly #wanted: readonly number[];
  #words = new Uint32Array(0);
  #halves = new Uint16Array(0);

  constructor(wanted: readonly number[]) {
    this.#wanted = wanted;
  }

  /** Those that are wanted are in `columns`; what the others say there means nothing. */
  open(view: FrameView, input: FrameInput): void {
    const { columns } = this;
    const places = this.#wanted.map((column) => input.columnAt(view, column));
    const rowByRow = places.filter((place) => place !== -1);
    const from = Math.min(...rowByRow);
    const first = this.#wanted.length * VALUE_WORDS;
    let end = from;
    for (const [i, column] of this.#wanted.entries()) {
      const place = places[i]!;
      if (place === -1) this.#openConstant(view, input, i);
      else {
        const unit = unitOf(column);
        columns.at[column] = (first * 4 + place - from) / unit;
        columns.step[column] = COLUMN_BYTES[column]! / unit;
        end = place + ((COLUMN_BYTES[column]! * input.n + 7) & ~7);
      }
    }
    columns.kind = BatchKind.transfers;
    columns.n = input.n;
    const count = rowByRow.length === 0 ? 0 : (end - from) >> 2;
    this.#reach(first + count);
    columns.words = this.#words;
    columns.halves = this.#halves;
    if (count > 0) view.copy(from, this.#words, first, count);
  }

  /** In front of the others. */
  #openConstant(view: FrameView, input: FrameInput, i: number): void {
    const column = this.#wanted[i]!;
    assert(column !== Transfer.flags, 'flags are the upper half of a word');
    const at = i * VALUE_WORDS;
    this.#reach(at + VALUE_WORDS);
    this.columns.at[column] = (at * 4) / unitOf(column);
    this.columns.step[column] = 0;
    const word = COLUMN_OFFSETS[column]! >> 2;
    for (let w = 0; w * 4 < COLUMN_BYTES[column]!; w++) {
      this.#words[at + w] = input.constant(view, word + w);
    }
  }

  #reach(words: number): void {
    if (words <= this.#words.length) return;
    const grown = new Uint32Array(words);
    grown.set(this.#words);
    this.#words = grown;
    this.#halves = new Uint16Array(grown.buffer);
  }
}

/** What offsets and steps of a column count, see `Columns`. */
function unitOf(column: number): number {
  return column === Transfer.code ? 2 : 4;
}
