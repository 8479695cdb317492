import { expect, test } from 'vitest';
import { BuiltJournals } from '../test/support/built-journals.ts';
import { BlockBuilder } from './block.ts';
import { FrameRows } from './frame-rows.ts';
import { wordsOf } from './frame-store.ts';
import { GrowingWords } from './value-set.ts';

/** Takes every run for one in which anything may be. */
class RowsOneByOne extends FrameRows {
  override get isPlain(): boolean {
    return false;
  }
}

test('plain runs are summed up as all others are', () => {
  const built = new BuiltJournals(61, 1);
  built.plainPercent = 60;
  for (let i = 0; i < 300; i++) built.step();
  const rows = new FrameRows(0, 1);
  const [blocks, expected] = [rows, new RowsOneByOne(0, 1)].map((reader) => {
    const builder = new BlockBuilder(reader);
    const [heads, filters] = [new GrowingWords(), new GrowingWords()];
    for (const [i, { frame }] of built.frames[0]!.entries()) {
      builder.add(i + 1, wordsOf(frame));
      if (i % 7 === 6) builder.finish(heads, filters);
    }
    return { heads: heads.used(), filters: filters.used() };
  });
  expect(blocks).toEqual(expected);
  const runs = { plain: 0, others: 0 };
  for (const { frame } of built.frames[0]!) {
    rows.open(wordsOf(frame));
    while (rows.next()) runs[rows.isPlain ? 'plain' : 'others']++;
  }
  expect(Math.min(runs.plain, runs.others)).toBeGreaterThan(100);
});
