/**
 * Of a frame of single-phase transfers the accounts and the amounts, and nothing else: half of its bytes, in one read. One object, opened anew for
 * each input.
 */
import { assert } from '../engine/assert.ts';
import { BatchKind, COLUMN_OFFSETS, Columns, Transfer } from '../engine/batch.ts';
import { CLOSING, REWRITTEN, TransferFlags } from '../engine/flags.ts';
import type { FrameInput } from './frame-input.ts';
import type { FrameView } from './frame-view.ts';

/** They follow each other. */
const COLUMNS_READ = [Transfer.debitAccountId, Transfer.creditAccountId, Transfer.amount] as const;
const VALUE_WORDS = 4;
const CONSTANT_WORDS = COLUMNS_READ.length * VALUE_WORDS;
const FLAGS_WORD = COLUMN_OFFSETS[Transfer.code]! >> 2;

/** Small requests are not worth a read of their own. */
const INPUTS_MAX = 4;

/** The inputs of a frame, when all that its rows do is to add their amounts to what both accounts have posted. */
export function postingInputs(view: FrameView): readonly FrameInput[] | undefined {
  const inputs = view.plainInputs(INPUTS_MAX);
  return inputs?.every((input) => isOfPostings(view, input)) === true ? inputs : undefined;
}

function isOfPostings(view: FrameView, input: FrameInput): boolean {
  if (!input.isOfTransfers || input.columnAt(view, Transfer.flags) !== -1) return false;
  const flags = input.constant(view, FLAGS_WORD) >>> 16;
  const others = REWRITTEN | CLOSING | TransferFlags.pending | TransferFlags.imported;
  return (flags & others) === 0;
}

export class PostingColumns {
  readonly columns = new Columns();
  #words = new Uint32Array(0);

  open(view: FrameView, input: FrameInput): void {
    const { n } = input;
    const places = COLUMNS_READ.map((column) => input.columnAt(view, column));
    const begins = places.filter((place) => place !== -1);
    const from = Math.min(...begins);
    const words = begins.length === 0 ? 0 : ((Math.max(...begins) - from) >> 2) + n * VALUE_WORDS;
    assert(words <= n * CONSTANT_WORDS + CONSTANT_WORDS, 'the columns follow each other');
    if (this.#words.length < CONSTANT_WORDS + words) {
      this.#words = new Uint32Array(CONSTANT_WORDS + words);
    }
    if (words > 0) view.copy(from, this.#words, CONSTANT_WORDS, words);
    const { columns } = this;
    columns.kind = BatchKind.transfers;
    columns.n = n;
    columns.words = this.#words;
    for (const [i, column] of COLUMNS_READ.entries()) {
      const place = places[i]!;
      const isConstant = place === -1;
      columns.at[column] = isConstant ? i * VALUE_WORDS : CONSTANT_WORDS + ((place - from) >> 2);
      columns.step[column] = isConstant ? 0 : VALUE_WORDS;
      if (!isConstant) continue;
      const word = COLUMN_OFFSETS[column]! >> 2;
      for (let w = 0; w < VALUE_WORDS; w++) {
        this.#words[i * VALUE_WORDS + w] = input.constant(view, word + w);
      }
    }
  }
}
